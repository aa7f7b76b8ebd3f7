// Reading the data blocks of this file. The format is described in compare/report_data.py.

const CLASSES = ["unshifted", "marginal", "shifted", "absent"];
const CLASS_RULES = [
  "rank 1: the base model's own choice",
  "rank 2 or 3",
  "rank above 3",
  "not in the base model's vocabulary",
];
const SHIFTED = 2;
const SIDES = ["base", "aligned"];
const NO_INT = 0xffffffff;
const P_STEPS = 11448;
const P_ZERO = 65534;
const P_NONE = 65535;

// Columns of an item as typed arrays, from a buffer of byte planes.
class Columns {
  constructor(buffer) {
    this.bytes = new Uint8Array(buffer);
    const length = new DataView(buffer).getUint32(0, true);
    this.head = JSON.parse(new TextDecoder().decode(this.bytes.subarray(4, 4 + length)));
    this.at = 4 + length;
  }

  u32(n) {
    return this.planes(n, 4, new Uint32Array(n));
  }

  u16(n) {
    return this.planes(n, 2, new Uint16Array(n));
  }

  u8(n) {
    return this.planes(n, 1, new Uint8Array(n));
  }

  p(n) {
    return Array.from(this.u16(n), (code) =>
      code === P_NONE ? null : code === P_ZERO ? 0 : Math.exp(-((code / P_STEPS) ** 2)),
    );
  }

  nats(n) {
    const bits = this.planes(n, 3, new Uint32Array(n)).map((upper) => upper << 8);
    return Array.from(new Float32Array(bits.buffer), (value) => (Number.isNaN(value) ? null : value));
  }

  planes(n, size, out) {
    for (let plane = 0; plane < size; plane++) {
      for (let index = 0; index < n; index++) out[index] += this.bytes[this.at++] * 2 ** (8 * plane);
    }
    return out;
  }
}

async function loadItem(index) {
  const [buffer, texts, contexts] = await Promise.all([
    unpacked(`data-item-${index}`),
    sharedJson("data-texts"),
    sharedJson("data-contexts"),
  ]);
  const columns = new Columns(buffer);
  const { n, k, local: m, bytes } = columns.head;
  const local = columns.u32(m);
  for (let index = 1; index < m; index++) local[index] += local[index - 1];
  const token = (place) => {
    if (place === NO_INT) return null;
    return { id: texts.ids[local[place]], text: texts.texts[local[place]] };
  };
  const whole = (values) => Array.from(values, (value) => (value === NO_INT ? null : value));
  const item = {
    n,
    bytes,
    t: whole(columns.u32(n)),
    token: Array.from(columns.u32(n), token),
    rank: whole(columns.u32(n)),
    cls: columns.u8(n),
    special: columns.u8(n),
    p: { base: columns.p(n), aligned: columns.p(n) },
    klAlignedBase: columns.nats(n),
    klBaseAligned: columns.nats(n),
    js: columns.nats(n),
    entropy: { base: columns.nats(n), aligned: columns.nats(n) },
    contexts: {},
  };
  const top = {};
  for (const side of SIDES) {
    top[side] = { width: k[side], places: columns.u32(n * k[side]), p: columns.p(n * k[side]) };
  }
  item.top = (side, position) => {
    const { width, places, p } = top[side];
    const found = [];
    for (let place = position * width; place < (position + 1) * width; place++) {
      if (places[place] !== NO_INT) found.push({ ...token(places[place]), p: p[place] });
    }
    return found;
  };
  for (const [side, { shared: length, rest, tokens }] of Object.entries(columns.head.contexts)) {
    item.contexts[side] = { text: contexts[side].slice(0, length) + rest, tokens };
  }
  return item;
}
