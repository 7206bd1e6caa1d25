/** The single addresses of blocks, read at close zoom, and kept until they change. */

import { get } from "../core/api.js";
import { baseOf } from "../core/columns.js";
import { GROUND, css, fillColour, inkOn } from "../core/colour.js";
import { formatAddress, formatPrefix, parseAddress } from "../core/ip.js";
import { blockPrefix } from "./model.js";

const AT_ONCE = 4;
const KEPT = 600;

export class Addresses {
  /** @param {() => void} changed called when requested allocations have arrived */
  constructor(changed) {
    this.changed = changed;
    this.kept = new Map();
    this.queue = [];
    this.running = 0;
  }

  /** Drop the allocations of some subnets, or of all. */
  forget(subnets = null) {
    for (const [key, entry] of this.kept) {
      if (subnets === null) this.kept.delete(key);
      else if (subnets.has(entry.subnet)) entry.stale = true;
    }
  }

  /** Allocations of a block by position in it; null until they have arrived. */
  of(scope, columns, block) {
    const prefix = formatPrefix(blockPrefix(columns, block));
    let entry = this.kept.get(prefix);
    if (!entry) {
      entry = { held: null, stale: true, asked: false, subnet: columns.subnetNames[columns.subnet[block]] };
      this.kept.set(prefix, entry);
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    }
    if (entry.stale && !entry.asked) {
      entry.asked = true;
      this.queue.push({ scope, prefix, entry, base: baseOf(columns, block) });
      this.pump();
    }
    return entry.held;
  }

  async pump() {
    // The last request is for the block in view.
    if (this.running >= AT_ONCE || !this.queue.length) return;
    const { scope, prefix, entry, base } = this.queue.pop();
    if (this.queue.length > 200) this.queue.splice(0, 100).forEach((each) => (each.entry.asked = false));
    this.running++;
    try {
      entry.stale = false;
      const page = await get("/v1/allocations", { scope, prefix, limit: 64 });
      entry.held = new Map(page.allocations.map((each) => [Number(parseAddress(each.address).value - base), each]));
      this.changed();
    } catch {
      entry.held ??= new Map();
    } finally {
      entry.asked = false;
      this.running--;
      this.pump();
    }
  }
}

/**
 * The states and texts of the addresses of a block, for the overlay.
 *
 * @param {Map|null} held see Addresses.of
 * @param {(value: bigint) => boolean} isWithheld true for addresses that no request for any address gets
 * @param {number[]|null} colour of an address that is held; null for the usual one
 */
export function lookAt(columns, block, held, isWithheld, colour, theme) {
  const family = columns.prefixes[columns.subnet[block]].family;
  const base = baseOf(columns, block);
  const fill = colour ?? fillColour(theme === "light" ? 0.75 : 0.6, theme);
  const ground = GROUND[theme];
  return {
    at(position) {
      const value = base + BigInt(position);
      const found = held?.get(position);
      const text = formatAddress(family, value);
      const short = family === 4 ? `.${value & 255n}` : `:${(value & 0xffffn).toString(16)}`;
      if (!found) return { state: isWithheld(value) ? "withheld" : "free", short, text, colour: css(ground.subnet), ink: ground.soft };
      if (found.state === "cooling") return { state: "cooling", short, owner: "cooling", colour: css(ground.subnet), ink: ground.soft };
      if (found.state === "reserved") return { state: "reserved", short, owner: found.owner || "nobody", colour: css(ground.subnet), ink: ground.soft };
      return { state: "allocated", short, owner: found.owner || found.host, borrowed: found.borrowed, colour: css(fill), ink: inkOn(fill) };
    },
  };
}
