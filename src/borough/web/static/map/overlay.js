/** Drawing over the tiles in every frame: outlines and names of objects that are large enough. */

import { GROUND, css } from "../core/colour.js";
import { LOW_BITS, distance } from "../core/hilbert.js";
import { toScreen } from "./camera.js";
import { walk } from "./layer.js";
import { OUTLINED } from "./paint.js";

/** Pixels of an address from which blocks are drawn one by one, and addresses in them. */
export const BLOCKS_FROM = 2;
export const ADDRESSES_FROM = 10;

const MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";

export class Overlay {
  constructor(context, theme) {
    this.context = context;
    this.theme = theme;
    this.known = new Map();
    this.ground = GROUND[theme];
  }

  /** Bind to one frame. */
  begin(camera, view, width, height) {
    Object.assign(this, { camera, view, width, height });
  }

  /** A rectangle of a layer on the canvas, edges at whole pixels. */
  box(layer, at) {
    return this.boxOf(layer.x[at], layer.y[at], layer.w[at], layer.h[at]);
  }

  boxOf(x, y, w, h) {
    const [left, top] = toScreen(this.camera, x, y, this.width, this.height);
    const [right, bottom] = toScreen(this.camera, x + w, y + h, this.width, this.height);
    return [Math.round(left), Math.round(top), Math.round(right), Math.round(bottom)];
  }

  rect([left, top, right, bottom], colour, inset = 0) {
    this.context.fillStyle = colour;
    this.context.fillRect(left + inset, top + inset, right - left - 2 * inset, bottom - top - 2 * inset);
  }

  frame([left, top, right, bottom], colour, width = 1, inset = 0) {
    const half = width / 2 + inset;
    this.context.strokeStyle = colour;
    this.context.lineWidth = width;
    this.context.strokeRect(left + half, top + half, right - left - 2 * half, bottom - top - 2 * half);
  }

  text(words, x, y, colour, size = 11, weight = "") {
    this.context.font = `${weight} ${size}px ${MONO}`;
    this.context.fillStyle = colour;
    this.context.fillText(words, x, y);
  }

  label(words, x, y, room) {
    const { context, ground } = this;
    context.font = `500 11px ${MONO}`;
    const wide = context.measureText(words).width;
    if (wide + 8 > room) return false;
    this.rect([x, y, x + wide + 8, y + 17], ground.halo);
    this.text(words, x + 4, y + 12.5, ground.text, 11, "500");
    return true;
  }

  back(model) {
    this.rect(this.boxOf(...model.frame.rect), css(this.ground.space));
  }

  /** Draw only inside a rectangle of cells. */
  within(rect, work) {
    const [left, top, right, bottom] = this.boxOf(...rect);
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    const made = work();
    context.restore();
    return made;
  }

  /** Subnets and blocks one by one: at close zoom, where tiles would blur. */
  vectors(model, scene) {
    this.back(model);
    const close = this.camera.scale >= ADDRESSES_FROM;
    scene.layers.forEach(([layer, paint], depth) => {
      walk(layer, this.view, 1 / this.camera.scale, (at) => {
        const [left, top, right, bottom] = this.box(layer, at);
        const gap = depth && Math.min(right - left, bottom - top) >= 6 ? 1 : 0;
        const colour = depth && close ? css(this.ground.space) : this.words(paint.pixels[at]);
        this.rect([left, top, right - gap, bottom - gap], colour);
      }, () => {});
    });
  }

  /** The CSS text of a colour that is stored as a pixel. */
  words(pixel) {
    let found = this.known.get(pixel);
    if (!found) {
      if (this.known.size > 4096) this.known.clear();
      found = css([pixel & 255, (pixel >>> 8) & 255, (pixel >>> 16) & 255]);
      this.known.set(pixel, found);
    }
    return found;
  }

  /** Outlines of claimed regions. */
  regions(model) {
    const { regions } = model;
    const colour = css(this.ground.outline);
    walk(regions, this.view, OUTLINED / this.camera.scale, (at) => this.outline(this.box(regions, at), colour), () => {});
  }

  /** A line of one pixel, as four filled bars: much quicker than a stroke. */
  outline([left, top, right, bottom], colour) {
    const { context } = this;
    context.fillStyle = colour;
    context.fillRect(left, top, right - left, 1);
    context.fillRect(left, bottom - 1, right - left, 1);
    context.fillRect(left, top, 1, bottom - top);
    context.fillRect(right - 1, top, 1, bottom - top);
  }

  /** Outlines and names of subnets. */
  subnets(model, nameOf) {
    const { subnets } = model;
    walk(subnets, this.view, 5 / this.camera.scale, (at) => {
      const box = this.box(subnets, at);
      this.outline(box, this.ground.line);
      const [left, top, right, bottom] = this.visible(box);
      if (bottom - top < 26 || this.camera.scale >= ADDRESSES_FROM) return;
      const [name, prefix] = nameOf(subnets.source[at]);
      const room = right - left - 8;
      this.label(`${name}  ${prefix}`, left + 4, top + 4, room) || this.label(name, left + 4, top + 4, room);
    }, () => {});
  }

  visible([left, top, right, bottom]) {
    return [Math.max(0, left), Math.max(0, top), Math.min(this.width, right), Math.min(this.height, bottom)];
  }

  /** Rings around blocks that are too small to see. */
  marks(model) {
    const { blocks } = model;
    const { context, ground } = this;
    let number = 0;
    if (blocks.widest * this.camera.scale > 1.5) return;
    walk(blocks, this.view, 22 / this.camera.scale, () => {}, (x, y, side, from, to) => {
      const seen = (blocks.area[to] - blocks.area[from]) * this.camera.scale ** 2;
      if (seen > 9 || number++ > 400) return;
      const middle = (from + to) >> 1;
      const [px, py] = toScreen(this.camera, blocks.x[middle], blocks.y[middle], this.width, this.height);
      context.strokeStyle = ground.mark;
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(px, py, 6, 0, 2 * Math.PI);
      context.stroke();
      if (number <= 60 && to - from > 1) this.label(`${to - from} blocks`, px + 9, py - 8, 200);
    });
  }

  /**
   * The single addresses of blocks.
   *
   * @param {(at: number) => object} look the addresses of a block: {holds(position): state, text(position)}
   */
  addresses(model, look) {
    const { blocks, frame } = model;
    const { scale } = this.camera;
    const size = Math.max(9, Math.min(15, scale / 3.4));
    walk(blocks, this.view, 1 / scale, (at) => {
      const known = look(blocks.source[at]);
      if (!known) return;
      const number = 2 ** blocks.bits[at];
      const [x0, y0, x1, y1] = this.view;
      for (let y = blocks.y[at]; y < blocks.y[at] + blocks.h[at]; y++) {
        if (y + 1 < y0 || y > y1) continue;
        for (let x = blocks.x[at]; x < blocks.x[at] + blocks.w[at]; x++) {
          if (x + 1 < x0 || x > x1) continue;
          const [high, low] = distance(x, y, frame.order);
          const position = (high - blocks.high[at]) * 2 ** LOW_BITS + (low - blocks.low[at]);
          if (position >= 0 && position < number) this.address(known.at(position), x, y, size);
        }
      }
    }, () => {});
  }

  address(known, x, y, size) {
    const { ground, camera } = this;
    const box = this.boxOf(x, y, 1, 1);
    const inset = camera.scale > 24 ? 2 : 1;
    const free = known.state === "free";
    this.rect(box, free ? css(ground.subnet) : known.colour, inset);
    if (known.state === "withheld") this.cross(box, inset + 2);
    if (known.state === "cooling") this.frame(box, ground.cooling, 2, inset);
    if (known.state === "reserved") this.frame(box, ground.line, 2, inset);
    if (known.borrowed) this.frame(box, ground.mark, 2, inset);
    if (camera.scale < 30) return;
    const ink = free ? ground.soft : known.ink;
    this.text(known.short, box[0] + inset + 4, box[1] + inset + size + 2, ink, size, "500");
    if (camera.scale >= 64 && known.owner) {
      const room = Math.floor((camera.scale - 2 * inset - 8) / 5.6);
      const name = known.owner.length > room ? `${known.owner.slice(0, room - 1)}…` : known.owner;
      this.text(name, box[0] + inset + 4, box[3] - inset - 6, ink, 9.5);
    }
  }

  cross([left, top, right, bottom], inset) {
    const { context, ground } = this;
    context.strokeStyle = ground.line;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left + inset, bottom - inset);
    context.lineTo(right - inset, top + inset);
    context.stroke();
  }

  /** The chosen rectangle. */
  chosen(rect) {
    const box = this.boxOf(...rect);
    const [left, top, right, bottom] = box;
    if (right - left < 8 || bottom - top < 8) {
      const [x, y] = [(left + right) / 2, (top + bottom) / 2];
      this.frame([x - 8, y - 8, x + 8, y + 8], this.ground.text, 2);
      return;
    }
    // Two lines, so that one of them contrasts with any ground.
    this.frame([left - 3, top - 3, right + 3, bottom + 3], css(this.ground.page), 1);
    this.frame([left - 2, top - 2, right + 2, bottom + 2], this.ground.text, 2);
  }

  /** The spot at the pointer, or at the cross of the keyboard. */
  hover(rect) {
    this.frame(this.boxOf(...rect), this.ground.text, 1);
  }

  crosshair() {
    const { context, ground, width, height } = this;
    const [x, y] = [Math.round(width / 2) + 0.5, Math.round(height / 2) + 0.5];
    context.strokeStyle = ground.text;
    context.lineWidth = 1;
    context.beginPath();
    for (const [from, to] of [[-12, -4], [4, 12]]) {
      context.moveTo(x + from, y);
      context.lineTo(x + to, y);
      context.moveTo(x, y + from);
      context.lineTo(x, y + to);
    }
    context.stroke();
  }

  /** A fading ring at the place of a new event; age from 0 to 1. */
  pulse(rect, age) {
    const [left, top, right, bottom] = this.boxOf(...rect);
    const { context } = this;
    context.globalAlpha = 1 - age;
    context.strokeStyle = this.ground.mark;
    context.lineWidth = 2;
    context.beginPath();
    context.arc((left + right) / 2, (top + bottom) / 2, 4 + age * 18, 0, 2 * Math.PI);
    context.stroke();
    context.globalAlpha = 1;
  }
}
