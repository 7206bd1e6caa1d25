/** The audit trail: filtered by the service, with older events on demand, and live. */

import { Problem, get } from "../core/api.js";
import { csvOf, save } from "../core/csv.js";
import { button, debounce, h, icon, put } from "../core/dom.js";
import { plural } from "../core/format.js";
import { parsePrefix } from "../core/ip.js";
import { hostLink, moreFilters, ownerLink, placeLink, subnetLink, timeOf } from "../core/parts.js";
import { note, where } from "../core/router.js";
import { state } from "../core/state.js";
import { markCut } from "../core/table.js";

const PAGE = 200;
const MOST = 5000; // lines kept
const ACTS = {
  allocated: ["allocated", "info"], released: ["released", ""], reserved: ["reserved", "info"], cancelled: ["cancelled", ""], edited: ["edited", ""], reassigned: ["reassigned", "warn"], claimed: ["claimed", "good"], grew: ["grew", "good"],
  transferred: ["transferred", "warn"], borrowed: ["borrowed", ""], gave_up: ["gave up", ""], topology: ["topology", "warn"], repaired: ["repaired", "alarm"], pruned: ["pruned", "warn"], token: ["token", "warn"],
};
const FIELDS = [["what", "Address, prefix, owner or host"], ["subnet", "Subnet"], ["actor", "Token"]];

export function eventsView(root) {
  return new EventsView(root);
}

class EventsView {
  constructor(root) {
    Object.assign(this, { query: {}, serial: 0, events: [], next: null, waiting: 0 });
    this.isPaused = false;
    const ask = () => this.ask();
    this.fields = FIELDS.map(([name, label]) => h("input", { type: "search", name, placeholder: label, "aria-label": label, on: { change: ask } }));
    this.acts = h("select", { class: "select-quiet", name: "act", "aria-label": "Kind of event", on: { change: ask } }, h("option", { value: "" }, "All events"), Object.entries(ACTS).map(([act, [label]]) => h("option", { value: act }, label)));
    this.since = h("input", { type: "datetime-local", name: "since", "aria-label": "Since", on: { change: ask } });
    this.until = h("input", { type: "datetime-local", name: "until", "aria-label": "Until", on: { change: ask } });
    this.filters = moreFilters([...this.fields.slice(1), this.since, this.until]);
    this.pause = button("Pause", { id: "pause", "aria-pressed": "false", on: { click: () => this.togglePause() } }, "pause");
    this.sum = h("span", { class: "hint", id: "event-sum", role: "status" });
    this.body = h("tbody");
    this.more = button("Older events", { class: "more-lines", hidden: true, on: { click: () => this.older() } });
    const csv = button("CSV", { title: "Save the events that are shown", on: { click: () => this.export() } }, "download");
    const heads = [["Time"], ["Event"], ["What"], ["Subnet", "minor"], ["Owner"], ["Host", "minor"], ["By", "minor"], ["Detail", "minor"]];
    put(
      root,
      h(
        "div",
        { class: "view tall" },
        h("div", { class: "view-head" }, h("h1", {}, "Events"), this.sum, h("div", { class: "filter" }, this.acts, this.fields[0], this.filters.element, this.pause, csv)),
        h("div", { class: "panel grow" }, markCut(h("div", { class: "table-wrap", tabindex: "-1" }, h("table", { class: "events", "aria-label": "Events, the newest first" }, h("thead", {}, h("tr", {}, heads.map(([head, kind]) => h("th", { scope: "col", class: kind }, head)))), this.body), this.more))),
      ),
    );
    this.later = debounce(() => this.newer(), 250);
    this.stop = state.listen(["events"], (event) => this.came(event.detail));
  }

  /** The parameters of `/v1/history`. */
  get asked() {
    const { what, owner, host, subnet, actor, act, since, until } = this.query;
    const time = (text) => (text ? new Date(text).toISOString() : null);
    return { what, owner, host, subnet, actor, act, since: time(since), until: time(until) };
  }

  ask() {
    note(Object.fromEntries([...this.fields, this.acts, this.since, this.until].map((each) => [each.name, each.value.trim()])));
    this.update(where().query);
  }

  update(query) {
    this.query = query;
    for (const each of [...this.fields, this.acts, this.since, this.until]) each.value = query[each.name] ?? "";
    this.filters.show();
    this.read();
  }

  async read() {
    const serial = ++this.serial;
    try {
      const page = await get("/v1/history", { ...this.asked, limit: PAGE });
      if (serial !== this.serial) return;
      this.events = page.events;
      this.next = page.next;
      this.trouble = null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (serial !== this.serial) return;
      Object.assign(this, { events: [], next: null, trouble: error.message });
    }
    this.waiting = 0;
    this.draw();
  }

  async older() {
    const serial = this.serial;
    const page = await get("/v1/history", { ...this.asked, limit: PAGE, before: this.next });
    if (serial !== this.serial) return;
    this.events.push(...page.events);
    this.next = page.next;
    this.body.append(...page.events.map((event) => this.line(event, false)));
    this.summarise();
  }

  /** New events: the service is asked for those that match. */
  came(list) {
    if (this.isPaused) {
      this.waiting += list.length;
      this.summarise();
    } else this.later();
  }

  async newer() {
    const serial = this.serial;
    const page = await get("/v1/history", { ...this.asked, after: this.events[0]?.id ?? 0, limit: PAGE }).catch(() => null);
    if (serial !== this.serial || !page?.events.length) return;
    if (page.next !== null) {
      // More than a page came at once: between them and the older ones some are missing.
      this.read();
      return;
    }
    this.body.querySelector(".nothing")?.remove();
    this.events.unshift(...page.events);
    this.body.prepend(...page.events.map((event) => this.line(event, true)));
    while (this.events.length > MOST) {
      this.events.pop();
      this.body.lastElementChild.remove();
      this.next = this.events.at(-1).id;
    }
    this.summarise();
  }

  togglePause() {
    this.isPaused = !this.isPaused;
    this.pause.setAttribute("aria-pressed", String(this.isPaused));
    put(this.pause, icon(this.isPaused ? "play" : "pause"), h("span", {}, this.isPaused ? "Resume" : "Pause"));
    this.waiting = 0;
    if (this.isPaused) this.summarise();
    else this.newer();
  }

  summarise() {
    this.more.hidden = this.next === null;
    put(this.sum, this.isPaused ? (this.waiting ? `paused, ${plural(this.waiting, "new event")}` : "paused") : `${this.next === null ? "" : "the newest "}${plural(this.events.length, "event")}`);
  }

  draw() {
    put(this.body, this.events.map((event) => this.line(event, false)));
    if (!this.events.length) {
      const words = this.trouble ?? (Object.values(this.asked).some(Boolean) ? "No event matches." : "No events yet.");
      put(this.body, h("tr", { class: "nothing" }, h("td", { colspan: "8" }, h("div", { class: "empty", role: this.trouble ? "alert" : null }, words))));
    }
    this.summarise();
  }

  line(event, fresh) {
    const [label, level] = ACTS[event.act] ?? [event.act, ""];
    const place = parsePrefix(event.subject);
    const scope = event.scope || null;
    return h(
      "tr",
      { class: fresh ? "fresh" : null, data: { id: String(event.id) } },
      h("td", { class: "mono soft" }, timeOf(event.at)),
      h("td", {}, h("span", { class: `badge ${level}` }, label)),
      h("td", { class: "clip", title: event.subject }, place ? placeLink(event.subject, scope ?? undefined) : event.subject),
      h("td", { class: "clip minor" }, event.subnet ? subnetLink(event.subnet, scope ?? undefined) : null),
      h("td", { class: "clip", title: event.owner || null }, event.owner ? ownerLink(event.owner) : null),
      h("td", { class: "clip minor", title: event.host || null }, event.host ? hostLink(event.host) : null),
      h("td", { class: "clip minor" }, event.actor),
      h("td", { class: "clip hint minor", title: event.detail || null }, event.detail),
    );
  }

  export() {
    const heads = ["id", "at", "act", "subject", "subnet", "scope", "owner", "host", "actor", "detail"];
    save("events.csv", csvOf(heads, this.events.map((event) => heads.map((name) => event[name]))));
  }

  close() {
    this.serial++;
    this.later.cancel();
    this.stop();
  }
}
