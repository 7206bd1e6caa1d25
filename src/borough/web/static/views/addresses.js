/** Addresses in all scopes, by owner, host, subnet or attribute; several of them released or reassigned. */

import { Problem, call, get } from "../core/api.js";
import { csvOf, save } from "../core/csv.js";
import { announce, button, debounce, h, put, toast } from "../core/dom.js";
import { plural } from "../core/format.js";
import { attributesText, hostLink, moreFilters, ownerLink, placeLink, subnetLink, timeOf } from "../core/parts.js";
import { link, note, where } from "../core/router.js";
import { state } from "../core/state.js";
import { Table } from "../core/table.js";
import { outcome } from "../explanation.js";
import { confirmDialog } from "../dialogs.js";

const PAGE = 1000;
const FIELDS = [["owner", "Owner"], ["host", "Host"], ["subnet", "Subnet"], ["attribute", "Attribute, as name=value"]];

export function addressesView(root) {
  return new AddressesView(root);
}

const keyOf = (each) => `${each.scope} ${each.address}`;

class AddressesView {
  constructor(root) {
    Object.assign(this, { query: {}, serial: 0, held: [], next: null, chosen: new Set() });
    this.fields = FIELDS.map(([name, label]) => h("input", { type: "search", name, "aria-label": label, placeholder: label, on: { change: () => this.ask() } }));
    this.filters = moreFilters(this.fields.slice(1));
    this.sum = h("span", { class: "hint", role: "status" });
    this.history = h("a", { class: "button" }, "Events");
    this.table = new Table(this.columns(), { key: keyOf, label: "Addresses", empty: "No address is held so." });
    this.more = button("Read more", { hidden: true, on: { click: () => this.load(this.next) } });
    this.bar = h("div", { class: "selection", hidden: true });
    const csv = button("CSV", { title: "Save the lines that are shown", on: { click: () => this.export() } }, "download");
    put(
      root,
      h(
        "div",
        { class: "view tall with-bar" },
        h("div", { class: "view-head" }, h("h1", {}, "Addresses"), this.sum, h("div", { class: "filter" }, this.fields[0], this.filters.element, this.history, csv)),
        this.bar,
        h("div", { class: "panel grow" }, this.table.element),
        this.more,
      ),
    );
    this.later = debounce(() => this.load(0), 800);
    this.stop = state.listen(["events"], (event) => event.detail.some((each) => this.concerns(each)) && this.later());
  }

  columns() {
    const text = (name, label, cell, minor = false) => ({ name, label, minor, clip: true, value: (each) => String(each[name] ?? ""), cell: (each) => cell?.(each) ?? each[name] });
    const pick = { name: "pick", label: h("input", { type: "checkbox", "aria-label": "Choose all that are shown", on: { change: (event) => this.chooseAll(event.target.checked) } }), cell: (each) => h("input", { type: "checkbox", "aria-label": `Choose ${each.address}`, prop: { checked: this.chosen.has(keyOf(each)) }, on: { change: (event) => this.choose(each, event.target.checked) } }), text: () => "" };
    return [
      ...(state.caller.permission === "read" ? [] : [pick]),
      text("address", "Address", (each) => placeLink(each.address, each.scope)),
      text("state", "State", (each) => h("span", { class: `badge ${each.state === "allocated" ? "info" : "warn"}` }, each.state)),
      text("owner", "Owner", (each) => (each.owner ? ownerLink(each.owner) : "")),
      text("host", "Host", (each) => (each.host ? hostLink(each.host) : "")),
      text("subnet", "Subnet", (each) => subnetLink(each.subnet, each.scope), true),
      text("scope", "Scope", null, true),
      text("note", "Note", null, true),
      { name: "attributes", label: "Attributes", minor: true, clip: true, value: attributesText, cell: (each) => h("span", { title: attributesText(each) || null }, attributesText(each)) },
      text("allocated_at", "Since", (each) => timeOf(each.allocated_at), true),
    ];
  }

  get asked() {
    return Object.fromEntries(FIELDS.map(([name]) => [name, this.query[name]]).filter(([, value]) => value));
  }

  concerns(event) {
    return ["owner", "host", "subnet"].some((name) => this.query[name] && event[name] === this.query[name]);
  }

  ask() {
    note(Object.fromEntries(this.fields.map((each) => [each.name, each.value.trim()])));
    this.update(where().query);
  }

  update(query) {
    this.query = query;
    for (const each of this.fields) each.value = query[each.name] ?? "";
    this.filters.show();
    this.history.href = link("events", { what: query.owner || query.host, subnet: query.subnet });
    this.chosen.clear();
    this.held = [];
    this.load(0);
  }

  async load(after) {
    const serial = ++this.serial;
    if (!Object.keys(this.asked).length) {
      put(this.sum, "Name an owner, a host, a subnet or an attribute.");
      this.show();
      return;
    }
    try {
      const page = await get("/v1/allocations", { ...this.asked, limit: PAGE, after });
      if (serial !== this.serial) return;
      this.held = after ? [...this.held, ...page.allocations] : page.allocations;
      this.next = page.next;
      const scopes = new Set(this.held.map((each) => each.scope));
      put(this.sum, `${page.next ? "the first " : ""}${plural(this.held.length, "address", "addresses")} in ${plural(scopes.size, "scope")}`);
    } catch (error) {
      if (serial !== this.serial) return;
      this.held = [];
      this.next = null;
      put(this.sum, h("span", { role: "alert" }, error.message));
    }
    this.show();
  }

  show() {
    const known = new Set(this.held.map(keyOf));
    for (const key of this.chosen) if (!known.has(key)) this.chosen.delete(key);
    this.more.hidden = this.next === null;
    // Columns in which nothing stands would only take room.
    const empty = (column) => ["note", "attributes", "host"].includes(column.name) && this.held.every((each) => !column.value(each));
    this.table.columns = this.columns().filter((column) => !empty(column));
    this.table.drawHead();
    this.table.show(this.held);
    this.drawBar();
  }

  choose(each, chosen) {
    if (chosen) this.chosen.add(keyOf(each));
    else this.chosen.delete(keyOf(each));
    this.drawBar();
  }

  chooseAll(chosen) {
    this.chosen = new Set(chosen ? this.held.filter((each) => each.state === "allocated").map(keyOf) : []);
    this.table.draw();
    this.drawBar();
  }

  get selected() {
    return this.held.filter((each) => this.chosen.has(keyOf(each)));
  }

  drawBar() {
    const number = this.selected.length;
    this.bar.hidden = !number;
    if (!number) return;
    put(
      this.bar,
      h("b", {}, `${plural(number, "address", "addresses")} chosen`),
      button("Release", { class: "small danger", on: { click: () => this.release() } }),
      state.caller.permission === "administer" ? button("Reassign", { class: "small", on: { click: () => this.reassign() } }) : null,
      button("Choose none", { class: "small", on: { click: () => this.chooseAll(false) } }),
    );
  }

  release() {
    const some = this.selected;
    const run = (each) => call("DELETE", pathOf(each), { query: { sequence: each.sequence } });
    confirmDialog(`Release ${plural(some.length, "address", "addresses")}`, listOf(some), "Release", () => this.each(some, run, "released"));
  }

  reassign() {
    const some = this.selected;
    const host = h("input", { type: "text", id: "new-host", list: "known-hosts", required: true, autocomplete: "off", spellcheck: "false" });
    const names = h("datalist", { id: "known-hosts" }, state.hosts.slice(0, 2000).map((each) => h("option", { value: each.name })));
    const run = (each) => call("POST", `${pathOf(each)}/reassign`, { body: { host: host.value.trim(), sequence: each.sequence } });
    const parts = [h("div", { class: "field" }, h("label", { for: "new-host" }, "New host"), host, names), listOf(some)];
    confirmDialog(`Reassign ${plural(some.length, "address", "addresses")}`, parts, "Reassign", () => this.each(some, run, "reassigned"));
  }

  /** Change addresses one after the other; those that are refused stay chosen, and are named. */
  async each(some, run, words) {
    const refused = [];
    for (const each of some) {
      try {
        await run(each);
        this.chosen.delete(keyOf(each));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        refused.push(`${each.address}: ${error.message}`);
      }
    }
    const done = some.length - refused.length;
    announce(`${plural(done, "address", "addresses")} ${words}`);
    if (done) toast(`${plural(done, "address", "addresses")} ${words}`, "good");
    this.load(0);
    return refused.length ? [outcome(`${plural(refused.length, "address", "addresses")} not ${words}`, "alarm"), h("ul", { class: "notes" }, refused.slice(0, 20).map((line) => h("li", {}, line)))] : null;
  }

  export() {
    const columns = this.table.columns.filter((column) => column.value);
    save("addresses.csv", csvOf(columns.map((each) => each.label), this.table.sorted().map((each) => columns.map((column) => column.value(each)))));
  }

  close() {
    this.serial++;
    this.later.cancel();
    this.stop();
  }
}

function pathOf({ scope, address }) {
  return `/v1/allocations/${encodeURIComponent(scope)}/${encodeURIComponent(address)}`;
}

function listOf(some) {
  const shown = some.slice(0, 12);
  return h("ul", { class: "notes" }, shown.map((each) => h("li", {}, h("span", { class: "mono" }, each.address), ` ${[each.owner, each.host].filter(Boolean).join(" on ")}`)), some.length > shown.length ? h("li", {}, `and ${some.length - shown.length} more`) : null);
}
