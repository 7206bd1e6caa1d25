/** Everything that an owner holds, in all scopes. */

import { get } from "../core/api.js";
import { csvOf, save } from "../core/csv.js";
import { button, debounce, h, put } from "../core/dom.js";
import { plural } from "../core/format.js";
import { hostLink, placeLink, subnetLink, timeOf, valueText } from "../core/parts.js";
import { link, note, where } from "../core/router.js";
import { state } from "../core/state.js";
import { Table } from "../core/table.js";

const PAGE = 1000;

export function ownersView(root) {
  return new OwnersView(root);
}

class OwnersView {
  constructor(root) {
    Object.assign(this, { owner: "", serial: 0, held: [], next: null });
    this.field = h("input", { type: "search", "aria-label": "Owner", placeholder: "Owner, exactly", on: { change: () => this.ask(this.field.value.trim()) } });
    this.sum = h("span", { class: "hint", role: "status" });
    this.history = h("a", { class: "button" }, "Events");
    this.table = new Table(this.columns(), { key: (each) => `${each.scope} ${each.address}`, label: "Addresses of the owner", empty: "This owner holds no address." });
    this.more = button("Read more", { hidden: true, on: { click: () => this.load(this.next) } });
    const csv = button("CSV", { on: { click: () => this.export() } }, "download");
    put(
      root,
      h("div", { class: "view tall" }, h("div", { class: "view-head" }, h("h1", {}, "Owner"), this.sum, h("div", { class: "filter" }, this.field, this.history, csv)), h("div", { class: "panel grow" }, this.table.element), this.more),
    );
    this.later = debounce(() => this.load(0), 800);
    this.stop = state.listen(["events"], (event) => event.detail.some((each) => each.owner === this.owner) && this.later());
  }

  columns() {
    const text = (name, label, cell, minor = false) => ({ name, label, minor, clip: true, value: (each) => String(each[name] ?? ""), cell: (each) => cell?.(each) ?? each[name] });
    return [
      text("address", "Address", (each) => placeLink(each.address, each.scope)),
      text("state", "State", (each) => h("span", { class: `badge ${each.state === "allocated" ? "info" : "warn"}` }, each.state)),
      text("subnet", "Subnet", (each) => subnetLink(each.subnet, each.scope)),
      text("scope", "Scope", null, true),
      text("host", "Host", (each) => (each.host ? hostLink(each.host) : "")),
      text("note", "Note", null, true),
      { name: "attributes", label: "Attributes", minor: true, clip: true, value: attributes, cell: attributes },
      text("allocated_at", "Since", (each) => timeOf(each.allocated_at), true),
    ];
  }

  ask(owner) {
    note({ owner });
    this.update(where().query);
  }

  update({ owner = "" }) {
    this.owner = owner;
    this.field.value = owner;
    this.history.href = link("events", { owner });
    document.title = `${owner || "Owner"} · Borough`;
    this.held = [];
    this.load(0);
  }

  async load(after) {
    const serial = ++this.serial;
    if (!this.owner) {
      put(this.sum, "Name an owner.");
      this.table.show([]);
      return;
    }
    try {
      const page = await get("/v1/allocations", { owner: this.owner, limit: PAGE, after });
      if (serial !== this.serial) return;
      this.held = after ? [...this.held, ...page.allocations] : page.allocations;
      this.next = page.next;
      const scopes = new Set(this.held.map((each) => each.scope));
      put(this.sum, `${page.next ? "the first " : ""}${plural(this.held.length, "address", "addresses")} in ${plural(scopes.size, "scope")}`);
      this.more.hidden = page.next === null;
      this.table.show(this.held);
    } catch (error) {
      if (serial === this.serial) put(this.sum, h("span", { role: "alert" }, error.message));
    }
  }

  export() {
    const columns = this.table.columns;
    save(`${this.owner}.csv`, csvOf(columns.map((each) => each.label), this.held.map((each) => columns.map((column) => column.value(each)))));
  }

  close() {
    this.serial++;
    this.later.cancel();
    this.stop();
  }
}

function attributes(each) {
  return Object.entries(each.attributes ?? {}).map(([name, value]) => `${name}=${valueText(value)}`).join(" ");
}
