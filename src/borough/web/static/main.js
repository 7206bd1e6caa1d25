/** The frame around the views: navigation, scope, theme, liveness, keys. */

import { watchService } from "./banner.js";
import { Problem, gate } from "./core/api.js";
import { announce, button, h, icon, iconButton, put } from "./core/dom.js";
import { DEFAULT_SCOPE, go, link, where } from "./core/router.js";
import { state } from "./core/state.js";
import { CHOICES, choice, choose } from "./core/theme.js";
import { askToken, showHelp } from "./dialogs.js";
import { buildSearch } from "./search.js";
import { addressesView } from "./views/addresses.js";
import { allocateView } from "./views/allocate.js";
import { eventsView } from "./views/events.js";
import { groupsView } from "./views/groups.js";
import { hostsView } from "./views/hosts.js";
import { mapView } from "./views/map.js";
import { subnetsView } from "./views/subnets.js";
import { tokensView } from "./views/tokens.js";
import { topologyView } from "./views/topology.js";

const VIEWS = {
  subnets: ["Subnets", subnetsView],
  map: ["Map", mapView],
  groups: ["Groups", groupsView],
  hosts: ["Hosts", hostsView],
  allocate: ["Allocate", allocateView],
  events: ["Events", eventsView],
  topology: ["Topology", topologyView],
};

/** Views that links lead to, and that are not in the list of views. */
const LINKED = { addresses: ["Addresses", addressesView], tokens: ["Tokens", tokensView] };
const ALL_VIEWS = { ...VIEWS, ...LINKED };

/** Views that have nothing to show before the first subnet. */
const NEED_SUBNETS = ["subnets", "map", "groups", "allocate"];

/**
 * Milliseconds after which a hidden page closes its stream. A browser has six connections to a service for
 * all pages: a seventh page would wait for ever.
 */
const REST = 10_000;

const main = document.getElementById("main");
let resting = 0;
let failed = false; // true while an error is shown because nothing could be read
let shown = { name: null, scope: null, make: null, view: null };

function buildRail() {
  put(
    document.getElementById("rail"),
    Object.entries(VIEWS).map(([name, [label]], at) =>
      h("a", { href: link(name), data: { view: name }, title: label, "aria-keyshortcuts": String(at + 1) }, icon(name), h("span", {}, label), h("kbd", { "aria-hidden": "true" }, at + 1)),
    ),
    h("div", { class: "rail-foot", id: "rail-foot" }),
  );
}

function buildTop() {
  const live = h("span", { class: "live", id: "live", role: "status" }, h("i", {}), h("span", {}, "Connecting"));
  // What was chosen in the old scope is left out of the new address.
  const scope = h("select", { class: "select-quiet", id: "scope", "aria-label": "Scope", hidden: true, on: { change: () => go(where().view, { scope: scope.value }) } });
  const themes = iconButton("", "auto", { id: "theme", on: { click: turnTheme } });
  const help = iconButton("Keyboard shortcuts", "help", { id: "help", on: { click: showHelp } });
  const key = iconButton("Token", "key", { id: "token", on: { click: () => askToken(null, open, state.caller?.permission === "administer") } });
  put(document.getElementById("top-end"), scope, live, key, themes, help);
  labelTheme();
  watchService(document.getElementById("banner"), live);
}

function turnTheme() {
  choose(CHOICES[(CHOICES.indexOf(choice()) + 1) % CHOICES.length]);
  labelTheme();
  announce(`Theme: ${choice()}`);
}

function labelTheme() {
  const made = document.getElementById("theme");
  const word = { auto: "as the system", light: "light", dark: "dark" }[choice()];
  made.setAttribute("aria-label", `Theme: ${word}`);
  made.title = `Theme: ${word}`;
  put(made, icon({ auto: "auto", light: "sun", dark: "moon" }[choice()]));
}

function showScopes() {
  const select = document.getElementById("scope");
  select.hidden = state.scopes.length < 2;
  put(select, state.scopes.map((scope) => h("option", { value: scope }, scope)));
  select.value = state.scope;
}

function showCaller() {
  const { caller } = state;
  const within = Object.entries(caller.labels ?? {}).map(([name, values]) => `${name}=${values.join("|")}`);
  put(
    document.getElementById("rail-foot"),
    caller.name ? h("div", {}, `${caller.name} · may ${caller.permission}`) : null,
    within.length ? h("div", {}, within.join(" ")) : null,
    caller.permission === "administer" ? h("a", { href: "#/tokens" }, "Tokens") : null,
    h("div", {}, `Borough ${caller.release}`),
  );
}

/** Show what the address of the page names. */
async function route() {
  if (!state.ready) return;
  const { scope } = where();
  // A view is made anew for another scope: nothing that was chosen in the old one stays.
  if (scope !== state.scope) {
    leaveView();
    put(main, h("div", { class: "empty", role: "status" }, "Reading the scope…"));
  }
  try {
    await state.choose(scope);
  } catch (error) {
    if (where().scope === scope) refuse(error);
    return;
  }
  // The user may have gone on meanwhile.
  if (where().scope !== state.scope) return;
  showScopes();
  const { view: asked, query } = where();
  const name = ALL_VIEWS[asked] ? asked : "subnets";
  for (const each of document.querySelectorAll("#rail > a")) {
    each.href = link(each.dataset.view);
    if (each.dataset.view === name) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const make = NEED_SUBNETS.includes(name) && !state.allSubnets.length ? topologyView : ALL_VIEWS[name][1];
  if (shown.name !== name || shown.scope !== scope || shown.make !== make) openView(name, scope, make);
  shown.view.update(query);
}

function openView(name, scope, make) {
  const moved = shown.name !== null;
  leaveView();
  main.dataset.view = name;
  const [label] = ALL_VIEWS[name];
  document.title = `${label} · Borough`;
  shown = { name, scope, make, view: make(main) };
  if (moved) announce(label);
}

function leaveView() {
  shown.view?.close();
  shown = { name: null, scope: null, make: null, view: null };
  main.replaceChildren();
}

/** Show an error in the place of the view. */
function refuse(error) {
  if (error.status === 401) return;
  if (!(error instanceof Problem)) throw error;
  leaveView();
  const elsewhere = where().scope === DEFAULT_SCOPE ? null : h("a", { class: "button", href: link(where().view, { scope: DEFAULT_SCOPE }) }, "Show the default scope");
  put(main, h("div", { class: "empty", role: "alert" }, h("strong", {}, "Nothing can be shown"), h("span", {}, error.message), h("div", { class: "form-actions" }, button("Try again", { on: { click: open } }), elsewhere)));
}

/** Keys outside of text fields. */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, select, textarea, dialog")) return;
  const view = Object.keys(VIEWS)[Number(event.key) - 1];
  if (view) {
    go(view);
    main.focus();
  } else if (event.key === "/") document.querySelector("#search input").focus();
  else if (event.key === "?") showHelp();
  else if (event.key === "t") turnTheme();
  else return;
  event.preventDefault();
}

async function open() {
  state.ready = failed = false;
  if (!shown.name) put(main, h("div", { class: "empty", role: "status" }, "Reading the address space…"));
  try {
    await state.open(where().scope);
  } catch (error) {
    failed = true;
    refuse(error);
  }
}

gate.asked = (problem) => askToken(problem, open);
buildRail();
buildTop();
buildSearch(document.getElementById("search"));
state.listen(["declared"], () => {
  showScopes();
  showCaller();
  // The first subnet: the view that waited for it is made.
  if (shown.view && NEED_SUBNETS.includes(shown.name) && (shown.make === topologyView) === Boolean(state.allSubnets.length)) route();
});
state.listen(["ready"], route);
addEventListener("hashchange", () => (state.ready ? route() : failed && open()));
addEventListener("keydown", press);
// A plain link would change the fragment, which names the view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("pagehide", () => state.feed.stop());
addEventListener("pageshow", (event) => event.persisted && state.ready && state.feed.start());
document.addEventListener("visibilitychange", () => {
  clearTimeout(resting);
  if (document.hidden) resting = setTimeout(() => state.feed.stop(), REST);
  else if (state.ready && !state.feed.running) state.feed.start();
});
open();
