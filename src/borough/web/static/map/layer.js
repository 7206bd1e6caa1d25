/**
 * Disjoint prefixes of one prefix view in typed arrays, sorted along the curve. A square of the map is a
 * stretch of the curve, and so a slice of the arrays.
 */

import { LOW_BITS, rectangle } from "../core/hilbert.js";

const SPAN = 2 ** LOW_BITS;

/**
 * @param frame see atlas.js
 * @param {number} number number of prefixes
 * @param {(at: number) => [number, number, number]} measureOf distance (a pair) and host bits of the
 *   prefix at a place; ascending
 * @param {(at: number) => number} sourceOf the index that the caller uses for it
 */
export function buildLayer(frame, number, measureOf, sourceOf = (at) => at) {
  const layer = {
    frame,
    number,
    high: new Float64Array(number),
    low: new Float64Array(number),
    bits: new Uint8Array(number),
    x: new Float64Array(number),
    y: new Float64Array(number),
    w: new Float64Array(number),
    h: new Float64Array(number),
    source: new Uint32Array(number),
    area: new Float64Array(number + 1),
    widest: 0, // side of the largest, in cells
  };
  for (let at = 0; at < number; at++) {
    const [high, low, bits] = measureOf(at);
    layer.high[at] = high;
    layer.low[at] = low;
    layer.bits[at] = bits;
    [layer.x[at], layer.y[at], layer.w[at], layer.h[at]] = rectangle(high, low, bits, frame.order);
    layer.widest = Math.max(layer.widest, layer.w[at], layer.h[at]);
    layer.source[at] = sourceOf(at);
    layer.area[at + 1] = layer.area[at] + 2 ** bits;
  }
  return layer;
}

/** The first place in [from, to) that lies at or behind a distance. */
export function lowerBound(layer, high, low, from, to) {
  while (from < to) {
    const middle = (from + to) >> 1;
    const before =
      layer.high[middle] < high || (layer.high[middle] === high && layer.low[middle] < low);
    if (before) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The place of the prefix that holds a distance, or -1. */
export function find(layer, high, low) {
  const at = lowerBound(layer, high, low + 1, 0, layer.number) - 1;
  if (at < 0) return -1;
  const away = (high - layer.high[at]) * SPAN + (low - layer.low[at]);
  return away < 2 ** layer.bits[at] ? at : -1;
}

/**
 * Visit the prefixes inside a view (x0, y0, x1, y1 in cells), along the curve.
 *
 * @param {number} smallest prefixes narrower than so many cells are not visited one by one
 * @param {(at: number) => void} onItem each prefix that is wide enough
 * @param {(x: number, y: number, side: number, from: number, to: number) => void} onNode each square
 *   of at most `smallest` cells a side that holds anything, with its slice
 */
export function walk(layer, view, smallest, onItem, onNode) {
  const [x0, y0, x1, y1] = view;
  const visit = (level, x, y, turn, high, low, from, to) => {
    const side = 2 ** level;
    if (to - from === 1) {
      const right = layer.x[from] + layer.w[from];
      const bottom = layer.y[from] + layer.h[from];
      if (layer.x[from] >= x1 || layer.y[from] >= y1 || right <= x0 || bottom <= y0) return;
      if (Math.min(layer.w[from], layer.h[from]) >= smallest) {
        onItem(from);
        return;
      }
    }
    if (x >= x1 || y >= y1 || x + side <= x0 || y + side <= y0) return;
    if (side <= smallest || level === 0) {
      onNode(x, y, side, from, to);
      return;
    }
    const half = side / 2;
    const step = 4 ** (level - 1);
    let start = from;
    for (let digit = 0; digit < 4 && start < to; digit++) {
      let right = digit >> 1;
      let down = (digit ^ right) & 1;
      if (turn & 1) [right, down] = [down, right];
      if (turn & 2) {
        right ^= 1;
        down ^= 1;
      }
      const [childHigh, childLow] = advance(high, low, digit * step);
      let end = to;
      if (digit < 3) {
        const [nextHigh, nextLow] = advance(high, low, (digit + 1) * step);
        end = lowerBound(layer, nextHigh, nextLow, start, to);
      }
      if (end > start) {
        const inner = digit === 0 ? turn ^ 1 : digit === 3 ? turn ^ 3 : turn;
        visit(level - 1, x + right * half, y + down * half, inner, childHigh, childLow, start, end);
      }
      start = end;
    }
  };
  if (layer.number) visit(layer.frame.order, 0, 0, 0, 0, 0, 0, layer.number);
}

/** A distance moved on by a number of cells that is a multiple of a power of four. */
function advance(high, low, by) {
  if (by >= SPAN) return [high + by / SPAN, low];
  const sum = low + by;
  return sum < SPAN ? [high, sum] : [high + 1, sum - SPAN];
}
