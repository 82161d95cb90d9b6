// SPDX-License-Identifier: Apache-2.0
//
// Graphviz' picture, to move about in. It is not taken over as it is: its shapes are made again,
// with their places only, so that nothing of it can run or load, and so that the page's colours
// are its colours.
//
// Drag to move; the buttons, + and -, or the wheel after a click make it larger and smaller; 0
// shows all. A click on a node, or a find, marks it with what leads there and what it leads to.

const kShapes = {
  g: [],
  path: ["d"],
  polygon: ["points"],
  polyline: ["points"],
  ellipse: ["cx", "cy", "rx", "ry"],
  text: ["x", "y", "text-anchor", "font-size"],
};
const kCopied = ["transform", "stroke-width", "stroke-dasharray"];
const kReadable = 1.1; // pixels to a unit of the picture, where a node is looked at

function graph_picture(box, tools, on_choice) {
  if (data.picture.missing !== "") {
    box.append(
      element("p", { class: "missing" }, `There is no picture: ${data.picture.missing}`),
    );
    return { choose: on_choice, has: () => false };
  }
  const nodes = new Map(); // by their number in the data: the group in the picture
  const edges = []; // { from, to, group }
  const parsed = new DOMParser().parseFromString(data.picture.svg, "image/svg+xml");
  const source = parsed.querySelector("svg > g");
  const canvas = drawn("svg", {
    class: "picture",
    role: "application",
    tabindex: 0,
    "aria-label": "The graph. Arrow keys move, plus and minus zoom, 0 shows all",
  });
  const [, , whole_width, whole_height] = parsed.documentElement
    .getAttribute("viewBox")
    .split(/\s+/)
    .map(Number);
  let view = { x: 0, y: 0, width: whole_width, height: whole_height };

  // --- its shapes ------------------------------------------------------------------------------

  function copy(from, into) {
    for (const child of from.children) {
      const name = child.localName;
      if (name === "a") copy(child, into);
      else if (name === "g" && child.getAttribute("class")) group(child, into);
      else if (name === "g") copy(child, into);
      else if (name in kShapes) into.append(shape(child));
    }
  }

  function shape(from) {
    const made = drawn(from.localName);
    for (const key of [...kShapes[from.localName], ...kCopied]) {
      if (from.hasAttribute(key)) made.setAttribute(key, from.getAttribute(key));
    }
    if (from.localName === "text") made.textContent = from.textContent;
    return made;
  }

  function group(from, into) {
    const title = from.querySelector("title")?.textContent ?? "";
    const made = drawn("g", { class: from.getAttribute("class") });
    copy(from, made);
    if (made.classList.contains("node")) {
      const index = data.picture.nodes[Number(title.slice(1))];
      const node = data.nodes[index];
      if (node !== undefined) {
        nodes.set(index, made);
        made.dataset.node = index;
        made.classList.add(
          node.kind,
          `side-${node.side}`,
          node.ordered > 0 ? "ordered" : node.intercepted > 0 ? "intercepted" : "passed",
        );
        tell_on(made, () => node_content(node));
      }
    } else {
      const ends = data.picture.edges[Number(from.id.replace("edge", "")) - 1];
      if (ends !== undefined) {
        edges.push({
          from: data.picture.nodes[ends[0]],
          to: data.picture.nodes[ends[1]],
          group: made,
        });
      }
    }
    into.append(made);
  }

  const all = drawn("g", { transform: source.getAttribute("transform") });
  for (const child of source.children) {
    if (child.localName === "g") group(child, all);
  }
  canvas.append(all);

  // --- where one looks -------------------------------------------------------------------------

  function look() {
    // The box keeps the picture's proportions: what is seen is as wide as the box says.
    const shown = canvas.getBoundingClientRect();
    if (shown.width > 0) view.height = (view.width * shown.height) / shown.width;
    canvas.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  }

  function fit() {
    const shown = canvas.getBoundingClientRect();
    const ratio = shown.width / Math.max(shown.height, 1);
    const width = Math.max(whole_width, whole_height * ratio) * 1.02;
    view = {
      x: (whole_width - width) / 2,
      y: (whole_height - width / ratio) / 2,
      width,
      height: 0,
    };
    look();
  }

  // About a point of the window, or the middle.
  function zoom(factor, client_x, client_y) {
    const shown = canvas.getBoundingClientRect();
    const least = shown.width / 6,
      most = Math.max(whole_width, whole_height) * 4;
    const width = Math.min(most, Math.max(least, view.width / factor));
    const across = client_x === undefined ? 0.5 : (client_x - shown.x) / shown.width;
    const down = client_y === undefined ? 0.5 : (client_y - shown.y) / shown.height;
    const height = (width * shown.height) / shown.width;
    view.x += across * (view.width - width);
    view.y += down * (view.height - height);
    view.width = width;
    look();
  }

  function move(by_x, by_y) {
    const shown = canvas.getBoundingClientRect();
    view.x -= (by_x * view.width) / shown.width;
    view.y -= (by_y * view.width) / shown.width;
    look();
  }

  function look_at(made) {
    const place = made.getBBox();
    const [, left, top] = /translate\(([-\d.]+)[ ,]([-\d.]+)\)/
      .exec(all.getAttribute("transform"))
      .map(Number);
    view.width = Math.min(view.width, canvas.getBoundingClientRect().width / kReadable);
    look();
    view.x = place.x + place.width / 2 + left - view.width / 2;
    view.y = place.y + place.height / 2 + top - view.height / 2;
    look();
  }

  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    if (pointers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const others = [...pointers.values()].filter(
      (other) => other.pointerId !== event.pointerId,
    );
    moved +=
      Math.abs(event.clientX - before.clientX) + Math.abs(event.clientY - before.clientY);
    if (moved > 4 && !canvas.hasPointerCapture(event.pointerId))
      canvas.setPointerCapture(event.pointerId);
    if (others.length === 0) {
      move(event.clientX - before.clientX, event.clientY - before.clientY);
    } else {
      const distance = (one) =>
        Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      zoom(
        distance(event) / Math.max(distance(before), 1),
        (event.clientX + others[0].clientX) / 2,
        (event.clientY + others[0].clientY) / 2,
      );
    }
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
      event.preventDefault();
    },
    { passive: false },
  );
  canvas.addEventListener("click", (event) => {
    if (moved > 4) return;
    const found = event.target.closest("[data-node]");
    choose(found === null ? null : Number(found.dataset.node), false);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = 60;
    const act = {
      ArrowLeft: () => move(step, 0),
      ArrowRight: () => move(-step, 0),
      ArrowUp: () => move(0, step),
      ArrowDown: () => move(0, -step),
      "+": () => zoom(1.3),
      "=": () => zoom(1.3),
      "-": () => zoom(1 / 1.3),
      0: fit,
      Escape: () => choose(null, false),
    }[event.key];
    if (act === undefined) return;
    act();
    event.preventDefault();
  });

  // --- one node, or those that are found -------------------------------------------------------

  // `index`: null: none.
  function choose(index, look_there = true) {
    const near = new Set([index]);
    for (const { from, to, group: made } of edges) {
      const mine = index !== null && (from === index || to === index);
      made.classList.toggle("chosen", mine);
      if (mine) near.add(from).add(to);
    }
    canvas.classList.toggle("choosing", index !== null);
    for (const [number_of, made] of nodes) {
      made.classList.toggle("chosen", number_of === index);
      made.classList.toggle("near", near.has(number_of));
    }
    if (look_there && nodes.has(index)) look_at(nodes.get(index));
    on_choice(index);
  }

  let found = [],
    at = -1;
  const search = element("input", {
    type: "search",
    id: "graph-search",
    placeholder: "Find a node",
    "aria-label": "Find a node",
    spellcheck: "false",
    oninput: () => {
      const words = search.value.trim().toLowerCase();
      found = [];
      at = -1;
      for (const [index, made] of nodes) {
        const node = data.nodes[index];
        const match =
          words !== "" &&
          `${node.name} ${node.library} ${node.kind}`.toLowerCase().includes(words);
        made.classList.toggle("match", match);
        if (match) found.push(index);
      }
      canvas.classList.toggle("searching", words !== "");
      status.textContent = words === "" ? "" : `${counted(found.length, "node")} found`;
      next.disabled = found.length === 0;
    },
    onkeydown: (event) => {
      if (event.key === "Enter") go_on();
    },
  });
  function go_on() {
    if (found.length === 0) return;
    at = (at + 1) % found.length;
    choose(found[at]);
    status.textContent = `${at + 1} of ${found.length}`;
  }
  const next = element(
    "button",
    { type: "button", id: "graph-next", disabled: true, onclick: go_on },
    "Next",
  );
  const status = element("output", { class: "count", id: "graph-status" });
  const button = (id, label, words, act) =>
    element(
      "button",
      { type: "button", id, "aria-label": words, title: words, onclick: act },
      label,
    );
  tools.append(
    search,
    next,
    button("graph-larger", "+", "Larger", () => zoom(1.5)),
    button("graph-smaller", "−", "Smaller", () => zoom(1 / 1.5)),
    button("graph-fit", "Show all", "Show all", fit),
    status,
  );
  box.append(canvas);
  fit();
  let width = canvas.getBoundingClientRect().width;
  new ResizeObserver(() => {
    const now = canvas.getBoundingClientRect().width;
    if (now !== width) fit();
    width = now;
  }).observe(canvas);
  return { choose, has: (index) => nodes.has(index) };
}
