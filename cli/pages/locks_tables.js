// SPDX-License-Identifier: Apache-2.0
//
// The tables: by operation, call, library, join point, call path; the steps of the request.

// What became of a row's calls, as a bar; as long as its share of the longest row's.
function verdict_bar(row, most) {
  const bar = element("div", { class: "bar", "aria-hidden": "true" });
  const part = (name, count) => {
    const made = element("i", { class: name });
    made.style.width = `${(100 * count) / Math.max(most, 1)}%`;
    bar.append(made);
  };
  part("ordered", row.ordered);
  part("intercepted", Math.max(0, row.intercepted - row.ordered));
  part("passed", Math.max(0, row.total - Math.max(row.intercepted, row.ordered)));
  return bar;
}

function count_columns() {
  const plain = (key, label, title, value) => ({ key, label, title, value });
  return [
    plain("total", "Calls", "In the whole recording", (row) => row.total),
    plain(
      "intercepted",
      "Intercepted",
      "Of these: reached a meta-object",
      (row) => row.intercepted,
    ),
    plain("ordered", "Ordered", "Of these: had their order settled", (row) => row.ordered),
    plain(
      "per_request",
      "In a request",
      "Mean number of calls in a request of the steady state",
      (row) => row.per_request.total,
    ),
    plain(
      "ordered_per_request",
      "Ordered there",
      "Of these: ordered",
      (row) => row.per_request.ordered,
    ),
    plain(
      "warm_up",
      "Warm-up",
      "Calls in the first requests of each thread",
      (row) => row.warm_up.total,
    ),
    plain("outside", "Outside", "Calls between requests", (row) => row.outside.total),
  ];
}

function count_table(name, rows, first, empty) {
  const most = rows.reduce((sum, row) => Math.max(sum, row.total), 0);
  const [head, ...others] = first;
  const named = {
    ...head,
    cell: (row) =>
      element(
        "div",
        { class: "named" },
        head.cell ? head.cell(row) : head.value(row) || "(none)",
        verdict_bar(row, most),
      ),
  };
  return sortable_table({
    name,
    rows,
    empty,
    filter: "Filter",
    sort: { key: "total", down: true },
    columns: [named, ...others, ...count_columns()],
  });
}

function operations_table() {
  const spread_cell = (spread) =>
    element(
      "span",
      {},
      element("b", {}, number(spread.median)),
      spread.p5 === spread.p95
        ? null
        : element("span", { class: "soft" }, ` ${number(spread.p5)}–${number(spread.p95)}`),
    );
  const column = (key, label, title, of) => ({
    key,
    label,
    title,
    value: (row) => of(row).median,
    cell: (row) => spread_cell(of(row)),
  });
  const ratio = (key, label, of) => ({
    key,
    label,
    title: "Multi-level to OS only, of the means",
    value: of,
    cell: (row) => percent(of(row)),
  });
  return sortable_table({
    name: "operation",
    rows: data.by_operation,
    empty: "No request was recorded.",
    filter: "Filter",
    sort: { key: "requests", down: true },
    columns: [
      { key: "operation", label: "Operation", value: (row) => row.operation },
      {
        key: "requests",
        label: "Requests",
        title: "Of the steady state",
        value: (row) => row.requests,
      },
      column(
        "calls",
        "Calls, OS only",
        "Intercepted by a system that knows one level",
        (row) => row.columns.intercepted.os_only,
      ),
      column(
        "intercepted",
        "Intercepted",
        "By Auxin",
        (row) => row.columns.intercepted.multi_level,
      ),
      ratio("intercepted_ratio", "Ratio", (row) => row.columns.intercepted.ratio),
      column(
        "acquisitions",
        "Acquisitions, OS only",
        "Ordered by a system that knows one level",
        (row) => row.columns.ordered.os_only,
      ),
      column("ordered", "Ordered", "By Auxin", (row) => row.columns.ordered.multi_level),
      ratio("ordered_ratio", "Ratio", (row) => row.columns.ordered.ratio),
      column("duration", "Takes, µs", "Recorded", (row) => row.duration_us),
      {
        key: "warm_up",
        label: "Warm-up",
        title: "Calls in its requests of the warm-up",
        value: (row) => row.warm_up.total,
      },
    ],
  });
}

// The innermost functions; all of them when it is opened.
function path_cell(row) {
  const names = row.path.map((frame) => data.frames[frame]);
  const short = names.slice(0, 3).map((name) => short_name(name.replace(/ \[[^\]]*\]$/, "")));
  return element(
    "details",
    {},
    element(
      "summary",
      {},
      element("b", {}, row.call),
      names.length === 0 ? " (path not known)" : "",
      ...short.map((name) => element("span", {}, " ← ", name)),
    ),
    element("ol", {}, ...names.map((name) => element("li", {}, name))),
  );
}

function steps_table() {
  const steps = data.timeline === null ? [] : data.timeline.steps;
  const text = (key, label) => ({ key, label, value: (step) => step[key] });
  return sortable_table({
    name: "steps",
    rows: steps,
    empty: "No request was recorded.",
    filter: "Filter",
    sort: { key: "at_us", down: false },
    columns: [
      { key: "at_us", label: "At, µs", value: (step) => step.at_us },
      text("what", "Step"),
      text("verdict", "Verdict"),
      { key: "caller", label: "Caller", value: (step) => step.caller },
      text("library", "Library"),
      text("join_point", "Marker"),
      text("depth", "Depth"),
      { key: "duration_us", label: "Takes, µs", value: (step) => step.duration_us },
    ],
  });
}

function show_tables() {
  const text = (key, label) => ({ key, label, value: (row) => row[key] });
  const entries = [
    ["operation", "By operation", operations_table()],
    [
      "call",
      "By call",
      count_table("call", data.by_call, [text("call", "Call")], "No call was recorded."),
    ],
    [
      "library",
      "By library",
      count_table(
        "library",
        data.by_library,
        [text("library", "Library")],
        "No call was recorded.",
      ),
    ],
    [
      "join_point",
      "By join point",
      count_table(
        "join_point",
        data.by_join_point,
        [text("join_point", "Join point"), text("library", "Called from")],
        "No call was recorded.",
      ),
    ],
    [
      "path",
      "By call path",
      count_table(
        "path",
        data.by_path,
        [
          {
            key: "path",
            label: "Call and path",
            cell: path_cell,
            value: (row) => row.call,
            words: (row) =>
              [row.call, ...row.path.map((frame) => data.frames[frame])].join("\n"),
          },
        ],
        "No call was recorded.",
      ),
    ],
    ["steps", "Steps of the request", steps_table()],
  ].map(([name, label, panel]) => ({ name, label, panel }));
  by_id("panels").append(...entries.map(({ panel }) => panel));
  tabs(by_id("tabs"), entries);
}
