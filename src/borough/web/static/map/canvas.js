/** The map on its canvas: draws after changes, and turns input into camera moves. */

import { distance, join } from "../core/hilbert.js";
import { between, fit, pan, sight, toWorld, zoomAt } from "./camera.js";
import { find, walk } from "./layer.js";
import { ADDRESSES_FROM, BLOCKS_FROM, Overlay } from "./overlay.js";
import { Tiles } from "./tiles.js";

const FLIGHT = 320; // milliseconds
const PULSE = 1400;

/** True when the user prefers reduced motion. */
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The map of a canvas, for tests and benchmarks. */
export const mapOf = new WeakMap();

export class MapCanvas {
  /**
   * @param on `hover(spot)`, `choose(spot)`: a spot is {address, block, subnet}, places in the
   *   columns and subnets, -1 for none; `look(block)`: see Overlay.addresses
   * @param nameOf name and prefix of a subnet
   */
  constructor(canvas, { nameOf, on }) {
    this.canvas = canvas;
    mapOf.set(canvas, this);
    this.context = canvas.getContext("2d", { alpha: false });
    this.nameOf = nameOf;
    this.on = on;
    this.tiles = new Tiles();
    this.camera = { x: 0, y: 0, scale: 1 };
    this.pulses = [];
    this.frames = [];
    this.model = null;
    this.selected = null;
    this.under = null;
    this.keyboard = false;
    this.waiting = 0;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
    this.resize(); // an immediate flight needs the size
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.waiting);
  }

  /** Show a model in colours; the camera stays when the prefix view does. */
  show(model, scene, theme) {
    const same = this.model?.frame.label === model.frame.label;
    this.model = model;
    this.scene = scene;
    this.overlay = new Overlay(this.context, theme);
    this.tiles.show(scene, same);
    if (!same) {
      this.selected = this.under = null;
      this.showAll();
    }
    this.redraw();
  }

  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const first = !this.width;
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    if (first && this.model) this.showAll();
    this.draw();
  }

  showAll() {
    if (!this.width) return;
    this.camera = fit(this.model.frame.rect, this.width, this.height);
    this.flight = null;
    this.redraw();
  }

  get least() {
    return 0.5 * fit(this.model.frame.rect, this.width, this.height).scale;
  }

  /** Move until a rectangle is fully visible. */
  fly(rect, closest = 40) {
    if (!this.width) return;
    const to = fit(rect, this.width, this.height, closest, 0.7);
    if (still()) this.camera = to;
    else this.flight = { from: this.camera, to, start: performance.now() };
    this.redraw();
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    this.flight = null;
    this.camera = zoomAt(this.camera, px, py, factor, this.width, this.height, this.least);
    this.redraw();
  }

  pan(dx, dy) {
    this.flight = null;
    this.camera = pan(this.camera, dx, dy, this.model.frame.rect);
    this.redraw();
  }

  select(rect) {
    this.selected = rect;
    this.redraw();
  }

  pulse(rect) {
    if (still()) return;
    if (this.pulses.length < 100) this.pulses.push({ rect, start: performance.now() });
    this.redraw();
  }

  /** The spot at a point of the canvas. */
  spot(px, py) {
    const { model } = this;
    if (!model) return null;
    const [x, y] = toWorld(this.camera, px, py, this.width, this.height).map(Math.floor);
    const side = 2 ** model.frame.order;
    if (x < 0 || y < 0 || x >= side || y >= side) return null;
    const [high, low] = distance(x, y, model.frame.order);
    const { blocks, subnets, frame } = model;
    const block = find(blocks, high, low);
    const subnet = find(subnets, high, low);
    const rect = block >= 0 ? at(blocks, block) : subnet >= 0 ? at(subnets, subnet) : null;
    return {
      x,
      y,
      address: frame.base + (join(high, low) << BigInt(frame.shift)),
      block: block < 0 ? -1 : blocks.source[block],
      subnet: subnet < 0 ? -1 : subnets.source[subnet],
      rect: this.camera.scale >= ADDRESSES_FROM && rect ? [x, y, 1, 1] : rect,
    };
  }

  /** The rectangle around all blocks near a point, for a jump to blocks that are too small to see. */
  cluster(px, py) {
    const [x, y] = toWorld(this.camera, px, py, this.width, this.height);
    const near = 14 / this.camera.scale;
    const { blocks } = this.model;
    let found = null;
    walk(blocks, [x - near, y - near, x + near, y + near], 22 / this.camera.scale, () => {}, (_x, _y, _side, from, to) => {
      for (let each = from; each < to; each++) found = around(found, at(blocks, each));
    });
    return found;
  }

  redraw() {
    this.waiting ||= requestAnimationFrame((now) => {
      this.waiting = 0;
      this.draw(now);
    });
  }

  draw(now = performance.now()) {
    if (!this.model || !this.width) return;
    const start = performance.now();
    const { context, width, height, overlay, model } = this;
    this.advance(now);
    const view = sight(this.camera, width, height);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.fillStyle = `rgb(${overlay.ground.page})`;
    context.fillRect(0, 0, width, height);
    overlay.begin(this.camera, view, width, height);
    let complete = true;
    if (this.camera.scale >= BLOCKS_FROM) overlay.vectors(model, this.scene);
    else complete = overlay.within(model.frame.rect, () => this.tiles.draw(context, this.camera, view, width, height));
    if (this.camera.scale >= ADDRESSES_FROM) overlay.addresses(model, this.on.look);
    if (this.camera.scale >= BLOCKS_FROM) overlay.regions(model);
    overlay.subnets(model, this.nameOf);
    if (this.camera.scale < BLOCKS_FROM) overlay.marks(model);
    if (this.under?.rect) overlay.hover(this.under.rect);
    if (this.selected) overlay.chosen(this.selected);
    for (const each of this.pulses) overlay.pulse(each.rect, (now - each.start) / PULSE);
    if (this.keyboard) overlay.crosshair();
    this.frames.push(performance.now() - start);
    if (this.frames.length > 600) this.frames.shift();
    if (!complete || this.flight || this.pulses.length) this.redraw();
  }

  advance(now) {
    this.pulses = this.pulses.filter((each) => now - each.start < PULSE && now >= each.start - 50);
    if (this.flight) {
      const share = Math.max(0, Math.min(1, (now - this.flight.start) / FLIGHT));
      const eased = 1 - (1 - share) ** 3;
      this.camera = between(this.flight.from, this.flight.to, eased);
      if (share === 1) this.flight = null;
    }
  }
}

function at(layer, place) {
  return [layer.x[place], layer.y[place], layer.w[place], layer.h[place]];
}

function around(one, two) {
  if (!one) return two;
  const x = Math.min(one[0], two[0]);
  const y = Math.min(one[1], two[1]);
  return [x, y, Math.max(one[0] + one[2], two[0] + two[2]) - x, Math.max(one[1] + one[3], two[1] + two[3]) - y];
}
