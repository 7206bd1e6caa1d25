/** The blocks of a scope, from the columns of `/v1/map` into typed arrays. */

import { WIDTH, contains, parsePrefix } from "./ip.js";

/**
 * @param columns the answer of `/v1/map`; `offset` counts addresses from the first one of the subnet,
 *   in text where a number would not be exact
 * @param {Map<string, {prefix: string}>} subnets by name
 */
export function readColumns(columns, subnets) {
  const prefixes = columns.subnets.map((name) => parsePrefix(subnets.get(name)?.prefix ?? ""));
  const known = [];
  for (let at = 0; at < columns.subnet.length; at++) if (prefixes[columns.subnet[at]]) known.push(at);
  const pick = (Kind, values) => {
    const made = new Kind(known.length); // filled by hand: Kind.from takes twenty times as long
    for (let at = 0; at < known.length; at++) made[at] = values[known[at]];
    return made;
  };
  return {
    number: known.length,
    prefixes,
    subnetNames: columns.subnets,
    holders: columns.holders,
    offset: known.map((at) => (typeof columns.offset[at] === "number" ? columns.offset[at] : BigInt(columns.offset[at]))),
    subnet: pick(Uint32Array, columns.subnet),
    length: pick(Uint8Array, columns.length),
    region: pick(Uint8Array, columns.region),
    size: pick(Uint16Array, columns.size),
    free: pick(Uint16Array, columns.free),
    holder: pick(Uint32Array, columns.holder),
    event: columns.event,
  };
}

/**
 * Columns in which some subnets have been read again.
 *
 * @param {object} old columns as `/v1/map` gave them
 * @param {object} fresh the same, of some subnets only
 * @param {Set<string>} names these subnets
 * @param {(name: string) => number} rank the place of a subnet in the order of the map
 */
export function merge(old, fresh, names, rank) {
  const made = { ...fresh, subnets: [], holders: [...old.holders] };
  const known = new Map(made.holders.map((holder, at) => [holder, at]));
  for (const holder of fresh.holders) {
    if (!known.has(holder)) known.set(holder, made.holders.push(holder) - 1);
  }
  const pieces = [
    ...slices(old).filter(([name]) => !names.has(name)),
    ...slices(fresh).map((piece) => [...piece, true]),
  ].sort((one, two) => rank(one[0]) - rank(two[0]));
  const holders = fresh.holders.map((holder) => known.get(holder));
  const gather = (list, change) => {
    const parts = pieces.map(([, from, to, isFresh], place) => change((isFresh ? fresh : old)[list].slice(from, to), place, isFresh));
    return [].concat(...parts);
  };
  for (const list of ["offset", "length", "region", "size", "free"]) made[list] = gather(list, (part) => part);
  made.subnets = pieces.map(([name]) => name);
  made.subnet = gather("subnet", (part, place) => part.fill(place));
  made.holder = gather("holder", (part, _place, isFresh) => (isFresh ? part.map((at) => holders[at]) : part));
  return made;
}

/** Each subnet with the slice of its blocks. */
function slices(columns) {
  const made = [];
  for (let at = 0; at < columns.subnet.length; at++) {
    if (at === 0 || columns.subnet[at] !== columns.subnet[at - 1]) {
      made.push([columns.subnets[columns.subnet[at]], at, at + 1]);
    } else made[made.length - 1][2] = at + 1;
  }
  return made;
}

/** The first address of a block. */
export function baseOf(columns, at) {
  return columns.prefixes[columns.subnet[at]].base + BigInt(columns.offset[at]);
}

/** No blocks at all. */
export const NO_COLUMNS = readColumns(
  { subnets: [], holders: [""], subnet: [], offset: [], length: [], region: [], size: [], free: [], holder: [], event: 0 },
  new Map(),
);

/** Share of a block that is taken. */
export function fillOf(columns, at) {
  return columns.size[at] ? 1 - Math.min(columns.free[at], columns.size[at]) / columns.size[at] : 1;
}

/** `host=node-1` as dimension and value; null without a holder. */
export function holderOf(text) {
  const at = text.indexOf("=");
  return at < 0 ? null : { dimension: text.slice(0, at), value: text.slice(at + 1) };
}

/**
 * The claims of each holder: blocks, regions (the prefixes it advertises), addresses taken and usable.
 *
 * @returns {Map<string, {blocks: number, regions: number, taken: number, size: number}>} by holder
 */
export function byHolder(columns) {
  const made = new Map();
  let before = -1;
  for (let at = 0; at < columns.number; at++) {
    const name = columns.holders[columns.holder[at]];
    if (name) {
      const sum = made.get(name) ?? { blocks: 0, regions: 0, taken: 0, size: 0 };
      made.set(name, sum);
      sum.blocks++;
      sum.size += columns.size[at];
      sum.taken += columns.size[at] - Math.min(columns.free[at], columns.size[at]);
      if (!sameRegion(columns, before, at)) sum.regions++;
    }
    before = at;
  }
  return made;
}

/**
 * The blocks inside a prefix, which is no smaller than a block.
 *
 * @returns {{blocks: number, regions: number, taken: number, size: number}} `regions`: claimed prefixes
 */
export function sumWithin(columns, prefix) {
  const sum = { blocks: 0, regions: 0, taken: 0, size: 0 };
  const near = columns.prefixes.map((each) => each && (contains(each, prefix) || contains(prefix, each)));
  let before = -1;
  for (let at = 0; at < columns.number; at++) {
    if (!near[columns.subnet[at]]) continue;
    const { family } = prefix;
    if (!contains(prefix, { family, base: baseOf(columns, at), length: columns.length[at] })) continue;
    sum.blocks++;
    sum.size += columns.size[at];
    sum.taken += columns.size[at] - Math.min(columns.free[at], columns.size[at]);
    if (columns.holder[at] && !sameRegion(columns, before, at)) sum.regions++;
    before = at;
  }
  return sum;
}

/** True when two neighbouring blocks are parts of one claimed region. */
export function sameRegion(columns, one, two) {
  if (one < 0 || columns.subnet[one] !== columns.subnet[two]) return false;
  if (columns.holder[one] !== columns.holder[two] || !columns.holders[columns.holder[two]]) return false;
  const length = columns.region[two];
  if (columns.region[one] !== length) return false;
  const bits = WIDTH[columns.prefixes[columns.subnet[two]].family] - length;
  const [first, second] = [columns.offset[one], columns.offset[two]];
  // A region lies in its subnet, so that offsets are aligned as addresses are.
  if (typeof first === "number" && typeof second === "number") {
    return Math.floor(first / 2 ** bits) === Math.floor(second / 2 ** bits);
  }
  return BigInt(first) >> BigInt(bits) === BigInt(second) >> BigInt(bits);
}
