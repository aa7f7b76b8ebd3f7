// One item: its answer token by token, and what both sides thought at a token.

const STRIP = { height: 44 };
const open = { place: null, data: null, at: null, tokens: [], loading: 0 };

async function openItem(place, at) {
  const row = index.rows[place];
  if (open.place === place && open.data) {
    pin(at);
    return;
  }
  const ticket = ++open.loading;
  Object.assign(open, { place, data: null, at: null, tokens: [] });
  const { at: found, previous, next } = neighbours(place);
  byId("item-place").textContent = found === null ? `item ${count(place + 1)}` : `${count(found + 1)} of ${count(index.found.length)}`;
  byId("item-previous").disabled = !previous;
  byId("item-next").disabled = !next;
  byId("item-query").textContent = harmless(row.query) || `Text ${harmless(String(row.id ?? place + 1))}`;
  byId("item-query").classList.toggle("long", row.query.length > 160);
  byId("item-facts").textContent = facts(row).join(" · ");
  for (const id of ["answer", "strip", "legend", "contexts-shown", "detail"]) byId(id).replaceChildren();
  show("item-failed", false);
  try {
    const data = await loadItem(place);
    if (ticket !== open.loading) return;
    open.data = data;
  } catch (error) {
    if (ticket !== open.loading) return;
    byId("item-failed").textContent = error instanceof Unreadable ? error.message : "This item can't be read. Write the report again.";
    show("item-failed");
    show("item-body", false);
    return;
  }
  show("item-body");
  if (open.data.bytes) byId("item-facts").textContent = [...facts(row), ...byteFacts(open.data.bytes)].join(" · ");
  drawLegend(row);
  drawAnswer();
  drawStrip();
  drawContexts();
  pin(at);
}

function facts(row) {
  const parts = [`id ${harmless(String(row.id ?? row.place + 1))}`, ];
  if (row.length) parts.push(`${count(row.length)} ${row.length === 1 ? "token" : "tokens"}`);
  if (row.shifted !== null) parts.push(shareLabel(row.classes.slice(0, 3)));
  if (row.kl !== null) parts.push(`mean KL(aligned‖base) ${nats(row.kl)} nats`);
  for (const [field, value] of Object.entries(row.fields)) parts.push(`${harmless(field)} ${harmless(String(value))}`);
  return parts;
}

// What two different vocabularies say about the same bytes.
function byteFacts({ bits_per_byte_base: base, bits_per_byte_aligned: aligned, agreement, boundaries }) {
  const parts = [];
  if (given(base) !== null || given(aligned) !== null) parts.push(`bits per byte ${fixed(base, 3)} base, ${fixed(aligned, 3)} aligned`);
  if (given(agreement) !== null) parts.push(`agreement ${percent(agreement)} at ${count(boundaries)} places where both start a token`);
  return parts;
}

function className(position) {
  const code = open.data.cls[position];
  const kind = code < CLASSES.length ? ` c${code}` : "";
  return `word${kind}${open.data.special[position] ? " special" : ""}`;
}

function classText(position) {
  const code = open.data.cls[position];
  return (code < CLASSES.length ? CLASSES[code] : "no class") + (open.data.special[position] ? ", special token" : "");
}

function drawLegend(row) {
  byId("legend").replaceChildren(
    ...CLASSES.map((name, code) =>
      code < 3 || row.classes[code]
        ? el("li", {}, el("span", { class: `word c${code}` }, name), ` ${CLASS_RULES[code]}`)
        : null,
    ).filter(Boolean),
  );
  if (!row.classes.some(Boolean)) byId("legend").replaceChildren();
}

function drawAnswer() {
  const { data } = open;
  open.tokens = data.token.map((token, position) =>
    el(
      "span",
      {
        class: "token",
        role: "option",
        id: `token-${position}`,
        "aria-selected": "false",
        "data-at": position,
        "aria-label": `${visibleLine(token.text)}, ${classText(position)}`,
      },
      spaced(token.text, className(position)),
    ),
  );
  byId("answer").replaceChildren(...open.tokens);
  byId("detail").hidden = !data.n;
  byId("answer").hidden = !data.n;
  byId("plain-answer").hidden = Boolean(data.n);
  if (data.n) return;
  const { answer } = index.rows[open.place];
  byId("plain-answer").replaceChildren(answer ? visible(answer, true) : el("span", { class: "note" }, "The answer has no tokens."));
}

// The space before a word stays plain, so that lines run under words and not under gaps.
function spaced(text, className) {
  const space = /^ (?=[^ ])/.test(text) ? " " : "";
  return [space, el("span", { class: className }, visible(text.slice(space.length), true))];
}

// KL over the answer as bars, one path a class.
function drawStrip() {
  const { data } = open;
  const strip = byId("strip");
  const kl = data.klAlignedBase;
  const finite = kl.filter((value) => Number.isFinite(value));
  strip.toggleAttribute("hidden", data.n < 2 || !finite.length);
  if (data.n < 2 || !finite.length) return;
  const most = Math.max(...finite, 1e-9);
  const paths = ["", "", "", "", ""];
  kl.forEach((value, position) => {
    if (value === null) return;
    const tall = Math.max(0.6, (STRIP.height - 2) * Math.min(1, value / most));
    const code = Math.min(data.cls[position], 4);
    paths[code] += `M${position + 0.1} ${STRIP.height}v${-tall}h.8v${tall}z`;
  });
  strip.setAttribute("viewBox", `0 0 ${data.n} ${STRIP.height}`);
  strip.setAttribute("preserveAspectRatio", "none");
  strip.replaceChildren(
    svg("rect", { class: "strip-cursor", id: "strip-cursor", width: 1, height: STRIP.height, visibility: "hidden" }),
    ...paths.map((d, code) => svg("path", { class: `c${code}`, d })),
  );
}

function drawContexts() {
  const { data, place } = open;
  const names = { base: "Base", aligned: "Aligned" };
  byId("contexts-shown").replaceChildren(
    ...SIDES.filter((side) => data.contexts[side]).map((side) => {
      const { text, tokens } = data.contexts[side];
      const label = contextName(page.head[side]);
      return el(
        "details",
        { class: "plain" },
        el(
          "summary",
          {},
          `${names[side]} context: `,
          el("bdi", {}, label),
          tokens === null ? "" : ` (${count(tokens)} ${tokens === 1 ? "token" : "tokens"})`,
        ),
        el("pre", { dir: "auto", tabindex: 0, "aria-label": `${names[side]} context of item ${place + 1}` }, visible(text, true)),
      );
    }),
  );
}

// -- one token ---------------------------------------------------------------------------

// Pin a token, or none; out of range goes to the nearest.
function pin(at) {
  const { data, tokens } = open;
  if (!data) return;
  const before = open.at;
  open.at = at === null || !data.n ? null : Math.min(data.n - 1, Math.max(0, at));
  if (before !== null) {
    tokens[before]?.classList.remove("pinned");
    tokens[before]?.setAttribute("aria-selected", "false");
  }
  const answer = byId("answer");
  const cursor = byId("strip-cursor");
  byId("detail").classList.toggle("empty", open.at === null);
  if (open.at === null) {
    answer.removeAttribute("aria-activedescendant");
    cursor?.setAttribute("visibility", "hidden");
    byId("detail").replaceChildren(
      el("p", { class: "note" }, "Choose a token to see what both sides expected there. ", el("kbd", {}, "n"), " goes to the next shifted one."),
    );
    return;
  }
  const token = tokens[open.at];
  token.classList.add("pinned");
  token.setAttribute("aria-selected", "true");
  answer.setAttribute("aria-activedescendant", token.id);
  cursor?.setAttribute("x", open.at);
  cursor?.setAttribute("visibility", "visible");
  drawDetail();
  reveal(token);
  byId("said").textContent = `${visibleLine(data.token[open.at].text)}: ${classText(open.at)}, rank ${rankText(data.rank[open.at])}, base ${probability(data.p.base[open.at])}, aligned ${probability(data.p.aligned[open.at])}`;
}

// Into view, and not under the panel that covers the lower part of a narrow window.
function reveal(token) {
  const panel = byId("detail").getBoundingClientRect();
  const covered = getComputedStyle(byId("detail")).position === "fixed" ? window.innerHeight - panel.top : 0;
  const box = token.getBoundingClientRect();
  const below = window.innerHeight - covered - 24;
  if (box.top < 72) window.scrollBy(0, box.top - 72);
  else if (box.bottom > below) window.scrollBy(0, box.bottom - below);
}

function numbersOf(position) {
  const { data } = open;
  const pair = (base, aligned) => [base, aligned];
  return {
    pairs: [
      ["probability", ...pair(probability(data.p.base[position]), probability(data.p.aligned[position]))],
      ["entropy", ...pair(nats(data.entropy.base[position]), nats(data.entropy.aligned[position]))],
      ["branching factor", ...SIDES.map((side) => (data.entropy[side][position] === null ? NONE : fixed(Math.exp(data.entropy[side][position]), 2)))],
    ].filter((row) => row.slice(1).some((text) => text !== NONE)),
    singles: [
      ["base rank", rankText(data.rank[position])],
      ["KL(aligned‖base)", nats(data.klAlignedBase[position])],
      ["KL(base‖aligned)", nats(data.klBaseAligned[position])],
      ["Jensen–Shannon", nats(data.js[position])],
    ].filter(([, text]) => text !== NONE),
  };
}

function bytesText(position) {
  const hex = (part) => Array.from(new TextEncoder().encode(part), (byte) => byte.toString(16).padStart(2, "0"));
  const parts = open.data.token[position].text.split(LOOSE_BYTE);
  // Every second part is what stood in the parentheses of the pattern.
  return parts.flatMap((part, number) => (number % 2 ? [part] : hex(part))).join(" ") || "none";
}

function drawDetail() {
  const { data, at } = open;
  const token = data.token[at];
  const { pairs, singles } = numbersOf(at);
  const lists = Object.fromEntries(SIDES.map((side) => [side, data.top(side, at)]));
  const step = (label, title, target) =>
    el("button", { type: "button", class: "quiet", title, "aria-label": title, disabled: target === null, onclick: () => goToken(target) }, label);
  byId("detail").replaceChildren(
    el(
      "div",
      { class: "detail-head" },
      el("code", { class: `piece big ${className(at)}` }, visible(token.text)),
      el("span", { class: "grow" }),
      step("←", "previous token", at > 0 ? at - 1 : null),
      step("→", "next token", at + 1 < data.n ? at + 1 : null),
      el("button", { type: "button", class: "quiet", "aria-label": "let go of the token", title: "Esc", onclick: () => goToken(null) }, "×"),
    ),
    el("p", { class: "note" }, `position ${count(data.t[at])} · ${classText(at)} · id ${token.id} · bytes `, el("code", {}, bytesText(at))),
    el("dl", { class: "singles" }, singles.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    el("div", { class: "tops" }, SIDES.map((side) => topList(side, lists, token)).filter(Boolean)),
    overlap(lists) ?? "",
    pairs.length ? table({ head: ["", "base", "aligned"], rows: pairs }) : "",
  );
}

const same = (a, b) => a.id === b.id && a.text === b.text;

function topList(side, lists, token) {
  const entries = lists[side].map((entry, place) => ({ ...entry, place: place + 1 }));
  if (!entries.length) return null;
  const forced = entries.some((entry) => same(entry, token));
  const rank = side === "base" ? open.data.rank[open.at] : null;
  if (!forced && open.data.p[side][open.at] !== null) {
    entries.push({ ...token, p: open.data.p[side][open.at], place: rank || "", apart: true });
  }
  return el(
    "table",
    { class: "top" },
    el("caption", {}, `${side === "base" ? "Base" : "Aligned"}, top ${lists[side].length}`),
    el("colgroup", {}, ["place", "piece-column", "bar-column", "p"].map((name) => el("col", { class: name }))),
    el("thead", {}, el("tr", {}, ["place", "token", "", "probability"].map((name) => el("th", { scope: "col" }, el("span", { class: "unseen" }, name))))),
    el(
      "tbody",
      {},
      entries.map((entry) => {
        const chosen = same(entry, token);
        const classes = [chosen ? "chosen" : "", entry.apart ? "apart" : ""].join(" ").trim();
        return el(
          "tr",
          { class: classes || null },
          el("td", { class: "number" }, entry.apart && entry.place ? count(entry.place) : String(entry.place)),
          el("th", { scope: "row", title: `id ${entry.id}` }, chosen ? el("span", { class: "unseen" }, "the answer's token: ") : null, el("code", { class: "piece" }, visible(entry.text))),
          el("td", { class: "wide" }, bar(entry.p, side)),
          el("td", { class: "number" }, probability(entry.p)),
        );
      }),
    ),
  );
}

function overlap({ base, aligned }) {
  if (!base.length || !aligned.length) return null;
  const both = base.filter((entry) => aligned.some((other) => same(entry, other))).length;
  return el("p", { class: "note" }, `${both} of ${Math.min(base.length, aligned.length)} tokens are in both lists.`);
}

// -- moving ------------------------------------------------------------------------------

function goToken(at) {
  if (open.place === null) return;
  pin(at);
  history.replaceState(null, "", itemHash(open.place, open.at));
}

function nextShifted(sense) {
  const { data, at } = open;
  if (!data) return;
  for (let place = at === null ? (sense > 0 ? 0 : data.n - 1) : at + sense; place >= 0 && place < data.n; place += sense) {
    if (data.cls[place] === SHIFTED) return goToken(place);
  }
  byId("said").textContent = sense > 0 ? "No shifted token follows." : "No shifted token before this one.";
}

// The token above or below, at the same place of its line.
function goLine(sense) {
  const { tokens, at } = open;
  if (at === null) return goToken(sense > 0 ? 0 : tokens.length - 1);
  const from = tokens[at].getClientRects()[0];
  const middle = (box) => (box.left + box.right) / 2;
  let best = null;
  let line = null;
  for (let place = at + sense; place >= 0 && place < tokens.length; place += sense) {
    const box = tokens[place].getClientRects()[0];
    if (!box) continue;
    if (Math.abs(box.top - from.top) < from.height / 2) continue;
    line ??= box.top;
    if (Math.abs(box.top - line) > from.height / 2) break;
    const distance = Math.abs(middle(box) - middle(from));
    if (best === null || distance < best.distance) best = { place, distance };
  }
  if (best) goToken(best.place);
}

// -- hovering ----------------------------------------------------------------------------

function showTip(token) {
  const at = Number(token.dataset.at);
  const { data } = open;
  const { pairs, singles } = numbersOf(at);
  const tip = byId("tip");
  tip.replaceChildren(
    el("p", { class: "tip-head" }, el("code", { class: "piece" }, visible(data.token[at].text)), ` ${classText(at)}`),
    el("dl", {}, [...singles, ...pairs.slice(0, 1).map((row) => ["p base, aligned", `${row[1]}, ${row[2]}`])].map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
  );
  tip.hidden = false;
  const box = token.getClientRects()[0] ?? token.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const above = box.top - size.height - 8;
  tip.style.left = `${Math.max(8, Math.min(window.innerWidth - size.width - 8, box.left))}px`;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

function listenToItem() {
  const answer = byId("answer");
  answer.addEventListener("pointerover", (event) => {
    const token = event.target.closest?.(".token");
    if (token && event.pointerType === "mouse" && open.data) showTip(token);
  });
  answer.addEventListener("pointerleave", () => show("tip", false));
  window.addEventListener("scroll", () => show("tip", false), { passive: true });
  answer.addEventListener("click", (event) => {
    const token = event.target.closest?.(".token");
    if (!token || !open.data) return;
    show("tip", false);
    goToken(Number(token.dataset.at));
  });
  byId("strip").addEventListener("click", (event) => {
    const box = byId("strip").getBoundingClientRect();
    if (open.data) goToken(Math.floor(((event.clientX - box.left) / box.width) * open.data.n));
  });
}
