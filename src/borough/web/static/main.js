/** The frame around the views: navigation, scope, theme, liveness, keys. */

import { Problem, gate } from "./core/api.js";
import { announce, button, h, icon, iconButton, put, toast } from "./core/dom.js";
import { go, link, where } from "./core/router.js";
import { state } from "./core/state.js";
import { CHOICES, choice, choose } from "./core/theme.js";
import { askToken, showHelp } from "./dialogs.js";
import { buildSearch } from "./search.js";
import { allocateView } from "./views/allocate.js";
import { eventsView } from "./views/events.js";
import { groupsView } from "./views/groups.js";
import { hostsView } from "./views/hosts.js";
import { mapView } from "./views/map.js";

const VIEWS = {
  map: ["Map", mapView],
  groups: ["Groups", groupsView],
  hosts: ["Hosts", hostsView],
  allocate: ["Allocate", allocateView],
  events: ["Events", eventsView],
};

/**
 * Milliseconds after which a hidden page closes its stream. A browser has six connections to a service for
 * all pages: a seventh page would wait for ever.
 */
const REST = 10_000;

const main = document.getElementById("main");
let resting = 0;
let shown = { name: null, view: null };

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
  const scope = h("select", { class: "select-quiet", id: "scope", "aria-label": "Scope", hidden: true, on: { change: () => change(scope.value) } });
  const themes = iconButton("", "auto", { id: "theme", on: { click: turnTheme } });
  const help = iconButton("Keyboard shortcuts", "help", { id: "help", on: { click: showHelp } });
  const key = iconButton("Token", "key", { id: "token", on: { click: () => askToken(null, open) } });
  put(document.getElementById("top-end"), scope, live, key, themes, help);
  labelTheme();
}

async function change(scope) {
  try {
    await state.choose(scope);
  } catch (error) {
    toast(error.message, "error");
  }
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

function showLive() {
  const made = document.getElementById("live");
  const words = { live: "Live", waiting: "Reconnecting", stopped: "Not permitted" };
  made.dataset.state = state.live;
  made.title = `Events: ${words[state.live].toLowerCase()}`;
  made.lastElementChild.textContent = words[state.live];
}

function showCaller() {
  const { caller } = state;
  const within = Object.entries(caller.labels ?? {}).map(([name, values]) => `${name}=${values.join("|")}`);
  put(
    document.getElementById("rail-foot"),
    caller.name ? h("div", {}, `${caller.name} · may ${caller.permission}`) : null,
    within.length ? h("div", {}, within.join(" ")) : null,
    h("div", {}, `Borough ${caller.release}`),
  );
}

function route() {
  if (!state.ready) return;
  const { view: asked, query } = where();
  const name = VIEWS[asked] ? asked : "map";
  for (const each of document.querySelectorAll("#rail a")) {
    if (each.dataset.view === name) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  if (shown.name === name) {
    shown.view.update(query);
    return;
  }
  shown.view?.close();
  main.replaceChildren();
  main.dataset.view = name;
  const [label, make] = VIEWS[name];
  document.title = `${label} · Borough`;
  const moved = shown.name !== null;
  shown = { name, view: make(main) };
  shown.view.update(query);
  if (moved) announce(label);
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
  state.ready = false;
  if (!shown.name) put(main, h("div", { class: "empty", role: "status" }, "Reading the address space…"));
  try {
    await state.open();
  } catch (error) {
    if (error.status === 401) return;
    if (!(error instanceof Problem)) throw error;
    shown.view?.close();
    shown = { name: null, view: null };
    put(main, h("div", { class: "empty", role: "alert" }, h("strong", {}, "The page could not be loaded"), h("span", {}, error.message), button("Try again", { on: { click: open } })));
  }
}

gate.asked = (problem) => askToken(problem, open);
buildRail();
buildTop();
buildSearch(document.getElementById("search"));
state.listen(["declared"], () => {
  showScopes();
  showCaller();
});
state.listen(["live"], showLive);
state.listen(["ready"], route);
addEventListener("hashchange", route);
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
