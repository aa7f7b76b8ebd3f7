// What stands for a run: a letter, a colour and a texture or a dash that does without it.

const INKS = 4;

const runs = { list: [], places: new Map() };

function letter(at) {
  const turn = Math.floor(at / 26);
  return String.fromCharCode(65 + (at % 26)) + (turn || "");
}

function runInk(at) {
  return `c${at % INKS}`;
}

function runTag(at) {
  return el("span", { class: `run-tag ${runInk(at)}` }, letter(at));
}

function runName(at) {
  return harmless(runs.list[at].name);
}

// By a run's name in the document.
function runAt(name) {
  return runs.places.get(name);
}

function judgeName(judge) {
  return harmless(judge) || "an unnamed judge";
}

// The judges of all runs, in order.
function judges() {
  return [...new Set(runs.list.flatMap((run) => run.judges.map(({ judge }) => judge)))];
}

function judgedBy(run, judge) {
  return run.judges.find((said) => said.judge === judge) ?? null;
}

function listed(parts) {
  return parts.map(([why, number]) => `${count(number)} ${harmless(why)}`).join(", ");
}

// Sentences that matter to who asks: some as they are, many behind a line.
function notesOf(lines, title) {
  if (!lines.length) return null;
  const list = el("ul", { class: "notes note" }, lines.map((line) => el("li", {}, line)));
  return lines.length > 4 ? el("details", { class: "plain" }, el("summary", {}, title), list) : list;
}
