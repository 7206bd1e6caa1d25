/** The state of the service as the page has loaded it: one copy, with events for listeners. */

import { all, get } from "./api.js";
import { NO_COLUMNS, merge, readColumns } from "./columns.js";
import { debounce } from "./dom.js";
import { Feed } from "./feed.js";
import { parsePrefix } from "./ip.js";
import { DEFAULT_SCOPE } from "./router.js";

const REMEMBERED = 5000; // events
const FEW = 50; // most subnets named in a request
const WHOLE = 300_000; // milliseconds between full reads: the end of a cool-down is no event
const HISTORY = 500; // events from before the page was opened

class State extends EventTarget {
  constructor() {
    super();
    this.scope = DEFAULT_SCOPE;
    this.wanted = DEFAULT_SCOPE; // the scope that is being loaded, or the same
    this.caller = null;
    this.dimensions = [];
    this.hosts = [];
    this.allSubnets = [];
    this.subnets = []; // of the scope, by address
    this.byName = new Map();
    this.usage = new Map();
    this.columns = NO_COLUMNS;
    this.events = [];
    this.live = "waiting";
    this.trouble = null; // the error of the last read, while it is the newest
    this.readAt = null; // the time of the newest figures
    this.ready = false;
    this.feed = new Feed({
      events: (list) => this.happened(list),
      missed: () => this.missed(),
      state: (word) => this.liveness(word),
    });
    this.refreshSoon = debounce(() => this.refresh(), 400);
    this.turn = 0;
    this.raw = null; // the columns as received
    this.touched = new Set(); // subnets with events since then
    this.whole = -Infinity;
    this.cost = 0;
    this.last = 0;
  }

  emit(topic, detail = null) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  /** Listen, and return a function that stops. */
  listen(topics, work) {
    for (const topic of topics) this.addEventListener(topic, work);
    return () => topics.forEach((topic) => this.removeEventListener(topic, work));
  }

  get scopes() {
    return [...new Set([DEFAULT_SCOPE, ...this.allSubnets.map((subnet) => subnet.scope)])].sort();
  }

  /** Load everything, of one scope. */
  async open(scope) {
    this.scope = this.wanted = scope;
    await this.loadDeclared();
    await this.loadSpace();
    await this.loadHistory();
    this.ready = true;
    this.emit("ready");
    this.feed.start(this.columns.event);
  }

  async loadDeclared() {
    const [caller, dimensions, hosts, subnets] = await Promise.all([
      get("/v1/whoami"),
      get("/v1/dimensions"),
      all("/v1/hosts", "hosts"),
      all("/v1/subnets", "subnets"),
    ]);
    this.caller = caller;
    this.dimensions = dimensions.dimensions;
    this.hosts = hosts;
    this.allSubnets = subnets.map((subnet) => ({ ...subnet, at: parsePrefix(subnet.prefix) }));
    this.chooseSubnets();
    this.emit("declared");
  }

  chooseSubnets() {
    this.subnets = this.allSubnets.filter((subnet) => subnet.scope === this.scope);
    this.byName = new Map(this.allSubnets.map((subnet) => [subnet.name, subnet]));
  }

  /**
   * @param {Set<string>|null} names the subnets with events; null for all
   * @param {string} scope the page shows it from its arrival on
   */
  async loadSpace(names = null, scope = this.wanted) {
    const start = performance.now();
    const turn = ++this.turn;
    const recent = start - this.whole < WHOLE;
    const few = names !== null && names.size <= FEW && this.raw?.scope === scope && recent;
    if (!few) this.whole = start;
    const [usage, columns] = await Promise.all([
      get("/v1/usage"),
      get("/v1/map", { scope, subnet: few ? [...names] : null }),
    ]);
    // A slow answer must not replace that of a later request, nor another scope that was chosen meanwhile.
    if (turn !== this.turn || scope !== this.wanted) return;
    this.scope = scope;
    this.chooseSubnets();
    this.trouble = null;
    this.readAt = new Date();
    this.usage = new Map(usage.subnets.map((line) => [line.name, line]));
    const rank = new Map(this.subnets.map((subnet, at) => [subnet.name, at]));
    this.raw = few ? merge(this.raw, columns, names, (name) => rank.get(name) ?? -1) : columns;
    this.columns = readColumns(this.raw, this.byName);
    this.last = performance.now();
    this.cost = this.last - start;
    this.emit("space");
  }

  async loadHistory() {
    const after = Math.max(0, this.columns.event - HISTORY);
    const page = await get("/v1/events", { after, limit: HISTORY }).catch((error) => {
      if (error.code !== "events_pruned") throw error;
      return get("/v1/events", { after: error.facts.pruned, limit: HISTORY });
    });
    this.events = page.events.filter((event) => event.id <= this.columns.event);
    this.emit("events", this.events);
  }

  /**
   * Show another scope.
   *
   * @throws {Problem} there is no such scope; the old one stays
   */
  async choose(scope) {
    this.wanted = scope;
    if (scope === this.scope) return;
    try {
      await this.loadSpace(null, scope);
    } catch (error) {
      if (this.wanted === scope) this.wanted = this.scope;
      throw error;
    }
    this.emit("declared");
  }

  happened(list) {
    this.events.push(...list);
    if (this.events.length > REMEMBERED) this.events.splice(0, this.events.length - REMEMBERED);
    this.emit("events", list);
    this.declaredChanged ||= list.some((event) => event.act === "topology");
    for (const event of list) if (event.subnet) this.touched.add(event.subnet);
    this.refreshSoon();
  }

  /** Events were pruned before the page read them. */
  missed() {
    this.declaredChanged = true;
    this.refreshSoon();
  }

  liveness(word) {
    this.live = word;
    this.emit("live");
  }

  /** Read again, but spend no more than a twentieth of the time on it. */
  async refresh() {
    const rest = this.last + 20 * this.cost - performance.now();
    if (this.loading || rest > 0) {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.refresh(), Math.max(rest, 400));
      return;
    }
    this.loading = true;
    const touched = this.touched;
    this.touched = new Set();
    try {
      if (this.declaredChanged) {
        this.declaredChanged = false;
        await this.loadDeclared();
        await this.loadSpace();
      } else await this.loadSpace(touched);
      this.emit("live");
    } catch (error) {
      // The next event reads everything again, to be on the safe side.
      this.raw = null;
      this.trouble = error;
      this.emit("live");
    } finally {
      this.loading = false;
    }
  }
}

export const state = new State();
