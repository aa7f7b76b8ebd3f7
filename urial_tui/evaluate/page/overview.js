// The overview: the runs, what is measured of them, what judges say, and how they differ.

const MEANS = [
  ["words", "Words"],
  ["tokens", "Tokens"],
  ["distinct_1", "Distinct-1"],
  ["distinct_2", "Distinct-2"],
  ["repeated", "Repeated 4-grams"],
  ["bits_per_byte", "Bits per byte"],
  ["unshifted", "Unshifted tokens"],
  ["marginal", "Marginal tokens"],
  ["shift", "Shifted tokens"],
];
const SHARES = [
  ["Empty", (measures) => measures.empty],
  ["Refused, regular", (measures) => measures.refused.regular],
  ["Refused, safety", (measures) => measures.refused.safety],
  ["Question's language", (measures) => measures.same_language],
  ["With headings", (measures) => measures.form.headings],
  ["With lists", (measures) => measures.form.lists],
  ["With code blocks", (measures) => measures.form.code_blocks],
  ["With bold text", (measures) => measures.form.bold],
  ["Leaked examples", (measures) => measures.leaked],
];
const ENDINGS = [
  ["end", "Ended by itself"],
  ["stop", "At a stop string"],
  ["cut", "Cut"],
  ["cancelled", "Cancelled"],
  ["unknown", "Ending not told"],
];
const REFUSED = { refused_regular: "Refused, regular", refused_safety: "Refused, safety" };
const FIELDS = { category: "category", task_types: "task type", topics: "topic", dataset: "dataset" };
const PUBLISHED = ["helpfulness", "clarity", "factuality", "depth", "engagement", "safety", "average"];
const SAME = 5e-10;

function fillOverview(head) {
  byId("overview-title").textContent = "Evaluation";
  byId("set").textContent = setLine(head);
  byId("runs").append(...runs.list.map((run, at) => runCard(run, at)));
  fillMeasures();
  for (const judge of judges()) byId("scores").append(scoreSection(judge));
  fillDifferences(head.differences);
  for (const contest of head.contests) byId("contests").append(contestSection(contest));
  byId("calibrations").append(...head.calibrations.map(calibrationSection));
  fillGroups(head.groups);
  if (judges().length) fillPublished(head.published);
  fillFiles(head);
}

function setLine({ set, items }) {
  const asked = amount(items, "item");
  if (set.name === null) return `${amount(runs.list.length, "run")} on ${asked}, of a set that is not known.`;
  const part = set.items === null || set.items === items ? asked : `${count(items)} of the ${amount(set.items, "item")}`;
  return `${amount(runs.list.length, "run")} on ${part} of ${harmless(set.name)}.`;
}

function runCard(run, at) {
  const facts = [
    ["Items", `${count(run.items)}${run.categories.safety ? `, ${count(run.categories.safety)} of them for safety` : ""}`],
    ["Generator", harmless(run.generator) || NONE],
    ["File", run.file === null ? "known from judgements" : harmless(run.file)],
    ["Judged by", run.judges.map(({ judge, items }) => `${judgeName(judge)} (${count(items)})`).join(", ") || "nobody"],
  ];
  return el(
    "div",
    { class: "side card" },
    el("p", { class: "model" }, runTag(at), " ", el("bdi", {}, runName(at))),
    el("dl", {}, facts.map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, el("bdi", {}, value))))),
  );
}

function runHeads(title, places = runs.list.map((_, at) => at)) {
  return [title, ...places.map(runTag)];
}

// -- measures

function meanCell(found, digits = threeDigits) {
  return figure(digits(found.mean), intervalText(found.interval, digits));
}

function shareCell(found) {
  return figure(percent(found?.share), found ? intervalText(found.interval, (share) => fixed(100 * share, 0)) : "");
}

function fillMeasures() {
  const all = runs.list.map((run) => run.measures);
  const rows = [];
  for (const [ending, name] of ENDINGS) {
    if (all.some(({ endings }) => endings[ending])) rows.push([name, ...all.map(({ endings }) => count(endings[ending] ?? 0))]);
  }
  for (const [key, name] of MEANS) {
    if (all.some((measures) => measures[key].count)) rows.push([name, ...all.map((measures) => meanCell(measures[key]))]);
    const whole = all.map((measures) => measures[`run_${key}`] ?? null);
    if (whole.some((value) => value !== null)) rows.push([`${name} of all answers`, ...whole.map(threeDigits)]);
  }
  for (const [name, pick] of SHARES) {
    if (all.some((measures) => pick(measures)?.count)) rows.push([name, ...all.map((measures) => shareCell(pick(measures)))]);
  }
  byId("measures-body").append(table({ head: runHeads("Over all answers"), rows }));
  const missing = runs.list.flatMap(({ measures }, at) => {
    const parts = [...MEANS.map(([key, name]) => [name, measures[key]]), ...SHARES.map(([name, pick]) => [name, pick(measures)])]
      .filter(([, found]) => found?.count && found.missing)
      .map(([name, found]) => `${name.toLowerCase()} ${count(found.missing)}`);
    return parts.length ? [`Answers of ${letter(at)} that could not be measured: ${parts.join(", ")}.`] : [];
  });
  byId("measures-body").append(el("p", { class: "note" }, ["Intervals: 95 %. ", missing.join(" ")].join("")));
}

// -- scores

function scoreSection(judge) {
  const judged = runs.list.map((run, at) => [at, judgedBy(run, judge)]).filter(([, said]) => said);
  const aspects = [...new Set(judged.flatMap(([, said]) => Object.keys(said.aspects)))];
  const axes = aspects.filter((aspect) => judged.some(([, said]) => given(said.aspects[aspect]?.mean) !== null));
  const label = judged
    .map(([at, said]) => `${letter(at)}: ${axes.map((aspect) => `${aspect} ${fixed(said.aspects[aspect]?.mean, 2)}`).join(", ")}`)
    .join("; ");
  const notes = judged.flatMap(([at, said]) => {
    const all = Object.entries(said.aspects);
    const unscored = all
      .map(([aspect, found]) => [aspect, Object.entries(found.unscored)])
      .filter(([, why]) => why.length)
      .map(([aspect, why]) => `${aspect} ${listed(why)}`);
    const official = all
      .filter(([, found]) => officialDiffers(found))
      .map(([aspect, found]) => `${aspect} ${fixed(found.official.mean, 2)} over ${count(found.official.count)}`);
    return [
      unscored.length ? `${letter(at)} has no score for ${unscored.join("; ")}.` : null,
      official.length ? `The official tool has for ${letter(at)} ${official.join(", ")}.` : null,
    ].filter(Boolean);
  });
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Scores by ", el("bdi", {}, judgeName(judge))),
    el(
      "div",
      { class: axes.length > 2 ? "score-pair" : "" },
      axes.length > 2 ? radar(axes, judged.map(([at, said]) => ({ at, values: axes.map((aspect) => given(said.aspects[aspect]?.mean)) })), label) : null,
      scoreBars(axes, judged),
    ),
    el("p", { class: "note" }, `Items judged: ${judged.map(([at, said]) => `${letter(at)} ${count(said.items)}`).join(", ")}. From 1 to 5; the line is the 95 % interval over the items.`),
    notesOf(notes, "What has no score, and where the official tool differs"),
  );
}

function officialDiffers({ official, count: scored, mean }) {
  return official !== null && (official.count !== scored || mean === null || Math.abs(official.mean - mean) > SAME);
}

// -- differences

function fillDifferences(differences) {
  const shared = differences.filter(({ items }) => items);
  if (!differences.length) return;
  show("differences");
  const body = byId("differences-body");
  const draw = (at) => body.replaceChildren(...differenceTable(shared[Number(at)]));
  if (shared.length > 1) {
    const titles = shared.map(({ first, second }, at) => [String(at), `${letter(runAt(first))} minus ${letter(runAt(second))}`]);
    byId("differences-choice").append(choice("The two runs", titles, draw));
  }
  if (shared.length) draw(0);
  const apart = differences.filter(({ items }) => !items);
  if (apart.length) {
    const named = apart.map(({ first, second }) => `${letter(runAt(first))} and ${letter(runAt(second))}`);
    byId("differences-apart").textContent = `These have no item in common: ${named.join(", ")}.`;
  }
}

function differenceTable({ first, second, items, measures, judges: said }) {
  const rows = [];
  for (const [key, name] of [...MEANS, ...Object.entries(REFUSED)]) {
    const found = measures[key];
    if (found?.count) rows.push(differenceRow(name, found, threeDigits, spreadOf([found])));
  }
  for (const { judge, aspects } of said) {
    const most = spreadOf(Object.values(aspects));
    for (const [aspect, found] of Object.entries(aspects)) {
      if (found.count) rows.push(differenceRow(said.length > 1 ? `${aspect}, ${judgeName(judge)}` : aspect, found, (value) => fixed(value, 2), most));
    }
  }
  const [one, other] = [runAt(first), runAt(second)];
  return [
    el("p", { class: "note" }, `${letter(one)} (${runName(one)}) minus ${letter(other)} (${runName(other)}), over the ${amount(items, "item")} that both have answered.`),
    table({ head: ["", runTag(one), runTag(other), "Difference", "95 %", "", "Items", "p"], rows, className: "differences" }),
  ];
}

// The largest number that a drawing of these has to hold.
function spreadOf(found) {
  return Math.max(1e-9, ...found.flatMap(({ difference, interval }) => [difference, ...(interval ?? [])].map((value) => Math.abs(value ?? 0))));
}

function differenceRow(name, found, digits, most) {
  const { first, second, difference, interval, count: items, p_value: p } = found;
  return [
    name,
    digits(first),
    digits(second),
    { value: signed(difference, digits), class: "strong" },
    interval ? `${signed(interval[0], digits)} to ${signed(interval[1], digits)}` : NONE,
    { value: balance(difference, interval, most), class: "drawn" },
    count(items),
    p === null ? NONE : p < 0.001 ? "<0.001" : fixed(p, 3),
  ];
}

// -- contests

function contestSection({ first, second, judge, items, both_orders: both, aspects }) {
  const [one, other] = [runAt(first), runAt(second)];
  const all = Object.entries(aspects);
  const unscored = all
    .map(([aspect, found]) => [aspect, Object.entries(found.unscored)])
    .filter(([, why]) => why.length)
    .map(([aspect, why]) => `${aspect} ${listed(why)}`);
  const turned = all
    .filter(([, { flips }]) => flips.count)
    .map(([aspect, { flips }]) => `${aspect} ${percent(flips.share)} of ${count(flips.count)}`);
  const places = all
    .filter(([, { first_place: place }]) => place.count)
    .map(([aspect, { first_place: place }]) => `${aspect} ${percent(place.share)} of ${count(place.count)}`);
  const notes = [
    unscored.length ? `No preference for ${unscored.join("; ")}.` : null,
    turned.length ? `Turned with the order, and so a tie: ${turned.join(", ")}.` : null,
    places.length ? `What stood first won, of the judgements that are no tie: ${places.join(", ")}.` : null,
    ...all.map(([aspect, { length_controlled: { note }, wins }]) => (note && wins.count ? `${aspect}, at equal lengths: ${note}.` : null)),
  ].filter(Boolean);
  const rows = all.map(([aspect, { wins, length_controlled: controlled }]) => [
    aspect,
    percent(wins.win),
    percent(wins.tie),
    percent(wins.lose),
    { value: winBar(wins), class: "drawn" },
    figure(percent(wins.rate), intervalText(wins.rate_interval, (share) => fixed(100 * share, 0))),
    figure(percent(controlled.rate), intervalText(controlled.interval, (share) => fixed(100 * share, 0))),
    count(wins.count),
  ]);
  return el(
    "section",
    { class: "card" },
    el("h2", {}, runTag(one), " against ", runTag(other), ", by ", el("bdi", {}, judgeName(judge))),
    table({ head: [`Of ${letter(one)}`, "Win", "Tie", "Lose", "", "Win rate", "At equal lengths", "Items"], rows }),
    el("p", { class: "note" }, `${amount(items, "item")}, ${count(both)} of them in both orders. Ties are halves in the win rate.`),
    notesOf(notes, "What has no preference, and what to bear in mind"),
  );
}

function winBar({ win, tie, lose }) {
  if (win === null) return NONE;
  const parts = [["won", win], ["tied", tie], ["lost", lose]];
  return el("span", { class: "sharebar", "aria-hidden": "true" }, parts.map(([kind, share]) => (share ? el("span", { class: kind, "width%": 100 * share }) : null)));
}

// -- groups

function fillGroups(groups) {
  const fields = Object.keys(FIELDS).filter((field) => groups[field].length > 1);
  if (!fields.length) return;
  show("groups");
  const figures = [["words", "words"], ["refused", "share of refusals"]];
  const columns = [];
  for (const judge of judges()) {
    for (const aspect of new Set(runs.list.flatMap((run) => Object.keys(judgedBy(run, judge)?.aspects ?? {})))) {
      columns.push([`${columns.length}`, `${aspect} by ${judgeName(judge)}`, judge, aspect]);
    }
  }
  const chosen = { field: fields[0], figure: columns.length ? "0" : "words" };
  const draw = () => {
    const [, , judge, aspect] = columns.find(([key]) => key === chosen.figure) ?? [];
    const found = (one) => (judge === undefined ? one[chosen.figure] : judgedBy(one, judge)?.aspects[aspect]);
    const value = (one) => found(one)?.mean ?? found(one)?.share ?? null;
    const most = judge !== undefined || chosen.figure === "refused" ? 1 : Math.max(1e-9, ...groups[chosen.field].flatMap((group) => group.runs.map((one) => value(one) ?? 0)));
    const cell = (one) => {
      const number = value(one);
      if (number === null) return NONE;
      const part = judge !== undefined ? scaled(number) : number / most;
      const text = judge !== undefined ? fixed(number, 2) : chosen.figure === "refused" ? percent(number, 0) : fixed(number, 0);
      return el("span", { class: "group-cell", title: `${amount(found(one).count, "item")}` }, el("span", {}, text), track(part, null, runInk(runAt(one.run))));
    };
    byId("groups-body").replaceChildren(
      table({
        head: [FIELDS[chosen.field], "Items", ...runs.list.map((_, at) => runTag(at))],
        rows: groups[chosen.field].map((group) => [el("bdi", {}, harmless(group.value)), count(group.items), ...group.runs.map(cell)]),
        className: "groups",
      }),
    );
  };
  byId("groups-choice").append(
    choice("Group by", fields.map((field) => [field, `by ${FIELDS[field]}`]), (field) => {
      chosen.field = field;
      draw();
    }),
    choice("Figure", [...columns.map(([key, name]) => [key, name]), ...figures], (key) => {
      chosen.figure = key;
      draw();
    }),
  );
  draw();
}

// -- what was published, and the files

function fillPublished({ source, judge, set, items, rows }) {
  show("published");
  byId("published-body").append(
    el("p", { class: "notice" }, `Not from this evaluation: means by ${judge} over the ${amount(items, "item")} of ${set}, from the paper (${source}). Another judge has another scale, so only the distances between methods compare.`),
    el(
      "details",
      { class: "plain" },
      el("summary", {}, `The scores by ${judge}`),
      table({
        head: ["", ...PUBLISHED.map((name) => (name === "average" ? "mean" : name)), "words"],
        rows: rows.map((row) => [row.name, ...PUBLISHED.map((aspect) => fixed(row[aspect], 2)), fixed(row.words, 0)]),
      }),
    ),
  );
}

function fillFiles({ files, runs }) {
  const rows = files.map(({ name, kind, records, unmatched }) => [
    harmless(name),
    `${kind === "outputs" ? amount(records, "answer") : amount(records, "judgement")}${unmatched ? `, ${count(unmatched)} of them of answers that are not among these, left out` : ""}`,
  ]);
  for (const run of runs) {
    if (run.preamble === null) continue;
    const known = run.examples_known ? "looked for in the answers" : "not looked for: the preamble is not there any more as it was";
    rows.push([harmless(run.name), `Examples of ${harmless(run.preamble)}, ${known}`]);
  }
  byId("files-body").append(el("dl", { class: "run" }, rows.map(([key, value]) => el("div", {}, el("dt", {}, el("bdi", {}, key)), el("dd", {}, value)))));
}
