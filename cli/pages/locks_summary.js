// SPDX-License-Identifier: Apache-2.0
//
// The comparison: what a system that knows one level would do in a request, what Auxin does, and
// the ratio.

const kMostSquares = 300;

function claim() {
  if (data.steady_requests === 0) return ["No request was recorded"];
  const all = data.columns.intercepted.os_only.median;
  const ordered = data.columns.ordered.multi_level.median;
  const verb = ordered === 1 ? " has to be ordered." : " have to be ordered.";
  return [
    `Of ${counted(all, "synchronisation call")} in a request, `,
    element("em", {}, ordered === 0 ? "none" : number(ordered)),
    ordered === 0 ? " has to be ordered." : verb,
  ];
}

// A square for each call of the median request.
function squares(box) {
  const all = Math.round(data.columns.intercepted.os_only.median);
  if (all === 0) {
    box.hidden = true;
    return;
  }
  const ordered = Math.round(data.columns.ordered.multi_level.median);
  const intercepted = Math.max(
    ordered,
    Math.round(data.columns.intercepted.multi_level.median),
  );
  const row = element("div", { class: "squares", "aria-hidden": "true" });
  for (let i = 0; i < Math.min(all, kMostSquares); ++i) {
    row.append(
      element("i", {
        class: i < ordered ? "ordered" : i < intercepted ? "intercepted" : "passed",
      }),
    );
  }
  box.append(
    row,
    element(
      "figcaption",
      {},
      verdict_key({
        ordered: "their order is settled and logged",
        intercepted: "seen by a meta-object, no order needed",
        passed: "straight to libc",
      }),
    ),
  );
}

// Least to most as a line, 5th to 95th percentile as a bar, the median as a mark.
function spread_bar(spread, most) {
  const at = (value) => `${(100 * value) / Math.max(most, 1e-9)}%`;
  const bar = (name, from, to) => {
    const part = element("i", { class: name });
    part.style.left = at(from);
    part.style.width = at(to - from);
    return part;
  };
  const middle = element("i", { class: "median" });
  middle.style.left = `min(${at(spread.median)}, calc(100% - 3px))`;
  return element(
    "div",
    { class: "spread", "aria-hidden": "true" },
    bar("whole", spread.least, spread.most),
    bar("most", spread.p5, spread.p95),
    middle,
  );
}

function spread_words(spread) {
  return spread.p5 === spread.p95 ? "always" : `${number(spread.p5)} to ${number(spread.p95)}`;
}

function column_card(row, name, label, spread, most) {
  return element(
    "div",
    { class: `card ${name}`, "data-cell": `${row}-${name}` },
    element("p", { class: "label" }, label),
    element("p", { class: "figure" }, number(spread.median)),
    spread_bar(spread, most),
    element("p", { class: "soft" }, spread_words(spread)),
  );
}

function columns(box) {
  const rows = {
    intercepted: ["Intercepted", "each call that reaches Auxin's level"],
    ordered: ["Ordered", "each acquisition whose order is settled"],
  };
  for (const [key, [title, meaning]] of Object.entries(rows)) {
    const { os_only, multi_level, ratio } = data.columns[key];
    box.append(
      element(
        "section",
        { class: "comparison", "aria-label": title },
        element("h3", {}, title, element("span", { class: "soft" }, meaning)),
        column_card(key, "os-only", "OS only", os_only, os_only.most),
        column_card(key, "multi-level", "Multi-level", multi_level, os_only.most),
        element(
          "div",
          { class: "card ratio", "data-cell": `${key}-ratio` },
          element("p", { class: "label" }, "Ratio"),
          element("p", { class: "figure" }, percent(ratio)),
          element("p", { class: "soft" }, "of the means"),
        ),
      ),
    );
  }
  box.append(
    element(
      "p",
      { class: "soft note" },
      "Per request, in the steady state: the median; below it, the 5th to the 95th percentile as " +
        "a bar, least and most as a line. OS only: a system that does not know what a lock is " +
        "for intercepts every call and orders every acquisition.",
    ),
  );
}

function about(box) {
  const per_request = (calls) =>
    data.requests === 0
      ? ""
      : `, ${number(Number((calls / data.requests).toFixed(2)))} a request`;
  box.append(
    facts(
      [
        ["Requests", `${number(data.steady_requests)} in the steady state`],
        [
          "Warm-up, apart",
          `${counted(data.warm_up_requests, "request")} with ` +
            `${counted(data.warm_up.total, "call")}, ${number(data.warm_up.ordered)} ordered`,
        ],
        [
          "Between requests",
          `${counted(data.outside.total, "call")}${per_request(data.outside.total)}, ` +
            `${number(data.outside.ordered)} ordered`,
        ],
        [
          "A request takes",
          data.steady_requests === 0
            ? ""
            : `${microseconds(data.duration_us.median)} ` +
              `(${microseconds(data.duration_us.p5)} to ` +
              `${microseconds(data.duration_us.p95)}), recorded`,
        ],
        ["Recorded", `${number(data.duration_s)} s, ${counted(data.total, "call")}`],
      ],
      "facts wide",
    ),
  );
}

// The runs of --measure: each figure beside the native run's of the same round.
function cost(box) {
  if (data.cost === null) return;
  box.hidden = false;
  const range = (spread, digits) =>
    spread === null
      ? "–"
      : element(
          "span",
          {},
          element("b", {}, spread.median.toFixed(digits)),
          element(
            "span",
            { class: "soft" },
            ` ${spread.least.toFixed(digits)} to ${spread.most.toFixed(digits)}`,
          ),
        );
  const column = (key, label, of, cell) => ({ key, label, value: of, cell });
  const median_of = (key) => (form) => (form[key] === null ? null : form[key].median);
  box.append(
    element("h3", {}, "What each choice costs"),
    element(
      "p",
      { class: "lead" },
      `The same load on each form of the server, ` +
        `${counted(data.cost.rounds, "round")}; ratios to the native run of the same round.`,
    ),
    sortable_table({
      name: "cost",
      rows: data.cost.forms,
      empty: "",
      filter: "Filter the forms",
      sort: { key: "throughput", down: true },
      columns: [
        column("form", "Form", (form) => form.form),
        column(
          "throughput",
          data.cost.round_trips ? "Calls a second" : "Loads a second",
          median_of("throughput_per_s"),
          (form) => number(form.throughput_per_s.median),
        ),
        column("throughput_ratio", "To native", median_of("throughput_ratio"), (form) =>
          range(form.throughput_ratio, 2),
        ),
        column("median", "Median, µs", median_of("median_us")),
        column("median_ratio", "To native", median_of("median_ratio"), (form) =>
          range(form.median_ratio, 2),
        ),
        column("p99", "99th percentile, µs", median_of("p99_us")),
        column("p99_ratio", "To native", median_of("p99_ratio"), (form) =>
          range(form.p99_ratio, 2),
        ),
      ],
    }),
  );
}

function show_summary() {
  by_id("claim").append(...claim());
  by_id("command").textContent = data.title;
  squares(by_id("squares"));
  columns(by_id("columns"));
  about(by_id("about"));
  show_remarks(by_id("remarks"), data.remarks);
  cost(by_id("cost"));
}
