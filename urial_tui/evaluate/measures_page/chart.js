// Figures with their intervals on one axis, as SVG: a row a context.

const CHART = { row: 30, label: 176, number: 64, axis: 26, top: 8, narrow: 460, letter: 6.9 };

// `rows`: [{name, value, interval, ink, hollow}], where a value may be null. `digits` words a value,
// `zero` draws the line that differences are on both sides of.
function intervalChart(rows, { width, digits, zero, label }) {
  // Where there is no room beside them, names stand above their rows.
  const stacked = width < CHART.narrow;
  const row = stacked ? CHART.row + 16 : CHART.row;
  const left = stacked ? 8 : CHART.label;
  const right = width - CHART.number;
  const height = CHART.top + rows.length * row + CHART.axis;
  const [low, high] = bounds(rows, zero);
  const x = (value) => left + ((value - low) / (high - low)) * (right - left);
  const figure = svg("svg", { class: "intervals", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  const bottom = CHART.top + rows.length * row;
  for (const value of axisTicks(low, high)) {
    figure.append(
      svg("line", { class: "grid", x1: x(value), x2: x(value), y1: CHART.top, y2: bottom }),
      svg("text", { class: "tick", x: x(value), y: bottom + 16, "text-anchor": "middle" }, digits(value)),
    );
  }
  if (zero) figure.append(svg("line", { class: "nought", x1: x(0), x2: x(0), y1: CHART.top, y2: bottom }));
  rows.forEach(({ name, value, interval, ink, hollow }, at) => {
    const y = CHART.top + at * row + (stacked ? 28 : row / 2);
    const most = Math.floor(((stacked ? right : CHART.label) - 12) / CHART.letter);
    figure.append(
      svg("text", { class: "name", x: stacked ? 0 : CHART.label - 12, y: stacked ? y - 12 : y + 4, "text-anchor": stacked ? "start" : "end" }, shortened(name, most)),
    );
    if (value === null) {
      figure.append(svg("text", { class: "tick", x: width, y: y + 4, "text-anchor": "end" }, NONE));
      return;
    }
    if (interval) {
      const [first, last] = interval.map(x);
      figure.append(
        svg("line", { class: `range ${ink}`, x1: first, x2: last, y1: y, y2: y }),
        svg("line", { class: `range ${ink}`, x1: first, x2: first, y1: y - 4, y2: y + 4 }),
        svg("line", { class: `range ${ink}`, x1: last, x2: last, y1: y - 4, y2: y + 4 }),
      );
    }
    figure.append(
      svg("circle", { class: `mark ${ink}${hollow ? " hollow" : ""}`, cx: x(value), cy: y, r: 5 }),
      svg("text", { class: "value", x: width, y: y + 4, "text-anchor": "end" }, digits(value)),
    );
  });
  return figure;
}

// The ends of the axis: all values and intervals, with some room, and 0 for differences.
function bounds(rows, zero) {
  const all = rows.flatMap(({ value, interval }) => [value, ...(interval ?? [])]).filter((value) => value !== null && Number.isFinite(value));
  if (zero) all.push(0);
  if (!all.length) return [0, 1];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.06 || 1e-6;
  return [low - room, high + room];
}

// Round numbers between two ends, three to six of them.
function axisTicks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high && found.length < 9; at++) found.push(Number((at * step).toPrecision(6)));
  return found;
}

function shortened(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, Math.max(1, most - 1)).join("")}…`;
}
