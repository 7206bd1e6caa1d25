/** Dialogs: the token, the keys. */

import { keepToken, token } from "./core/api.js";
import { button, h } from "./core/dom.js";

let asking = null;

export function openDialog(content, label) {
  const made = h("dialog", { "aria-label": label }, content);
  document.body.append(made);
  made.addEventListener("close", () => made.remove());
  made.showModal();
  return made;
}

/**
 * Ask for a token, then go on. It is kept for this tab only, and sent in a header only.
 *
 * @param {boolean} may true when the caller may see all tokens
 */
export function askToken(problem, then, may = false) {
  if (asking) return;
  const field = h("input", { type: "password", id: "token-field", autocomplete: "off", spellcheck: "false", "aria-describedby": "token-hint" });
  const submit = (event) => {
    event.preventDefault();
    keepToken(field.value.trim());
    asking.close();
    then();
  };
  const forget = () => {
    keepToken("");
    asking.close();
    then();
  };
  asking = openDialog(
    h(
      "form",
      { on: { submit } },
      h("h2", {}, "Token"),
      problem && token() ? h("p", { role: "alert" }, problem.message) : null,
      h("div", { class: "field" }, h("label", { for: "token-field" }, "Token of this service"), field, h("p", { class: "hint", id: "token-hint" }, "Kept in this tab until it is closed, and sent to this service only.")),
      may ? h("p", {}, h("a", { href: "#/tokens", on: { click: () => asking.close() } }, "All tokens of the service")) : null,
      h("div", { class: "dialog-actions" }, token() ? button("Forget it", { on: { click: forget } }) : null, button("Cancel", { on: { click: () => asking.close() } }), h("button", { type: "submit", class: "button primary" }, "Use it")),
    ),
    "Token",
  );
  asking.addEventListener("close", () => (asking = null));
}

/**
 * Ask before something is done.
 *
 * @param work does it; what it returns is shown in place of the question, null closes the dialog
 */
export function confirmDialog(title, parts, word, work) {
  const body = h("div", { class: "change-result" }, parts);
  const go = h("button", { type: "submit", class: "button primary" }, word);
  const submit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    const left = await work();
    if (!left) {
      made.close();
      return;
    }
    body.replaceChildren(...[left].flat());
    cancel.lastElementChild.textContent = "Close";
    go.hidden = true;
  };
  const cancel = button("Cancel", { on: { click: () => made.close() } });
  const made = openDialog(h("form", { on: { submit } }, h("h2", {}, title), body, h("div", { class: "dialog-actions" }, cancel, go)), title);
}

const KEYS = [
  ["1 … 7", "Subnets, map, groups, hosts, allocate, events, topology"],
  ["/", "Search"],
  ["t", "Theme"],
  ["?", "This list"],
  ["← ↑ → ↓", "On the map: move; with Shift, further"],
  ["+ −", "On the map: zoom"],
  ["0", "On the map: show the whole prefix view"],
  ["Enter", "On the map: show the address at the cross"],
  ["↑ ↓", "In a table: the line before, the next line"],
  ["Esc", "Close"],
];

export function showHelp() {
  const made = openDialog(
    h(
      "div",
      { class: "dialog-body" },
      h("h2", {}, "Keyboard"),
      h("dl", { class: "keys" }, KEYS.map(([keys, words]) => [h("dt", {}, keys.split(" ").map((key) => [h("kbd", {}, key), " "])), h("dd", {}, words)])),
      h("div", { class: "dialog-actions" }, button("Close", { on: { click: () => made.close() } })),
    ),
    "Keyboard shortcuts",
  );
}
