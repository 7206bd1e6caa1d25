/** Groups of subnets: their usage, and the forecast of when they are full. */

import { h, icon, meter, put, debounce } from "../core/dom.js";
import { count, duration, percent, plural } from "../core/format.js";
import { dryIn, rates, stateOf, summarise, urgency } from "../core/groups.js";
import { link, note } from "../core/router.js";
import { state } from "../core/state.js";
import { Table } from "../core/table.js";

const WORDS = { good: "Fine", warn: "Filling up", alarm: "Nearly dry", dry: "Dry", none: "No addresses" };
const GLYPHS = { good: "check", warn: "warn", alarm: "warn", dry: "warn" };

export function groupsView(root) {
  return new GroupsView(root);
}

class GroupsView {
  constructor(root) {
    this.by = null;
    this.picks = h("fieldset", { class: "picks" });
    this.full = h("input", { type: "number", min: "1", max: "100", value: "80", "aria-label": "Per cent taken", on: { change: () => this.limit() } });
    this.few = h("input", { type: "number", min: "0", placeholder: "none", "aria-label": "Free addresses", on: { change: () => this.limit() } });
    const thresholds = h("div", { class: "picks" }, h("label", { class: "threshold" }, "Notice from", this.full, "% taken"), h("label", { class: "threshold" }, "or fewer than", this.few, "free"));
    this.cards = h("div", { class: "cards", role: "list", "aria-label": "Groups that need attention" });
    this.table = new Table(this.columns(), {
      key: (group) => group.key,
      label: "Groups",
      empty: "There is no subnet in this scope yet.",
    });
    put(
      root,
      h(
        "div",
        { class: "view" },
        h("div", { class: "view-head" }, h("h1", {}, "Groups"), thresholds, this.picks),
        this.cards,
        h("div", { class: "panel" }, this.table.element),
      ),
    );
    const later = debounce(() => this.draw(), 1500);
    this.stop = state.listen(["declared", "space"], () => this.draw());
    this.stopEvents = state.listen(["events"], later);
    this.later = later;
  }

  columns() {
    const number = (name, label, minor = false) => ({ name, label, number: true, minor, value: (group) => group[name], cell: (group) => count(group[name]) });
    return [
      { name: "group", label: "Group", chips: true, value: (group) => group.title, cell: (group) => this.titleOf(group) },
      { name: "family", label: "Family", minor: true, value: (group) => group.family, cell: (group) => `IPv${group.family}` },
      { name: "state", label: "State", minor: true, value: (group) => -group.share, cell: (group) => badge(group.level) },
      { name: "share", label: "Taken", value: (group) => group.share, cell: (group) => h("div", { class: "share" }, meter(group.share, `${percent(group.share)} taken`, group.level), h("span", {}, percent(group.share))) },
      number("free", "Free"),
      { name: "dry", label: "Dry in", number: true, value: (group) => group.dry, cell: (group) => this.dryWords(group) },
      number("size", "Size", true),
      number("allocated", "Allocated", true),
      number("cooling", "Cooling", true),
      number("reserved", "Reserved", true),
      number("outside", "Outside ranges", true),
      number("claimed_free", "In claims", true),
      { name: "subnets", label: "Subnets", number: true, minor: true, value: (group) => group.names.length, cell: (group) => count(group.names.length) },
      { name: "allocate", label: h("span", { class: "unseen" }, "Allocate"), cell: (group) => (state.caller.permission === "read" ? null : h("a", { href: link("allocate", Object.fromEntries(group.parts)), title: "Allocate from this group" }, "Allocate")) },
    ];
  }

  titleOf(group) {
    const parts = group.parts.filter(([, value]) => value);
    const chips = parts.length ? parts.map(([name, value]) => h("span", { class: "chip" }, h("b", {}, name), value)) : [h("span", { class: "hint" }, "no label")];
    const words = parts.map(([name, value]) => `${name}=${value}`).join(" ");
    return h("a", { class: "chips", href: link("subnets", { q: words }), title: "Show the subnets of this group" }, chips);
  }

  dryWords(group) {
    if (group.free === 0) return "now";
    if (group.dry === Infinity) return h("span", { class: "hint", title: "No growth in the events that the page has" }, "–");
    return group.dry > 365 * 86400 ? "> 1 year" : duration(group.dry);
  }

  /** The dimensions to group by: the chosen ones, or the hard ones. */
  dimensions() {
    const used = state.dimensions.filter((each) => state.subnets.some((subnet) => subnet.labels[each.name]?.length));
    const asked = this.by === null ? null : new Set(this.by);
    return { used, chosen: used.filter((each) => (asked ? asked.has(each.name) : each.fallback !== "any")) };
  }

  drawPicks(used, chosen) {
    put(
      this.picks,
      h("legend", { class: "unseen" }, "Group by"),
      h("span", { class: "hint", "aria-hidden": "true" }, "Group by"),
      used.map((each) =>
        h(
          "label",
          { class: "pick" },
          h("input", { type: "checkbox", value: each.name, prop: { checked: chosen.includes(each) }, on: { change: () => this.regroup() } }),
          h("span", {}, each.name),
        ),
      ),
    );
  }

  regroup() {
    const boxes = [...this.picks.querySelectorAll("input")];
    this.by = boxes.filter((box) => box.checked).map((box) => box.value);
    note({ by: this.by.join(",") || "-" });
    this.draw();
  }

  /** Other thresholds: they are in the address. */
  limit() {
    note({ full: this.full.value === "80" ? "" : this.full.value, few: this.few.value });
    this.draw();
  }

  get limits() {
    return { share: (Number(this.full.value) || 80) / 100, free: Number(this.few.value) || 0 };
  }

  update(query) {
    this.full.value = query.full ?? "80";
    this.few.value = query.few ?? "";
    if (query.by) this.by = query.by === "-" ? [] : query.by.split(",");
    this.draw();
  }

  draw() {
    const { used, chosen } = this.dimensions();
    const drawn = used.map((each) => each.name).join() + chosen.map((each) => each.name).join();
    if (drawn !== this.drawn) {
      const focused = document.activeElement?.value;
      this.drawPicks(used, chosen);
      this.picks.querySelector(`input[value="${CSS.escape(focused ?? "")}"]`)?.focus();
      this.drawn = drawn;
    }
    const by = chosen.map((each) => each.name);
    const rate = rates(state.events, Date.now());
    const groups = summarise(state.subnets, state.usage, by).map((group) => {
      const dry = dryIn(group, rate);
      const parts = by.map((name, at) => [name, group.values[at]]);
      return { ...group, ...stateOf(group, dry, this.limits), dry, parts, title: group.values.join(" ") };
    });
    groups.sort(urgency);
    // Columns in which nothing stands would only take room.
    const empty = (column) => ["cooling", "reserved", "outside", "claimed_free"].includes(column.name) && groups.every((group) => !group[column.name]);
    this.table.columns = this.columns().filter((column) => !empty(column));
    this.table.drawHead();
    this.table.show(groups);
    this.drawCards(groups);
  }

  drawCards(groups) {
    const urgent = groups.filter((group) => ["dry", "alarm", "warn"].includes(group.level)).slice(0, 8);
    if (!urgent.length) {
      put(this.cards, groups.length ? h("div", { class: "card calm", role: "listitem" }, badge("good"), h("p", {}, `All ${plural(groups.length, "group")} have room.`)) : null);
      return;
    }
    put(
      this.cards,
      urgent.map((group) =>
        h(
          "div",
          { class: `card ${group.level}`, role: "listitem" },
          h("div", { class: "card-head" }, badge(group.level), h("span", { class: "hint" }, `IPv${group.family}`)),
          this.titleOf(group),
          h("div", { class: "card-number" }, count(group.free), h("span", {}, ` of ${count(group.size)} free`)),
          meter(group.share, `${percent(group.share)} taken`, group.level),
          h("p", { class: "hint" }, group.free === 0 ? "No address of this group is free now." : group.dry === Infinity ? "No growth of late." : `At the present rate dry in ${duration(group.dry)}.`),
        ),
      ),
    );
  }

  close() {
    this.stop();
    this.stopEvents();
    this.later.cancel();
  }
}

function badge(level) {
  return h("span", { class: `badge ${level}` }, GLYPHS[level] ? icon(GLYPHS[level]) : null, WORDS[level]);
}
