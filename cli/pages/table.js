// SPDX-License-Identifier: Apache-2.0
//
// A table that is sorted by any column and filtered by words. On a narrow screen each row becomes
// a card (shared.css); every cell carries its column's name for that.
//
// columns: [{ key, label, title, value(row), cell(row), words(row) }]
//   value   a number or a string: what is sorted by
//   cell    a node or text: what is seen; by default the value
//   words   what the filter looks at; by default the value, if it is a string

const kRowsAtFirst = 50;

function sortable_table({ name, columns, rows, sort, filter, empty }) {
  const state = { key: sort.key, down: sort.down, words: [], all: false };
  const numeric = (column) =>
    rows.length > 0 && rows.every((row) => typeof column.value(row) !== "string");
  const words_of = new Map(
    rows.map((row) => [
      row,
      columns
        .map((column) => {
          if (column.words) return column.words(row);
          const value = column.value(row);
          return typeof value === "string" ? value : "";
        })
        .join("\n")
        .toLowerCase(),
    ]),
  );

  function compare(column) {
    return (left, right) => {
      const [a, b] = [column.value(left), column.value(right)];
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
      return state.down ? -order : order;
    };
  }

  const heads = columns.map((column) =>
    element(
      "th",
      {
        scope: "col",
        "data-key": column.key,
        class: numeric(column) ? "number" : null,
      },
      element(
        "button",
        {
          type: "button",
          title: column.title,
          onclick: () => {
            state.down = state.key === column.key ? !state.down : numeric(column);
            state.key = column.key;
            draw();
          },
        },
        column.label,
      ),
    ),
  );
  const body = element("tbody");
  const status = element("output", { class: "count" });
  const more = element("button", {
    type: "button",
    class: "more",
    onclick: () => {
      state.all = true;
      draw();
    },
  });

  function row_of(row) {
    return element(
      "tr",
      {},
      ...columns.map((column) =>
        element(
          "td",
          {
            class: numeric(column) ? "number" : null,
            "data-label": column.label,
          },
          column.cell ? column.cell(row) : number_or_text(column.value(row)),
        ),
      ),
    );
  }

  function draw() {
    const column = columns.find(({ key }) => key === state.key);
    const found = rows.filter((row) =>
      state.words.every((word) => words_of.get(row).includes(word)),
    );
    found.sort(compare(column));
    const shown = state.all ? found : found.slice(0, kRowsAtFirst);
    body.replaceChildren(...shown.map(row_of));
    if (shown.length === 0) {
      body.append(
        element(
          "tr",
          { class: "nothing" },
          element(
            "td",
            { colspan: columns.length },
            rows.length === 0 ? empty : "Nothing matches the filter.",
          ),
        ),
      );
    }
    for (const head of heads) {
      const mine = head.dataset.key === state.key;
      head.setAttribute("aria-sort", !mine ? "none" : state.down ? "descending" : "ascending");
    }
    status.textContent =
      found.length === rows.length
        ? `${number(rows.length)} rows`
        : `${number(found.length)} of ${number(rows.length)} rows`;
    more.hidden = shown.length === found.length;
    more.textContent = `Show all ${number(found.length)} rows`;
  }

  const input = element("input", {
    type: "search",
    placeholder: filter,
    "aria-label": filter,
    spellcheck: "false",
    oninput: () => {
      state.words = input.value
        .toLowerCase()
        .split(/\s+/)
        .filter((word) => word !== "");
      draw();
    },
  });
  draw();
  return element(
    "div",
    { class: "table", "data-table": name },
    element("div", { class: "tools" }, input, status),
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body),
    more,
  );
}

function number_or_text(value) {
  return typeof value === "string" ? value : number(value);
}
