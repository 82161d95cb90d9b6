// SPDX-License-Identifier: Apache-2.0
//
// The page of `auxin discover --html`, from top to bottom.

const compared = data.nodes.some((node) => node.side !== "both" || node.other_count > 0);
const kSides = { both: "both", first: "the first only", second: "the second only" };
const kMostNeighbours = 40;

// "account.cpp:41"; "" of no place.
function place_text(place) {
  if (place === undefined) return "";
  return `${place.file.slice(place.file.lastIndexOf("/") + 1)}:${place.line}`;
}

// The first line of a collapsed chain's name stands for it.
function node_name(node) {
  const lines = node.name.split("\n");
  const name = node.kind === "function" ? short_name(lines[0]) : lines[0];
  const more =
    lines.length > 1
      ? ` … ${node.kind === "function" ? short_name(lines.at(-1)) : lines.at(-1)}`
      : "";
  return `${name}${more}${node.members > 1 ? ` ×${number(node.members)}` : ""}`;
}

function node_content(node) {
  return [
    element(
      "p",
      { class: "name" },
      ...node.name
        .split("\n")
        .flatMap((line, index) => (index === 0 ? [line] : [element("br"), line])),
    ),
    facts([
      ["Kind", node.kind],
      ["Library", node.library],
      ["Class", node.class],
      ["Source", place_text(node.place)],
      ["Declared as", (node.declared ?? []).join(", ")],
      ["Derives from", (node.ancestors ?? []).slice(1).join(", ")],
      ["Stands for", node.members > 1 ? counted(node.members, "thing") : ""],
      [
        "Calls",
        compared ? `${number(node.count)} and ${number(node.other_count)}` : number(node.count),
      ],
      ["Intercepted", node.intercepted > 0 ? number(node.intercepted) : ""],
      ["Ordered", node.ordered > 0 ? number(node.ordered) : ""],
      ["Occurs in", compared ? kSides[node.side] : ""],
    ]),
  ];
}

function show_overview() {
  const kinds = new Map();
  for (const node of data.nodes)
    kinds.set(node.kind, (kinds.get(node.kind) ?? 0) + node.members);
  const words = ["thread", "function", "lock"]
    .filter((kind) => kinds.has(kind))
    .map((kind) => counted(kinds.get(kind), kind));
  const last = words.pop();
  by_id("claim").textContent =
    last === undefined
      ? "A graph without nodes"
      : words.length === 0
        ? `${last}.`
        : `${words.join(", ")} and ${last}.`;
  by_id("command").textContent = data.title;
  by_id("about").append(
    facts(
      [
        ["Nodes, edges", `${number(data.nodes.length)}, ${number(data.edges.length)}`],
        ...[...kinds]
          .filter(([kind]) => !["thread", "function", "lock"].includes(kind))
          .map(([kind, count]) => [`${kind[0].toUpperCase()}${kind.slice(1)}s`, number(count)]),
        [
          "Sources",
          data.structure === null
            ? ""
            : `${counted(data.structure.units, "translation unit")}; ` +
              `${number(data.structure.recorded_functions)} of ` +
              `${counted(data.structure.functions, "function")} on a recorded path`,
        ],
        [
          "Never seen",
          (data.structure?.unseen_objects ?? [])
            .map((object) => `${object.name} (${place_text(object.place)})`)
            .join(", "),
        ],
        [
          "Operators",
          data.operations.length === 0
            ? "none: as it was recorded"
            : element(
                "ol",
                { class: "operators" },
                ...data.operations.map((operation) =>
                  element("li", {}, element("code", {}, operation)),
                ),
              ),
        ],
      ],
      "facts wide",
    ),
  );
  show_remarks(by_id("remarks"), [...data.remarks, ...data.notes]);
  const drawn_nodes = data.picture.nodes.length;
  by_id("graph-lead").textContent =
    (compared
      ? "Two recordings are compared: what only one of them has is coloured. "
      : "Threads run functions, functions call others and take locks. ") +
    (data.picture.missing === "" && drawn_nodes < data.nodes.length
      ? `Drawn are the ${number(drawn_nodes)} nodes with the most calls, ` +
        `of ${number(data.nodes.length)}. `
      : "") +
    "A click on a node marks what leads there and where it leads.";
}

// A node's neighbours: a click goes on to one of them.
function show_node(index) {
  const box = by_id("graph-node");
  box.replaceChildren();
  if (index === null) return;
  const side = (title, own, other) => {
    const found = data.edges
      .filter((edge) => edge[own] === index)
      .sort((a, b) => b.count + b.other_count - a.count - a.other_count);
    return element(
      "div",
      {},
      element("h4", {}, `${title} (${number(found.length)})`),
      element(
        "ul",
        {},
        ...found
          .slice(0, kMostNeighbours)
          .map((edge) =>
            element(
              "li",
              {},
              element(
                "span",
                { class: "soft" },
                `${edge.kind} ${number(edge.count + edge.other_count)} · `,
              ),
              node_button(edge[other]),
            ),
          ),
      ),
      found.length > kMostNeighbours
        ? element("p", { class: "soft" }, `and ${number(found.length - kMostNeighbours)} more`)
        : null,
    );
  };
  box.append(
    element(
      "div",
      { class: "node-card" },
      element("div", {}, ...node_content(data.nodes[index])),
      side("What leads here", "to", "from"),
      side("Where it leads", "from", "to"),
    ),
  );
}

function node_button(index) {
  return element(
    "button",
    {
      type: "button",
      class: "link",
      onclick: () => {
        picture.choose(index);
        by_id("graph").scrollIntoView({ block: "start" });
      },
    },
    node_name(data.nodes[index]),
  );
}

function show_tables() {
  const text = (key, label) => ({ key, label, value: (row) => row[key] });
  const count = (key, label, title) => ({ key, label, title, value: (row) => row[key] });
  const sides = compared
    ? [
        count("other_count", "In the second"),
        { key: "side", label: "Occurs in", value: (row) => kSides[row.side] },
      ]
    : [];
  const end = (key, label) => ({
    key,
    label,
    value: (edge) => node_name(data.nodes[edge[key]]),
    cell: (edge) => node_button(edge[key]),
    words: (edge) => data.nodes[edge[key]].name,
  });
  const entries = [
    {
      name: "nodes",
      label: "Nodes",
      panel: sortable_table({
        name: "nodes",
        rows: data.nodes,
        filter: "Filter the nodes",
        empty: "There are none.",
        sort: { key: "count", down: true },
        columns: [
          {
            key: "name",
            label: "Node",
            value: node_name,
            cell: (node) => node_button(node.id),
            words: (node) => node.name,
          },
          text("kind", "Kind"),
          text("library", "Library"),
          text("class", "Class"),
          ...(data.structure === null
            ? []
            : [
                {
                  key: "source",
                  label: "Source",
                  // Of one member the class column has the name.
                  value: (node) =>
                    node.declared?.length > 1 ? node.declared.join(", ") : place_text(node.place),
                },
              ]),
          count("members", "Stands for"),
          count("count", "Calls"),
          ...sides,
          count("intercepted", "Intercepted"),
          count("ordered", "Ordered"),
        ],
      }),
    },
    {
      name: "edges",
      label: "Edges",
      panel: sortable_table({
        name: "edges",
        rows: data.edges,
        filter: "Filter the edges",
        empty: "There are none.",
        sort: { key: "count", down: true },
        columns: [
          end("from", "From"),
          text("kind", "Kind"),
          end("to", "To"),
          count("count", "Calls"),
          ...sides,
        ],
      }),
    },
  ];
  if (data.structure !== null) {
    entries.push({
      name: "unseen",
      label: "Not seen",
      panel: sortable_table({
        name: "unseen",
        rows: data.structure.unseen_uses,
        filter: "Filter what was not seen",
        empty: "Every use of a lock that the sources can come to was seen.",
        sort: { key: "function", down: false },
        columns: [
          text("function", "Function"),
          text("object", "Uses"),
          { key: "place", label: "Source", value: (use) => place_text(use.place) },
          {
            key: "called_by",
            label: "Called by",
            value: (use) => use.called_by.join(" → "),
          },
          {
            key: "recorded",
            label: "In the recording",
            title: "Whether the function itself is on the path of a recorded call",
            value: (use) => (use.recorded ? "on a path" : "nowhere"),
          },
        ],
      }),
    });
  }
  by_id("panels").append(...entries.map(({ panel }) => panel));
  tabs(by_id("tabs"), entries);
}

follow_scheme(by_id("scheme"));
show_overview();
const picture = graph_picture(by_id("graph-picture"), by_id("graph-tools"), show_node);
if (data.picture.missing === "") {
  by_id("graph-picture").after(
    compared
      ? element(
          "ul",
          { class: "key" },
          ...Object.entries({ first: "only in the first", second: "only in the second" }).map(
            ([side, words]) =>
              element("li", {}, element("i", { class: `swatch side-${side}` }), words),
          ),
        )
      : verdict_key({
          ordered: "some of its calls have their order settled",
          intercepted: "some reach a meta-object",
          passed: "all go straight to libc",
        }),
  );
}
show_tables();
by_id("foot").textContent =
  "Made by auxin discover. This page is one file, loads nothing and sends nothing.";
document.documentElement.dataset.ready = "yes";
