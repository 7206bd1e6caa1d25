/** Colours of a layer, and its raster: the pixels of one tile. */

import { pixel } from "../core/colour.js";
import { walk } from "./layer.js";

export const TILE = 256;

/** Least share of a used pixel: a single block must stay visible. */
const LEAST = 0.45;

/** Below this many pixels a side, prefixes touch; above it a line of ground parts them. */
const APART = 6;

/**
 * The colours of a layer, with running sums so that the mean of any slice costs one subtraction.
 *
 * @param {(at: number) => number[]} colourOf red, green, blue
 */
export function buildPaint(layer, colourOf) {
  const paint = { pixels: new Uint32Array(layer.number), sums: new Float64Array(3 * (layer.number + 1)) };
  for (let at = 0; at < layer.number; at++) {
    const colour = colourOf(at);
    paint.pixels[at] = pixel(colour);
    for (let channel = 0; channel < 3; channel++) {
      paint.sums[3 * at + 3 + channel] = paint.sums[3 * at + channel] + colour[channel];
    }
  }
  return paint;
}

function mean(paint, from, to, channel) {
  return (paint.sums[3 * to + channel] - paint.sums[3 * from + channel]) / (to - from);
}

/**
 * Draw the part of a layer that a tile covers.
 *
 * @param {Uint32Array} pixels TILE by TILE
 * @param {number} cell pixels of a cell, a power of two
 */
export function paintTile(pixels, layer, paint, cell, column, row) {
  const span = TILE / cell;
  const left = column * span;
  const top = row * span;
  const draw = (x, y, w, h, colour) => {
    const gap = Math.min(w, h) * cell >= APART ? 1 : 0;
    const x0 = Math.max(0, (x - left) * cell);
    const y0 = Math.max(0, (y - top) * cell);
    const x1 = Math.min(TILE, (x + w - left) * cell - gap);
    const y1 = Math.min(TILE, (y + h - top) * cell - gap);
    for (let line = y0; line < y1; line++) pixels.fill(colour, line * TILE + x0, line * TILE + x1);
  };
  walk(
    layer,
    [left, top, left + span, top + span],
    1 / cell,
    (at) => draw(layer.x[at], layer.y[at], layer.w[at], layer.h[at], paint.pixels[at]),
    (x, y, side, from, to) => {
      const at = Math.floor((y - top) * cell) * TILE + Math.floor((x - left) * cell);
      const share = Math.min(1, (layer.area[to] - layer.area[from]) / side ** 2);
      pixels[at] = blend(pixels[at], paint, from, to, Math.max(LEAST, share));
    },
  );
}

/** From so many pixels a side on, a claimed region has an outline. */
export const OUTLINED = 9;

/** Draw the outlines of a layer's prefixes. */
export function outlineTile(pixels, layer, colour, cell, column, row) {
  const span = TILE / cell;
  const [left, top] = [column * span, row * span];
  const word = pixel(colour);
  const line = (x0, y0, x1, y1) => {
    for (let y = Math.max(0, y0); y < Math.min(TILE, y1); y++) {
      pixels.fill(word, y * TILE + Math.max(0, x0), y * TILE + Math.max(0, Math.min(TILE, x1)));
    }
  };
  walk(
    layer,
    [left, top, left + span, top + span],
    OUTLINED / cell,
    (at) => {
      const [x0, y0] = [(layer.x[at] - left) * cell, (layer.y[at] - top) * cell];
      const [x1, y1] = [x0 + layer.w[at] * cell, y0 + layer.h[at] * cell];
      if (x1 <= 0 || y1 <= 0 || x0 >= TILE || y0 >= TILE) return;
      line(x0, y0, x1, y0 + 1);
      line(x0, y1 - 1, x1, y1);
      if (x0 >= 0) line(x0, y0, x0 + 1, y1);
      if (x1 <= TILE) line(x1 - 1, y0, x1, y1);
    },
    () => {},
  );
}

function blend(below, paint, from, to, share) {
  const over = (shift, channel) => {
    const ground = (below >>> shift) & 255;
    return Math.round(ground + (mean(paint, from, to, channel) - ground) * share);
  };
  return pixel([over(0, 0), over(8, 1), over(16, 2)]);
}
