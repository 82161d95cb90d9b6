// SPDX-License-Identifier: Apache-2.0
//
// The request where there is room: time goes to the right, the layers lie above each other.

function wide_request(request, width) {
  const { timeline, steps, spans, rows, to_scale, target } = request;
  const left = 142,
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
    (to_scale
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
  const signs = [];
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
    );
    signs.push([step.verdict, step_sign(step, x, middle.system)]);
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
  // Where signs lie on each other, what was ordered is seen.
  for (const verdict of ["passed", "intercepted", "ordered"]) {
    canvas.append(...signs.filter(([of]) => of === verdict).map(([, sign]) => sign));
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
      index === steps.length - 1 ? places[index] + 6 : (places[index] + places[index + 1]) / 2;
    target(step, from, 0, Math.max(to - from, 1), bottom, canvas);
  });
  return canvas;
}
