"use strict";

// Foreign text made visible and harmless: what can't be seen gets a sign, and nothing in it
// can reorder the page. Everything that comes from a model or a user is shown through here.

const BIDI = "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";
const HIDDEN = new RegExp(
  `[\\u0000-\\u001f\\u007f-\\u009f\\u00a0\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e` +
    `\\u2000-\\u200b\\u2028\\u2029\\u202f\\u205f-\\u2065\\u206a-\\u206f\\u3000\\u3164\\ufeff\\uffa0` +
    `\\ufff0-\\ufffb${BIDI}\\ue000-\\uf8ff]|[\\u{e0000}-\\u{10ffff}]|[\\ud800-\\udfff]`,
  "u",
);
const SPACES = /^ +$/;
// How the document writes a byte that is part of a character.
const LOOSE_BYTE = /\\x([89a-f][0-9a-f])/;
const RUNS = new RegExp(`( +|${LOOSE_BYTE.source.replace("(", "(?:")})`);

function sign(character) {
  const code = character.codePointAt(0);
  if (character === "\n") return "↵";
  if (character === "\t") return "⇥";
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}

// A text as pieces {text, marked}; `flow` keeps line breaks, tabs and single spaces as they are.
function pieces(text, flow) {
  const found = [];
  const add = (part, marked) => {
    const last = found[found.length - 1];
    if (last && last.marked === marked) last.text += part;
    else found.push({ text: part, marked });
  };
  for (const run of text.split(RUNS)) {
    if (!run) continue;
    if (SPACES.test(run)) {
      const start = found.length === 0;
      const inner = !start && run.length === 1 && !text.endsWith(run);
      if (flow && run.length === 1 && run !== text) add(" ", false);
      else if (!flow && inner) add(" ", false);
      else add((flow ? "·" : "␣").repeat(run.length), true);
      continue;
    }
    const loose = LOOSE_BYTE.exec(run);
    if (loose) {
      add(`‹${loose[1].toUpperCase()}›`, true);
      continue;
    }
    for (const character of run) {
      if (!HIDDEN.test(character)) add(character, false);
      else {
        add(sign(character), true);
        if (flow && (character === "\n" || character === "\t")) add(character, false);
      }
    }
  }
  if (!found.length) add("∅", true);
  // A mark that combines would settle on whatever stands in front of the token.
  else if (!flow && /^\p{M}/u.test(found[0].text)) found[0].text = "◌" + found[0].text;
  if (/^[\u200c\u200d]+$/.test(text)) return [{ text: [...text].map(sign).join(""), marked: true }];
  return found;
}

function visible(text, flow = false) {
  const fragment = document.createDocumentFragment();
  for (const piece of pieces(text, flow)) {
    if (piece.marked) fragment.append(el("span", { class: "sign" }, piece.text));
    else fragment.append(piece.text);
  }
  return fragment;
}

// One line as a plain string, for labels.
function visibleLine(text) {
  return pieces(text, false)
    .map((piece) => piece.text)
    .join("");
}

// Running text: harmless, but with its own spaces and line breaks.
function harmless(text) {
  return [...text]
    .map((character) =>
      character === "\n" || character === "\t" || !HIDDEN.test(character)
        ? character
        : /[\u00a0\u2000-\u200a\u202f\u205f\u3000]/.test(character)
          ? " "
          : sign(character),
    )
    .join("");
}
