// One item: all answers to it side by side, with what is measured of them and what judges say.

const open = { place: null, loading: 0 };

async function openItem(place) {
  const row = index.rows[place];
  if (open.place === place) return;
  const ticket = ++open.loading;
  open.place = place;
  const { at, previous, next } = neighbours(place);
  byId("item-place").textContent = at === null ? `item ${count(place + 1)}` : `${count(at + 1)} of ${count(index.found.length)}`;
  byId("item-previous").disabled = !previous;
  byId("item-next").disabled = !next;
  byId("item-query").textContent = harmless(row.query);
  byId("item-query").classList.toggle("long", row.query.length > 160);
  byId("item-facts").textContent = itemFacts(row).join(" · ");
  for (const id of ["answers", "more"]) byId(id).replaceChildren();
  show("item-failed", false);
  try {
    const data = JSON.parse(new TextDecoder().decode(await unpacked(`data-item-${place}`)));
    if (ticket !== open.loading) return;
    drawItem(row, data);
  } catch (error) {
    if (ticket !== open.loading) return;
    byId("item-failed").textContent = error instanceof Unreadable ? error.message : "This item can't be read. Write the report again.";
    show("item-failed");
  }
}

function itemFacts({ id, fields, turns, difference: most }) {
  const parts = [`id ${harmless(String(id))}`];
  if (turns.length > 1) parts.push(amount(turns.length, "turn"));
  for (const field of Object.keys(FIELDS)) {
    if (fields[field].length) parts.push(`${FIELDS[field]} ${fields[field].map(harmless).join(", ")}`);
  }
  if (most !== null) parts.push(`largest difference ${fixed(most, 1)}`);
  return parts;
}

function drawItem(row, data) {
  byId("answers").append(...data.answers.map((answer) => answerCard(row, answer)));
  const more = byId("more");
  if (data.references.some(Boolean)) {
    more.append(
      el("details", { class: "plain" }, el("summary", {}, "Reference answer"), data.references.filter(Boolean).map((text) => el("pre", { class: "said", dir: "auto" }, harmless(text)))),
    );
  }
  if (data.comparisons.length) {
    more.append(el("h2", {}, "Judged beside each other"), comparisonTable(data.comparisons));
  }
}

function answerCard(row, { run, turns, scores }) {
  const { outputs, refuses } = row.answers.get(run);
  return el(
    "article",
    { class: "card answer-card", "aria-label": `Run ${letter(run)}` },
    el("h2", {}, runTag(run), " ", el("bdi", {}, runName(run)), refuses ? el("span", { class: "badge" }, "refuses") : null),
    turns.map((turn, at) => [
      at ? el("p", { class: "asked", dir: "auto" }, harmless(turn.instruction)) : null,
      outputs[at].trim() ? el("div", { class: "said", dir: "auto" }, harmless(outputs[at])) : el("p", { class: "note" }, "(an empty answer)"),
      el("p", { class: "note" }, turnFacts(turn).join(" · ")),
      turn.leak ? el("p", { class: "note leak" }, "Repeats an example of the preamble: ", el("q", {}, harmless(turn.leak))) : null,
    ]),
    scores.filter(({ aspects }) => Object.keys(aspects).length).map(scoreTable),
  );
}

function turnFacts(turn) {
  const parts = [amount(turn.words, "word")];
  if (turn.tokens !== null) parts.push(amount(turn.tokens, "token"));
  const ending = { end: "ended by itself", stop: "at a stop string", cut: "cut", cancelled: "cancelled" }[turn.ending];
  if (ending) parts.push(ending);
  if (given(turn.distinct_2) !== null) parts.push(`distinct-2 ${fixed(turn.distinct_2, 2)}`);
  if (turn.repeated) parts.push(`${percent(turn.repeated, 0)} repeated 4-grams`);
  if (turn.language) parts.push(`language ${harmless(turn.language)}${turn.same_language === false ? ", not the question's" : ""}`);
  const { headings, list_items: items, code_blocks: blocks, bold } = turn.form;
  for (const [number, name] of [[headings, "heading"], [items, "list item"], [blocks, "code block"], [bold, "bold part"]]) {
    if (number) parts.push(amount(number, name));
  }
  if (given(turn.bits_per_byte) !== null) parts.push(`${fixed(turn.bits_per_byte, 3)} bits per byte of the reference`);
  if (given(turn.shift) !== null) parts.push(`${percent(turn.shift)} shifted tokens`);
  return parts;
}

function scoreTable({ judge, aspects }) {
  return el(
    "div",
    { class: "said-scores" },
    el("h3", {}, "By ", el("bdi", {}, judgeName(judge))),
    el(
      "dl",
      {},
      Object.entries(aspects).map(([aspect, { score, reason, unscored }]) =>
        el(
          "div",
          {},
          el("dt", {}, aspect),
          el("dd", { class: "score" }, score === null ? el("span", { class: "unscored" }, harmless(unscored)) : [el("strong", {}, fixed(score, Number.isInteger(score) ? 0 : 2)), track(scaled(score), null, "plain")]),
          reason ? el("dd", { class: "reason", dir: "auto" }, harmless(reason)) : null,
        ),
      ),
    ),
  );
}

function comparisonTable(comparisons) {
  return el(
    "div",
    { class: "card" },
    comparisons.map(({ A, B, judge, preferences }) =>
      el(
        "div",
        { class: "said-scores" },
        el("h3", {}, runTag(runAt(A)), " shown before ", runTag(runAt(B)), ", by ", el("bdi", {}, judgeName(judge))),
        el(
          "dl",
          {},
          Object.entries(preferences).map(([aspect, { choice: chosen, reason, unscored }]) =>
            el(
              "div",
              {},
              el("dt", {}, aspect),
              el("dd", { class: "score" }, chosen === null ? el("span", { class: "unscored" }, harmless(unscored)) : chosen === "same" ? "as good" : ["prefers ", runTag(runAt(chosen === "A" ? A : B))]),
              reason ? el("dd", { class: "reason", dir: "auto" }, harmless(reason)) : null,
            ),
          ),
        ),
      ),
    ),
  );
}
