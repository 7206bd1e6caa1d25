/** What can be done with a host: drain, rename, remove. */

import { Problem, call } from "../core/api.js";
import { button, h, toast } from "../core/dom.js";
import { plural } from "../core/format.js";
import { go } from "../core/router.js";
import { state } from "../core/state.js";
import { confirmDialog } from "../dialogs.js";
import { outcome } from "../explanation.js";

/** Buttons, as far as the token permits them. */
export function hostActions(name, declared) {
  if (state.caller.permission !== "administer") return null;
  return [
    button("Drain", { class: "small", on: { click: () => drain(name) } }),
    button("Rename", { class: "small", on: { click: () => rename(name) } }),
    button("Remove", { class: "small danger", on: { click: () => remove(name, declared) } }),
  ];
}

const path = (name) => `/v1/hosts/${encodeURIComponent(name)}`;

/** Do something; a refusal is shown in the dialog. */
async function attempt(work, words) {
  try {
    toast(words(await work()), "good");
    return null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return outcome(error.message, "alarm");
  }
}

function drain(name) {
  const words = h("p", {}, "All its claims end, and its unused prefixes are unclaimed again. Its addresses stay allocated, each with a route of its own, until they are released or reassigned.");
  confirmDialog(`Drain ${name}`, words, "Drain", () => attempt(() => call("POST", `${path(name)}/drain`), (done) => `${name} drained: ${plural(done.claims.length, "claim")} ended`));
}

function rename(name) {
  const field = h("input", { type: "text", id: "host-name", value: name, required: true, autocomplete: "off", spellcheck: "false" });
  const parts = [h("div", { class: "field" }, h("label", { for: "host-name" }, "New name"), field), h("p", { class: "hint" }, "Its claims and addresses follow, in one transaction. Sequence numbers stay.")];
  const work = async () => {
    const wanted = field.value.trim();
    const refused = await attempt(() => call("POST", `${path(name)}/rename`, { body: { name: wanted } }), () => `${name} is ${wanted} now`);
    if (!refused) go("hosts", { host: wanted });
    return refused;
  };
  confirmDialog(`Rename ${name}`, parts, "Rename", work);
}

function remove(name, declared) {
  const release = h("input", { type: "checkbox", id: "host-release" });
  const parts = [h("p", {}, declared ? "Its claims end, and its declared entry is removed." : "It is not declared: its claims end."), h("label", { class: "check" }, release, "Release its addresses too")];
  confirmDialog(`Remove ${name}`, parts, "Remove", () => attempt(() => call("DELETE", path(name), { query: { release: release.checked || null } }), () => `${name} removed`));
}
