/**
 * Rasters of the map, made once for each place and power of two of the zoom, so that a frame only copies
 * images, for any number of blocks.
 */

import { pixel } from "../core/colour.js";
import { TILE, outlineTile, paintTile } from "./paint.js";

/** Tiles kept: 256 KiB each. */
const KEPT = 240;

/** Milliseconds a frame may spend on making tiles. */
const BUDGET = 6;

export class Tiles {
  constructor() {
    this.kept = new Map();
    this.generation = 0;
    this.scene = null;
    this.spare = new ImageData(TILE, TILE);
  }

  /**
   * Draw another scene from now on; see buildScene in model.js.
   * Old tiles are shown until new ones are there, unless the places have changed.
   */
  show(scene, samePlace) {
    this.scene = scene;
    this.generation++;
    if (!samePlace) this.kept.clear();
  }

  /**
   * Draw the visible tiles.
   *
   * @returns {boolean} true when all tiles were ready; otherwise draw again soon
   */
  draw(context, camera, [x0, y0, x1, y1], width, height) {
    if (!this.scene) return true;
    const level = Math.ceil(Math.log2(camera.scale) - 0.25);
    const span = TILE / 2 ** level;
    const side = this.scene.side;
    const start = performance.now();
    let complete = true;
    context.imageSmoothingEnabled = camera.scale < 2 ** level;
    for (let row = Math.floor(Math.max(0, y0) / span); row * span < Math.min(side, y1); row++) {
      for (let column = Math.floor(Math.max(0, x0) / span); column * span < Math.min(side, x1); column++) {
        const late = performance.now() - start > BUDGET;
        const found = this.take(level, column, row, !late);
        complete &&= found !== null && found.generation === this.generation;
        this.copy(context, camera, level, column, row, found, width, height);
      }
    }
    return complete;
  }

  copy(context, camera, level, column, row, found, width, height) {
    const span = TILE / 2 ** level;
    // Edges at whole pixels, or neighbours would show a seam.
    const left = Math.round((column * span - camera.x) * camera.scale + width / 2);
    const top = Math.round((row * span - camera.y) * camera.scale + height / 2);
    const right = Math.round(((column + 1) * span - camera.x) * camera.scale + width / 2);
    const bottom = Math.round(((row + 1) * span - camera.y) * camera.scale + height / 2);
    if (found) {
      context.drawImage(found.image, left, top, right - left, bottom - top);
      return;
    }
    for (let up = 1; up <= 8; up++) {
      const coarse = this.kept.get(key(level - up, Math.floor(column / 2 ** up), Math.floor(row / 2 ** up)));
      if (!coarse) continue;
      const part = TILE / 2 ** up;
      const x = (column % 2 ** up) * part;
      const y = (row % 2 ** up) * part;
      context.drawImage(coarse.image, x, y, part, part, left, top, right - left, bottom - top);
      return;
    }
  }

  take(level, column, row, make) {
    const name = key(level, column, row);
    let found = this.kept.get(name) ?? null;
    if (found && (found.generation === this.generation || !make)) {
      this.kept.delete(name); // the last used are at the end
      this.kept.set(name, found);
      return found;
    }
    if (!make) return null;
    found = { image: this.make(level, column, row), generation: this.generation };
    this.kept.delete(name);
    this.kept.set(name, found);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return found;
  }

  make(level, column, row) {
    const cell = 2 ** level;
    const pixels = new Uint32Array(this.spare.data.buffer);
    pixels.fill(pixel(this.scene.ground));
    for (const [layer, paint] of this.scene.layers) {
      paintTile(pixels, layer, paint, cell, column, row);
    }
    outlineTile(pixels, this.scene.outlines, this.scene.outline, cell, column, row);
    const image = new OffscreenCanvas(TILE, TILE);
    image.getContext("2d", { alpha: false }).putImageData(this.spare, 0, 0);
    return image;
  }
}

function key(level, column, row) {
  return `${level}/${column}/${row}`;
}
