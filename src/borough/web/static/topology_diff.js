/** A diff of a topology for people: what would be added, changed and removed, and its effects. */

import { h } from "./core/dom.js";
import { count, plural } from "./core/format.js";

const SIGN = { add: "+", change: "~", remove: "−" };
const SHOWN = 200;

/** @param applied the answer of `PUT /v1/topology` */
export function diffOf(applied) {
  const { changes, effects, more_effects: more } = applied;
  if (!changes.length) return h("p", { class: "hint" }, "Nothing changes: everything is declared so already.");
  return h(
    "div",
    { class: "diff" },
    h("ul", { class: "diff-lines", "aria-label": "Changes" }, changes.slice(0, SHOWN).map(line)),
    changes.length > SHOWN ? h("p", { class: "hint" }, `and ${plural(changes.length - SHOWN, "more change")}`) : null,
    effects.length ? h("h3", {}, "Effects on addresses, claims and routes") : null,
    effects.length ? h("ul", { class: "diff-effects" }, effects.slice(0, SHOWN).map((each) => h("li", {}, each.message))) : null,
    more ? h("p", { class: "hint" }, `and ${plural(more, "more effect")}`) : null,
  );
}

/** `3 added, 1 changed, 0 removed`. */
export function sumOf({ summary }) {
  return `${count(summary.added)} added, ${count(summary.changed)} changed, ${count(summary.removed)} removed`;
}

function line(change) {
  const named = [change.kind, " ", h("b", {}, change.name), change.prefix && change.action !== "change" ? ` (${change.prefix})` : null];
  const fields = change.fields.map((each) => h("span", { class: "diff-field" }, `${each.field} `, h("del", {}, each.old || "none"), " → ", h("ins", {}, each.new || "none")));
  return h("li", { class: change.action, data: { action: change.action } }, h("span", { class: "diff-sign", "aria-label": change.action }, SIGN[change.action]), h("span", {}, named, fields.length ? [": ", fields] : null));
}
