/** Parts of panels that several views use. */

import { h, meter } from "./dom.js";
import { percent, when } from "./format.js";
import { link, where } from "./router.js";

export function section(title, ...parts) {
  return h("section", { class: "inspector-part" }, title ? h("h3", {}, title) : null, parts);
}

/** Names with values; a line that is null is left out. */
export function facts(lines) {
  return h("dl", { class: "facts" }, lines.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** Labels as chips; null without labels. */
export function labels(named) {
  const chips = Object.entries(named).flatMap(([name, values]) => values.map((value) => h("span", { class: "chip" }, h("b", {}, name), value)));
  return chips.length ? h("div", { class: "chips" }, chips) : null;
}

/** A bar for a share, with a text below it. */
export function filled(share, words, level = "") {
  return h("div", { class: "filled" }, meter(share, `${percent(share)} taken`, level), h("span", {}, words));
}

/** Fields behind a button, each with its label; the button counts those that are filled. */
export function moreFilters(fields) {
  const number = h("span", { class: "badge info", hidden: true });
  const element = h("details", { class: "menu" }, h("summary", { class: "button" }, h("span", {}, "More filters"), number), h("div", { class: "menu-body" }, fields.map((field) => h("label", { class: "field" }, h("span", { class: "field-label" }, field.getAttribute("aria-label")), field))));
  const show = () => {
    const filled = fields.filter((field) => field.value).length;
    number.hidden = !filled;
    number.textContent = String(filled);
  };
  return { element, show };
}

export function hostLink(name) {
  return h("a", { href: link("hosts", { host: name }) }, name);
}

export function ownerLink(name) {
  return h("a", { href: link("addresses", { owner: name }) }, name);
}

export function subnetLink(name, scope) {
  return h("a", { href: link("subnets", { subnet: name, scope }) }, name);
}

/** An address or a prefix, as a link to the map. */
export function placeLink(text, scope) {
  const { view, query } = where();
  // On the map the colours stay.
  const by = view === "map" ? query.by : null;
  return h("a", { class: "mono", href: link("map", { at: text, scope, by }) }, text);
}

/** A time with its date; the exact one is in the title. */
export function timeOf(text) {
  return h("time", { datetime: text, title: text }, when(text));
}

/** The attributes of a record as text. */
export function attributesText({ attributes }) {
  return Object.entries(attributes ?? {}).map(([name, value]) => `${name}=${valueText(value)}`).join(" ");
}

/** A value of an attribute as text. */
export function valueText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
