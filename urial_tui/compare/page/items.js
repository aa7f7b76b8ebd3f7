// What the index of compared items shows, and by what they are found.

const FACET_VALUES = 60;
const CLASS_FILTERS = [
  ["", "any class"],
  ["2", "with shifted tokens"],
  ["1", "with marginal tokens"],
  ["3", "with tokens that base lacks"],
  ["none", "without shifted tokens"],
];
const ORDERS = [
  ["place", "#", (row) => row.place],
  ["query", "Query", (row) => row.query.toLowerCase()],
  ["shifted", "Shifted", (row) => row.shifted ?? -1],
  ["kl", "KL", (row) => row.kl ?? -1],
  ["length", "Tokens", (row) => row.length],
];

index.cls = "";

function fillIndex(rows) {
  index.rows = rows.map(([id, query, answer, length, classes, kl, fields], place) => {
    const ranked = classes[0] + classes[1] + classes[2];
    return { place, id, query, answer, length, classes, fields, kl: given(kl), shifted: ranked ? classes[2] / ranked : null };
  });
  fillFilters(
    "Search queries and answers",
    choice("Class", CLASS_FILTERS.filter(([value]) => value !== "3" || index.rows.some((row) => row.classes[3])), (value) => refine({ cls: value })),
    ...facets().map(([field, values]) => facet(field, harmless(field), values)),
  );
  byId("items").querySelector("thead").append(
    el("tr", {}, ORDERS.slice(0, 2).map(orderHead), el("th", { scope: "col", class: "bar-head" }, "Shares"), ORDERS.slice(2).map(orderHead)),
  );
  refine({});
}

// Fields with few enough values to choose from.
function facets() {
  const values = new Map();
  for (const row of index.rows) {
    for (const [field, value] of Object.entries(row.fields)) {
      if (!values.has(field)) values.set(field, new Set());
      if (values.get(field).size <= FACET_VALUES) values.get(field).add(String(value));
    }
  }
  return [...values]
    .filter(([, found]) => found.size > 1 && found.size <= FACET_VALUES && found.size < index.rows.length)
    .map(([field, found]) => [field, [...found].sort()]);
}

function isWanted(row, wanted) {
  if (index.cls === "none" ? row.classes[SHIFTED] > 0 : index.cls !== "" && !row.classes[Number(index.cls)]) return false;
  return wanted.every(([field, value]) => String(row.fields[field]) === value);
}

function textOf(row) {
  return `${row.query}\n${row.answer}`;
}

function indexRow(row, words) {
  return el(
    "tr",
    {},
    // A given text has no query; its beginning stands for it.
    rowHead(row, row.query || row.answer, row.query ? excerpt(row.answer, words, 160) : null, words),
    el("td", { class: "bar-cell" }, row.classes.some(Boolean) ? shareBar(row.classes, shareLabel(row.classes)) : NONE),
    el("td", { class: "number", "data-label": "shifted" }, percent(row.shifted)),
    el("td", { class: "number", "data-label": "KL" }, nats(row.kl)),
    el("td", { class: "number", "data-label": "tokens" }, count(row.length)),
  );
}
