// The index of items: search, filters, order and pages. It never opens an item's block.

const PAGE = 50;
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

const index = { rows: [], found: [], search: "", cls: "", facets: {}, order: "place", down: false, page: 0 };

function fillIndex(rows) {
  index.rows = rows.map(([id, query, answer, length, classes, kl, fields], place) => {
    const ranked = classes[0] + classes[1] + classes[2];
    return { place, id, query, answer, length, classes, fields, kl: given(kl), shifted: ranked ? classes[2] / ranked : null };
  });
  byId("filters").append(
    el("input", {
      type: "search", id: "search", placeholder: "Search queries and answers", "aria-label": "Search queries and answers",
      autocomplete: "off", spellcheck: "false",
      oninput: (event) => refine({ search: event.target.value }),
    }),
    choice("Class", CLASS_FILTERS.filter(([value]) => value !== "3" || index.rows.some((row) => row.classes[3])), (value) => refine({ cls: value })),
    ...facets().map(([field, values]) =>
      choice(
        harmless(field),
        [["", `any ${harmless(field)}`], ...values.map((value) => [value, harmless(value)])],
        (value) => refine({ facets: { ...index.facets, [field]: value } }),
      ),
    ),
  );
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
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

function orderHead([key, label]) {
  return el(
    "th",
    { scope: "col", class: `order ${key}`, "data-key": key },
    el("button", {
      type: "button",
      onclick: () => refine({ order: key, down: index.order === key ? !index.down : !["place", "query"].includes(key) }),
    }, label, el("span", { class: "direction", "aria-hidden": "true" })),
  );
}

function refine(change) {
  Object.assign(index, { page: 0 }, change);
  const words = index.search.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.entries(index.facets).filter(([, value]) => value !== "");
  index.found = index.rows.filter((row) => {
    if (index.cls === "none" ? row.classes[SHIFTED] > 0 : index.cls !== "" && !row.classes[Number(index.cls)]) return false;
    if (wanted.some(([field, value]) => String(row.fields[field]) !== value)) return false;
    if (!words.length) return true;
    row.folded ??= `${row.query}\n${row.answer}`.toLowerCase();
    return words.every((word) => row.folded.includes(word));
  });
  const of = ORDERS.find(([key]) => key === index.order)[2];
  const sense = index.down ? -1 : 1;
  index.found.sort((a, b) => {
    const [first, second] = [of(a), of(b)];
    return first < second ? -sense : first > second ? sense : a.place - b.place;
  });
  drawIndex(words);
}

function drawIndex(words) {
  for (const head of byId("items").querySelectorAll("th.order")) {
    const chosen = head.dataset.key === index.order;
    head.setAttribute("aria-sort", chosen ? (index.down ? "descending" : "ascending") : "none");
  }
  const start = index.page * PAGE;
  byId("found").textContent =
    index.found.length === index.rows.length
      ? `${count(index.rows.length)} ${index.rows.length === 1 ? "item" : "items"}`
      : `${count(index.found.length)} of ${count(index.rows.length)} items`;
  byId("items").querySelector("tbody").replaceChildren(...index.found.slice(start, start + PAGE).map((row) => indexRow(row, words)));
  byId("items").hidden = index.found.length === 0;
  drawPager(start, words);
}

function indexRow(row, words) {
  return el(
    "tr",
    {},
    el("td", { class: "place" }, count(row.place + 1)),
    el(
      "th",
      { scope: "row", class: "query" },
      // A given text has no query; its beginning stands for it.
      el("a", { href: `#item-${row.place + 1}`, dir: "auto" }, marked(excerpt(row.query || row.answer, words, 220) || "(empty)", words)),
      row.query ? el("span", { class: "answer-start", dir: "auto" }, marked(excerpt(row.answer, words, 160), words)) : null,
    ),
    el("td", { class: "bar-cell" }, row.classes.some(Boolean) ? shareBar(row.classes, shareLabel(row.classes)) : NONE),
    el("td", { class: "number", "data-label": "shifted" }, percent(row.shifted)),
    el("td", { class: "number", "data-label": "KL" }, nats(row.kl)),
    el("td", { class: "number", "data-label": "tokens" }, count(row.length)),
  );
}

function drawPager(start, words) {
  const pages = Math.ceil(index.found.length / PAGE);
  const go = (page) => () => {
    index.page = page;
    drawIndex(words);
    byId("index").scrollIntoView({ block: "start" });
  };
  byId("pager").replaceChildren(
    ...(pages < 2
      ? []
      : [
          el("button", { type: "button", disabled: index.page === 0, onclick: go(index.page - 1) }, "← Previous"),
          el("span", { class: "note" }, `${count(start + 1)}–${count(Math.min(start + PAGE, index.found.length))} of ${count(index.found.length)}`),
          el("button", { type: "button", disabled: index.page + 1 >= pages, onclick: go(index.page + 1) }, "Next →"),
        ]),
  );
}

// The items before and after one, in the order and with the filters of the index.
function neighbours(place) {
  const at = index.found.findIndex((row) => row.place === place);
  if (at < 0) return { at: null, previous: index.rows[place - 1] ?? null, next: index.rows[place + 1] ?? null };
  return { at, previous: index.found[at - 1] ?? null, next: index.found[at + 1] ?? null };
}
