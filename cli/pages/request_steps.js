// SPDX-License-Identifier: Apache-2.0
//
// The steps of the request, understood: spans of the markers, the layer that the thread is in; and
// what both pictures of it (request_wide.js, request_narrow.js) show of a step.

const kMostSteps = 400;
const kLayers = ["application", "middleware", "system"];
const kLayerNames = {
  application: "Application",
  middleware: "ORB",
  system: "Operating system",
};

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
  const common = {
    class: `dot ${step.verdict}${step.synchronises ? "" : " other"}`,
    "data-of": step.index,
  };
  if (step.verdict === "ordered") return drawn("circle", { cx: x, cy: y, r: 6.5, ...common });
  if (step.verdict === "intercepted") {
    const d = `M${x} ${y - 6.5}L${x + 6.5} ${y}L${x} ${y + 6.5}L${x - 6.5} ${y}Z`;
    return drawn("path", { d, ...common });
  }
  if (!step.synchronises) {
    return drawn("rect", { x: x - 3.5, y: y - 3.5, width: 7, height: 7, ...common });
  }
  return drawn("circle", { cx: x, cy: y, r: 4, ...common });
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

function shortened(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(most - 1, 1))}…`;
}
