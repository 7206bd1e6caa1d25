/**
 * The event stream: server-sent events read with fetch, because an EventSource cannot send a token
 * in a header, and a token in the URL would get into logs. A cut stream resumes.
 */

import { headers, problemOf } from "./api.js";

const DELAYS = [1, 2, 4, 8, 15]; // seconds between attempts

/** Milliseconds of silence, after which a stream is dead: the service sends a comment every 15 seconds. */
const SILENCE = 35_000;

/**
 * A parser that takes pieces of text and returns whole events.
 *
 * @returns {(text: string) => {id: string, event: string, data: string}[]}
 */
export function parser() {
  let rest = "";
  let made = { id: "", event: "message", data: [] };
  return (text) => {
    const found = [];
    // A carriage return at the end may be half of a line end.
    const all = rest + text;
    const safe = all.endsWith("\r") ? all.length - 1 : all.length;
    const lines = all.slice(0, safe).split(/\r\n|\n|\r/);
    rest = lines.pop() + all.slice(safe);
    for (const line of lines) {
      if (line === "") {
        if (made.data.length) found.push({ ...made, data: made.data.join("\n") });
        made = { id: made.id, event: "message", data: [] };
        continue;
      }
      const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (name === "data") made.data.push(value);
      else if (name === "id" && !value.includes("\0")) made.id = value;
      else if (name === "event") made.event = value;
    }
    return found;
  };
}

export class Feed {
  /** @param on `events(list)`, `missed()`, `state("live" | "waiting" | "stopped")` */
  constructor(on) {
    this.on = on;
    this.last = null;
    this.failures = 0;
    this.controller = null;
    this.heard = null; // the time of the last sign of life
  }

  /** Go on after an event; null for from now on. */
  start(after = this.last) {
    this.stop();
    this.last = after;
    this.controller = new AbortController();
    this.run(this.controller.signal);
  }

  stop() {
    this.controller?.abort();
    this.controller = null;
  }

  get running() {
    return this.controller !== null;
  }

  async run(signal) {
    while (!signal.aborted) {
      try {
        await this.listen(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401 || error.status === 403) {
          this.on.state("stopped");
          return;
        }
        if (error.code === "events_pruned") {
          // The pruned events are lost, but their effects can be read.
          this.last = null;
          this.on.missed();
        }
      }
      if (signal.aborted) return;
      this.on.state("waiting");
      const wait = DELAYS[Math.min(this.failures++, DELAYS.length - 1)];
      await new Promise((done) => setTimeout(done, wait * 1000 * (0.75 + Math.random() / 2)));
    }
  }

  async listen(signal) {
    const resume = this.last === null ? {} : { "Last-Event-ID": String(this.last) };
    const silence = new AbortController();
    const response = await fetch("/v1/events", {
      headers: headers({ Accept: "text/event-stream", ...resume }),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok) throw await problemOf(response);
    this.failures = 0;
    this.heard = new Date();
    this.on.state("live");
    const parse = parser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const timer = setTimeout(() => silence.abort(), SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      this.heard = new Date();
      this.take(parse(value));
    }
  }

  take(found) {
    const events = [];
    for (const each of found) {
      if (each.id) this.last = Number(each.id);
      try {
        events.push(JSON.parse(each.data));
      } catch {
        // A newer service may send other data.
      }
    }
    if (events.length) this.on.events(events);
  }
}
