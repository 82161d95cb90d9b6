// SPDX-License-Identifier: Apache-2.0
//
// The request on a narrow screen, or a long one: time goes down, one step a line, the layers stand
// beside each other.

function narrow_request(request, whole_width) {
  const { steps, spans, rows, target } = request;
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
      path === "" ? `M${middle[step.lane]} ${y}` : `V${y - row / 2}H${middle[step.lane]}V${y}`;
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
