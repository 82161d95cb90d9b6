// SPDX-License-Identifier: Apache-2.0
//
// What both pages stand on: the data, elements, numbers, names, the tooltip, the colour scheme.
// Whatever comes from the data becomes text or an attribute's value, never markup.

const data = JSON.parse(document.getElementById("data").textContent);

function fill(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function element(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

function drawn(name, properties = {}, ...children) {
  return fill(
    document.createElementNS("http://www.w3.org/2000/svg", name),
    properties,
    children,
  );
}

function by_id(id) {
  return document.getElementById(id);
}

// --- numbers -------------------------------------------------------------------------------------

const whole_numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short_numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const small_numbers = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

function number(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return whole_numbers.format(value);
  return (Math.abs(value) < 0.1 ? small_numbers : short_numbers).format(value);
}

function percent(ratio) {
  return ratio === null || ratio === undefined
    ? "–"
    : `${number(Number((100 * ratio).toFixed(1)))} %`;
}

function microseconds(us) {
  return us >= 1e6
    ? `${number(us / 1e6)} s`
    : us >= 1000
      ? `${number(us / 1000)} ms`
      : `${number(us)} µs`;
}

// "3 requests", "1 request".
function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

// --- names of functions --------------------------------------------------------------------------

// Without arguments, template arguments and result type: "a::B<int>::f(char)" → "a::B::f".
function short_name(name) {
  let text = "";
  let depth = 0;
  const plain = name
    .replace(/( \[clone [^\]]*\])+$|\[abi:[^\]]*\]/g, "")
    .replace(/\(anonymous namespace\)/g, "{anonymous}")
    .replace(/ const$/, "");
  for (let i = 0; i < plain.length; ++i) {
    const operator =
      depth === 0 && /^operator(\(\)|<=>|<<=?|>>=?|->\*?|<=?|>=?)/.exec(plain.slice(i));
    if (operator) {
      text += operator[0];
      i += operator[0].length - 1;
    } else if ("(<".includes(plain[i])) {
      ++depth;
    } else if (")>".includes(plain[i]) && depth > 0) {
      --depth;
    } else if (depth === 0) {
      text += plain[i];
    }
  }
  text = text.trim();
  if (text === "") return name;
  // A result type, or "virtual thunk to", stands before a function with arguments; an operator's
  // own name may have a blank.
  if (plain.includes("(")) text = text.replace(/^(?:(?!\S*\boperator\b)\S+ )+/, "");
  return text;
}

// --- the tooltip ---------------------------------------------------------------------------------

const tooltip = (() => {
  const box = element("div", {
    class: "tooltip",
    role: "tooltip",
    id: "tooltip",
    hidden: true,
  });
  document.body.append(box);
  function place(x, y) {
    const gap = 14;
    const { width, height } = box.getBoundingClientRect();
    const most_x = document.documentElement.clientWidth - width - 8;
    const left = Math.max(8, Math.min(x + gap, most_x));
    const above = y + gap + height > window.innerHeight && y - gap - height > 0;
    box.style.left = `${left}px`;
    box.style.top = `${Math.max(8, above ? y - gap - height : y + gap)}px`;
  }
  return {
    // `content`: nodes; at a point of the window.
    show(content, x, y) {
      box.replaceChildren(...content);
      box.hidden = false;
      place(x, y);
    },
    move: place,
    hide() {
      box.hidden = true;
    },
  };
})();

// Told by pointer and by keyboard. `content` makes the nodes when they are needed.
function tell_on(target, content) {
  target.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "touch") tooltip.show(content(), event.clientX, event.clientY);
  });
  target.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") tooltip.move(event.clientX, event.clientY);
  });
  target.addEventListener("pointerleave", () => tooltip.hide());
  target.addEventListener("focus", () => {
    if (!target.matches(":focus-visible")) return;
    const place = target.getBoundingClientRect();
    tooltip.show(content(), Math.max(place.left, 0), place.bottom - 8);
  });
  target.addEventListener("blur", () => tooltip.hide());
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tooltip.hide();
});

// Pairs of a word and a value; what has no value is left out.
function facts(pairs, name = "facts") {
  const list = element("dl", { class: name });
  for (const [word, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(element("div", {}, element("dt", {}, word), element("dd", {}, value)));
  }
  return list;
}

// --- the parts of every page ---------------------------------------------------------------------

function follow_scheme(button) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const use = (scheme) => {
    document.documentElement.dataset.scheme = scheme;
    button.textContent = scheme === "dark" ? "Light" : "Dark";
  };
  use(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => use(dark.matches ? "dark" : "light"));
  button.addEventListener("click", () => {
    use(document.documentElement.dataset.scheme === "dark" ? "light" : "dark");
  });
}

function show_remarks(box, remarks) {
  box.hidden = remarks.length === 0;
  if (remarks.length === 0) return;
  box.append(
    element("h2", {}, remarks.length === 1 ? "A remark" : "Remarks"),
    element("ul", {}, ...remarks.map((remark) => element("li", {}, remark))),
  );
}

// A key of the verdicts' colours and forms.
function verdict_key(words) {
  const forms = {
    passed: () => drawn("circle", { cx: 7, cy: 7, r: 4, class: "dot passed" }),
    intercepted: () =>
      drawn("path", { d: "M7 1.6 12.4 7 7 12.4 1.6 7Z", class: "dot intercepted" }),
    ordered: () => drawn("circle", { cx: 7, cy: 7, r: 5.5, class: "dot ordered" }),
  };
  return element(
    "ul",
    { class: "key", "aria-label": "Key" },
    ...Object.entries(words).map(([verdict, meaning]) =>
      element(
        "li",
        {},
        drawn(
          "svg",
          { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" },
          forms[verdict](),
        ),
        element("span", {}, element("b", {}, verdict), ` ${meaning}`),
      ),
    ),
  );
}

// Tabs over panels: [{ name, label, panel }]. The arrow keys go from one to the next.
function tabs(list, entries) {
  const buttons = entries.map(({ name, label, panel }, index) => {
    panel.id = `panel-${name}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    return element(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": panel.id,
        onclick: () => choose(index),
        onkeydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (step === undefined) return;
          const next = (index + step + entries.length) % entries.length;
          choose(next);
          buttons[next].focus();
        },
      },
      label,
    );
  });
  function choose(chosen) {
    entries.forEach(({ panel }, index) => {
      panel.hidden = index !== chosen;
      buttons[index].setAttribute("aria-selected", index === chosen);
      buttons[index].tabIndex = index === chosen ? 0 : -1;
    });
  }
  list.setAttribute("role", "tablist");
  list.append(...buttons);
  choose(0);
}
