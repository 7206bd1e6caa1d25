/** A topology file: pasted, dropped or chosen, its diff, and then applied. Also what an empty address space shows. */

import { Problem, call } from "../core/api.js";
import { announce, button, debounce, h, icon, put, toast } from "../core/dom.js";
import { link } from "../core/router.js";
import { state } from "../core/state.js";
import { outcome } from "../explanation.js";
import { diffOf, sumOf } from "../topology_diff.js";

const EXAMPLE = `# Two racks share a network. An address of the wrong rack would be unreachable,
# so the boundary between the racks is hard: fallback none.
name: example
dimensions:
  network: {fallback: none}
  rack: {fallback: none}
  host: {fallback: any}
subnets:
  - {name: rack-1, cidr: 10.10.1.0/24, gateway: 10.10.1.1, labels: {network: apps, rack: r1}}
  - {name: rack-2, cidr: 10.10.2.0/24, gateway: 10.10.2.1, labels: {network: apps, rack: r2}}
  - {name: rack-1-v6, cidr: "2001:db8:10:1::/64", labels: {network: apps, rack: r1}}
hosts:
  node-1: {rack: r1}
  node-2: {rack: r1}
  node-3: {rack: r2}
`;

const COMMANDS = [
  ["See what a file would change", "borough apply topology.yaml --dry-run"],
  ["Apply it", "borough apply topology.yaml"],
  ["Allocate an address of a group", "borough allocate -l network=apps --host node-1 --owner web-1"],
  ["Explain where it would come from", "borough explain -l network=apps --host node-1"],
  ["Show the usage", "borough usage"],
];

const LARGEST = 8 << 20; // bytes of a file

export function topologyView(root) {
  return new TopologyView(root);
}

class TopologyView {
  constructor(root) {
    this.serial = 0;
    this.later = debounce(() => this.preview(), 350);
    this.build(root);
    this.empty();
  }

  build(root) {
    this.field = h("textarea", { id: "topology-text", rows: "16", spellcheck: "false", autocomplete: "off", wrap: "off", class: "mono", "aria-describedby": "topology-hint", placeholder: "subnets:\n  - {name: office, cidr: 10.0.0.0/24, labels: {network: office}}", on: { input: () => this.changed() } });
    this.file = h("input", { type: "file", id: "topology-file", class: "unseen", accept: ".yaml,.yml,.json", tabindex: "-1", "aria-label": "Topology file", on: { change: () => this.read(this.file.files[0]) } });
    this.result = h("section", { class: "panel result", "aria-label": "Changes" });
    this.form = h(
      "section",
      { class: "panel drop", "aria-label": "Topology file", on: { dragover: (event) => this.over(event, true), dragleave: (event) => this.over(event, false), drop: (event) => this.dropped(event) } },
      h("div", { class: "panel-head" }, h("h2", {}, h("label", { for: "topology-text" }, "Topology file")), button("Choose a file", { class: "small", on: { click: () => this.file.click() } }), button("Try an example", { id: "example", class: "small", on: { click: () => this.set(EXAMPLE) } })),
      h("div", { class: "panel-body fields" }, this.file, this.field, h("p", { class: "hint", id: "topology-hint" }, "Paste YAML or JSON, or drop a file here. Nothing changes before you apply it.")),
    );
    const first = state.allSubnets.length ? null : h("section", { class: "panel welcome", "aria-label": "What a topology is" }, h("div", { class: "panel-body" }, ABOUT()));
    put(root, h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", {}, state.allSubnets.length ? "Topology" : "No subnets yet")), first, h("div", { class: "columns wide" }, this.form, this.result), commands()));
  }

  over(event, inside) {
    event.preventDefault();
    this.form.classList.toggle("over", inside);
  }

  dropped(event) {
    this.over(event, false);
    const [file] = event.dataTransfer.files;
    if (file) this.read(file);
    else this.set(event.dataTransfer.getData("text/plain"));
  }

  async read(file) {
    if (!file) return;
    if (file.size > LARGEST) toast(`${file.name} is larger than ${LARGEST >> 20} MiB.`, "error");
    else this.set(await file.text());
    this.file.value = "";
  }

  set(text) {
    this.field.value = text;
    this.changed();
    this.later.cancel();
    this.preview();
  }

  changed() {
    this.serial++;
    this.result.setAttribute("aria-busy", "true");
    this.result.querySelectorAll("#apply").forEach((each) => (each.disabled = true));
    this.later();
  }

  empty() {
    const words = state.caller.permission === "administer" ? "The changes of the file appear here before anything is applied." : `The token ${state.caller.name || "of this tab"} may ${state.caller.permission}. To apply a topology takes the permission administer.`;
    this.show("Changes", null, h("div", { class: "empty" }, h("span", {}, words)));
  }

  async preview() {
    const text = this.field.value;
    const serial = ++this.serial;
    if (!text.trim()) {
      this.empty();
      return;
    }
    try {
      const found = await call("PUT", "/v1/topology", { query: { dry_run: true }, text });
      if (serial !== this.serial) return;
      const apply = button("Apply", { id: "apply", class: "primary", disabled: !found.changes.length, on: { click: () => this.apply(text) } }, "check");
      this.show("Changes", "dry run: nothing is changed yet", h("div", { class: "panel-body outcome-body" }, outcome(`Would change: ${sumOf(found)}.`), diffOf(found), found.changes.length ? h("div", { class: "form-actions" }, apply) : null));
    } catch (error) {
      if (serial === this.serial) this.refused(error);
    }
  }

  async apply(text) {
    const serial = ++this.serial;
    this.result.querySelector("#apply").disabled = true;
    try {
      const done = await call("PUT", "/v1/topology", { text });
      announce(`Applied: ${sumOf(done)}`);
      toast(`Applied: ${sumOf(done)}.`, "good");
      if (serial === this.serial) this.show("Applied", null, h("div", { class: "panel-body outcome-body" }, outcome(`${sumOf(done)}.`, "good"), diffOf(done), h("div", { class: "form-actions" }, h("a", { class: "button primary", href: link("subnets") }, "Show the subnets"), h("a", { class: "button", href: link("allocate") }, "Allocate an address"))));
    } catch (error) {
      if (serial === this.serial) this.refused(error);
    }
  }

  refused(error) {
    if (!(error instanceof Problem)) throw error;
    const problems = error.facts?.problems ?? [];
    const lines = problems.map((each) => h("li", {}, [each.line && `line ${each.line}`, each.field].filter(Boolean).join(", "), each.line || each.field ? ": " : null, each.reason));
    this.show("Refused", "nothing is changed", h("div", { class: "panel-body outcome-body" }, outcome(error.message, "alarm"), lines.length ? h("ul", { class: "notes" }, lines) : null, h("p", { class: "hint" }, "Code ", h("code", {}, error.code))));
  }

  show(title, more, ...parts) {
    put(this.result, h("div", { class: "panel-head" }, h("h2", {}, title), more ? h("span", { class: "hint" }, more) : null), parts);
    this.result.removeAttribute("aria-busy");
  }

  update() {}

  close() {
    this.serial++;
    this.later.cancel();
  }
}

const ABOUT = () => [
  h("p", {}, h("b", {}, "A topology"), " is a file that declares subnets, the labels that group them, and hosts. A request names labels, and not a subnet: Borough finds a free address in the group."),
  h("p", {}, "A file is applied as a whole or not at all. Before that the page shows what it would add, change and remove. The same file can be applied again and again."),
];

function commands() {
  const copy = async (text) => {
    await navigator.clipboard?.writeText(text).then(() => toast("Copied", "good"), () => toast("The browser does not allow copying here.", "error"));
  };
  return h(
    "section",
    { class: "panel", "aria-label": "Commands" },
    h("div", { class: "panel-head" }, h("h2", {}, "The same on the command line")),
    h("ul", { class: "commands" }, COMMANDS.map(([words, text]) => h("li", {}, h("span", {}, words), h("code", {}, text), h("button", { type: "button", class: "icon-button small", "aria-label": `Copy: ${words}`, title: "Copy", on: { click: () => copy(text) } }, icon("copy"))))),
  );
}
