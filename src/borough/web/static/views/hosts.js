/** Hosts with their claims, addresses and routes. */

import { get } from "../core/api.js";
import { byHolder } from "../core/columns.js";
import { debounce, h, iconButton, meter, put, toast } from "../core/dom.js";
import { count, percent, plural } from "../core/format.js";
import { formatPrefix } from "../core/ip.js";
import { facts, labels, ownerLink, placeLink, section } from "../core/parts.js";
import { link, note, where } from "../core/router.js";
import { state } from "../core/state.js";
import { Table } from "../core/table.js";
import { regionPrefix } from "../map/model.js";
import { hostActions } from "./host_actions.js";

const HELD = 500; // addresses of a host listed

export function hostsView(root) {
  return new HostsView(root);
}

class HostsView {
  constructor(root) {
    this.host = null;
    this.serial = 0;
    this.filter = h("input", { type: "search", placeholder: "Filter by name or label", "aria-label": "Filter hosts", on: { input: () => this.refilter() } });
    this.sum = h("span", { class: "hint", role: "status" });
    this.table = new Table(this.columns(), { key: (host) => host.name, choose: true, label: "Hosts", sort: ["name", "ascending"], empty: "No host matches." });
    this.side = h("aside", { class: "panel detail", "aria-label": "Host" });
    put(
      root,
      h(
        "div",
        { class: "view split" },
        h("div", { class: "view-head" }, h("h1", {}, "Hosts"), this.sum, h("div", { class: "filter" }, this.filter)),
        h("div", { class: "panel grow" }, this.table.element),
        this.side,
      ),
    );
    this.again = debounce(() => this.host && this.load(), 800);
    this.stop = [
      state.listen(["declared", "space"], () => this.draw()),
      state.listen(["events"], (event) => event.detail.some((each) => each.host === this.host) && this.again()),
    ];
    this.empty();
  }

  columns() {
    const number = (name, label, minor = false) => ({ name, label, number: true, minor, value: (host) => host[name], cell: (host) => count(host[name]) });
    return [
      { name: "name", label: "Host", value: (host) => host.name, cell: (host) => h("a", { href: link("hosts", { ...where().query, host: host.name }), title: host.name }, host.name), clip: true },
      { name: "labels", label: "Labels", minor: true, cell: (host) => labels(host.labels) ?? h("span", { class: "hint" }, host.declared ? "none" : "not declared") },
      number("regions", "Prefixes"),
      number("blocks", "Blocks", true),
      { name: "share", label: "Use of claims", value: (host) => host.share, cell: (host) => (host.size ? h("div", { class: "share" }, meter(host.share, `${percent(host.share)} used`), h("span", {}, percent(host.share))) : h("span", { class: "hint" }, "–")) },
      number("taken", "Taken"),
      number("size", "Claimed", true),
    ];
  }

  list() {
    const holds = byHolder(state.columns);
    const made = new Map(state.hosts.map((host) => [host.name, { ...host, declared: true }]));
    for (const holder of holds.keys()) {
      if (!holder.startsWith("host=")) continue;
      const name = holder.slice(5);
      if (!made.has(name)) made.set(name, { name, labels: {}, declared: false });
    }
    return [...made.values()].map((host) => {
      const claims = holds.get(`host=${host.name}`) ?? { blocks: 0, regions: 0, taken: 0, size: 0 };
      return { ...host, ...claims, share: claims.size ? claims.taken / claims.size : 0 };
    });
  }

  refilter() {
    note({ q: this.filter.value.trim() });
    this.draw();
  }

  draw() {
    const words = this.filter.value.trim().toLowerCase();
    const text = (host) => `${host.name} ${Object.entries(host.labels).map(([name, values]) => values.map((value) => `${name}=${value}`).join(" ")).join(" ")}`.toLowerCase();
    const hosts = this.list();
    const shown = words ? hosts.filter((host) => text(host).includes(words)) : hosts;
    put(this.sum, shown.length === hosts.length ? plural(hosts.length, "host") : `${count(shown.length)} of ${plural(hosts.length, "host")}`);
    this.table.options.empty = hosts.length ? "No host matches." : "No host is declared, and no host has claims.";
    this.table.show(shown);
  }

  empty() {
    put(this.side, h("div", { class: "empty" }, h("strong", {}, "No host chosen"), h("span", {}, "Its claims, addresses and routes are shown here.")));
    this.side.classList.remove("open");
  }

  update(query) {
    if (document.activeElement !== this.filter) this.filter.value = query.q ?? "";
    this.draw();
    this.side.hidden = !query.host;
    this.side.parentElement.classList.toggle("alone", !query.host);
    // Not when the page opens: the focus is at its beginning then.
    if (query.host && query.host !== this.host) this.show(query.host, this.isOpen);
    this.isOpen = true;
    if (query.host) return;
    this.host = null;
    this.table.select(null);
    this.empty();
  }

  show(name, focus) {
    this.host = name;
    this.table.select(name);
    this.side.classList.add("open");
    put(this.side, h("div", { class: "empty", role: "status" }, "Reading…"));
    this.load(focus);
  }

  async load(focus = false) {
    const serial = ++this.serial;
    const name = this.host;
    try {
      const [routes, held] = await Promise.all([
        get("/v1/routes", { host: name }),
        get("/v1/allocations", { host: name, limit: HELD }),
      ]);
      if (serial !== this.serial) return;
      this.detail(name, routes.routes, held);
      if (focus) this.side.querySelector("h2").focus();
    } catch (error) {
      if (serial === this.serial) toast(error.message, "error");
    }
  }

  detail(name, routes, held) {
    const host = this.list().find((each) => each.name === name) ?? { name, labels: {}, declared: false, blocks: 0, regions: 0 };
    const claims = this.claims(name);
    const borrowed = held.allocations.filter((each) => each.borrowed);
    const close = () => {
      note({ host: "" });
      this.update(where().query);
    };
    put(
      this.side,
      h("div", { class: "inspector-head" }, h("div", {}, h("div", { class: "hint" }, host.declared ? "Host" : "Host, not declared"), h("h2", { tabindex: "-1" }, name)), iconButton("Close", "close", { on: { click: close } })),
      section("", labels(host.labels), facts([["Addresses", held.next ? `more than ${HELD}` : count(held.allocations.length)], borrowed.length ? ["Borrowed", plural(borrowed.length, "address", "addresses")] : null, ...settings(host.claims)])),
      section("", h("div", { class: "actions" }, h("a", { class: "button small", href: link("addresses", { host: name }) }, "All addresses"), h("a", { class: "button small", href: link("events", { host: name }) }, "Events"), state.caller.permission === "read" ? null : h("a", { class: "button small", href: link("allocate", { host: name }) }, "Allocate for this host"), hostActions(name, host.declared))),
      section(`Routes it advertises (${routes.length})`, routes.length ? prefixes(routes.map((route) => [route.prefix, route.scope === state.scope ? "" : route.scope])) : h("p", { class: "hint" }, "None.")),
      section(`Claims in this scope (${claims.length})`, claims.length ? prefixes(claims) : h("p", { class: "hint" }, "None.")),
      section(
        "Addresses it holds in all scopes",
        held.allocations.length
          ? h("ul", { class: "held" }, held.allocations.map((each) => h("li", {}, placeLink(each.address, each.scope), h("span", { class: "clip" }, each.owner ? ownerLink(each.owner) : "no owner"), each.scope === state.scope ? null : h("span", { class: "badge" }, each.scope), each.borrowed ? h("span", { class: "badge warn" }, "borrowed") : null)))
          : h("p", { class: "hint" }, "None."),
      ),
    );
  }

  claims(name) {
    const { columns } = state;
    const sums = new Map();
    for (let at = 0; at < columns.number; at++) {
      if (columns.holders[columns.holder[at]] !== `host=${name}`) continue;
      const prefix = formatPrefix(regionPrefix(columns, at));
      const sum = sums.get(prefix) ?? [0, 0];
      sums.set(prefix, [sum[0] + columns.size[at] - Math.min(columns.size[at], columns.free[at]), sum[1] + columns.size[at]]);
    }
    return [...sums].map(([prefix, [taken, size]]) => [prefix, `${count(taken)} of ${count(size)}`]);
  }

  close() {
    this.serial++;
    this.again.cancel();
    this.stop.forEach((each) => each());
  }
}

/** Settings of claims that a host has of its own. */
function settings(claims = {}) {
  return Object.entries(claims).map(([name, value]) => [h("code", {}, `claims.${name}`), String(value)]);
}

function prefixes(lines) {
  return h("ul", { class: "held" }, lines.map(([prefix, more]) => h("li", {}, placeLink(prefix), h("span", { class: "clip" }, more))));
}
