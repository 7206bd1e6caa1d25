/** The subnets: a tree by scope, pool and prefix, with their usage; beside it the chosen one. */

import { csvOf, save } from "../core/csv.js";
import { button, debounce, h, icon, meter, put } from "../core/dom.js";
import { count, percent, plural } from "../core/format.js";
import { attributesText, labels } from "../core/parts.js";
import { link, note, where } from "../core/router.js";
import { state } from "../core/state.js";
import { Table } from "../core/table.js";
import { arrange, filtered, linesOf } from "../core/tree.js";
import { SubnetPanel } from "./subnet.js";
import { addActions } from "./subnet_actions.js";

const HIDDEN = ["size", "cooling", "reserved", "project", "source"]; // columns that are hidden at first

export function subnetsView(root) {
  return new SubnetsView(root);
}

class SubnetsView {
  constructor(root) {
    this.closed = new Set();
    this.hidden = new Set(HIDDEN);
    this.filter = h("input", { type: "search", placeholder: "Filter: name, prefix, label, attribute", "aria-label": "Filter subnets", on: { input: debounce(() => this.refilter(), 120) } });
    this.sum = h("span", { class: "hint", role: "status" });
    this.picks = h("div", { class: "menu-body" });
    this.menu = h("details", { class: "menu" }, h("summary", { class: "button" }, icon("columns"), h("span", {}, "Columns")), this.picks);
    this.table = new Table(this.shownColumns(), {
      key: (line) => line.key,
      choose: true,
      label: "Subnets",
      sort: ["prefix", "ascending"],
      empty: "No subnet matches.",
      arrange: (lines, order) => arrange(lines, order, this.closed, state.scope),
      sorted: (by, way) => note({ sort: way === "ascending" ? by : `-${by}` }),
      rowClass: (line) => (line.kind === "subnet" ? null : "group"),
    });
    this.side = h("aside", { class: "panel detail", "aria-label": "Subnet" });
    this.panel = new SubnetPanel(this.side, () => this.leave());
    const csv = button("CSV", { title: "Save the lines that are shown", on: { click: () => this.export() } }, "download");
    put(
      root,
      (this.frame = h(
        "div",
        { class: "view split wide" },
        h("div", { class: "view-head" }, h("h1", {}, "Subnets"), this.sum, h("div", { class: "filter" }, this.filter, this.menu, csv, addActions())),
        h("div", { class: "panel grow" }, this.table.element),
        this.side,
      )),
    );
    this.drawPicks();
    this.stop = [state.listen(["declared", "space"], () => this.draw()), state.listen(["events"], (event) => this.panel.happened(event.detail))];
  }

  columns() {
    const number = (name, label, minor = false) => ({ name, label, number: true, minor, value: (line) => line[name], cell: (line) => count(line[name]) });
    const text = (name, label) => ({ name, label, minor: true, value: (line) => line[name] ?? "", cell: (line) => line[name] ?? "", clip: true });
    return [
      { name: "name", label: "Subnet", fixed: true, value: (line) => line.name, cell: (line) => this.nameOf(line), clip: true },
      { name: "prefix", label: "Prefix", value: addressOf, cell: (line) => h("span", { class: "mono" }, line.prefix), text: (line) => line.prefix },
      { name: "labels", label: "Labels", minor: true, chips: true, value: (line) => labelText(line), cell: (line) => labels(line.labels), text: labelText },
      { name: "share", label: "Taken", value: (line) => line.share, cell: (line) => shareOf(line), text: (line) => line.share.toFixed(4) },
      number("used", "Used", true),
      number("free", "Free"),
      number("claimed_free", "Claimed", true),
      number("cooling", "Cooling", true),
      number("reserved", "Reserved", true),
      number("size", "Size", true),
      { ...text("gateway", "Gateway"), cell: (line) => h("span", { class: "mono" }, line.gateway ?? "") },
      { name: "attributes", label: "Attributes", minor: true, value: attributesText, cell: (line) => h("span", { title: attributesText(line) || null }, attributesText(line)), text: attributesText, clip: true },
      text("project", "Project"),
      text("source", "Topology"),
    ];
  }

  shownColumns() {
    return this.columns().filter((column) => !this.hidden.has(column.name));
  }

  nameOf(line) {
    const indent = { depth: String(line.depth) };
    if (line.kind !== "subnet") {
      const open = !this.closed.has(line.key);
      const words = `${line.kind === "pool" ? "Pool" : "Scope"} ${line.name}`;
      return h("span", { class: "tree", vars: indent }, h("button", { type: "button", class: "plain twist", "aria-expanded": String(open), on: { click: () => this.twist(line.key) } }, h("i", { "aria-hidden": "true" }, open ? "▾" : "▸"), words), h("span", { class: "hint" }, plural(line.members.length, "subnet")));
    }
    const query = { ...where().query, subnet: line.name, scope: line.scope };
    return h("span", { class: "tree", vars: indent }, h("a", { href: link("subnets", query), title: line.name }, line.name), line.closed ? h("span", { class: "badge warn" }, "closed") : null);
  }

  twist(key) {
    if (!this.closed.delete(key)) this.closed.add(key);
    this.table.draw();
  }

  drawPicks() {
    const pick = (column) =>
      h("label", { class: "check" }, h("input", { type: "checkbox", value: column.name, prop: { checked: !this.hidden.has(column.name) }, on: { change: (event) => this.showColumn(column.name, event.target.checked) } }), column.label);
    put(this.picks, this.columns().filter((column) => !column.fixed).map(pick));
  }

  showColumn(name, shown) {
    if (shown) this.hidden.delete(name);
    else this.hidden.add(name);
    const same = this.hidden.size === HIDDEN.length && HIDDEN.every((each) => this.hidden.has(each));
    note({ hide: same ? "" : [...this.hidden].join(",") || "-" });
    this.table.use(this.shownColumns());
  }

  refilter() {
    note({ q: this.filter.value.trim() });
    this.draw();
  }

  draw() {
    const lines = linesOf(state.allSubnets, state.usage);
    const shown = filtered(lines, this.filter.value);
    put(this.sum, shown.length === lines.length ? plural(lines.length, "subnet") : `${count(shown.length)} of ${plural(lines.length, "subnet")}`);
    this.table.show(shown);
    this.panel.again();
  }

  export() {
    const columns = this.shownColumns();
    const lines = this.table.sorted().filter((line) => line.kind === "subnet");
    const heads = ["Scope", "Pool", ...columns.map((column) => column.label)];
    save("subnets.csv", csvOf(heads, lines.map((line) => [line.scope, line.pool, ...columns.map((column) => (column.text ?? column.value)(line))])));
  }

  leave() {
    note({ subnet: "" });
    this.update(where().query);
  }

  /** Apply the query of the page address. */
  update(query) {
    if (document.activeElement !== this.filter) this.filter.value = query.q ?? "";
    this.hidden = new Set(query.hide ? (query.hide === "-" ? [] : query.hide.split(",")) : HIDDEN);
    if (query.sort) [this.table.by, this.table.way] = query.sort.startsWith("-") ? [query.sort.slice(1), "descending"] : [query.sort, "ascending"];
    this.drawPicks();
    this.side.hidden = !query.subnet;
    this.frame.classList.toggle("alone", !query.subnet);
    this.table.selected = query.subnet ?? null;
    this.table.use(this.shownColumns());
    this.draw();
    const wasOpen = this.isOpen;
    this.isOpen = true;
    // Not when the page opens: the focus is at its beginning then.
    if (this.panel.show(query.subnet ?? null) && wasOpen) this.panel.focus();
  }

  close() {
    this.panel.close();
    this.stop.forEach((each) => each());
  }
}

/** Sorts prefixes by family and address. */
function addressOf({ at }) {
  return (BigInt(at.family) << 136n) + (at.base << 8n) + BigInt(at.length);
}

function labelText(line) {
  return Object.entries(line.labels).map(([name, values]) => `${name}=${values.join("|")}`).join(" ");
}

function shareOf(line) {
  return h("div", { class: "share" }, meter(line.share, `${percent(line.share)} taken`, line.level), h("span", {}, percent(line.share)));
}
