// What lists of items are narrowed down with: choices, and words that are found and marked.

function choice(label, options, onchange) {
  return el(
    "select",
    { "aria-label": label, onchange: (event) => onchange(event.target.value) },
    options.map(([value, text]) => el("option", { value }, text)),
  );
}

// The beginning of a text, or where it has the first of the words if that is further on.
function excerpt(text, words, length) {
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const first = places.length ? Math.min(...places) : 0;
  const start = first + 20 > length ? Math.max(0, first - 30) : 0;
  const cut = harmless(text.slice(start, start + length)).replace(/\s+/g, " ").trim();
  return (start ? "…" : "") + cut + (start + length < text.length ? "…" : "");
}

function marked(text, words) {
  if (!words.length) return [text];
  const parts = [];
  const lower = text.toLowerCase();
  // Some letters have another length in lower case; then nothing is marked.
  if (lower.length !== text.length) return [text];
  let at = 0;
  while (at < text.length) {
    const next = words
      .map((word) => [lower.indexOf(word, at), word.length])
      .filter(([place]) => place >= 0)
      .sort((a, b) => a[0] - b[0] || b[1] - a[1])[0];
    if (!next) break;
    parts.push(text.slice(at, next[0]), el("mark", {}, text.slice(next[0], next[0] + next[1])));
    at = next[0] + next[1];
  }
  return [...parts, text.slice(at)];
}
