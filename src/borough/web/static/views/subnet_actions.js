/** What can be done with subnets. Every change shows the words of its dry run first. */

import { Problem, call, get } from "../core/api.js";
import { announce, button, debounce, h, put, toast } from "../core/dom.js";
import { link } from "../core/router.js";
import { state } from "../core/state.js";
import { openDialog } from "../dialogs.js";
import { outcome } from "../explanation.js";
import { diffOf, sumOf } from "../topology_diff.js";

/** Buttons and links for one subnet, as far as the token permits them. */
export function subnetActions(subnet) {
  const { permission } = state.caller;
  const made = [];
  const labels = Object.fromEntries(Object.entries(subnet.labels).map(([name, values]) => [name, values.join(",")]));
  if (permission !== "read" && !subnet.closed) made.push(h("a", { class: "button small", href: link("allocate", { ...labels, scope: subnet.scope }) }, "Allocate from its group"));
  if (permission !== "administer") return made;
  const act = (words, work) => button(words, { class: "small", on: { click: () => work(subnet) } });
  return [...made, act("Edit", edit), act(subnet.closed ? "Open" : "Close", turn), act("Split", split), act("Merge", merge), act("Remove", remove)];
}

/** A menu of ways to add subnets. */
export function addActions() {
  if (state.caller.permission !== "administer") return [];
  return [button("Add a subnet", { on: { click: add } }, "plus"), button("Carve", { title: "Carve a subnet out of a pool", on: { click: carve } })];
}

/**
 * A dialog for a change.
 *
 * @param parts fields of the form; `request()`: what to send, null while it is incomplete
 */
function change(title, parts, request, warning = null) {
  let serial = 0;
  const result = h("div", { class: "change-result", "aria-live": "polite" });
  const apply = h("button", { type: "submit", class: "button primary", disabled: true }, "Apply");
  const preview = async () => {
    const turn = ++serial;
    apply.disabled = true;
    const body = read(request);
    if (!body) {
      put(result, h("p", { class: "hint" }, "Fill in the form: what would change appears here."));
      return;
    }
    try {
      const found = await send(body, true);
      if (turn !== serial) return;
      put(result, outcome(`Would change: ${sumOf(found)}.`), diffOf(found));
      apply.disabled = !found.changes.length;
    } catch (error) {
      if (turn === serial) put(result, refusal(error));
    }
  };
  const submit = async (event) => {
    event.preventDefault();
    apply.disabled = true;
    try {
      const done = await send(read(request), false);
      made.close();
      announce(`Applied: ${sumOf(done)}`);
      toast(`Applied: ${sumOf(done)}.`, "good");
    } catch (error) {
      put(result, refusal(error));
    }
  };
  const later = debounce(preview, 250);
  const form = h(
    "form",
    { on: { submit, input: later } },
    h("h2", {}, title),
    warning ? h("p", { class: "hint" }, warning) : null,
    parts,
    result,
    h("div", { class: "dialog-actions" }, button("Cancel", { on: { click: () => made.close() } }), apply),
  );
  const made = openDialog(form, title);
  made.classList.add("wide");
  made.addEventListener("close", () => {
    serial++;
    later.cancel();
  });
  preview();
}

/** One request: new `fields` of one subnet, or some subnets in the place of others. */
function send({ subnet, fields, ...replacement }, isDry) {
  if (subnet) return call("PATCH", `/v1/subnets/${encodeURIComponent(subnet)}`, { query: { dry_run: isDry || null }, body: fields });
  return call("POST", "/v1/replacements", { body: { ...replacement, dry_run: isDry } });
}

/** What is to be sent; a text that cannot be parsed is no request yet. */
function read(request) {
  try {
    return request();
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function refusal(error) {
  if (!(error instanceof Problem)) throw error;
  return [outcome(error.message, "alarm"), h("p", { class: "hint" }, "Code ", h("code", {}, error.code))];
}

function field(name, label, value = "", hint = null, props = {}) {
  const id = `change-${name}`;
  const input = h("input", { type: "text", id, value: String(value ?? ""), autocomplete: "off", spellcheck: "false", ...props });
  return { input, get text() { return input.value.trim(); }, element: h("div", { class: "field" }, h("label", { for: id }, label), input, hint ? h("p", { class: "hint" }, hint) : null) };
}

const listed = (text) => text.split(",").map((each) => each.trim()).filter(Boolean);

/** `network=pods rack=r1|r2` as labels. */
function parseLabels(text) {
  const made = {};
  for (const part of text.split(/\s+/).filter(Boolean)) {
    const at = part.indexOf("=");
    if (at < 1 || at === part.length - 1) throw new SyntaxError(part);
    made[part.slice(0, at)] = [...(made[part.slice(0, at)] ?? []), ...part.slice(at + 1).split("|").filter(Boolean)];
  }
  return made;
}

function writeLabels(labels) {
  return Object.entries(labels).map(([name, values]) => `${name}=${values.join("|")}`).join(" ");
}

function ownedWords(subnet) {
  return subnet.source ? `Declared by the topology ${subnet.source}: the next application of its file declares it as the file says.` : null;
}

/** Null for each name: what a change does not name stays. */
const gone = (values) => Object.fromEntries(Object.keys(values).map((name) => [name, null]));

const LABEL_HINT = "As network=pods rack=r1|r2, with a blank between dimensions.";

function edit(subnet) {
  const fields = {
    name: field("name", "Name", subnet.name),
    cidr: field("cidr", "Prefix", subnet.prefix),
    labels: field("labels", "Labels", writeLabels(subnet.labels), LABEL_HINT),
    gateway: field("gateway", "Gateway", subnet.gateway, "Empty for none."),
    ranges: field("ranges", "Ranges", subnet.ranges?.join(", "), "first-last, with commas. Empty for all addresses."),
    exclude: field("exclude", "Excluded", subnet.exclude.join(", "), "Allocated by name only."),
    cooldown: field("cooldown", "Cool-down", subnet.cooldown || "", "Seconds, or 30s, 5m, 2h, 1d."),
    weight: field("weight", "Weight", subnet.weight, null, { type: "number" }),
    project: field("project", "Project", subnet.project),
    attributes: field("attributes", "Attributes", Object.keys(subnet.attributes ?? {}).length ? JSON.stringify(subnet.attributes) : "", "JSON, such as {\"vlan\": 7}."),
  };
  const values = {
    name: (text) => text,
    cidr: (text) => text,
    labels: (text) => ({ ...gone(subnet.labels), ...parseLabels(text) }),
    gateway: (text) => text || null,
    ranges: (text) => (text ? listed(text) : null),
    exclude: listed,
    cooldown: (text) => text || null,
    weight: (text) => Number(text || 0),
    project: (text) => text || null,
    attributes: (text) => ({ ...gone(subnet.attributes ?? {}), ...(text ? JSON.parse(text) : {}) }),
  };
  const before = Object.fromEntries(Object.entries(fields).map(([name, each]) => [name, each.text]));
  const request = () => {
    const changed = Object.entries(fields).filter(([name, each]) => each.text !== before[name]);
    return changed.length ? { subnet: subnet.name, fields: Object.fromEntries(changed.map(([name, each]) => [name, values[name](each.text)])) } : null;
  };
  change(`Edit ${subnet.name}`, h("div", { class: "change-fields" }, Object.values(fields).map((each) => each.element)), request, ownedWords(subnet));
}

function turn(subnet) {
  const words = subnet.closed ? `Open ${subnet.name}` : `Close ${subnet.name}`;
  const hint = subnet.closed ? "It takes new addresses again." : "A closed subnet takes no new addresses and no new claims. Its addresses stay.";
  change(words, h("p", {}, hint), () => ({ subnet: subnet.name, fields: { closed: !subnet.closed } }), ownedWords(subnet));
}

function split(subnet) {
  const length = field("length", "Prefix length of the parts", subnet.at.length + 1, "Addresses follow to the part that contains them.", { type: "number", min: subnet.at.length + 1, max: subnet.at.length + 8 });
  change(`Split ${subnet.name}`, length.element, () => (length.text ? { old: [subnet.name], split: Number(length.text) } : null), ownedWords(subnet));
}

function merge(subnet) {
  const same = (each) => each !== subnet && each.scope === subnet.scope && each.family === subnet.family && writeLabels(each.labels) === writeLabels(subnet.labels);
  const others = state.allSubnets.filter(same);
  const name = field("name", "Name of the merged subnet", subnet.name);
  const boxes = others.slice(0, 200).map((each) => h("label", { class: "check" }, h("input", { type: "checkbox", value: each.name }), each.name, h("span", { class: "hint mono" }, each.prefix)));
  const chosen = () => boxes.map((each) => each.firstElementChild).filter((box) => box.checked).map((box) => box.value);
  const list = boxes.length ? h("fieldset", { class: "field" }, h("legend", {}, "Merge with"), h("div", { class: "change-list" }, boxes)) : h("p", {}, "No other subnet of this scope and family has the same labels.");
  change(`Merge ${subnet.name}`, [list, name.element], () => (chosen().length && name.text ? { old: [subnet.name, ...chosen()], merge: name.text } : null), ownedWords(subnet));
}

function remove(subnet) {
  change(`Remove ${subnet.name}`, h("p", {}, "Only a subnet without addresses can be removed. One that was carved returns to its pool."), () => ({ old: [subnet.name] }), ownedWords(subnet));
}

function newFields() {
  return { name: field("name", "Name", "", "Empty: its prefix is its name."), labels: field("labels", "Labels", "", LABEL_HINT), gateway: field("gateway", "Gateway", "", "Empty for none.") };
}

function settings(fields) {
  const made = { labels: parseLabels(fields.labels.text) };
  if (fields.name.text) made.name = fields.name.text;
  if (fields.gateway.text) made.gateway = fields.gateway.text;
  return made;
}

function add() {
  const cidr = field("cidr", "Prefix", "", "Such as 10.0.0.0/24.");
  const scope = field("scope", "Scope", state.scope);
  const fields = newFields();
  const parts = [cidr, fields.name, fields.labels, fields.gateway, scope];
  change("Add a subnet", h("div", { class: "change-fields" }, parts.map((each) => each.element)), () => (cidr.text.includes("/") ? { new: [{ ...settings(fields), cidr: cidr.text, scope: scope.text || "default" }] } : null));
}

async function carve() {
  const { pools } = await get("/v1/pools");
  const pool = h("select", { id: "change-pool" }, pools.map((each) => h("option", { value: each.name }, `${each.name} · largest free ${each.largest_free_length === null ? "none" : `/${each.largest_free_length}`}`)));
  const length = field("length", "Prefix length", "", "Empty: the default of the pool.", { type: "number", min: 0, max: 128 });
  const fields = newFields();
  const choice = pools.length ? h("div", { class: "field" }, h("label", { for: "change-pool" }, "Pool"), pool) : h("p", {}, "No pool is declared. A topology file declares them.");
  change("Carve a subnet out of a pool", h("div", { class: "change-fields" }, choice, length.element, fields.name.element, fields.labels.element, fields.gateway.element), () => (pools.length ? { new: [{ ...settings(fields), pool: pool.value, ...(length.text ? { prefix_length: Number(length.text) } : {}) }] } : null));
}
