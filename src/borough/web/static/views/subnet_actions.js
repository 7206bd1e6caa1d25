/** What can be done with a subnet. */

import { h } from "../core/dom.js";
import { link } from "../core/router.js";
import { state } from "../core/state.js";

/** Buttons and links, as far as the token permits them. */
export function subnetActions(subnet) {
  const { permission } = state.caller;
  const labels = Object.fromEntries(Object.entries(subnet.labels).map(([name, values]) => [name, values.join(",")]));
  return [permission === "read" || subnet.closed ? null : h("a", { class: "button small", href: link("allocate", { ...labels, scope: subnet.scope }) }, "Allocate from its group")].filter(Boolean);
}
