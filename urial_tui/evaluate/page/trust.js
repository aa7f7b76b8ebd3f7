// How far each judge can be trusted: it beside a reference, and what it says once corrected.

const IN_WHAT = new Map([[true, " with pairs"], [false, " with scores"], [null, ""]]);

function calibrationSection(found) {
  const { judge, pairs, trust, aspects } = found;
  const all = Object.entries(aspects);
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "How far ", el("bdi", {}, judgeName(judge)), ` can be trusted${IN_WHAT.get(pairs)}`),
    el("div", { class: "sentences" }, trust.map((sentence) => el("p", { class: "note" }, el("bdi", {}, harmless(sentence))))),
    all.length ? agreementTable(all, pairs) : null,
    all.length ? correctedTable(all) : null,
    notesOf(aloneNotes(found).concat(correctionNotes(all)), "What to bear in mind"),
  );
}

function agreementTable(all, pairs) {
  return table({
    head: ["Both have judged", "Items", "The same", ...(pairs ? [] : ["Within 1"]), "Rank", "Error", "95 %"],
    rows: all.map(([aspect, { agreement, same }]) => [
      aspect,
      count(agreement.bias.count),
      percent(same.share, 0),
      ...(pairs ? [] : [percent(agreement.near.share, 0)]),
      withSign(agreement.spearman),
      withSign(agreement.bias.mean),
      betweenText(agreement.bias.interval, withSign),
    ]),
  });
}

function correctedTable(all) {
  const rows = all.flatMap(([aspect, { runs: means, wins, differences }]) => [
    ...Object.entries(means).map(([run, found]) => correctedRow(aspect, runCell(run), found, plain)),
    ...Object.entries(wins?.runs ?? {}).map(([run, found]) => correctedRow(`${aspect}, won`, runCell(run), found, plain)),
    ...differences
      .filter(({ corrected }) => corrected.corrected !== null)
      .map(({ first, second, corrected }) => correctedRow(aspect, el("span", {}, runCell(first), " minus ", runCell(second)), corrected, withSign)),
  ]);
  return table({ head: ["Corrected", "", "Judged", "Corrected", "95 %", "Labels"], rows });
}

function correctedRow(aspect, what, { raw, corrected, interval, labels }, text) {
  return [aspect, what, text(raw), { value: text(corrected), class: "strong" }, betweenText(interval, text), count(labels)];
}

// A run by its letter; two that were judged as pairs are "one against the other".
function runCell(name) {
  if (runAt(name) !== undefined) return runTag(runAt(name));
  for (const one of runs.list) {
    for (const other of runs.list) {
      if (name === `${one.name} against ${other.name}`) {
        return el("span", {}, runTag(runAt(one.name)), " against ", runTag(runAt(other.name)));
      }
    }
  }
  return el("bdi", {}, harmless(name));
}

const plain = (value) => fixed(value, 2);

function withSign(value) {
  return signed(value, plain);
}

function betweenText(interval, text) {
  return interval ? `${text(interval[0])} to ${text(interval[1])}` : NONE;
}

function aloneNotes({ pairs, judged_alone: judged, reference_alone: reference }) {
  const what = pairs ? "pair" : "answer";
  return [
    judged ? `${amount(judged, `more ${what}`)} only the judge has judged.` : null,
    reference ? `${amount(reference, `more ${what}`)} only the reference has judged.` : null,
  ].filter(Boolean);
}

function correctionNotes(all) {
  const notes = all.flatMap(([, { runs: means, wins }]) => [...Object.values(means), ...Object.values(wins?.runs ?? {})].map(({ note }) => note));
  return [...new Set(notes)].filter(Boolean).map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`);
}
