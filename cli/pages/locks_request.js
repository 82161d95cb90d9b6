// SPDX-License-Identifier: Apache-2.0
//
// One request through the layers, with the meta-markers that its thread carries. The thread runs as
// a line through application and ORB; each call dips into the operating system, where a sign shows
// what became of it. Above, a bar for each marker, from where it is put on to where it is
// taken off.
//
// Wide: time goes to the right, by steps or to scale. Narrow: it goes down, one step a line.

const kMostSteps = 400;
const kLayers = ["application", "middleware", "system"];
const kLayerNames = {
  application: "Application",
  middleware: "ORB",
  system: "Operating system",
};
const kWideFrom = 680; // pixels
const kLeastStep = 9; // pixels between two steps, where it is wide

// Steps with their number and lane; spans of the markers. Join points are functions of the ORB, so
// that is where the marks are; the application is seen by its calls. An upcall in which it made
// none leads there all the same.
function understood(timeline) {
  const steps = timeline.steps.slice(0, kMostSteps).map((step, index) => ({ ...step, index }));
  const spans = [];
  const open = [];
  for (const step of steps) {
    step.lane = step.verdict === "mark" ? "middleware" : step.layer;
    if (step.verdict !== "mark") continue;
    if (step.what.startsWith("enter ")) {
      const span = {
        name: step.join_point,
        first: step.index,
        last: steps.length - 1,
        depth: open.length,
      };
      spans.push(span);
      open.push(span);
    } else if (open.length > 0) {
      open.pop().last = step.index;
    }
  }
  for (const { first, last } of spans) {
    if (steps[first].layer !== "application") continue;
    const inside = steps.slice(first + 1, last);
    if (!inside.some((step) => step.lane === "application")) steps[first].lane = "application";
  }
  return {
    steps,
    spans,
    rows: spans.reduce((most, span) => Math.max(most, span.depth + 1), 0),
  };
}

function step_sign(step, x, y) {
  const name = `dot ${step.verdict}${step.synchronises ? "" : " other"}`;
  if (step.verdict === "ordered") return drawn("circle", { cx: x, cy: y, r: 6.5, class: name });
  if (step.verdict === "intercepted") {
    return drawn("path", {
      d: `M${x} ${y - 6.5}L${x + 6.5} ${y}L${x} ${y + 6.5}L${x - 6.5} ${y}Z`,
      class: name,
    });
  }
  if (!step.synchronises)
    return drawn("rect", { x: x - 3.5, y: y - 3.5, width: 7, height: 7, class: name });
  return drawn("circle", { cx: x, cy: y, r: 4, class: name });
}

function step_content(step) {
  const mark = step.verdict === "mark";
  return [
    element("p", { class: "name" }, step.what),
    facts([
      ["Verdict", mark ? "" : step.verdict],
      ["At", microseconds(step.at_us)],
      ["Takes", mark ? "" : microseconds(step.duration_us)],
      ["Caller", step.caller],
      ["Library", step.library],
      ["Markers", `${step.depth}${step.join_point ? `, innermost ${step.join_point}` : ""}`],
      ["Result", mark ? "" : String(step.result)],
    ]),
  ];
}

function step_words(step) {
  return step.verdict === "mark"
    ? step.what
    : `${step.what}, ${step.verdict}, called by ${short_name(step.caller || step.library)}`;
}

function show_request(box, tools, lead) {
  const timeline = data.timeline;
  if (timeline === null) {
    box.hidden = true;
    lead.textContent =
      "No request that reached the application was recorded in the steady state.";
    return;
  }
  const { steps, spans, rows } = understood(timeline);
  const calls = steps.filter((step) => step.verdict !== "mark");
  lead.append(
    "The recorded ",
    element("b", {}, timeline.operation),
    ` nearest to the median: ` +
      `${microseconds(timeline.duration_us)} on thread ${timeline.thread}, ` +
      `${counted(calls.length, "call")}, ` +
      `${number(calls.filter((step) => step.verdict === "ordered").length)} ordered. ` +
      "The ORB's join points put meta-markers on the thread; below, they tell what a lock is for." +
      (steps.length < timeline.steps.length
        ? ` Drawn are the first ${steps.length} of ${timeline.steps.length} steps; ` +
          "the table has all."
        : ""),
  );

  const scale = element(
    "select",
    { id: "request-scale", "aria-label": "Horizontal axis", onchange: () => draw() },
    element("option", { value: "step" }, "step by step"),
    element("option", { value: "time" }, "to scale"),
  );
  const scale_label = element("label", {}, "Time: ", scale);
  tools.append(scale_label);

  // A place that tells of its step, by pointer and keyboard.
  function target(step, x, y, width, height, canvas) {
    const made = drawn("rect", {
      x,
      y,
      width,
      height,
      class: "target",
      role: "img",
      "data-step": step.index,
      "aria-label": step_words(step),
      tabindex: step.index === 0 ? 0 : -1,
    });
    tell_on(made, () => step_content(step));
    canvas.append(made);
    return made;
  }

  function walk(canvas) {
    canvas.addEventListener("keydown", (event) => {
      const at = Number(event.target.dataset.step);
      const next = {
        ArrowRight: at + 1,
        ArrowDown: at + 1,
        ArrowLeft: at - 1,
        ArrowUp: at - 1,
        Home: 0,
        End: steps.length - 1,
      }[event.key];
      const other = canvas.querySelector(`[data-step="${next}"]`);
      if (next === undefined || other === null) return;
      event.target.tabIndex = -1;
      other.tabIndex = 0;
      other.focus();
      event.preventDefault();
    });
  }

  function wide(width) {
    const left = 128,
      right = 20,
      row = 22,
      gap = 14,
      lane = 62,
      deep = 92;
    const top = rows * row + gap;
    const lane_top = { application: top, middleware: top + lane, system: top + 2 * lane };
    const middle = {
      application: top + lane / 2,
      middleware: top + 1.5 * lane,
      system: top + 2 * lane + 34,
    };
    const bottom = top + 2 * lane + deep;
    const room = width - left - right - 16;
    const end = Math.max(timeline.duration_us, 1e-9);
    const x_of = (step) =>
      left +
      8 +
      (scale.value === "time"
        ? (room * Math.min(step.at_us, end)) / end
        : (room * step.index) / Math.max(steps.length - 1, 1));
    const canvas = drawn("svg", {
      class: "request",
      width,
      height: bottom + 26,
      role: "group",
      "aria-label": "The request's steps through the layers",
    });
    for (const layer of kLayers) {
      canvas.append(
        drawn("rect", {
          x: 0,
          y: lane_top[layer],
          width,
          height: layer === "system" ? deep : lane,
          class: `lane ${layer}`,
        }),
        drawn("text", { x: 14, y: middle[layer] + 4, class: "lane-name" }, kLayerNames[layer]),
      );
    }
    canvas.append(
      drawn("text", { x: 14, y: (rows * row) / 2 + 2, class: "lane-name" }, "Meta-markers"),
    );
    for (const span of spans) {
      const from = x_of(steps[span.first]),
        to = x_of(steps[span.last]);
      // The outermost marker stands next to the layers, each further one above it.
      const y = (rows - 1 - span.depth) * row;
      for (const x of [from, to]) {
        canvas.append(
          drawn("path", {
            d: `M${x} ${y + row - 4}V${middle.middleware}`,
            class: "marker-line",
          }),
        );
      }
      const inside = to - from > 7 * span.name.length + 14;
      canvas.append(
        drawn("rect", {
          x: from,
          y,
          width: Math.max(to - from, 3),
          height: row - 4,
          rx: 4,
          class: `marker depth-${span.depth % 4}`,
        }),
      );
      const beside =
        !inside &&
        to + 7 * span.name.length + 8 < width &&
        !spans.some((other) => other.depth === span.depth && other.first > span.first);
      if (inside || beside) {
        canvas.append(
          drawn(
            "text",
            {
              x: inside ? from + 8 : to + 7,
              y: y + 13.5,
              class: `marker-name${beside ? " beside" : ""}`,
            },
            span.name,
          ),
        );
      }
    }
    // The thread.
    let path = "";
    let before = null;
    for (const step of steps) {
      const x = x_of(step);
      if (before === null) path = `M${x} ${middle[step.lane]}`;
      else path += `H${(x_of(before) + x) / 2}V${middle[step.lane]}H${x}`;
      before = step;
    }
    canvas.append(drawn("path", { d: path, class: "thread" }));
    let labelled = -Infinity;
    for (const step of steps) {
      const x = x_of(step);
      if (step.verdict === "mark") {
        canvas.append(drawn("circle", { cx: x, cy: middle[step.lane], r: 3, class: "mark" }));
        continue;
      }
      canvas.append(
        drawn("path", {
          d: `M${x} ${middle[step.lane]}V${middle.system}`,
          class: `dip ${step.verdict}`,
        }),
        step_sign(step, x, middle.system),
      );
      if (step.verdict === "ordered" && x - labelled > 190) {
        const at_end = x > width - 200;
        canvas.append(
          drawn(
            "text",
            {
              x: at_end ? x + 8 : x - 8,
              y: middle.system + 25,
              class: "step-name",
              "text-anchor": at_end ? "end" : "start",
            },
            step.what,
          ),
          drawn(
            "text",
            {
              x: at_end ? x + 8 : x - 8,
              y: middle.system + 41,
              class: "step-name soft",
              "text-anchor": at_end ? "end" : "start",
            },
            shortened(short_name(step.caller || step.library), 30),
          ),
        );
        labelled = x;
      }
    }
    canvas.append(
      drawn("text", { x: left + 8, y: bottom + 18, class: "axis" }, "0"),
      drawn(
        "text",
        { x: width - right - 8, y: bottom + 18, class: "axis", "text-anchor": "end" },
        microseconds(timeline.duration_us),
      ),
    );
    const places = steps.map(x_of);
    steps.forEach((step, index) => {
      const from = index === 0 ? places[0] - 6 : (places[index - 1] + places[index]) / 2;
      const to =
        index === steps.length - 1
          ? places[index] + 6
          : (places[index] + places[index + 1]) / 2;
      target(step, from, 0, Math.max(to - from, 1), bottom, canvas);
    });
    return canvas;
  }

  function narrow(whole_width) {
    const edge = 12,
      width = whole_width - 2 * edge;
    const row = 22,
      head = 26,
      marker = 8,
      lane = Math.min(52, Math.max(38, width * 0.12));
    const lanes_left = rows * marker + 10;
    const middle = Object.fromEntries(
      kLayers.map((layer, index) => [layer, lanes_left + (index + 0.5) * lane]),
    );
    const text_left = lanes_left + kLayers.length * lane + 12;
    const y_of = (step) => head + 12 + step.index * row;
    const height = head + steps.length * row + 8;
    const letters = Math.floor((width - text_left) / 6.7);
    const canvas = drawn("svg", {
      class: "request narrow",
      width: whole_width,
      height,
      role: "group",
      viewBox: `${-edge} 0 ${whole_width} ${height}`,
      "aria-label": "The request's steps through the layers",
    });
    const short_names = { application: "App", middleware: "ORB", system: "OS" };
    for (const layer of kLayers) {
      canvas.append(
        drawn("rect", {
          x: middle[layer] - lane / 2,
          y: 0,
          width: lane,
          height,
          class: `lane ${layer}`,
        }),
        drawn(
          "text",
          { x: middle[layer], y: 17, class: "lane-name", "text-anchor": "middle" },
          short_names[layer],
        ),
      );
    }
    for (const span of spans) {
      const from = y_of(steps[span.first]),
        to = y_of(steps[span.last]);
      canvas.append(
        drawn("rect", {
          x: span.depth * marker,
          y: from,
          width: marker - 2,
          height: Math.max(to - from, 3),
          rx: 3,
          class: `marker depth-${span.depth % 4}`,
        }),
      );
    }
    let path = "";
    for (const step of steps) {
      const y = y_of(step);
      path +=
        path === ""
          ? `M${middle[step.lane]} ${y}`
          : `V${y - row / 2}H${middle[step.lane]}V${y}`;
    }
    canvas.append(drawn("path", { d: path, class: "thread" }));
    for (const step of steps) {
      const y = y_of(step);
      if (step.verdict === "mark") {
        canvas.append(drawn("circle", { cx: middle[step.lane], cy: y, r: 3, class: "mark" }));
      } else {
        canvas.append(
          drawn("path", {
            d: `M${middle[step.lane]} ${y}H${middle.system}`,
            class: `dip ${step.verdict}`,
          }),
          step_sign(step, middle.system, y),
        );
      }
      canvas.append(
        drawn(
          "text",
          { x: text_left, y: y + 4, class: `step-name of-${step.verdict}` },
          shortened(step.what, letters),
        ),
      );
      target(step, 0, y - row / 2, width, row, canvas);
    }
    return canvas;
  }

  function draw() {
    const width = Math.floor(box.clientWidth);
    if (width === 0) return;
    const is_wide = width >= kWideFrom && steps.length * kLeastStep <= width - 160;
    scale_label.hidden = !is_wide;
    const canvas = is_wide ? wide(width) : narrow(width);
    walk(canvas);
    tooltip.hide();
    box.classList.toggle("long", !is_wide);
    box.replaceChildren(canvas);
  }
  box.after(
    verdict_key({
      ordered: "order settled",
      intercepted: "by a meta-object",
      passed: "straight to libc; a square is no synchronisation",
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

function shortened(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(most - 1, 1))}…`;
}
