// The shares of the classes as one bar, and in words.

// Shares of the classes as one bar; each class has its own texture as well as its colour.
function shareBar(values, label, className = "") {
  const total = values.reduce((sum, value) => sum + value, 0);
  return el(
    "span",
    { class: `sharebar ${className}`, role: "img", "aria-label": label },
    values.map((value, code) =>
      value > 0 ? el("span", { class: `fill c${code}`, "width%": (100 * value) / total }) : null,
    ),
  );
}

function shareLabel(values) {
  const total = values.reduce((sum, value) => sum + value, 0) || 1;
  return values
    .map((value, code) => (value > 0 ? `${percent(value / total)} ${CLASSES[code]}` : null))
    .filter(Boolean)
    .join(", ");
}
