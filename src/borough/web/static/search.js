/** The search field: an address, a prefix, a host, a subnet, an owner. A combobox (WAI-ARIA 1.2). */

import { get } from "./core/api.js";
import { announce, debounce, h, icon, put } from "./core/dom.js";
import { plural } from "./core/format.js";
import { contains, formatPrefix, parsePrefix } from "./core/ip.js";
import { go } from "./core/router.js";
import { state } from "./core/state.js";

const MOST = 6; // lines of each kind

export function buildSearch(place) {
  const field = h("input", {
    type: "search", role: "combobox", placeholder: "Address, prefix, host, subnet or owner", "aria-label": "Search by address, prefix, host, subnet or owner",
    "aria-expanded": "false", "aria-controls": "search-list", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", maxlength: "255",
  });
  const list = h("ul", { class: "search-list", id: "search-list", role: "listbox", "aria-label": "Found", hidden: true });
  put(place, icon("search"), field, h("kbd", { "aria-hidden": "true" }, "/"), list);
  const box = new Box(field, list);
  field.addEventListener("input", () => box.typed());
  field.addEventListener("keydown", (event) => box.press(event));
  field.addEventListener("focus", () => field.value && box.typed());
  field.addEventListener("blur", () => setTimeout(() => document.activeElement !== field && box.close(), 150));
}

class Box {
  constructor(field, list) {
    Object.assign(this, { field, list, lines: [], at: -1, serial: 0 });
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
    this.show(local(words), true);
    this.ask(words, this.serial);
  }

  async askService(words, serial) {
    const found = await remote(words).catch(() => []);
    if (serial !== this.serial) return;
    const known = local(words);
    const rest = found.filter((line) => !known.some((each) => each.kind === line.kind && each.what === line.what));
    this.show([...rest.filter((line) => line.kind === "Address"), ...known, ...rest.filter((line) => line.kind !== "Address")], false);
  }

  show(lines, partial) {
    this.lines = lines;
    this.at = lines.length ? 0 : -1;
    this.list.hidden = false;
    this.field.setAttribute("aria-expanded", "true");
    put(
      this.list,
      lines.map((line, at) =>
        h("li", { role: "option", id: `found-${at}`, on: { pointerdown: (event) => this.choose(event, at) } }, h("span", { class: "kind" }, line.kind), h("span", { class: "what mono" }, line.what), h("span", { class: "more" }, line.more)),
      ),
      lines.length ? null : h("li", { class: "none", role: "option", "aria-disabled": "true" }, partial ? "Searching…" : "Nothing found. Owners are found by their beginning."),
    );
    this.mark();
    if (!partial) announce(lines.length ? `${plural(lines.length, "result")}` : "Nothing found");
  }

  mark() {
    [...this.list.children].forEach((line, at) => line.setAttribute("aria-selected", String(at === this.at)));
    if (this.at >= 0) {
      this.field.setAttribute("aria-activedescendant", `found-${this.at}`);
      this.list.children[this.at].scrollIntoView({ block: "nearest" });
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
    line.go();
  }

  close() {
    this.serial++;
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }
}

/** Results from the objects that the page has loaded. */
function local(words) {
  const found = [];
  const prefix = parsePrefix(words);
  if (prefix) {
    const subnet = state.subnets.find((each) => contains(each.at, prefix) || contains(prefix, each.at));
    const what = words.includes("/") ? formatPrefix(prefix) : words.toLowerCase();
    if (subnet) found.push({ kind: words.includes("/") ? "Prefix" : "Address", what, more: `in ${subnet.name}`, go: () => go("map", { at: what }) });
  }
  const low = words.toLowerCase();
  const named = (items) => items.filter((item) => item.name.toLowerCase().includes(low)).slice(0, MOST);
  for (const host of named(state.hosts)) {
    found.push({ kind: "Host", what: host.name, more: "claims and routes", go: () => go("hosts", { host: host.name }) });
  }
  for (const subnet of named(state.subnets)) {
    found.push({ kind: "Subnet", what: subnet.name, more: subnet.prefix, go: () => go("map", { at: subnet.prefix }) });
  }
  return found;
}

/** Results from the service: owners, and hosts that are not declared. */
async function remote(words) {
  const query = { scope: state.scope, limit: 200 };
  const [owned, placed] = await Promise.all([
    get("/v1/allocations", { ...query, owner_prefix: words }),
    get("/v1/allocations", { ...query, host: words, limit: 1 }),
  ]);
  const owners = new Map();
  for (const each of owned.allocations) owners.set(each.owner, [...(owners.get(each.owner) ?? []), each]);
  const lines = [...owners].slice(0, MOST).map(([owner, held]) => ({
    kind: "Owner",
    what: owner,
    more: held.length === 1 ? `${held[0].address}${held[0].host ? ` on ${held[0].host}` : ""}` : plural(held.length, "address", "addresses"),
    go: () => go("map", { at: held[0].address, owner }),
  }));
  if (placed.allocations.length) {
    lines.push({ kind: "Host", what: words, more: "claims and routes", go: () => go("hosts", { host: words }) });
  }
  return lines;
}
