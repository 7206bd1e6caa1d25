/** The search field, over all scopes: any part of what is known. A combobox (WAI-ARIA 1.2). */

import { get } from "./core/api.js";
import { announce, debounce, h, icon, put } from "./core/dom.js";
import { count, plural } from "./core/format.js";
import { parseAddress } from "./core/ip.js";
import { go } from "./core/router.js";
import { state } from "./core/state.js";

const LISTED = 8; // lines of each kind
const PAGES = 40; // pages of allocations, of 20,000 each, that one search reads at most

export function buildSearch(place) {
  const field = h("input", {
    type: "search", role: "combobox", placeholder: "Search all scopes", "aria-label": "Search all scopes: address, prefix, MAC, subnet, host, owner, note, attribute",
    title: "Any part of an address, a prefix, a MAC address, a subnet, a host, an owner, a note or an attribute",
    "aria-expanded": "false", "aria-controls": "search-list", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", maxlength: "255",
  });
  const list = h("div", { class: "search-list", id: "search-list", role: "listbox", "aria-label": "Found", tabindex: "-1", hidden: true });
  put(place, icon("search"), field, h("kbd", { "aria-hidden": "true" }, "/"), list);
  const box = new Box(field, list);
  field.addEventListener("input", () => box.typed());
  field.addEventListener("keydown", (event) => box.press(event));
  field.addEventListener("focus", () => field.value && box.typed());
  field.addEventListener("blur", () => setTimeout(() => document.activeElement !== field && box.close(), 150));
}

class Box {
  constructor(field, list) {
    Object.assign(this, { field, list, lines: [], options: [], at: -1, serial: 0 });
    this.ask = debounce((words, serial) => this.askService(words, serial), 160);
  }

  typed() {
    const words = this.field.value.trim();
    this.serial++;
    this.ask.cancel();
    if (!words) {
      this.close();
      return;
    }
    // The choice stays between the pages of one search, and not from one search to another.
    this.at = -1;
    if (this.list.hidden) this.show([], true);
    this.ask(words, this.serial);
  }

  /** Ask page by page: the first one has subnets and hosts, and each compares more allocations. */
  async askService(words, serial) {
    let found = null;
    let after = 0;
    try {
      for (let page = 0; page < PAGES; page++) {
        const more = await get("/v1/search", { text: words, after, limit: LISTED * 3 });
        if (serial !== this.serial) return;
        found = found ? { ...found, next: more.next, allocations: [...found.allocations, ...more.allocations] } : more;
        const done = found.next === null || found.allocations.length >= LISTED * 3;
        this.show(groupsOf(words, found), !done);
        if (done) return;
        after = found.next;
      }
      this.show(groupsOf(words, found), false);
    } catch (error) {
      if (serial === this.serial) this.show([], false, error.message);
    }
  }

  show(groups, partial, trouble = null) {
    const kept = this.lines[this.at]?.key;
    this.lines = groups.flatMap((group) => group.lines);
    this.at = Math.max(0, this.lines.findIndex((line) => line.key === kept));
    if (!this.lines.length) this.at = -1;
    this.list.hidden = false;
    this.field.setAttribute("aria-expanded", "true");
    this.options = this.lines.map((line, at) =>
      h("div", { role: "option", id: `found-${at}`, class: "option", on: { pointerdown: (event) => this.choose(event, at) } }, h("span", { class: "kind" }, line.kind), h("span", { class: "what mono" }, line.what), h("span", { class: "more" }, line.more)),
    );
    let from = 0;
    put(
      this.list,
      groups.map((group) => h("div", { role: "group", "aria-label": group.title }, h("div", { class: "group-title", "aria-hidden": "true" }, group.title), this.options.slice(from, (from += group.lines.length)))),
      this.lines.length && !partial ? null : h("div", { class: "none option", role: "option", "aria-disabled": "true", "aria-selected": "false" }, trouble ?? (partial ? "Searching…" : "Nothing found.")),
    );
    this.mark();
    if (!partial) announce(this.lines.length ? plural(this.lines.length, "result") : "Nothing found");
  }

  mark() {
    this.options.forEach((line, at) => line.setAttribute("aria-selected", String(at === this.at)));
    if (this.at >= 0) {
      this.field.setAttribute("aria-activedescendant", `found-${this.at}`);
      this.options[this.at].scrollIntoView({ block: "nearest" });
    } else this.field.removeAttribute("aria-activedescendant");
  }

  press(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && this.lines.length) {
      this.at = (this.at + steps[event.key] + this.lines.length) % this.lines.length;
      this.mark();
    } else if (event.key === "Enter" && this.at >= 0) this.choose(event, this.at);
    else if (event.key === "Escape") {
      if (this.list.hidden) this.field.blur();
      this.close();
    } else return;
    event.preventDefault();
  }

  choose(event, at) {
    event.preventDefault();
    const line = this.lines[at];
    this.close();
    this.field.blur();
    document.getElementById("main").focus();
    go(line.view, line.query);
  }

  close() {
    this.serial++;
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }
}

/** The results by kind, each with its count. */
function groupsOf(words, found) {
  const inScope = (scope) => (state.scopes.length > 1 ? ` · ${scope}` : "");
  const line = (kind, what, more, view, query) => ({ kind, what, more, view, query, key: `${kind} ${what} ${query.scope ?? ""}` });
  const address = (each) => line("Address", each.address, `${[each.owner, each.host].filter(Boolean).join(" on ") || each.state}${inScope(each.scope)}`, "map", { at: each.address, scope: each.scope });
  const subnets = found.subnets.slice(0, LISTED).map((each) => line("Subnet", each.name, `${each.prefix}${inScope(each.scope)}`, "subnets", { subnet: each.name, scope: each.scope }));
  if (found.subnet_count > subnets.length) subnets.push(line("Subnets", `All ${count(found.subnet_count)}`, "as a table", "subnets", { q: words }));
  const hosts = found.hosts.slice(0, LISTED).map((name) => line("Host", name, "claims and routes", "hosts", { host: name }));
  if (found.host_count > hosts.length) hosts.push(line("Hosts", `All ${count(found.host_count)}`, "as a table", "hosts", { q: words }));
  const low = words.toLowerCase();
  const held = new Map();
  for (const each of found.allocations) if (each.owner.toLowerCase().includes(low)) held.set(each.owner, (held.get(each.owner) ?? 0) + 1);
  const owners = [...held].slice(0, LISTED).map(([owner]) => line("Owner", owner, "all addresses", "addresses", { owner }));
  const undeclared = new Set(found.allocations.map((each) => each.host).filter((host) => host.toLowerCase().includes(low) && host && !found.hosts.includes(host)));
  if (!found.host_count) hosts.push(...[...undeclared].slice(0, LISTED).map((name) => line("Host", name, "not declared", "hosts", { host: name })));
  const addresses = found.allocations.slice(0, LISTED).map(address);
  const free = parseAddress(words) && !found.allocations.length ? found.subnets.slice(0, 2).map((each) => line("Address", words.toLowerCase(), `not held, in ${each.name}${inScope(each.scope)}`, "map", { at: words.toLowerCase(), scope: each.scope })) : [];
  const more = found.next === null ? count(found.allocations.length) : `more than ${count(found.allocations.length)}`;
  const groups = [
    { title: `Addresses (${parseAddress(words) ? Math.max(addresses.length, free.length) : more})`, lines: [...addresses, ...free] },
    { title: `Subnets (${count(found.subnet_count)})`, lines: subnets },
    { title: `Hosts (${count(Math.max(found.host_count, hosts.length))})`, lines: hosts },
    { title: `Owners (${held.size}${found.next === null ? "" : " so far"})`, lines: owners },
  ];
  // An address was asked for: it comes first; otherwise names do.
  const order = parseAddress(words) ? groups : [groups[1], groups[2], groups[3], groups[0]];
  return order.filter((group) => group.lines.length);
}
