// The overview: both sides, what they share, and the numbers over all items.

const LEFT_OUT = new Set(["model", "adapter", "context"]);
const FEW = 0.02;

function fillOverview(head) {
  const [base, aligned] = sideTitles(head);
  for (const id of ["pair", "overview-title"]) {
    byId(id).append(el("bdi", {}, base), el("span", { class: "arrow" }, " → "), el("bdi", {}, aligned));
  }
  byId("sides").append(sideCard("Base", head.base), sideCard("Aligned", head.aligned));
  fillVocabulary(head.vocab);
  const summary = head.summary || {};
  fillShares(summary, head.special);
  fillDivergence(summary, head.noise);
  fillFigures(head, summary);
  fillCurves(head.by_position || []);
  fillWords(head.shifted_tokens || []);
  fillGroups(head.by_group || {});
  fillRun(head.run || {});
}

// A file by its name alone, each part of MODEL+ADAPTER.
function modelName(side) {
  const name = harmless(String(side?.model ?? "?"));
  if (!/[\\/]/.test(name)) return name;
  return name.split("+").map((part) => part.split(/[\\/]/).filter(Boolean).pop() ?? "").join("+");
}

// What tells the sides apart: the models, or else the contexts.
function sideTitles({ base, aligned }) {
  const names = [modelName(base), modelName(aligned)];
  if (names[0] !== names[1]) return names;
  return [`${names[0]} (${contextName(base)})`, `${names[1]} (${contextName(aligned)})`];
}

function contextName(side) {
  const context = side?.context;
  if (context === null || context === undefined) return NONE;
  return harmless(String(typeof context === "object" ? (context.name ?? NONE) : context));
}

function sideCard(role, side = {}) {
  const rows = [["Context", contextName(side)]];
  if (side?.adapter) rows.push(["Adapter", harmless(String(side.adapter))]);
  const rest = { ...(typeof side?.context === "object" ? side.context : {}), ...side };
  for (const [key, value] of Object.entries(rest)) {
    const plain = ["string", "number", "boolean"].includes(typeof value) && value !== "";
    if (plain && !LEFT_OUT.has(key) && key !== "name") {
      rows.push([harmless(key).replaceAll("_", " "), typeof value === "number" ? count(value) : harmless(String(value))]);
    }
  }
  if (side?.model && modelName(side) !== harmless(String(side.model))) rows.push(["File", harmless(String(side.model))]);
  return el(
    "div",
    { class: "side card" },
    el("p", { class: "role" }, role),
    el("p", { class: "model" }, el("bdi", {}, modelName(side))),
    el("dl", {}, rows.map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, el("bdi", {}, value))))),
  );
}

function fillVocabulary(vocab = {}) {
  const { relation } = vocab;
  if (!relation) return;
  const notice = byId("vocabulary");
  const sizes = vocab.base_size ? ` (${count(vocab.base_size)} and ${count(vocab.aligned_size)} tokens)` : "";
  if (relation === "different") {
    notice.textContent =
      `The two vocabularies differ${sizes}, so no divergence and no rank exists between the two sides. ` +
      "What remains comparable is what both say about the same bytes: bits per byte, and whether they agree on what comes next where both start a token.";
    notice.classList.add("strong");
  } else if (relation === "prefix") {
    const added = vocab.added ? `${count(vocab.added)} tokens` : "tokens";
    const longer = vocab.longer ? `The ${harmless(vocab.longer)} side has ${added} more` : `One side has ${added} more`;
    notice.textContent = `${longer}; all others are the same${sizes} and are compared by id.`;
  } else {
    notice.textContent = `Both sides have the same vocabulary${vocab.base_size ? ` (${count(vocab.base_size)} tokens)` : ""}; every number is over all of it.`;
  }
  const cutting = Array.isArray(vocab.cutting) ? vocab.cutting.map(({ key }) => harmless(String(key))) : [];
  if (cutting.length) {
    notice.textContent += ` The files say different things of how text is cut into tokens (${cutting.join(", ")}), so contexts may differ by that.`;
  }
  notice.hidden = false;
}

function sharesOf(summary) {
  const values = CLASSES.slice(0, 3).map((name) => given(summary?.[name]));
  return values.every((value) => value === null) ? null : values.map((value) => value ?? 0);
}

function fillShares(summary, special) {
  const values = sharesOf(summary);
  if (!values) return;
  show("shares");
  const interval = (code) => intervalText(summary[`${CLASSES[code]}_interval`]);
  const label = `Shares of the positions: ${shareLabel(values)}`;
  const rows = values.map((value, code) =>
    el(
      "div",
      { class: `share c${code}` },
      el("span", { class: "share-name" }, swatch(code), ` ${CLASSES[code]}`),
      el("span", { class: "share-value" }, percent(value)),
      el("span", { class: "share-interval" }, interval(code) ? `95 %: ${interval(code)}` : ""),
      el("span", { class: "share-rule" }, CLASS_RULES[code]),
    ),
  );
  const bars = [
    el("p", { class: "barline" }, el("span", {}, "of the tokens"), shareBar(values, label, "tall")),
  ];
  if (summary.kl_share) {
    const parts = CLASSES.map((name) => given(summary.kl_share[name]) ?? 0);
    const told = `Shares of the sum of KL: ${shareLabel(parts)}`;
    bars.push(
      el("p", { class: "barline" }, el("span", {}, "of all KL(aligned‖base)"), shareBar(parts, told, "tall")),
      el("p", { class: "note" }, `Of the sum of KL, ${parts.map((part, code) => (code < 3 || part ? `${percent(part)} lies on ${CLASSES[code]}` : null)).filter(Boolean).join(", ")} tokens.`),
    );
  }
  const notes = [`${count(summary.positions)} tokens${summary.items ? ` of ${count(summary.items)} ${summary.items === 1 ? "item" : "items"}` : ""}, special tokens not counted.`];
  if (summary.absent) notes.push(`${count(summary.absent)} more are not in the base model's vocabulary and have no rank.`);
  if (Array.isArray(summary.unshifted_interval)) notes.push("Intervals: 95 %, bootstrap over the items.");
  const figure = ring(values, label);
  byId("shares-body").append(
    el(
      "div",
      { class: "ring-side" },
      figure,
      saveButtons(figure, {
        title: "Token distribution shift",
        unit: `shares of ${count(summary.positions)} tokens`,
        legend: values.map((value, code) => ({ label: `${CLASSES[code]} ${percent(value)}`, ink: `--c${code}` })),
      }),
    ),
    el("div", { class: "share-rows" }, rows),
    el("div", { class: "share-bars" }, bars, el("p", { class: "note" }, notes.join(" ")), specialLine(special)),
  );
}

function specialLine(special) {
  const values = sharesOf(special);
  if (!values || !special.positions) return null;
  return el(
    "p",
    { class: "note special" },
    `Special tokens apart (end of turn, end of text; ${count(special.positions)}): `,
    shareLabel(values),
    ".",
  );
}

function swatch(code) {
  return el("span", { class: `swatch fill c${code}`, "aria-hidden": "true" });
}

function divergence(value, digitsOf) {
  if (!value) return ["mean", "median", "p90", "p99"].map(() => NONE);
  return ["mean", "median", "p90", "p99"].map((key) =>
    value[key] === null && value.infinite > 0 ? "∞" : digitsOf(value[key]),
  );
}

function fillDivergence(summary, noise) {
  const kinds = [
    ["KL(aligned‖base)", summary.kl_aligned_base],
    ["KL(base‖aligned)", summary.kl_base_aligned],
    ["Jensen–Shannon", summary.js],
  ].filter(([, value]) => value);
  if (!kinds.length || kinds.every(([, value]) => given(value.mean) === null && !value.infinite)) return;
  show("divergence");
  const body = byId("divergence-body");
  body.append(
    table({
      head: ["nats per token", "mean", "median", "p90", "p99"],
      rows: kinds.map(([name, value]) => [name, ...divergence(value, nats)]),
    }),
  );
  const infinite = kinds.find(([, value]) => value.infinite > 0);
  if (infinite) {
    body.append(el("p", { class: "note" }, `∞: at ${count(infinite[1].infinite)} positions one side excludes a token that the other may write.`));
  }
  if (noise && given(noise.kl_mean) !== null) {
    body.append(
      el(
        "p",
        { class: "note" },
        `Rounding alone: the aligned model against itself, read in other batches (${count(noise.positions)} positions), ` +
          `has a KL of ${fixed(noise.kl_mean, 4)} on average and ${fixed(noise.kl_max, 4)} at most. Less than that says nothing.`,
      ),
    );
  }
  const first = (summary.first_k_kl || []).filter((one) => given(one.kl_aligned_base) !== null);
  if (first.length) {
    const most = Math.max(...first.map((one) => one.kl_aligned_base), given(summary.kl_aligned_base?.mean) ?? 0, 1e-9);
    body.append(
      table({
        caption: "Mean KL(aligned‖base) at the beginning of answers",
        className: "firsts",
        head: ["tokens", "", "nats"],
        rows: [...first.map((one) => [one.k === 1 ? "the first" : `first ${count(one.k)}`, one.kl_aligned_base]), ["all", given(summary.kl_aligned_base?.mean)]].map(
          ([name, value]) => [name, { value: bar(value / most), class: "wide" }, nats(value)],
        ),
      }),
    );
  }
}

function fillFigures(head, summary) {
  const bytes = head.bytes || {};
  const both = (name, format) => {
    const value = bytes[name] ?? summary[name];
    return value && (given(value.base) !== null || given(value.aligned) !== null)
      ? [format(value.base), format(value.aligned)]
      : null;
  };
  const pairs = [
    ["Bits per byte", both("bits_per_byte", (x) => fixed(x, 3))],
    ["Entropy, nats", both("entropy", nats)],
    ["Branching factor", both("branching_factor", (x) => fixed(x, 2))],
    ["Probability outside", summary.outside && (summary.outside.base || summary.outside.aligned) ? both("outside", (x) => percent(x, 3)) : null],
  ].filter(([, values]) => values);
  const singles = [
    ["Same first choice", percent(summary.top1_agreement), given(summary.top1_agreement)],
    ["Mean base rank", fixed(summary.mean_base_rank, 2), given(summary.mean_base_rank)],
    ["Agreement where both start a token", percent(bytes.agreement), given(bytes.agreement)],
    ["Exactly the same next piece", percent(bytes.exact), given(bytes.exact)],
    ["Places where both start a token", count(bytes.boundaries), given(bytes.boundaries)],
  ].filter(([, , value]) => value !== null);
  if (!pairs.length && !singles.length) return;
  show("figures");
  if (singles.length) {
    byId("figures-body").append(
      el("dl", { class: "singles" }, singles.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    );
  }
  if (pairs.length) {
    byId("figures-body").append(
      table({ head: ["", "base", "aligned"], rows: pairs.map(([name, values]) => [name, ...values]) }),
    );
  }
}

function fillCurves(points) {
  const most = Math.max(0, ...points.map((point) => point.count ?? 1));
  const drawn = points.filter((point) => (point.count ?? 1) >= FEW * most);
  const any = drawn.some((point) => ["kl_aligned_base", "base_rank", "p_base", "unshifted"].some((key) => given(point[key]) !== null));
  if (drawn.length < 2 || !any) return;
  show("curves");
  const banded = drawn.some((point) => Object.entries(point).some(([key, value]) => key.endsWith("_interval") && value));
  byId("curves-note").textContent = [
    `Means over the items that have a token at a position${drawn.length < points.length ? `; positions that fewer than ${percent(FEW, 0)} of the items reach are only in the table` : ""}.`,
    banded ? "Bands: 95 % intervals, where there are five items or more." : "",
    most > 1 ? `Grey at the foot: how many items reach the position, at most ${count(most)}.` : "",
  ].join(" ");
  const x = drawn.map((point) => point.t);
  const counts = drawn.map((point) => point.count ?? null);
  const curve = (label, key) => ({
    label,
    values: drawn.map((point) => given(point[key])),
    bands: drawn.map((point) => (Array.isArray(point[`${key}_interval`]) ? point[`${key}_interval`].map(given) : null)),
  });
  const chart = (title, unit, series, options) => {
    const given = series.filter(({ values }) => values.some((value) => Number.isFinite(value)));
    if (given.length) byId("curves-body").append(lineChart({ title, unit, x, counts, series: given, ...options }));
  };
  chart("Unshifted tokens", "share of the tokens that are the base side's first choice", [curve("unshifted", "unshifted")], {
    format: (value) => percent(value),
    mark: (value) => `${Math.round(100 * value)} %`,
    most: 1,
  });
  chart("KL divergence", "nats, mean", [curve("aligned‖base", "kl_aligned_base"), curve("base‖aligned", "kl_base_aligned")], { format: nats });
  chart("Base rank", "mean rank of the token on the base side, logarithmic", [curve("rank", "base_rank")], {
    format: (value) => fixed(value, 1),
    log: true,
  });
  chart("Base probability", "mean probability of the token on the base side", [curve("probability", "p_base")], {
    format: (value) => fixed(value, 3),
    most: 1,
  });
  byId("curves-table").addEventListener("toggle", () => {
    if (byId("curves-table").querySelector("table")) return;
    byId("curves-table").append(
      el(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Values by position" },
        table({
          head: ["position", "items", "unshifted", "95 %", "KL(aligned‖base)", "95 %", "KL(base‖aligned)", "JS", "base rank", "base probability"],
          rows: points.map((point) => [
            count(point.t), count(point.count), percent(point.unshifted), intervalText(point.unshifted_interval) || NONE,
            nats(point.kl_aligned_base), intervalText(point.kl_aligned_base_interval, nats) || NONE,
            nats(point.kl_base_aligned), nats(point.js), fixed(point.base_rank, 1), fixed(point.p_base, 3),
          ]),
        }),
      ),
    );
  });
}

const WORDS_AT_FIRST = 15;
const OFTEN = 2;

function fillWords(words) {
  if (!words.length) return;
  show("words");
  const body = byId("words-body");
  // What was shifted a single time says nothing about the token.
  const often = words.filter((word) => word.count >= OFTEN);
  const once = words.length - often.length;
  const most = Math.max(...words.map((word) => word.count));
  const draw = (shown) => {
    const rows = shown.map((word) => [
      { value: el("code", { class: "piece", title: word.id === undefined ? null : `id ${word.id}` }, visible(String(word.token))) },
      { value: bar(word.count / most, "c2"), class: "wide" },
      count(word.count),
      count(word.total),
      percent(word.share),
    ]);
    body.replaceChildren();
    if (rows.length) body.append(table({ head: ["token", "", "shifted", "of", "share"], className: "words", rows }));
    if (shown.length === words.length) return;
    const told = once ? `${count(once)} ${often.length ? "more" : once === 1 ? "token" : "tokens"} ${once === 1 ? "was" : "were"} shifted once. ` : "";
    body.append(
      el("p", { class: "note" }, told, el("button", { type: "button", class: "quiet", onclick: () => draw(words) }, `Show all ${count(words.length)}`)),
    );
  };
  draw(often.slice(0, WORDS_AT_FIRST));
}

function fillGroups(byGroup) {
  const fields = Object.entries(byGroup).filter(([, groups]) => Array.isArray(groups) && groups.length);
  if (!fields.length) return;
  show("groups");
  for (const [field, groups] of fields) {
    byId("groups-body").append(
      table({
        caption: el("bdi", {}, harmless(field)),
        className: "groups",
        head: ["value", "shares", "unshifted", "95 %", "shifted", "95 %", "KL", "items"],
        rows: groups.map((group) => {
          const values = sharesOf(group);
          return [
            { value: el("bdi", {}, group.value === null ? "(none)" : harmless(String(group.value))) },
            { value: values ? shareBar(values, shareLabel(values)) : NONE, class: "wide" },
            percent(group.unshifted),
            intervalText(group.unshifted_interval) || NONE,
            percent(group.shifted),
            intervalText(group.shifted_interval) || NONE,
            divergence(group.kl_aligned_base, nats)[0],
            count(group.items),
          ];
        }),
      }),
    );
  }
  byId("groups-body").append(el("p", { class: "note" }, "KL: mean KL(aligned‖base), nats. Intervals: 95 %, bootstrap over the items of the group; one item has none."));
}
