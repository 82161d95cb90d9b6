// SPDX-License-Identifier: Apache-2.0
//
// One request through the layers, with the meta-markers that its thread carries. The thread runs as
// a line through application and ORB; each call dips into the operating system, where a sign shows
// what became of it. Above, a bar for each marker, from where it is put on to where it is
// taken off.
//
// Wide: time goes to the right, by steps or to scale. Narrow: it goes down, one step a line.

const kWideFrom = 680; // pixels
const kLeastStep = 9; // pixels between two steps, where it is wide

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

  function draw() {
    const width = Math.floor(box.clientWidth);
    if (width === 0) return;
    const is_wide = width >= kWideFrom && steps.length * kLeastStep <= width - 160;
    scale_label.hidden = !is_wide;
    const request = { timeline, steps, spans, rows, target, to_scale: scale.value === "time" };
    const canvas = is_wide ? wide_request(request, width) : narrow_request(request, width);
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
