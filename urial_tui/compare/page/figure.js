// A drawing as a file: SVG with its colours in it, or PNG, drawn shape by shape on a canvas.
// Nothing is loaded for that, so the page's policy need not allow any image.

const INKS = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-dashoffset", "font-size", "font-weight", "text-anchor", "opacity"];
const FRAME = { side: 16, head: 76, foot: 28, least: 420, scale: 3, letter: 6.6 };

// `about`: {title, unit, legend: [{label, ink, dashed}]}, where `ink` names a colour of the page.
function saveButtons(drawing, about) {
  const button = (kind, save) =>
    el("button", { type: "button", class: "quiet save", title: `Save this figure as ${kind}`, onclick: () => save(framed(drawing, about), about.title) }, kind);
  return el("span", { class: "saves" }, button("SVG", saveSvg), button("PNG", savePng));
}

function saveSvg(figure, title) {
  keep(new Blob([new XMLSerializer().serializeToString(figure)], { type: "image/svg+xml" }), title, "svg");
}

function savePng(figure, title) {
  const [width, height] = ["width", "height"].map((name) => FRAME.scale * numberOf(figure, name));
  const canvas = el("canvas", { width, height });
  const brush = canvas.getContext("2d");
  brush.scale(FRAME.scale, FRAME.scale);
  paint(brush, figure, figure);
  canvas.toBlob((blob) => blob && keep(blob, title, "png"), "image/png");
}

function keep(blob, title, ending) {
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: `${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// The drawing with a title, a legend and its source around it, every ink written out.
function framed(drawing, { title, unit, legend }) {
  const [, , inner, height] = drawing.getAttribute("viewBox").split(" ").map(Number);
  const width = Math.max(inner + 2 * FRAME.side, FRAME.least);
  const full = height + FRAME.head + FRAME.foot;
  const colour = colours();
  const text = (x, y, size, ink, words, weight = 400) =>
    svg("text", { x, y, fill: colour(ink), "font-size": `${size}px`, "font-weight": weight }, words);
  const keys = [];
  let at = FRAME.side;
  for (const { label, ink, dashed } of legend) {
    keys.push(svg("line", { x1: at, x2: at + 20, y1: 62, y2: 62, stroke: colour(ink), "stroke-width": 3, "stroke-dasharray": dashed ? "5 3" : "none" }));
    keys.push(text(at + 26, 66, 12, "--muted", label));
    at += 44 + FRAME.letter * label.length;
  }
  const figure = svg(
    "svg",
    { viewBox: `0 0 ${width} ${full}`, width, height: full, "font-family": "sans-serif" },
    svg("rect", { width, height: full, fill: colour("--surface") }),
    text(FRAME.side, 26, 16, "--ink", title, 600),
    text(FRAME.side, 45, 12, "--muted", unit),
    keys,
    svg("g", { transform: `translate(${(width - inner) / 2} ${FRAME.head})` }, inked(drawing)),
    text(FRAME.side, full - 10, 11, "--muted", sourceLine()),
  );
  colour.done();
  return figure;
}

// The page's colours as they are now, light or dark.
function colours() {
  const probe = el("span", { hidden: true });
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  colour.done = () => probe.remove();
  return colour;
}

// Copies of the shapes of a drawing, with what a style sheet gave them as their own.
function inked(drawing) {
  const copy = drawing.cloneNode(true);
  copy.querySelector(".cursor")?.remove();
  const originals = [...drawing.querySelectorAll("*")].filter((shape) => !shape.closest(".cursor"));
  [...copy.querySelectorAll("*")].forEach((shape, at) => {
    const style = getComputedStyle(originals[at]);
    for (const name of INKS) {
      const value = style.getPropertyValue(name);
      if (value) shape.setAttribute(name, value);
    }
    shape.removeAttribute("class");
  });
  return [...copy.childNodes];
}

function sourceLine() {
  const { program, time } = page.head.run ?? {};
  const made = [program, typeof time === "string" ? time.slice(0, 10) : null];
  return [sideTitles(page.head).join(" → "), ...made].filter((part) => typeof part === "string").map(harmless).join(" · ");
}

function numberOf(shape, name) {
  return Number.parseFloat(shape.getAttribute(name)) || 0;
}

// Draws the shapes that this page makes: rectangles, lines, circles, paths, texts and groups.
function paint(brush, shape, figure) {
  if (shape.localName === "defs") return;
  const number = (name) => numberOf(shape, name);
  brush.save();
  moveBy(brush, shape.getAttribute("transform") ?? "");
  brush.globalAlpha = shape.hasAttribute("opacity") ? number("opacity") : 1;
  if (shape.localName === "text") {
    brush.font = `${shape.getAttribute("font-weight")} ${shape.getAttribute("font-size")} sans-serif`;
    brush.textAlign = { middle: "center", end: "right" }[shape.getAttribute("text-anchor")] ?? "left";
    brush.fillStyle = shape.getAttribute("fill");
    brush.fillText(shape.textContent, number("x"), number("y"));
  } else {
    const path = outline(shape, number);
    const inks = ["fill", "stroke"].map((name) => plainInk(shape.getAttribute(name), figure));
    if (inks[0] && shape.localName !== "line") {
      brush.fillStyle = inks[0];
      brush.fill(path);
    }
    if (inks[1]) {
      brush.strokeStyle = inks[1];
      brush.lineWidth = number("stroke-width") || 1;
      brush.setLineDash((shape.getAttribute("stroke-dasharray") ?? "").match(/[\d.]+/g)?.map(Number) ?? []);
      brush.lineDashOffset = number("stroke-dashoffset");
      brush.stroke(path);
    }
    for (const child of shape.children) paint(brush, child, figure);
  }
  brush.restore();
}

function outline(shape, number) {
  const path = new Path2D(shape.localName === "path" ? shape.getAttribute("d") : "");
  if (shape.localName === "rect") path.rect(number("x"), number("y"), number("width"), number("height"));
  if (shape.localName === "circle") path.arc(number("cx"), number("cy"), number("r"), 0, 2 * Math.PI);
  if (shape.localName === "line") {
    path.moveTo(number("x1"), number("y1"));
    path.lineTo(number("x2"), number("y2"));
  }
  return path;
}

// A colour; of a pattern, that of its ground; null for none.
function plainInk(ink, figure) {
  if (!ink || ink === "none") return null;
  const [, pattern] = /^url\("?#(\w+)"?\)/.exec(ink) ?? [];
  return pattern ? figure.querySelector(`#${pattern} rect`).getAttribute("fill") : ink;
}

function moveBy(brush, transform) {
  const [, kind, ...values] = /^(translate|rotate)\(([-\d.]+) ([-\d.]+)(?: ([-\d.]+))?\)$/.exec(transform) ?? [];
  const [a, b, c] = values.map(Number);
  if (kind === "translate") brush.translate(a, b);
  if (kind === "rotate") {
    brush.translate(b, c);
    brush.rotate((a * Math.PI) / 180);
    brush.translate(-b, -c);
  }
}
