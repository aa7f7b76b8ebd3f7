// The index of items: search, filters, order and pages. It never opens an item's block.

const PAGE = 50;
const KINDS = [
  ["", "any answer"],
  ["unscored", "with an answer without a score"],
  ["refused", "with a refusal"],
  ["split", "refused by some runs only"],
  ["empty", "with an empty answer"],
];
const ORDERS = [
  ["place", "#", (row) => row.place],
  ["query", "Question", (row) => row.query.toLowerCase()],
  ["difference", "Difference", (row) => row.difference ?? -1],
];

const index = { rows: [], found: [], search: "", kind: "", run: "", facets: {}, order: "place", down: false, page: 0 };

// A score of 0 is none, and null an aspect that the item does not have.
function fillIndex(rows) {
  index.rows = rows.map(([id, turns, fields, answers], place) => {
    const row = { place, id, turns, fields, query: turns[0], answers: new Map() };
    for (const [run, outputs, words, refuses, scores] of answers) row.answers.set(run, { outputs, words, refuses, scores });
    row.difference = difference([...row.answers.values()].map(({ scores }) => scores));
    return row;
  });
  if (index.rows.every((row) => row.difference === null)) ORDERS.pop();
  byId("filters").append(
    el("input", {
      type: "search", id: "search", placeholder: "Search questions and answers", "aria-label": "Search questions and answers",
      autocomplete: "off", spellcheck: "false",
      oninput: (event) => refine({ search: event.target.value }),
    }),
    choice("Answers", KINDS, (kind) => refine({ kind })),
    runs.list.length > 1
      ? choice("Run", [["", "any run"], ...runs.list.map((_, at) => [String(at), `answered by ${letter(at)}`])], (run) => refine({ run }))
      : "",
    ...facets().map(([field, values]) =>
      choice(FIELDS[field], [["", `any ${FIELDS[field]}`], ...values.map((value) => [value, harmless(value)])], (value) =>
        refine({ facets: { ...index.facets, [field]: value } }),
      ),
    ),
  );
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("items").querySelector("thead").append(
    el("tr", {}, ORDERS.slice(0, 2).map(orderHead), runs.list.map((_, at) => el("th", { scope: "col", class: "of-run" }, runTag(at))), ORDERS.slice(2).map(orderHead)),
  );
  refine({});
}

// The largest difference between two runs in one aspect by one judge.
function difference(all) {
  let most = null;
  for (let column = 0; column < page.head.columns.length; column++) {
    const known = all.map((scores) => scores[column]).filter((score) => score);
    if (known.length > 1) most = Math.max(most ?? 0, Math.max(...known) - Math.min(...known));
  }
  return most;
}

// Fields with more than one value to choose from.
function facets() {
  return Object.keys(FIELDS)
    .map((field) => [field, [...new Set(index.rows.flatMap((row) => row.fields[field]))].sort()])
    .filter(([, values]) => values.length > 1);
}

function orderHead([key, label]) {
  return el(
    "th",
    { scope: "col", class: `order ${key}`, "data-key": key },
    el("button", {
      type: "button",
      onclick: () => refine({ order: key, down: index.order === key ? !index.down : key === "difference" }),
    }, label, el("span", { class: "direction", "aria-hidden": "true" })),
  );
}

function isOfKind(row, kind, at) {
  const answers = at === "" ? [...row.answers.values()] : [row.answers.get(Number(at))].filter(Boolean);
  if (at !== "" && !answers.length) return false;
  if (kind === "unscored") return answers.some(({ scores }) => scores.includes(0));
  if (kind === "refused") return answers.some(({ refuses }) => refuses);
  if (kind === "split") return new Set([...row.answers.values()].map(({ refuses }) => refuses)).size > 1;
  if (kind === "empty") return answers.some(({ outputs }) => outputs.some((output) => !output.trim()));
  return true;
}

function refine(change) {
  Object.assign(index, { page: 0 }, change);
  const words = index.search.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.entries(index.facets).filter(([, value]) => value !== "");
  index.found = index.rows.filter((row) => {
    if (wanted.some(([field, value]) => !row.fields[field].includes(value))) return false;
    if (!isOfKind(row, index.kind, index.run)) return false;
    if (!words.length) return true;
    row.folded ??= [...row.turns, ...[...row.answers.values()].flatMap(({ outputs }) => outputs)].join("\n").toLowerCase();
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
    index.found.length === index.rows.length ? amount(index.rows.length, "item") : `${count(index.found.length)} of ${amount(index.rows.length, "item")}`;
  byId("items").querySelector("tbody").replaceChildren(...index.found.slice(start, start + PAGE).map((row) => indexRow(row, words)));
  byId("items").hidden = index.found.length === 0;
  drawPager(start, words);
}

function indexRow(row, words) {
  const [first] = row.answers.values();
  return el(
    "tr",
    {},
    el("td", { class: "place" }, count(row.place + 1)),
    el(
      "th",
      { scope: "row", class: "query" },
      el("a", { href: `#item-${row.place + 1}`, dir: "auto" }, marked(excerpt(row.query, words, 220) || "(empty)", words)),
      first ? el("span", { class: "answer-start", dir: "auto" }, marked(excerpt(first.outputs[0], words, 160) || "(empty)", words)) : null,
    ),
    runs.list.map((_, at) => el("td", { class: "number of-run", "data-label": letter(at) }, answerMark(row.answers.get(at)))),
    ORDERS.length > 2 ? el("td", { class: "number", "data-label": "difference" }, fixed(row.difference, 1)) : null,
  );
}

// What an answer is worth in a cell: its mean score, else its words, and whether it refuses.
function answerMark(answer) {
  if (!answer) return NONE;
  const scores = answer.scores.filter((score) => score);
  const mean = scores.length ? scores.reduce((sum, score) => sum + score, 0) / scores.length : null;
  return el(
    "span",
    {},
    mean !== null ? fixed(mean, 1) : `${count(answer.words)} w`,
    answer.refuses ? el("span", { class: "flag", title: "refuses" }, " ⊘") : null,
    answer.scores.includes(0) ? el("span", { class: "flag", title: "an aspect has no score" }, " ?") : null,
  );
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
