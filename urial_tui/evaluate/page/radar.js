// Scores as a radar and as bars. Both start at 1, the lowest score that there is.

const SCALE = { low: 1, high: 5 };
const RADAR = { width: 420, height: 320, radius: 124 };

// `axes`: names; `series`: [{at, values}] of runs, where a value may be null.
function radar(axes, series, label) {
  const { width, height, radius } = RADAR;
  const [middle, centre] = [width / 2, height / 2 + 4];
  const angle = (at) => (2 * Math.PI * at) / axes.length - Math.PI / 2;
  const spot = (at, share) => [middle + share * radius * Math.cos(angle(at)), centre + share * radius * Math.sin(angle(at))];
  const path = (shares) => `M${shares.map((share, at) => spot(at, share).map((value) => value.toFixed(1)).join(" ")).join("L")}Z`;
  const figure = svg("svg", { class: "radar", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (let score = SCALE.low; score <= SCALE.high; score++) {
    figure.append(svg("path", { class: "grid", d: path(axes.map(() => scaled(score))) }));
    // The outermost one would stand in the name of the first axis.
    if (score < SCALE.high) figure.append(svg("text", { class: "tick", x: middle + 4, y: centre - radius * scaled(score) - 3 }, score));
  }
  axes.forEach((name, at) => {
    const [x, y] = spot(at, 1);
    const [labelX, labelY] = spot(at, 1.1);
    const anchor = Math.abs(labelX - middle) < 8 ? "middle" : labelX > middle ? "start" : "end";
    figure.append(
      svg("line", { class: "grid", x1: middle, y1: centre, x2: x, y2: y }),
      svg("text", { class: "axis", x: labelX, y: labelY + 4, "text-anchor": anchor }, name),
    );
  });
  for (const { at, values } of series) {
    // A shape with a hole in it would lie about what is next to the hole.
    const whole = values.every((value) => value !== null);
    if (whole) figure.append(svg("path", { class: `shape ${runInk(at)}`, d: path(values.map(scaled)) }));
    values.forEach((value, axis) => {
      if (value === null) return;
      const [x, y] = spot(axis, scaled(value));
      figure.append(svg("circle", { class: `dot ${runInk(at)}`, cx: x, cy: y, r: 3 }));
    });
  }
  return figure;
}

function scaled(score) {
  return (Math.min(SCALE.high, Math.max(SCALE.low, score)) - SCALE.low) / (SCALE.high - SCALE.low);
}

// A bar from the start of a range to a value, and its interval as a whisker; shares of the range.
function track(value, interval, ink) {
  const fill = el("span", { class: `fill ${ink}`, "width%": 100 * value });
  return el("span", { class: "track", "aria-hidden": "true" }, fill, interval ? whisker(...interval) : null);
}

// A range with 0 in its middle: a difference as a dot, its interval around it.
function balance(value, interval, most) {
  const share = (number) => Math.min(1, Math.max(0, 0.5 + number / most / 2));
  const dot = el("span", { class: "point" });
  dot.style.insetInlineStart = `${100 * share(value)}%`;
  return el(
    "span",
    { class: "track balance", "aria-hidden": "true" },
    el("span", { class: "zero" }),
    interval ? whisker(share(interval[0]), share(interval[1])) : null,
    dot,
  );
}

function whisker(low, high) {
  const line = el("span", { class: "whisker" });
  line.style.insetInlineStart = `${100 * low}%`;
  line.style.inlineSize = `${100 * Math.max(0, high - low)}%`;
  return line;
}

// All aspects of a judge, each with a bar a run.
function scoreBars(aspects, judged) {
  return el(
    "div",
    { class: "score-bars" },
    aspects.map((aspect) =>
      el(
        "div",
        { class: "score-aspect" },
        el("p", { class: "score-name" }, harmless(aspect)),
        judged.map(([at, said]) => {
          const found = said.aspects[aspect];
          if (!found || given(found.mean) === null) return null;
          return el(
            "p",
            { class: "score-line" },
            runTag(at),
            track(scaled(found.mean), found.interval?.map(scaled), runInk(at)),
            el("span", { class: "score-value" }, fixed(found.mean, 2)),
            el("span", { class: "score-interval" }, intervalText(found.interval, (score) => fixed(score, 2))),
          );
        }),
      ),
    ),
  );
}
