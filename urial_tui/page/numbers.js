// Numbers as text. A missing number is a dash, never a zero.

const NONE = "–";

function given(x) {
  if (x === "inf") return Infinity;
  return typeof x === "number" && !Number.isNaN(x) ? x : null;
}

function count(x) {
  x = given(x);
  return x === null ? NONE : x.toLocaleString("en");
}

function fixed(x, digits) {
  x = given(x);
  if (x === null) return NONE;
  if (!Number.isFinite(x)) return "∞";
  const smallest = 10 ** -digits;
  if (x > 0 && x < smallest / 2) return `<${smallest.toFixed(digits)}`;
  return x.toFixed(digits);
}

function nats(x) {
  x = given(x);
  return fixed(x, x !== null && x >= 100 ? 1 : x !== null && x >= 10 ? 2 : 3);
}

function percent(x, digits = 1) {
  x = given(x);
  return x === null ? NONE : `${fixed(100 * x, digits)} %`;
}

// A probability with what matters of it, however small.
function probability(x) {
  x = given(x);
  if (x === null) return NONE;
  if (x === 0) return "0";
  if (x >= 0.0001) return percent(x, 2);
  const [digits, exponent] = x.toExponential(1).split("e");
  return `${digits}×10${superscript(exponent)}`;
}

function superscript(exponent) {
  return [...exponent.replace("+", "")]
    .map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)]))
    .join("");
}

function rankText(x) {
  x = given(x);
  return x === null ? NONE : x === 0 ? "absent" : count(x);
}

// A 95 % interval without its unit; of shares in percent.
function intervalText(interval, format = (share) => fixed(100 * share, 1)) {
  return Array.isArray(interval) ? `${format(interval[0])}–${format(interval[1])}` : "";
}

function amount(number, one) {
  return `${count(number)} ${number === 1 ? one : `${one}s`}`;
}

function threeDigits(value) {
  value = given(value);
  if (value === null) return NONE;
  const size = Math.abs(value);
  return fixed(value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
}

// `fixed` calls small positive numbers "<0.005", which has no place behind a sign.
function signed(value, digits) {
  if (given(value) === null) return NONE;
  const text = digits(Math.abs(value));
  const zero = !/[1-9]/.test(text) || text.startsWith("<");
  return zero ? text.replace("<", "±") : `${value > 0 ? "+" : "−"}${text}`;
}
