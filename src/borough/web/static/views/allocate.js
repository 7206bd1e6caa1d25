/** The form for allocations: the explanation appears while the form is filled in. */

import { Problem, call } from "../core/api.js";
import { announce, button, debounce, h, iconButton, put, toast } from "../core/dom.js";
import { parseAddress } from "../core/ip.js";
import { link } from "../core/router.js";
import { state } from "../core/state.js";
import { advice, explanation, outcome } from "../explanation.js";
import { release } from "../map/inspector.js";

const KINDS = [["any", "Any"], ["next", "Lowest"], ["specific", "By name"], ["eui64", "By MAC"], ["gateway", "Gateway"]];
const FAMILIES = [["", "Either"], ["4", "IPv4"], ["6", "IPv6"], ["4,6", "Both"]];

export function allocateView(root) {
  return new AllocateView(root);
}

class AllocateView {
  constructor(root) {
    this.serial = 0;
    this.sending = false;
    this.explain = debounce(() => this.preview(), 250);
    this.build(root);
    this.stop = state.listen(["declared"], () => this.drawLabels());
    this.stopSpace = state.listen(["space"], () => !this.answered && this.explain());
  }

  build(root) {
    this.labels = h("div", { class: "label-fields" });
    this.host = textField("host", "Host", "Host where the address will live; it implies its labels.", { list: "host-names" });
    this.owner = textField("owner", "Owner", "Holder of the address: a port, a container.");
    this.address = textField("address", "Address", "Exactly this address, also outside the ranges.");
    this.mac = textField("mac", "MAC address", "For an IPv6 address by EUI-64.");
    this.count = h("input", { type: "number", id: "f-count", min: "1", max: "10000", value: "1" });
    this.families = segments("families", "Family", FAMILIES, "");
    this.kind = segments("kind", "Which address", KINDS, "any");
    this.hostNames = h("datalist", { id: "host-names" });
    this.form = h(
      "form",
      { class: "panel form", "aria-label": "Request", on: { input: () => this.changed(), submit: (event) => this.submit(event) } },
      h("div", { class: "panel-head" }, h("h2", {}, "Request")),
      h(
        "div",
        { class: "panel-body fields" },
        h("fieldset", { class: "field" }, h("legend", {}, "Group"), h("p", { class: "hint" }, "One value, or several with commas: any of them matches."), this.labels),
        this.host.element,
        this.owner.element,
        this.kind.element,
        this.address.element,
        this.mac.element,
        h("div", { class: "pair" }, this.families.element, h("div", { class: "field" }, h("label", { for: "f-count" }, "Number"), this.count)),
        this.hostNames,
        h("div", { class: "form-actions" }, h("button", { type: "submit", class: "button primary", id: "allocate-now" }, "Allocate"), button("Clear", { on: { click: () => this.reset() } })),
      ),
    );
    this.result = h("section", { class: "panel result", "aria-label": "Outcome" });
    put(root, h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", {}, "Allocate")), h("div", { class: "columns" }, this.form, this.result)));
    this.drawLabels();
  }

  drawLabels() {
    const known = Object.fromEntries([...this.labels.querySelectorAll("input")].map((input) => [input.name, input.value]));
    const named = state.dimensions.filter((each) => each.name !== "host");
    put(
      this.labels,
      named.map((dimension) => {
        const values = new Set(state.subnets.flatMap((subnet) => subnet.labels[dimension.name] ?? []));
        const id = `f-label-${dimension.name}`;
        return h(
          "div",
          { class: "label-field" },
          h("label", { for: id }, dimension.name, h("span", { class: "hint" }, ` ${{ none: "hard", unlabelled: "falls back to unlabelled", any: "soft" }[dimension.fallback]}`)),
          h("input", { type: "text", id, name: dimension.name, list: `${id}-list`, value: known[dimension.name], autocomplete: "off", spellcheck: "false" }),
          h("datalist", { id: `${id}-list` }, [...values].sort().slice(0, 500).map((value) => h("option", { value }))),
        );
      }),
    );
    put(this.hostNames, state.hosts.slice(0, 2000).map((host) => h("option", { value: host.name })));
  }

  /** Fill in the query of the page address: labels by dimension, host, address. */
  update(query) {
    for (const input of this.labels.querySelectorAll("input")) if (query[input.name] !== undefined) input.value = query[input.name];
    if (query.host !== undefined) this.host.input.value = query.host;
    if (query.address !== undefined) {
      this.address.input.value = query.address;
      this.kind.set("specific");
    }
    this.changed();
  }

  changed() {
    const kind = this.kind.get();
    this.address.element.hidden = kind !== "specific";
    this.mac.element.hidden = kind !== "eui64";
    // The answer of an allocation under way is shown even after the form has changed.
    if (this.sending) return;
    this.answered = false;
    this.serial++; // answers on their way are for an older request
    this.result.setAttribute("aria-busy", "true");
    this.explain();
  }

  reset() {
    this.form.reset();
    this.changed();
    this.labels.querySelector("input")?.focus();
  }

  request() {
    const labels = {};
    for (const input of this.labels.querySelectorAll("input")) {
      const values = input.value.split(",").map((value) => value.trim()).filter(Boolean);
      if (values.length) labels[input.name] = values;
    }
    const kind = this.kind.get();
    const made = { labels, scope: state.scope, count: Math.max(1, Math.trunc(Number(this.count.value)) || 1) };
    const host = this.host.input.value.trim();
    const families = this.families.get();
    if (host) made.host = host;
    if (families) made.families = families.split(",").map(Number);
    if (kind === "specific") made.address = this.address.input.value.trim();
    else if (kind === "eui64") made.mac = this.mac.input.value.trim();
    if (kind !== "any") made.kind = kind;
    return made;
  }

  /** True when the request can be explained. */
  sufficient({ kind, address, mac, labels, host }) {
    if (kind === "specific") return Boolean(parseAddress(address));
    if (kind === "eui64") return Boolean(mac);
    return Boolean(Object.keys(labels).length || host);
  }

  async preview() {
    if (this.sending) return;
    const serial = ++this.serial;
    const request = this.request();
    if (!this.sufficient(request)) {
      this.show(h("div", { class: "empty" }, h("strong", {}, "Explanation"), h("span", {}, "Name a group, a host or an address: the explanation appears here before an address is allocated.")));
      return;
    }
    try {
      const found = await call("POST", "/v1/explain", { body: request });
      if (serial !== this.serial) return;
      const level = found.possible ? "info" : "alarm";
      this.show(head("Preview", found.possible ? "nothing is allocated yet" : "this request gets nothing"), body(outcome(found.outcome, level), advice(found.advice), explanation(found)));
    } catch (error) {
      if (serial === this.serial) this.refused(error, "Preview", "this request is refused");
    }
  }

  async submit(event) {
    event.preventDefault();
    const serial = ++this.serial;
    this.explain.cancel();
    this.sending = true;
    const send = this.form.querySelector("#allocate-now");
    send.disabled = true;
    const body = { ...this.request(), owner: this.owner.input.value.trim(), explain: true };
    // The same request with the same key gets the same answer: a lost reply allocates nothing twice.
    this.key = this.keyFor === JSON.stringify(body) && this.unsure ? this.key : crypto.randomUUID();
    this.keyFor = JSON.stringify(body);
    this.unsure = true;
    try {
      const answer = await call("POST", "/v1/allocations", { body, head: { "Idempotency-Key": this.key } });
      this.unsure = false;
      if (serial === this.serial) this.allocated(answer);
    } catch (error) {
      if (error instanceof Problem && error.status >= 400 && error.status < 500) this.unsure = false;
      if (serial === this.serial) this.refused(error, "Not allocated", "the request was refused");
    } finally {
      // It stays until the request changes: a preview would replace it.
      this.answered = true;
      this.sending = false;
      send.disabled = false;
    }
  }

  allocated(answer) {
    const words = answer.allocations.map((each) => each.address).join(", ");
    announce(`Allocated: ${words}`);
    this.show(
      head("Allocated", answer.replayed ? "by an earlier request" : null),
      h("ul", { class: "allocated" }, answer.allocations.map((each) => this.allocatedLine(each))),
      body(answer.warnings.map((words) => outcome(words, "warn")), answer.explanation ? [outcome(answer.explanation.outcome, "good"), explanation(answer.explanation)] : null),
    );
  }

  allocatedLine(each) {
    const line = h(
      "li",
      {},
      h("a", { class: "mono allocated-address", href: link("map", { at: each.address }) }, `${each.address}/${each.prefix_length}`),
      iconButton("Copy the address", "copy", { class: "icon-button small", on: { click: () => copy(each.address) } }),
      h("div", { class: "hint" }, [each.subnet, each.gateway && `gateway ${each.gateway}`, each.block && `block ${each.block}`, `sequence ${each.sequence}`].filter(Boolean).join(" · ")),
      each.borrowed ? h("span", { class: "badge warn" }, "borrowed") : null,
      button("Release", { class: "small danger", on: { click: () => this.undo(each, line) } }),
    );
    return line;
  }

  async undo(each, line) {
    try {
      await release(each);
      line.classList.add("gone");
      line.querySelector(".danger").remove();
    } catch (error) {
      toast(error.message, "error");
    }
  }

  refused(error, title, more) {
    if (!(error instanceof Problem)) throw error;
    const found = error.facts?.explanation;
    this.show(head(title, more), body(outcome(error.message, "alarm"), advice(error.facts?.try), h("p", { class: "hint" }, "Code ", h("code", {}, error.code)), found ? explanation(found) : null));
  }

  show(...parts) {
    put(this.result, parts);
    this.result.removeAttribute("aria-busy");
  }

  close() {
    this.serial++;
    this.explain.cancel();
    this.stop();
    this.stopSpace();
  }
}

function head(title, more = null) {
  return h("div", { class: "panel-head" }, h("h2", {}, title), more ? h("span", { class: "hint" }, more) : null);
}

function body(...parts) {
  return h("div", { class: "panel-body outcome-body" }, parts);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${text} copied`, "good");
  } catch {
    toast("The browser does not allow copying here.", "error");
  }
}

function textField(name, label, hint, props = {}) {
  const input = h("input", { type: "text", id: `f-${name}`, name: `f-${name}`, autocomplete: "off", spellcheck: "false", maxlength: "255", "aria-describedby": `f-${name}-hint`, ...props });
  return { input, element: h("div", { class: "field" }, h("label", { for: `f-${name}` }, label), input, h("p", { class: "hint", id: `f-${name}-hint` }, hint)) };
}

function segments(name, label, choices, chosen) {
  const element = h(
    "fieldset",
    { class: "field" },
    h("legend", {}, label),
    h("div", { class: "segments wrap" }, choices.map(([value, words]) => h("label", {}, h("input", { type: "radio", name: `f-${name}`, value, checked: value === chosen }), h("span", {}, words)))),
  );
  const all = () => [...element.querySelectorAll("input")];
  return { element, get: () => all().find((input) => input.checked)?.value ?? chosen, set: (value) => all().forEach((input) => (input.checked = input.value === value)) };
}
