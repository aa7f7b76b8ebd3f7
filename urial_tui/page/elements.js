// Building the page. Text only ever becomes text: nothing here parses markup.

function el(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "width%") element.style.inlineSize = `${value}%`;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

function show(id, shown = true) {
  byId(id).hidden = !shown;
}

// A table of rows of cells; a cell is a node, a text, or {value, class}. The first is its header.
function table({ caption, head, rows, className = "" }) {
  const cell = (tag, content, properties = {}) =>
    content && content.value !== undefined
      ? el(tag, { ...properties, class: content.class }, content.value)
      : el(tag, properties, content ?? NONE);
  return el(
    "table",
    { class: `figures ${className}` },
    caption ? el("caption", {}, caption) : null,
    el("thead", {}, el("tr", {}, head.map((title) => cell("th", title, { scope: "col" })))),
    el(
      "tbody",
      {},
      rows.map((cells) =>
        el("tr", {}, cells.map((content, at) => cell(at ? "td" : "th", content, at ? {} : { scope: "row" }))),
      ),
    ),
  );
}

function bar(share, className = "") {
  return el(
    "span",
    { class: `meter ${className}`, "aria-hidden": "true" },
    el("span", { class: "fill", "width%": Math.min(100, 100 * (share || 0)) }),
  );
}

// A figure over its interval.
function figure(text, interval) {
  return el("span", { class: "figure" }, text, interval ? el("span", { class: "interval" }, interval) : null);
}
