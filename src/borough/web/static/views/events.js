/** The audit trail, live. */

import { button, debounce, h, icon, put } from "../core/dom.js";
import { count, plural, when } from "../core/format.js";
import { parsePrefix } from "../core/ip.js";
import { link } from "../core/router.js";
import { state } from "../core/state.js";

const SHOWN = 300;
const ACTS = {
  allocated: ["allocated", "info"], released: ["released", ""], reserved: ["reserved", "info"], cancelled: ["cancelled", ""], claimed: ["claimed", "good"], grew: ["grew", "good"],
  transferred: ["transferred", "warn"], borrowed: ["borrowed", ""], gave_up: ["gave up", ""], topology: ["topology", "warn"], repaired: ["repaired", "alarm"], pruned: ["pruned", "warn"],
};

export function eventsView(root) {
  return new EventsView(root);
}

class EventsView {
  constructor(root) {
    this.paused = false;
    this.missed = 0;
    this.words = h("input", { type: "search", placeholder: "Filter by address, owner, host or subnet", "aria-label": "Filter events", on: { input: debounce(() => this.draw(), 120) } });
    this.acts = h("select", { class: "select-quiet", "aria-label": "Kind of event", on: { change: () => this.draw() } }, h("option", { value: "" }, "All events"), Object.entries(ACTS).map(([act, [label]]) => h("option", { value: act }, label)));
    this.pause = button("Pause", { id: "pause", "aria-pressed": "false", on: { click: () => this.togglePause() } }, "pause");
    this.sum = h("span", { class: "hint", id: "event-sum" });
    this.body = h("tbody");
    const heads = ["Time", "Event", "What", "Subnet", "Owner", "Host", "Detail"];
    put(
      root,
      h(
        "div",
        { class: "view tall" },
        h("div", { class: "view-head" }, h("h1", {}, "Events"), this.sum, h("div", { class: "filter" }, this.acts, this.words, this.pause)),
        h("div", { class: "panel grow" }, h("div", { class: "table-wrap" }, h("table", { class: "events", "aria-label": "Events, the newest first" }, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), this.body))),
      ),
    );
    this.stop = state.listen(["events"], (event) => this.came(event.detail));
    this.draw();
  }

  togglePause() {
    this.paused = !this.paused;
    this.pause.setAttribute("aria-pressed", String(this.paused));
    put(this.pause, icon(this.paused ? "play" : "pause"), h("span", {}, this.paused ? "Resume" : "Pause"));
    this.missed = 0;
    this.draw();
  }

  matches(event) {
    const words = this.words.value.trim().toLowerCase();
    if (this.acts.value && event.act !== this.acts.value) return false;
    return !words || [event.subject, event.owner, event.host, event.subnet, event.detail].some((text) => text?.toLowerCase().includes(words));
  }

  came(list) {
    if (this.paused) {
      this.missed += list.length;
      this.summarise();
      return;
    }
    const lines = list.filter((event) => this.matches(event)).slice(-SHOWN).reverse().map((event) => this.line(event, true));
    this.body.querySelector(".nothing")?.remove();
    this.body.prepend(...lines);
    while (this.body.children.length > SHOWN) this.body.lastElementChild.remove();
    if (!this.body.children.length) this.draw();
    this.summarise();
  }

  summarise() {
    const words = this.paused && this.missed ? `paused, ${plural(this.missed, "new event")}` : `last ${count(state.events.length)} kept`;
    put(this.sum, words);
  }

  draw() {
    const shown = state.events.filter((event) => this.matches(event)).slice(-SHOWN).reverse();
    put(this.body, shown.map((event) => this.line(event, false)));
    if (!shown.length) put(this.body, h("tr", { class: "nothing" }, h("td", { colspan: "7" }, h("div", { class: "empty" }, state.events.length ? "No event matches." : "No events yet."))));
    this.summarise();
  }

  line(event, fresh) {
    const [label, level] = ACTS[event.act] ?? [event.act, ""];
    const place = parsePrefix(event.subject);
    return h(
      "tr",
      { class: fresh ? "fresh" : null, data: { id: String(event.id) } },
      h("td", { class: "mono soft" }, h("time", { datetime: event.at, title: event.at }, when(event.at))),
      h("td", {}, h("span", { class: `badge ${level}` }, label)),
      h("td", { class: "mono clip" }, place ? h("a", { href: link("map", { at: event.subject }) }, event.subject) : event.subject),
      h("td", { class: "clip" }, event.subnet),
      h("td", { class: "clip", title: event.owner || null }, event.owner),
      h("td", { class: "clip" }, event.host ? h("a", { href: link("hosts", { host: event.host }) }, event.host) : null),
      h("td", { class: "clip hint", title: event.detail || null }, event.detail, event.actor ? ` by ${event.actor}` : null),
    );
  }

  update() {
    this.draw();
  }

  close() {
    this.stop();
  }
}
