// What the index of evaluated items shows, and by what they are found.

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

Object.assign(index, { kind: "", run: "" });

// A score of 0 is none, and null an aspect that the item does not have.
function fillIndex(rows) {
  index.rows = rows.map(([id, turns, fields, answers], place) => {
    const row = { place, id, turns, fields, query: turns[0], answers: new Map() };
    for (const [run, outputs, words, refuses, scores] of answers) row.answers.set(run, { outputs, words, refuses, scores });
    row.difference = difference([...row.answers.values()].map(({ scores }) => scores));
    return row;
  });
  if (index.rows.every((row) => row.difference === null)) ORDERS.pop();
  fillFilters(
    "Search questions and answers",
    choice("Answers", KINDS, (kind) => refine({ kind })),
    runs.list.length > 1
      ? choice("Run", [["", "any run"], ...runs.list.map((_, at) => [String(at), `answered by ${letter(at)}`])], (run) => refine({ run }))
      : "",
    ...facets().map(([field, values]) => facet(field, FIELDS[field], values)),
  );
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

function isOfKind(row, kind, at) {
  const answers = at === "" ? [...row.answers.values()] : [row.answers.get(Number(at))].filter(Boolean);
  if (at !== "" && !answers.length) return false;
  if (kind === "unscored") return answers.some(({ scores }) => scores.includes(0));
  if (kind === "refused") return answers.some(({ refuses }) => refuses);
  if (kind === "split") return new Set([...row.answers.values()].map(({ refuses }) => refuses)).size > 1;
  if (kind === "empty") return answers.some(({ outputs }) => outputs.some((output) => !output.trim()));
  return true;
}

function isWanted(row, wanted) {
  return wanted.every(([field, value]) => row.fields[field].includes(value)) && isOfKind(row, index.kind, index.run);
}

function textOf(row) {
  return [...row.turns, ...[...row.answers.values()].flatMap(({ outputs }) => outputs)].join("\n");
}

function indexRow(row, words) {
  const [first] = row.answers.values();
  return el(
    "tr",
    {},
    rowHead(row, row.query, first ? excerpt(first.outputs[0], words, 160) || "(empty)" : null, words),
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
