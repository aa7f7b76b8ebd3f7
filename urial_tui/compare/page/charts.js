// The ring of shares and the curves over position, as SVG.

const RING = { size: 176, radius: 72, width: 22 };

function ring(values, label) {
  const { size, radius, width } = RING;
  const total = values.reduce((sum, value) => sum + value, 0);
  const middle = size / 2;
  const figure = svg("svg", {
    class: "ring",
    viewBox: `0 0 ${size} ${size}`,
    role: "img",
    "aria-label": label,
  });
  figure.append(
    svg(
      "defs",
      {},
      svg(
        "pattern",
        { id: "dots", width: 5, height: 5, patternUnits: "userSpaceOnUse" },
        svg("rect", { width: 5, height: 5, class: "c1" }),
        svg("circle", { cx: 2.5, cy: 2.5, r: 1.1, class: "texture" }),
      ),
      svg(
        "pattern",
        { id: "lines", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        svg("rect", { width: 5, height: 5, class: "c2" }),
        svg("rect", { width: 1.4, height: 5, class: "texture" }),
      ),
    ),
  );
  const circumference = 2 * Math.PI * radius;
  const shown = values.filter((value) => value > 0).length;
  let done = 0;
  values.forEach((value, code) => {
    if (value <= 0) return;
    const length = (circumference * value) / total;
    const gap = shown > 1 ? Math.min(2, length / 2) : 0;
    figure.append(
      svg("circle", {
        class: `arc c${code}`,
        cx: middle,
        cy: middle,
        r: radius,
        fill: "none",
        "stroke-width": width,
        "stroke-dasharray": `${length - gap} ${circumference - length + gap}`,
        "stroke-dashoffset": -done,
        transform: `rotate(-90 ${middle} ${middle})`,
      }),
    );
    done += length;
  });
  figure.append(
    svg("text", { x: middle, y: middle + 2, class: "ring-value" }, percent(values[0] / total)),
    svg("text", { x: middle, y: middle + 22, class: "ring-name" }, CLASSES[0]),
  );
  return figure;
}

// Round steps that cut [0, most] into three to six parts.
function ticks(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let value = 0; value <= most * 1.0001; value += step) found.push(Number(value.toPrecision(6)));
  return found;
}

// Marks of a logarithmic axis that starts at 1.
function logTicks(most) {
  const factors = most > 200 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = 1; power <= most; power *= 10) found.push(...factors.map((factor) => factor * power));
  return found.filter((value) => value <= most);
}

function legendOf(series) {
  return series.length > 1 ? series.map(({ label }, at) => ({ label, ink: `--c${at}`, dashed: at > 0 })) : [];
}

// The indices of bands that stand side by side.
function runsOf(bands) {
  const runs = [];
  bands.forEach((band, index) => {
    if (!band || !band.every(Number.isFinite)) return;
    if (index && runs.length && runs[runs.length - 1].at(-1) === index - 1) runs[runs.length - 1].push(index);
    else runs.push([index]);
  });
  return runs;
}

const CHART = { height: 220, left: 48, right: 10, top: 10, bottom: 38 };

const FOOT = 0.16;
const SPARE = 1.25;

// A chart of curves over `x` (rising). `series`: [{label, values, bands}]; a value may be null, a
// band is [low, high] or null. `counts`: how many items stand behind each point. `log`: the y axis
// starts at 1. `format` words a value, `mark` a tick.
function lineChart({ title, unit, x, series, counts, format, mark: tick = (value) => value.toLocaleString("en"), log = false, most = null }) {
  const readout = el("p", { class: "readout", "aria-live": "polite" });
  const drawing = svg("svg", { class: "curves", tabindex: 0, role: "img" });
  const legend = el(
    "p",
    { class: "curve-legend" },
    series.length > 1
      ? series.map(({ label }, at) => [el("span", { class: `line s${at}` }), el("span", {}, label)])
      : null,
  );
  const figure = el(
    "figure",
    { class: "chart card" },
    el("div", { class: "chart-head" }, el("h3", {}, title), saveButtons(drawing, { title, unit, legend: legendOf(series) })),
    legend,
    drawing,
    readout,
  );
  const bands = (one) => one.bands ?? [];
  const finite = (numbers) => numbers.filter((value) => Number.isFinite(value));
  const highest = Math.max(...finite(series.flatMap((one) => one.values)), log ? 10 : 1e-9);
  const widest = Math.max(...finite(series.flatMap((one) => bands(one).map((band) => band?.[1]))), highest);
  // A few wide bands must not flatten the curves.
  const top = most ?? Math.min(widest, SPARE * highest);
  const marks = log ? logTicks(Math.max(top, 10)) : ticks(top);
  const last = Math.max(x[x.length - 1], x[0] + 1);
  const summary = series
    .map(({ label, values }) => `${label}: ${format(values[0])} at ${x[0]}, ${format(values[values.length - 1])} at ${x[x.length - 1]}`)
    .join("; ");
  drawing.setAttribute("aria-label", `${title}, ${unit}. ${summary}. Left and right move along the curve.`);
  let at = null;
  let width = 0;
  let place;

  function draw() {
    const { height, left, right, top: above, bottom } = CHART;
    const inner = width - left - right;
    const tall = height - above - bottom;
    const px = (value) => left + (inner * (value - x[0])) / (last - x[0]);
    const scaled = log
      ? (value) => Math.log(Math.max(1, value)) / Math.log(Math.max(top, marks[marks.length - 1]))
      : (value) => value / Math.max(top, marks[marks.length - 1]);
    const py = (value) => above + tall * (1 - Math.min(1, scaled(value)));
    place = { px, py };
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("height", height);
    drawing.replaceChildren();
    for (const mark of marks) {
      drawing.append(
        svg("line", { class: "grid", x1: left, x2: width - right, y1: py(mark), y2: py(mark) }),
        svg("text", { class: "tick y", x: left - 8, y: py(mark) + 4 }, tick(mark)),
      );
    }
    const steps = ticks(last - x[0]).map((step) => x[0] + step);
    for (const mark of steps.filter((step) => Number.isInteger(step))) {
      drawing.append(svg("text", { class: "tick x", x: px(mark), y: height - bottom + 18 }, String(mark)));
    }
    drawing.append(
      svg("text", { class: "axis", x: left + inner / 2, y: height - 4 }, "position (tokens)"),
    );
    const crowd = Math.max(...counts.map((value) => value ?? 0));
    if (crowd > 1) {
      const foot = above + tall;
      const edge = x.map((value, index) => `L${px(value).toFixed(1)} ${(foot - FOOT * tall * ((counts[index] ?? 0) / crowd)).toFixed(1)}`);
      drawing.append(svg("path", { class: "crowd", d: `M${px(x[0]).toFixed(1)} ${foot}${edge.join("")}L${px(x[x.length - 1]).toFixed(1)} ${foot}Z` }));
    }
    series.forEach((one, number) => {
      for (const run of runsOf(bands(one))) {
        const corner = (index, side) => `${px(x[index]).toFixed(1)} ${py(one.bands[index][side]).toFixed(1)}`;
        const there = run.map((index) => corner(index, 1)).join("L");
        const back = run.toReversed().map((index) => corner(index, 0)).join("L");
        drawing.append(svg("path", { class: `band s${number}`, d: `M${there}L${back}Z` }));
      }
    });
    series.forEach(({ values }, number) => {
      let path = "";
      let pen = false;
      values.forEach((value, index) => {
        if (!Number.isFinite(value)) pen = false;
        else {
          path += `${pen ? "L" : "M"}${px(x[index]).toFixed(1)} ${py(value).toFixed(1)}`;
          pen = true;
        }
      });
      drawing.append(svg("path", { class: `curve s${number}`, d: path }));
    });
    drawing.append(svg("g", { class: "cursor" }));
    point(at);
  }

  function point(index) {
    at = index;
    const cursor = drawing.querySelector(".cursor");
    cursor?.replaceChildren();
    if (at === null) {
      readout.textContent = unit;
      return;
    }
    const { px, py } = place;
    const { height, top: above, bottom } = CHART;
    cursor.append(svg("line", { x1: px(x[at]), x2: px(x[at]), y1: above, y2: height - bottom }));
    series.forEach(({ values }, number) => {
      if (Number.isFinite(values[at])) {
        cursor.append(svg("circle", { class: `s${number}`, cx: px(x[at]), cy: py(values[at]), r: 3.5 }));
      }
    });
    const told = series.map(({ label, values, bands }) => {
      const interval = intervalText(bands?.[at], format);
      return `${series.length > 1 ? `${label} ` : ""}${format(values[at])}${interval ? ` (95 %: ${interval})` : ""}`;
    });
    readout.textContent = `position ${x[at]}: ${told.join(" · ")} (${count(counts[at])} ${counts[at] === 1 ? "item" : "items"})`;
  }

  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const wanted = x[0] + ((event.clientX - box.left - CHART.left) / (width - CHART.left - CHART.right)) * (last - x[0]);
    let nearest = 0;
    x.forEach((value, index) => {
      if (Math.abs(value - wanted) < Math.abs(x[nearest] - wanted)) nearest = index;
    });
    point(nearest);
  });
  drawing.addEventListener("pointerleave", () => point(null));
  drawing.addEventListener("blur", () => point(null));
  drawing.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    point(Math.min(x.length - 1, Math.max(0, (at ?? -1) + moves[event.key])));
  });
  new ResizeObserver(() => {
    const now = Math.round(drawing.clientWidth);
    if (now > CHART.left + CHART.right && now !== width) {
      width = now;
      draw();
    }
  }).observe(drawing);
  point(null);
  return figure;
}
