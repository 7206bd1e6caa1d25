/** The panel of one subnet: its figures, its addresses as lines, its changes. */

import { get } from "../core/api.js";
import { button, debounce, h, iconButton, put } from "../core/dom.js";
import { count, plural } from "../core/format.js";
import { stateOf } from "../core/groups.js";
import { parseAddress, size as sizeOf } from "../core/ip.js";
import { facts, filled, hostLink, labels, ownerLink, placeLink, section, timeOf, valueText } from "../core/parts.js";
import { link } from "../core/router.js";
import { state } from "../core/state.js";
import { markCut } from "../core/table.js";
import { subnetActions } from "./subnet_actions.js";

const LINES = 200; // lines of addresses, read at a time
const CELLS = 256; // most addresses that are drawn as cells
const DAY = 86_400_000;
const MONTH = 30 * DAY;
const EVENTS = 1000; // events that the figures are made of
const SHOWN = 8; // changes shown

const STATES = { allocated: "allocated", cooling: "cooling", reserved: "reserved", free: "free", by_name: "free by name", never: "never allocated" };

export class SubnetPanel {
  constructor(place, leave) {
    Object.assign(this, { place, leave, name: null, serial: 0, lines: [], next: null, events: null, only: "" });
    this.later = debounce(() => this.load(), 800);
    this.parts = { head: h("div"), facts: h("div"), addresses: h("div"), history: h("div"), actions: h("div") };
    this.empty();
  }

  empty() {
    put(this.place, h("div", { class: "empty" }, h("strong", {}, "No subnet chosen"), h("span", {}, "Its addresses, figures and changes are shown here.")));
    this.place.classList.remove("open");
  }

  /**
   * @param {string|null} name the subnet to show
   * @returns {boolean} true for another subnet than before
   */
  show(name) {
    if (name === this.name) return false;
    Object.assign(this, { name, lines: [], next: null, events: null, only: "", trouble: null, read: false });
    this.serial++;
    if (name === null) {
      this.empty();
      return false;
    }
    this.place.classList.add("open");
    put(this.place, Object.values(this.parts));
    this.place.scrollTop = 0;
    this.again();
    this.load();
    return true;
  }

  focus() {
    this.parts.head.querySelector("h2").focus();
  }

  get subnet() {
    return state.byName.get(this.name);
  }

  /** Draw the figures anew. */
  again() {
    if (this.name === null) return;
    const { subnet } = this;
    const close = iconButton("Close", "close", { on: { click: () => this.leave() } });
    put(this.parts.head, h("div", { class: "inspector-head" }, h("div", {}, h("div", { class: "hint" }, "Subnet"), h("h2", { tabindex: "-1" }, this.name)), close));
    if (!subnet) {
      put(this.parts.facts, h("div", { class: "empty" }, h("span", {}, "There is no such subnet, or this token does not see it.")));
      for (const part of ["addresses", "history", "actions"]) put(this.parts[part]);
      return;
    }
    const usage = state.usage.get(subnet.name);
    const { share, level } = usage ? stateOf(usage) : { share: 0, level: "none" };
    put(
      this.parts.facts,
      section("", usage ? filled(share, `${count(usage.free)} of ${count(usage.size)} free`, level) : null, labels(subnet.labels), facts(this.facts(subnet, usage))),
      section("", h("div", { class: "actions" }, h("a", { class: "button small", href: link("map", { at: subnet.prefix, scope: subnet.scope }) }, "Show on the map"), h("a", { class: "button small", href: link("events", { subnet: subnet.name }) }, "All events"), ...subnetActions(subnet))),
    );
  }

  facts(subnet, usage) {
    const more = [["Allocated", usage?.allocated], ["Claimed and free", usage?.claimed_free], ["Cooling", usage?.cooling], ["Reserved", usage?.reserved], ["Outside the ranges", usage?.outside]];
    return [
      ["Prefix", placeLink(subnet.prefix, subnet.scope)],
      ["Scope", subnet.scope],
      ["Gateway", subnet.gateway ? h("span", { class: "mono" }, subnet.gateway) : "none"],
      ...more.filter(([, value]) => value).map(([name, value]) => [name, count(value)]),
      subnet.ranges ? ["Ranges", subnet.ranges.join(", ") || "none"] : null,
      subnet.exclude.length ? ["Excluded", subnet.exclude.join(", ")] : null,
      subnet.closed ? ["Closed", "takes no new addresses and no new claims"] : null,
      subnet.pool ? ["Pool", subnet.pool] : null,
      subnet.project ? ["Project", subnet.project] : null,
      subnet.cooldown ? ["Cool-down", `${subnet.cooldown} s`] : null,
      subnet.weight ? ["Weight", subnet.weight] : null,
      subnet.source ? ["Topology", subnet.source] : null,
      ...Object.entries(subnet.attributes ?? {}).map(([name, value]) => [name, valueText(value)]),
    ];
  }

  /** Events of the feed: the addresses change with them. */
  happened(list) {
    if (this.name !== null && list.some((event) => event.subnet === this.name)) this.later();
  }

  async load() {
    const serial = ++this.serial;
    const since = new Date(Date.now() - MONTH).toISOString();
    try {
      const [page, history] = await Promise.all([
        get("/v1/addresses", { subnet: this.name, limit: Math.max(LINES, Math.min(this.lines.length, 5000)) }),
        get("/v1/history", { subnet: this.name, since, limit: EVENTS }),
      ]);
      if (serial !== this.serial) return;
      Object.assign(this, { lines: page.addresses, next: page.next, events: history.events, cut: history.next !== null });
      this.drawAddresses();
      this.drawHistory();
    } catch (error) {
      if (serial === this.serial) put(this.parts.addresses, section("Addresses", h("p", { role: "alert" }, error.message)));
    }
  }

  async more() {
    const serial = this.serial;
    const page = await get("/v1/addresses", { subnet: this.name, after: this.next, limit: LINES * 5 });
    if (serial !== this.serial) return;
    this.lines.push(...page.addresses);
    this.next = page.next;
    this.drawAddresses();
  }

  drawAddresses() {
    const { subnet } = this;
    if (!subnet) return;
    const held = this.lines.filter((line) => line.allocation);
    const shown = this.only ? this.lines.filter((line) => (this.only === "held" ? line.allocation : !line.allocation)) : this.lines;
    const choice = (value, words) => h("button", { type: "button", class: "pick-button", "aria-pressed": String(this.only === value), on: { click: () => this.choose(value) } }, words);
    put(
      this.parts.addresses,
      section(
        this.next ? `Addresses (the first ${count(held.length)} held)` : `Addresses (${count(held.length)} held)`,
        this.cells(subnet),
        h("div", { class: "choices", role: "group", "aria-label": "Addresses to show" }, choice("", "All"), choice("held", "Held"), choice("free", "Free")),
        shown.length ? markCut(h("div", { class: "lines-wrap" }, h("table", { class: "lines", "aria-label": `Addresses of ${subnet.name}` }, h("thead", {}, h("tr", {}, ["Address", "State", "Owner", "Host"].map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, shown.map((line) => this.line(line, subnet)))))) : h("p", { class: "hint" }, "None."),
        this.next ? button("Show more", { class: "small", on: { click: () => this.more() } }) : null,
      ),
    );
  }

  choose(value) {
    this.only = value;
    this.drawAddresses();
    this.parts.addresses.querySelector("[aria-pressed=true]")?.focus();
  }

  line({ first, last, state: word, allocation }, subnet) {
    const label = h("span", { class: `badge ${{ allocated: "info", cooling: "warn", reserved: "warn" }[word] ?? ""}` }, STATES[word]);
    if (allocation) {
      const more = [allocation.note, ...Object.entries(allocation.attributes ?? {}).map(([name, value]) => `${name}=${valueText(value)}`)].filter(Boolean).join(" · ");
      return h(
        "tr",
        { data: { state: word } },
        h("td", {}, placeLink(first, subnet.scope)),
        h("td", {}, label, allocation.borrowed ? h("span", { class: "badge warn" }, "borrowed") : null),
        h("td", { class: "wrap" }, allocation.owner ? ownerLink(allocation.owner) : "", more ? h("div", { class: "hint" }, more) : null),
        h("td", { class: "clip", title: allocation.host || null }, allocation.host ? hostLink(allocation.host) : ""),
      );
    }
    const number = parseAddress(last).value - parseAddress(first).value + 1n;
    const can = word !== "never" && !subnet.closed && state.caller.permission !== "read";
    return h(
      "tr",
      { class: "unheld", data: { state: word } },
      h("td", { colspan: "4", class: "wrap" }, h("span", { class: "row" }, h("span", { class: "mono" }, number > 1n ? `${first} – ${last}` : first), label, number > 1n ? h("span", { class: "hint" }, plural(Number(number), "address", "addresses")) : null, can ? h("a", { href: link("allocate", { address: first, scope: subnet.scope }) }, number > 1n ? "allocate the first" : "allocate") : null)),
    );
  }

  /** The addresses of a small subnet as cells in order. */
  cells(subnet) {
    if (sizeOf(subnet.at) > CELLS || this.next) return null;
    const base = subnet.at.base;
    const cells = this.lines.flatMap((line) => {
      const [from, to] = [line.first, line.last].map((text) => Number(parseAddress(text).value - base));
      return Array.from({ length: to - from + 1 }, () => h("i", { class: `cell ${line.state}` }));
    });
    const used = [...new Set(this.lines.map((line) => line.state))];
    return h("div", { class: "cells-part" }, h("div", { class: "cells", vars: { across: String(Math.min(32, cells.length)) }, role: "img", "aria-label": `Addresses of ${subnet.prefix} in order` }, cells), h("ul", { class: "cells-legend" }, used.map((word) => h("li", {}, h("i", { class: `cell ${word}` }), STATES[word]))));
  }

  drawHistory() {
    const now = Date.now();
    const number = (act, span) => this.events.filter((event) => event.act === act && now - Date.parse(event.at) <= span).length;
    const least = this.cut ? "at least " : "";
    const spans = [["Last day", DAY], ["Last 30 days", MONTH]];
    put(
      this.parts.history,
      section("Figures", facts(spans.map(([words, span]) => [words, `${least}${plural(number("allocated", span), "address", "addresses")} allocated, ${count(number("released", span))} released`]))),
      section(
        "Last changes",
        this.events.length
          ? h("ul", { class: "changes" }, this.events.slice(0, SHOWN).map((event) => h("li", {}, timeOf(event.at), h("span", {}, h("b", {}, event.act.replace("_", " ")), ` ${event.subject}`, event.owner ? ` · ${event.owner}` : "", event.actor ? ` · by ${event.actor}` : ""), event.detail ? h("span", { class: "hint" }, event.detail) : null)))
          : h("p", { class: "hint" }, "None in the last 30 days."),
      ),
    );
  }

  close() {
    this.serial++;
    this.later.cancel();
  }
}
