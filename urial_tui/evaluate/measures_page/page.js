// Measured contexts: one figure at a time as a chart, all of them as a table.

// `better`: where good is, -1 down and 1 up; 0 where neither is.
const FIGURES = [
  { key: "bits_per_byte", name: "Bits per byte", better: -1, digits: (value) => fixed4(value), meaning: "How many bits a byte of the reference answers takes: the fewer, the likelier the model finds them." },
  { key: "ended", name: "Ended", better: 1, share: true, meaning: "Answers that ended by a token that ends them, or the way that the format has." },
  { key: "ran_on", name: "Ran on", better: -1, share: true, meaning: "Answers behind which the model went on with a turn of its own." },
  { key: "cut", name: "Cut", better: -1, share: true, meaning: "Answers that reached the longest length." },
  { key: "copied_opening", name: "Copied opening", better: -1, share: true, meaning: "Answers that open as an example's answer does: four of the first five words are the same." },
  { key: "leaked", name: "Leaked", better: -1, share: true, meaning: "Answers that have eight words in a row of an example." },
  { key: "shift", name: "Shifted tokens", better: -1, share: true, meaning: "Share of the answers' tokens that the aligned side finds none of the three likeliest." },
  { key: "answer_tokens", name: "Answer tokens", better: 0, digits: (value) => threeDigits(value), meaning: "Tokens of an answer." },
];
const FACTS = [
  { key: "tokens", name: "Tokens", word: count },
  { key: "prefill_s", name: "Prefill", word: (value) => (given(value) === null ? NONE : `${fixed(value, 2)} s`) },
  { key: "cache_bytes", name: "Cache", word: bytes },
];

const shown = { document: {}, figures: [], at: 0, sort: null };

function fixed4(value) {
  value = given(value);
  return value === null ? NONE : value.toFixed(4);
}

function bytes(value) {
  value = given(value);
  if (value === null) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (value >= 999.5 && power < units.length - 1) {
    value /= 1000;
    power += 1;
  }
  return `${power ? threeDigits(value) : count(value)} ${units[power]}`;
}

function wordOf(figureShown) {
  return figureShown.share ? (value) => percent(value) : figureShown.digits;
}

// Percent behind a sign: "<0.1 %" of nothing would be wrong there.
function differenceWord(figureShown) {
  if (!figureShown.share) return (value) => signed(value, figureShown.digits);
  return (value) => signed(value, (size) => `${(100 * size).toFixed(1)} %`);
}

// A mean's or a share's value.
function valueOf(found) {
  return given(found?.mean ?? found?.share);
}

function differenceOf(context, key) {
  const found = context.difference?.[key];
  return found && given(found.difference) !== null ? found : null;
}

// -- the head

// How the answers were written, by the names of the settings.
function samplingWords({ name: _, ...values }) {
  return Object.entries(values)
    .map(([name, value]) => `${harmless(name)} ${value}`)
    .join(", ");
}

function fillHead({ model, references, questions, aligned, sampling, max_tokens: most, parallel }) {
  byId("title").replaceChildren("Preambles on ", el("bdi", {}, harmless(model)));
  const by = aligned === null ? "" : ` The answers were read by ${harmless(aligned)} as well.`;
  byId("told").textContent =
    `Bits per byte of ${amount(references.texts, "answer")} in ${harmless(references.name)}; ` +
    `${amount(questions.texts, "question")} of ${harmless(questions.name)} were answered ${harmless(sampling.name)}, ` +
    `with at most ${amount(most, "token")} each, ${count(parallel)} at a time (${samplingWords(sampling)}).${by}`;
}

// -- one figure

function fillChoice() {
  const options = shown.figures.map(({ name }, at) => [String(at), name]);
  byId("figure-choice").replaceChildren(choice("Figure", options, (at) => drawFigure(Number(at))));
}

function drawFigure(at) {
  shown.at = at;
  const chosen = shown.figures[at];
  byId("figure-choice").querySelector("select").value = String(at);
  byId("figure-meaning").textContent = `${chosen.meaning}${{ "-1": " Less is better.", 1: " More is better.", 0: "" }[chosen.better]}`;
  drawCharts();
  fillDifferences(chosen);
}

function drawCharts() {
  const chosen = shown.figures[shown.at];
  const contexts = shown.document.contexts;
  const [first] = contexts;
  const word = wordOf(chosen);
  const values = contexts.map((context) => ({
    name: harmless(context.name),
    value: valueOf(context[chosen.key]),
    interval: context[chosen.key]?.interval ?? null,
    ink: "plain",
  }));
  const parts = [[chosen.name, values, word, false]];
  const compared = contexts.filter((context) => differenceOf(context, chosen.key));
  if (compared.length) {
    const rows = compared.map((context) => {
      const found = differenceOf(context, chosen.key);
      return { name: harmless(context.name), value: given(found.difference), interval: found.interval, ...verdict(found, chosen.better) };
    });
    parts.push([`Difference to ${harmless(first.name)}`, rows, differenceWord(chosen), true]);
  }
  const charts = byId("charts");
  charts.replaceChildren(...parts.map(([title]) => el("figure", { class: "chart" }, el("figcaption", {}, title))));
  parts.forEach(([title, rows, digits, zero], at) => {
    const place = charts.children[at];
    const label = `${title}: ${rows.map(({ name, value, interval }) => `${name} ${digits(value)}${interval ? ` (${digits(interval[0])} to ${digits(interval[1])})` : ""}`).join("; ")}`;
    place.append(intervalChart(rows, { width: Math.max(240, Math.floor(place.clientWidth)), digits, zero, label }));
  });
}

// Whether a difference is one: to the good side, to the bad one, or neither that these texts tell.
function verdict({ difference, interval }, better) {
  const sure = interval ? interval[0] > 0 || interval[1] < 0 : false;
  if (!sure || !better) return { ink: "plain", hollow: !sure };
  return { ink: Math.sign(difference) === better ? "good" : "bad", hollow: false };
}

// -- differences

function fillDifferences(chosen) {
  const [first, ...others] = shown.document.contexts;
  const compared = others.filter((context) => context.difference?.[chosen.key]);
  show("differences", compared.length > 0);
  if (!compared.length) return;
  byId("differences-title").replaceChildren(`${chosen.name}: differences to `, el("bdi", {}, harmless(first.name)));
  const word = differenceWord(chosen);
  byId("differences-body").replaceChildren(
    table({
      head: ["Context", "Difference", "95 %", "", "Texts", "p"],
      rows: compared.map((context) => {
        const found = context.difference[chosen.key];
        const { interval, p_value: p } = found;
        return [
          el("span", { class: "context" }, el("bdi", {}, harmless(context.name))),
          { value: word(found.difference), class: "strong" },
          interval ? `${word(interval[0])} to ${word(interval[1])}` : NONE,
          said(found, chosen.better),
          count(found.count),
          given(p) === null ? NONE : p < 0.001 ? "<0.001" : fixed(p, 3),
        ];
      }),
    }),
  );
}

function said(found, better) {
  if (given(found.difference) === null) return NONE;
  const { ink, hollow } = verdict(found, better);
  if (!found.interval) return "no interval";
  if (hollow) return "not told apart";
  return { good: "better", bad: "worse", plain: "another" }[ink];
}

// -- all figures

function columns() {
  return [
    { name: "Context", pick: (context) => context.name, cell: nameCell },
    ...shown.figures.map((found) => ({
      name: found.name,
      pick: (context) => valueOf(context[found.key]),
      cell: (context) => figureCell(context[found.key], wordOf(found)),
    })),
    ...FACTS.map(({ key, name, word }) => ({ name, pick: (context) => given(context[key]), cell: (context) => word(context[key]) })),
  ];
}

function nameCell(context) {
  const retrieved = valueOf(context.retrieved?.tokens);
  const more = retrieved === null ? "" : ` of ${amount(Math.round(retrieved), "token")}`;
  const kind = context.method === null ? "" : `${harmless(context.method)}, ${amount(context.examples, "example")}${more}`;
  return el("span", { class: "context" }, el("bdi", {}, harmless(context.name)), kind ? el("span", { class: "interval" }, kind) : null);
}

function figureCell(found, word) {
  const interval = found?.interval;
  return figure(word(valueOf(found)), interval ? `${word(interval[0])} – ${word(interval[1])}` : null);
}

function drawTable() {
  const all = columns();
  const order = [...shown.document.contexts];
  if (shown.sort) {
    const { at, down } = shown.sort;
    const { pick } = all[at];
    order.sort((one, other) => compareValues(pick(one), pick(other), down));
  }
  const drawn = table({ head: all.map(({ name }, at) => sortButton(name, at)), rows: order.map((context) => all.map(({ cell }) => cell(context))), className: "measures" });
  drawn.querySelectorAll("thead th").forEach((head, at) => {
    if (shown.sort?.at === at) head.setAttribute("aria-sort", shown.sort.down ? "descending" : "ascending");
  });
  byId("table-body").replaceChildren(drawn);
}

// What there is none of comes last, whichever way.
function compareValues(one, other, down) {
  if (one === null || other === null) return (one === null) - (other === null);
  const found = typeof one === "string" ? one.localeCompare(other, "en") : one - other;
  return down ? -found : found;
}

function sortButton(name, at) {
  const sort = () => {
    const { sort: before } = shown;
    shown.sort = before?.at !== at ? { at, down: false } : before.down ? null : { at, down: true };
    drawTable();
    byId("table-body").querySelectorAll("thead button")[at].focus();
  };
  // A button has a value of its own, which a table would take for the cell's.
  return el("span", {}, el("button", { type: "button", class: "quiet", onclick: sort }, name, el("span", { class: "direction", "aria-hidden": "true" })));
}

function fillMissing() {
  const parts = shown.document.contexts.flatMap((context) => {
    const missing = shown.figures.filter(({ key }) => context[key]?.count && context[key].missing).map(({ key, name }) => `${name.toLowerCase()} ${count(context[key].missing)}`);
    return missing.length ? [`${harmless(context.name)}: ${missing.join(", ")}`] : [];
  });
  byId("missing").textContent = `Under each figure its 95 % interval.${parts.length ? ` Texts that could not be measured, by context: ${parts.join("; ")}.` : ""}`;
}

function fillTroubles(troubles) {
  show("troubles", troubles.length > 0);
  byId("troubles-body").append(...troubles.map((trouble) => el("li", {}, harmless(trouble))));
}

// -- keys

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || byId("keys").open) return;
  if (event.target.closest?.("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const go = (by) => drawFigure((shown.at + by + shown.figures.length) % shown.figures.length);
  const does = { j: () => go(1), "]": () => go(1), k: () => go(-1), "[": () => go(-1), "?": () => byId("keys").showModal() }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

function start() {
  listenToTheme();
  byId("keys-button").addEventListener("click", () => byId("keys").showModal());
  shown.document = jsonBlock("data-head");
  shown.figures = FIGURES.filter(({ key }) => shown.document.contexts.some((context) => valueOf(context[key]) !== null));
  fillHead(shown.document);
  if (shown.figures.length) {
    fillChoice();
    drawFigure(0);
  }
  drawTable();
  fillMissing();
  fillTroubles(shown.document.troubles);
  fillRun(shown.document.run ?? {});
  document.addEventListener("keydown", onKey);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    if (shown.figures.length) drawCharts();
  });
  document.documentElement.dataset.ready = "true";
}

start();
