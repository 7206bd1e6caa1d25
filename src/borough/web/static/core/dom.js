/**
 * Building the page. Data becomes text nodes and attributes, never markup: names of owners and hosts
 * are chosen by others.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `props` are attributes, except: `on` (listeners by event), `data` (dataset), `vars`
 * (custom properties of its style), `prop` (properties set as they are), `class`.
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

function fill(made, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "vars") {
      for (const [key, text] of Object.entries(value)) made.style.setProperty(`--${key}`, text);
    } else if (name === "prop") Object.assign(made, value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Replace the children of an element. */
export function put(parent, ...children) {
  parent.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return parent;
}

/** An icon of `icons.svg`; decoration only, so it needs a label beside it. */
export function icon(name) {
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  made.append(use);
  return made;
}

export function button(label, props = {}, glyph = null) {
  const { class: extra = "", ...rest } = props;
  return h("button", { type: "button", class: `button ${extra}`, ...rest }, glyph && icon(glyph), h("span", {}, label));
}

/** A button that shows an icon only. */
export function iconButton(label, glyph, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, ...props }, icon(glyph));
}

/** A bar for a share; the number is in the text beside it. */
export function meter(share, label, level = "") {
  const shown = Math.max(0, Math.min(1, share || 0));
  return h(
    "span",
    { class: `meter ${level}`, role: "img", "aria-label": label, vars: { share: `${shown * 100}%` } },
    h("span", { class: "meter-fill" }),
  );
}

const announcer = () => document.getElementById("announcer");

/** Announce a text to screen readers, politely. */
export function announce(text) {
  const place = announcer();
  if (place && place.textContent !== text) place.textContent = text;
}

/** A message that disappears by itself; errors stay until closed. */
export function toast(text, kind = "info") {
  const place = document.getElementById("toasts");
  const made = h(
    "div",
    { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("span", {}, text),
    iconButton("Close", "close", { on: { click: () => made.remove() } }),
  );
  place.append(made);
  while (place.children.length > 4) place.firstElementChild.remove();
  if (kind !== "error") setTimeout(() => made.remove(), 5000);
}

/** Call at most once in `wait` milliseconds, with the last arguments. */
export function debounce(work, wait) {
  let timer = 0;
  const later = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
