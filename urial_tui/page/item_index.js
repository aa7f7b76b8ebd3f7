// The index of a report's items: search, filters, order and pages. It never opens an item's block.
// A report has its ORDERS, and says what a row is to be found by: `isWanted`, `textOf`, `indexRow`.

const PAGE = 50;
// Columns that begin with the first, where the others begin with the most.
const UPWARD = ["place", "query"];

const index = { rows: [], found: [], search: "", facets: {}, order: "place", down: false, page: 0 };

function fillFilters(label, ...choices) {
  byId("filters").append(
    el("input", {
      type: "search", id: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
      oninput: (event) => refine({ search: event.target.value }),
    }),
    ...choices,
  );
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
}

// A choice among the values of a field.
function facet(field, name, values) {
  const options = [["", `any ${name}`], ...values.map((value) => [value, harmless(value)])];
  return choice(name, options, (value) => refine({ facets: { ...index.facets, [field]: value } }));
}

function orderHead([key, label]) {
  return el(
    "th",
    { scope: "col", class: `order ${key}`, "data-key": key },
    el("button", {
      type: "button",
      onclick: () => refine({ order: key, down: index.order === key ? !index.down : !UPWARD.includes(key) }),
    }, label, el("span", { class: "direction", "aria-hidden": "true" })),
  );
}

function refine(change) {
  Object.assign(index, { page: 0 }, change);
  const words = index.search.toLowerCase().split(/\s+/).filter(Boolean);
  const facets = Object.entries(index.facets).filter(([, value]) => value !== "");
  index.found = index.rows.filter((row) => {
    if (!isWanted(row, facets)) return false;
    if (!words.length) return true;
    row.folded ??= textOf(row).toLowerCase();
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
  const all = amount(index.rows.length, "item");
  byId("found").textContent = index.found.length === index.rows.length ? all : `${count(index.found.length)} of ${all}`;
  byId("items").querySelector("tbody").replaceChildren(...index.found.slice(start, start + PAGE).map((row) => indexRow(row, words)));
  byId("items").hidden = index.found.length === 0;
  drawPager(start, words);
}

// The first cells of a row: its place, what was asked, and how an answer begins.
function rowHead(row, title, answer, words) {
  return [
    el("td", { class: "place" }, count(row.place + 1)),
    el(
      "th",
      { scope: "row", class: "query" },
      el("a", { href: `#item-${row.place + 1}`, dir: "auto" }, marked(excerpt(title, words, 220) || "(empty)", words)),
      answer === null ? null : el("span", { class: "answer-start", dir: "auto" }, marked(answer, words)),
    ),
  ];
}

function drawPager(start, words) {
  const pages = Math.ceil(index.found.length / PAGE);
  const go = (to) => () => {
    index.page = to;
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
