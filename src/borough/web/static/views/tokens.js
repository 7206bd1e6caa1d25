/** The tokens of the service: list, create, revoke. */

import { Problem, call, get } from "../core/api.js";
import { button, h, put, toast } from "../core/dom.js";
import { hostLink, labels, timeOf } from "../core/parts.js";
import { state } from "../core/state.js";
import { Table } from "../core/table.js";
import { confirmDialog } from "../dialogs.js";
import { outcome } from "../explanation.js";

const PERMISSIONS = [["read", "read"], ["allocate", "allocate"], ["administer", "administer"]];

export function tokensView(root) {
  return new TokensView(root);
}

class TokensView {
  constructor(root) {
    this.serial = 0;
    const text = (name, label, cell, minor = false) => ({ name, label, minor, clip: true, value: (each) => String(each[name] ?? ""), cell });
    this.table = new Table(
      [
        text("name", "Token", (each) => each.name),
        text("permission", "May", (each) => each.permission),
        { name: "labels", label: "Confined to", chips: true, cell: (each) => (each.host ? h("span", {}, "the routes of ", hostLink(each.host)) : labels(each.labels) ?? h("span", { class: "hint" }, "all subnets")) },
        text("created", "Created", (each) => timeOf(each.created), true),
        text("expires", "Ends", (each) => (each.expires ? timeOf(each.expires) : "never"), true),
        { name: "revoke", label: h("span", { class: "unseen" }, "Revoke"), cell: (each) => button("Revoke", { class: "small danger", on: { click: () => this.revoke(each) } }) },
      ],
      { key: (each) => each.name, label: "Tokens", sort: ["name", "ascending"], empty: "There is no token. A service that requires tokens needs one." },
    );
    const create = state.caller.permission === "administer" ? button("Create a token", { on: { click: () => this.create() } }, "plus") : null;
    this.trouble = h("p", { role: "alert" });
    put(root, h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", {}, "Tokens"), h("div", { class: "filter" }, create)), this.trouble, h("div", { class: "panel" }, this.table.element)));
  }

  update() {
    this.load();
  }

  async load() {
    const serial = ++this.serial;
    try {
      const { tokens } = await get("/v1/tokens");
      if (serial !== this.serial) return;
      this.trouble.textContent = "";
      this.table.show(tokens);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (serial === this.serial) this.trouble.textContent = error.message;
    }
  }

  create() {
    const name = h("input", { type: "text", id: "token-name", required: true, maxlength: "255", autocomplete: "off", spellcheck: "false" });
    const permission = h("select", { id: "token-permission" }, PERMISSIONS.map(([value, words]) => h("option", { value }, words)));
    const within = h("input", { type: "text", id: "token-labels", autocomplete: "off", spellcheck: "false", placeholder: "network=pods rack=r1|r2" });
    const ends = h("input", { type: "datetime-local", id: "token-ends" });
    const field = (id, label, input, hint = null) => h("div", { class: "field" }, h("label", { for: id }, label), input, hint ? h("p", { class: "hint" }, hint) : null);
    const parts = [field("token-name", "Name of the caller", name, "Events record it."), field("token-permission", "Permission", permission, "Each includes those before it."), field("token-labels", "Confined to labels", within, "Empty for all subnets."), field("token-ends", "End", ends, "Empty for never.")];
    const work = async () => {
      const confined = {};
      for (const part of within.value.split(/\s+/).filter(Boolean)) {
        const [dimension, values = ""] = part.split("=");
        confined[dimension] = values.split("|").filter(Boolean);
      }
      const body = { name: name.value.trim(), permission: permission.value, labels: confined };
      if (ends.value) body.expires = new Date(ends.value).toISOString();
      try {
        const { secret } = await call("POST", "/v1/tokens", { body });
        this.load();
        return [outcome(`Token ${body.name} created.`, "good"), h("p", {}, "This text is shown once; it is not stored."), h("code", { class: "secret", tabindex: "0" }, secret)];
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return outcome(error.message, "alarm");
      }
    };
    confirmDialog("Create a token", parts, "Create", work);
  }

  revoke({ name }) {
    const work = async () => {
      try {
        await call("DELETE", `/v1/tokens/${encodeURIComponent(name)}`);
        toast(`${name} revoked`, "good");
        this.load();
        return null;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return outcome(error.message, "alarm");
      }
    };
    confirmDialog(`Revoke ${name}`, h("p", {}, "Its callers are refused from now on. It may still be accepted for one second."), "Revoke", work);
  }

  close() {
    this.serial++;
  }
}
