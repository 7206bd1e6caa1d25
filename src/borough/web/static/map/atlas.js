/**
 * Address space is mostly empty, so that the map shows prefix views: prefixes that their subnets fill to a
 * minimum share. Each prefix view is one map.
 */

import { WIDTH, common, floor, formatPrefix, size } from "../core/ip.js";
import { LOW_BITS, MAX_BITS, join, rectangle, split } from "../core/hilbert.js";

const LOW_SPAN = 2 ** LOW_BITS;

/** Neighbours share a prefix view when they fill at least this part of it. */
const DENSITY = 1 / 64;

/**
 * @param {{family: number, base: bigint, length: number}[]} prefixes disjoint
 * @returns {{family: number, base: bigint, length: number, members: number[]}[]} by family and address;
 *   `members` are places in `prefixes`
 */
export function prefixViews(prefixes) {
  const order = [...prefixes.keys()].sort((a, b) => compare(prefixes[a], prefixes[b]));
  const stack = [];
  for (const at of order) {
    let last = { ...prefixes[at], members: [at], covered: size(prefixes[at]) };
    while (stack.length) {
      const before = stack[stack.length - 1];
      if (before.family !== last.family) break;
      const cover = common(before, last);
      const covered = before.covered + last.covered;
      if (covered < size(cover) * DENSITY) break;
      stack.pop();
      last = { ...cover, members: [...before.members, ...last.members], covered };
    }
    stack.push(last);
  }
  return stack;
}

export function compare(one, two) {
  if (one.family !== two.family) return one.family - two.family;
  if (one.base !== two.base) return one.base < two.base ? -1 : 1;
  return one.length - two.length;
}

/**
 * The frame of a prefix view: the square that its curve fills.
 *
 * @returns `order` of the curve; `base` and `shift`: a distance is (address - base) >> shift, where
 *   shift is 0 unless the view is larger than 2^96 addresses; `rect` of the prefix itself
 */
export function frame(prefixView) {
  const width = WIDTH[prefixView.family];
  const bits = width - prefixView.length;
  const even = Math.max(2, bits + (bits % 2));
  const base = floor(prefixView.family, prefixView.base, width - even);
  const shift = Math.max(0, even - MAX_BITS);
  const made = { family: prefixView.family, base, bits: even, shift, order: (even - shift) / 2 };
  return { ...made, rect: place(made, prefixView), label: formatPrefix(prefixView) };
}

/** Distance (a pair) and host bits of a prefix in a frame. */
export function measure(frame, { family, base, length }) {
  const shift = BigInt(frame.shift);
  const [high, low] = split((base - frame.base) >> shift);
  return { high, low, bits: Math.max(0, WIDTH[family] - length - frame.shift) };
}

/** The distance (a pair) a number of addresses behind another distance. */
export function behind(frame, high, low, offset) {
  if (frame.shift === 0 && typeof offset === "number" && low + offset < LOW_SPAN) return [high, low + offset];
  return split(join(high, low) + (BigInt(offset) >> BigInt(frame.shift)));
}

/** The rectangle of a prefix in a frame, in cells. */
export function place(frame, prefix) {
  const { high, low, bits } = measure(frame, prefix);
  return rectangle(high, low, bits, frame.order);
}
