// SPDX-License-Identifier: Apache-2.0
//
// The tree of call paths as a flame graph, its root on top.
//
// A box is filled with the shares of its calls that were ordered, intercepted, passed on, from the
// left; children are in the same order, so that what was ordered gathers at the left edge.
// A click or Enter makes a box as wide as the picture; the arrow keys walk the tree.

const kFlameRow = 24; // pixels
const kLeastWidth = 1; // narrower boxes are left out
const kLeastTextWidth = 30;

function flame_graph(box, tools) {
  const root = prepared(data.tree, null, 0);
  const state = { top: root, focus: root, measure: "total", words: "" };
  const elements = new Map(); // of the nodes that are drawn

  function prepared(node, parent, depth) {
    const made = { ...node, parent, depth, short: short_name(node.function) };
    made.words = `${node.function} ${node.library}`.toLowerCase();
    made.children = node.children.map((child) => prepared(child, made, depth + 1));
    made.children.sort(
      (a, b) =>
        b.sum.ordered - a.sum.ordered ||
        b.sum.intercepted - a.sum.intercepted ||
        b.sum.total - a.sum.total,
    );
    return made;
  }

  const size = (node) => node.sum[state.measure];
  const matches = (node) => state.words !== "" && node.words.includes(state.words);

  // Of the calls, those below a match; a match inside a match counts once.
  function matched(node) {
    if (matches(node)) return size(node);
    return node.children.reduce((sum, child) => sum + matched(child), 0);
  }

  function paint(node) {
    const { total, intercepted, ordered } = node.sum;
    if (total === 0) return "var(--passed-fill)";
    const first = (100 * ordered) / total;
    const second = Math.max(first, (100 * intercepted) / total);
    return (
      `linear-gradient(90deg, var(--ordered-fill) 0 ${first}%, ` +
      `var(--intercepted-fill) ${first}% ${second}%, var(--passed-fill) ${second}% 100%)`
    );
  }

  function content(node) {
    const share = (count) =>
      `${number(count)} (${percent(node.sum.total === 0 ? null : count / node.sum.total)})`;
    return [
      element("p", { class: "name" }, node.function),
      facts([
        ["Library", node.library],
        [
          "Calls",
          `${number(node.sum.total)}, ${percent(
            root.sum.total === 0 ? null : node.sum.total / root.sum.total,
          )} of all`,
        ],
        ["Made here", number(node.own.total)],
        ["Acquisitions", number(node.sum.acquisitions)],
        ["Intercepted", share(node.sum.intercepted)],
        ["Ordered", share(node.sum.ordered)],
      ]),
    ];
  }

  function add(canvas, node, row, left, width, pixels) {
    const made = element(
      "div",
      {
        class: "flame-box",
        role: "treeitem",
        "aria-level": node.depth + 1,
        "aria-label":
          `${node.short}, ${counted(node.sum.total, "call")}, ` +
          `${number(node.sum.ordered)} ordered`,
        "aria-selected": node === state.top,
        tabindex: node === state.focus ? 0 : -1,
        onclick: () => zoom(node),
        onfocus: () => {
          state.focus = node;
        },
      },
      pixels >= kLeastTextWidth ? element("span", {}, node.short) : null,
    );
    made.style.left = `${left}%`;
    made.style.width = `${width}%`;
    made.style.top = `${row * kFlameRow}px`;
    made.style.background = paint(node);
    if (pixels < 4) made.classList.add("thin");
    if (node.depth < state.top.depth) made.classList.add("above");
    if (state.words !== "") made.classList.add(matches(node) ? "match" : "other");
    tell_on(made, () => content(node));
    elements.set(node, made);
    canvas.append(made);
  }

  function draw() {
    const canvas = element("div", {
      class: "flame",
      role: "tree",
      "aria-label": "Call paths of the synchronisation calls",
      onkeydown: walk,
    });
    elements.clear();
    const width = box.clientWidth || 1;
    const above = [];
    for (let node = state.top.parent; node !== null; node = node.parent) above.unshift(node);
    above.forEach((node, row) => add(canvas, node, row, 0, 100, width));
    let rows = above.length;
    const level = (node, row, left, share) => {
      const pixels = (share / 100) * width;
      if (pixels < kLeastWidth) return;
      add(canvas, node, row, left, share, pixels);
      rows = Math.max(rows, row + 1);
      let at = left;
      for (const child of node.children) {
        const part = size(node) === 0 ? 0 : (share * size(child)) / size(node);
        level(child, row + 1, at, part);
        at += part;
      }
    };
    level(state.top, above.length, 0, 100);
    canvas.style.height = `${rows * kFlameRow}px`;
    tooltip.hide();
    const had_focus = box.contains(document.activeElement);
    if (!elements.has(state.focus)) state.focus = state.top;
    box.replaceChildren(canvas);
    elements.get(state.focus).tabIndex = 0;
    if (had_focus) elements.get(state.focus).focus();
    back.disabled = state.top === root;
    status.textContent =
      size(root) === 0
        ? "No such calls"
        : state.words !== ""
          ? `${percent(matched(root) / size(root))} of the calls match`
          : state.top === root
            ? `${counted(size(root), "call")}`
            : `${percent(size(state.top) / size(root))} of the calls: ${state.top.short}`;
  }

  function zoom(node) {
    state.top = node;
    state.focus = node;
    draw();
  }

  function walk(event) {
    const node = state.focus;
    const drawn_only = (nodes) => nodes.filter((other) => elements.has(other));
    const sisters = node.parent === null ? [node] : drawn_only(node.parent.children);
    const at = sisters.indexOf(node);
    const next = {
      ArrowUp: () => node.parent,
      ArrowDown: () => drawn_only(node.children)[0],
      ArrowLeft: () => sisters[at - 1],
      ArrowRight: () => sisters[at + 1],
      Home: () => root,
    }[event.key];
    if (event.key === "Enter" || event.key === " ") zoom(node);
    else if (event.key === "Escape") zoom(root);
    else if (next === undefined) return;
    else {
      const target = next();
      if (target && elements.has(target)) {
        elements.get(node).tabIndex = -1;
        elements.get(target).tabIndex = 0;
        elements.get(target).focus();
      }
    }
    event.preventDefault();
  }

  const search = element("input", {
    type: "search",
    id: "flame-search",
    placeholder: "Find a function or library",
    "aria-label": "Find a function or library",
    spellcheck: "false",
    oninput: () => {
      state.words = search.value.trim().toLowerCase();
      draw();
    },
  });
  const measure = element(
    "select",
    {
      id: "flame-measure",
      "aria-label": "What the width shows",
      onchange: () => {
        state.measure = measure.value;
        state.top = state.focus = root;
        draw();
      },
    },
    ...Object.entries({
      total: "all calls",
      acquisitions: "acquisitions",
      intercepted: "intercepted calls",
      ordered: "ordered calls",
    }).map(([value, label]) => element("option", { value }, label)),
  );
  const back = element(
    "button",
    { type: "button", id: "flame-back", onclick: () => zoom(root) },
    "Show all",
  );
  const status = element("output", { class: "count", id: "flame-status" });
  tools.append(search, element("label", {}, "Width: ", measure), back, status);
  box.after(
    verdict_key({
      ordered: "order settled",
      intercepted: "by a meta-object",
      passed: "straight to libc",
    }),
  );
  let drawn_width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth === drawn_width) return;
    drawn_width = box.clientWidth;
    draw();
  }).observe(box);
  draw();
}
