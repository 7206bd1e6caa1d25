/** The model of a prefix view: its subnets, blocks and claimed regions as layers, with their colours. */

import { baseOf, fillOf, holderOf, sameRegion } from "../core/columns.js";
import { GROUND, fillColour, mix, valueColour } from "../core/colour.js";
import { align } from "../core/hilbert.js";
import { WIDTH, contains, floor } from "../core/ip.js";
import { behind, frame, measure } from "./atlas.js";
import { buildLayer } from "./layer.js";
import { buildPaint } from "./paint.js";

/**
 * @param prefixView see atlas.js; `members` are places in `subnets`
 * @param subnets [{name, labels, at: prefix}] of the scope
 * @param columns see core/columns.js
 */
export function buildModel(prefixView, subnets, columns) {
  const place = frame(prefixView);
  const members = prefixView.members;
  const starts = columns.prefixes.map((prefix) => (prefix && contains(prefixView, prefix) ? measure(place, prefix) : null));
  const inside = [];
  for (let at = 0; at < columns.number; at++) if (starts[columns.subnet[at]]) inside.push(at);
  const heads = inside.filter(
    (at, index) => columns.holder[at] && !(index && sameRegion(columns, inside[index - 1], at)),
  );
  const measureOf = (at, length) => {
    const { high, low } = starts[columns.subnet[at]];
    const [h, l] = behind(place, high, low, columns.offset[at]);
    return [h, l, Math.max(0, WIDTH[prefixView.family] - length - place.shift)];
  };
  const regionOf = (at) => {
    // Blocks without a usable address are left out, so that the first block may not begin the region.
    const [high, low, bits] = measureOf(at, columns.region[at]);
    const [h, l] = align(high, low, bits);
    return [h, l, bits];
  };
  const subnetOf = (at) => {
    const { high, low, bits } = measure(place, subnets[members[at]].at);
    return [high, low, bits];
  };
  return {
    prefixView,
    frame: place,
    subnets: buildLayer(place, members.length, subnetOf, (at) => members[at]),
    blocks: buildLayer(place, inside.length, (at) => measureOf(inside[at], columns.length[inside[at]]), (at) => inside[at]),
    regions: buildLayer(place, heads.length, (at) => regionOf(heads[at]), (at) => heads[at]),
  };
}

/** The prefix of a block. */
export function blockPrefix(columns, at) {
  const family = columns.prefixes[columns.subnet[at]].family;
  return { family, base: baseOf(columns, at), length: columns.length[at] };
}

/** The claimed region of a block; the block itself when it is unclaimed. */
export function regionPrefix(columns, at) {
  const block = blockPrefix(columns, at);
  const length = columns.holder[at] ? columns.region[at] : block.length;
  return { ...block, base: floor(block.family, block.base, length), length };
}

/**
 * Colours of blocks and subnets: by `fill`, `holder`, or the name of a dimension.
 *
 * A value has the same colour in all prefix views of a scope.
 *
 * @param model the prefix view that the legend counts
 * @returns `block(at)`, `subnet(at)`: colours; `legend`: [{name, colour, count}], the values in the prefix
 *   view with their blocks there, most blocks first; empty for fill
 */
export function colouring(mode, subnets, columns, model, theme, only = null) {
  const ground = GROUND[theme];
  const dim = (colour) => mix(colour, ground.subnet, 0.82);
  if (mode === "fill") {
    return {
      legend: [],
      block: (at) => fillColour(fillOf(columns, at), theme),
      subnet: () => ground.subnet,
    };
  }
  const places = new Map(subnets.map((subnet, at) => [subnet.name, at]));
  const valueOfSubnet = subnets.map((subnet) => (subnet.labels[mode] ?? []).join(", "));
  const valueOfBlock = (at) => {
    const holder = holderOf(columns.holders[columns.holder[at]]);
    if (mode === "holder") return holder ? columns.holders[columns.holder[at]] : "";
    if (holder && holder.dimension === mode) return holder.value;
    return valueOfSubnet[places.get(columns.subnetNames[columns.subnet[at]])] ?? "";
  };
  const counted = new Map();
  for (let at = 0; at < columns.number; at++) add(counted, valueOfBlock(at));
  if (mode !== "holder") valueOfSubnet.forEach((name) => add(counted, name));
  const colours = new Map();
  let hues = 0;
  for (const [name] of ranked(counted)) colours.set(name, valueColour(name, name ? hues++ : 0, theme));
  const here = new Map();
  for (const at of model.blocks.source) add(here, valueOfBlock(at));
  if (mode !== "holder") for (const at of model.subnets.source) add(here, valueOfSubnet[at], 0);
  const legend = ranked(here).map(([name, count]) => ({ name, colour: colours.get(name), count }));
  const shown = (name) => (only === null || only === name ? colours.get(name) : dim(colours.get(name)));
  return {
    legend,
    // Little used blocks have a pale colour of their holder.
    block: (at) => mix(shown(valueOfBlock(at)), ground.subnet, 0.45 * (1 - fillOf(columns, at))),
    subnet: (at) =>
      mode !== "holder" && valueOfSubnet[at] ? mix(shown(valueOfSubnet[at]), ground.subnet, 0.72) : ground.subnet,
  };
}

function add(counted, name, number = 1) {
  counted.set(name, (counted.get(name) ?? 0) + number);
}

/** Names with their counts, the largest count first. */
function ranked(counted) {
  return [...counted].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** The scene that the tiles draw: layers with their paint, the lowest first, and outlines over them. */
export function buildScene(model, colours, theme) {
  const { subnets, blocks, regions } = model;
  return {
    ground: GROUND[theme].space,
    side: 2 ** model.frame.order,
    layers: [
      [subnets, buildPaint(subnets, (at) => colours.subnet(subnets.source[at]))],
      [blocks, buildPaint(blocks, (at) => colours.block(blocks.source[at]))],
    ],
    outlines: regions,
    outline: GROUND[theme].outline,
  };
}
