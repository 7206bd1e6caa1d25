/** Light, dark, or the theme of the system. */

const KEY = "borough.theme";
export const CHOICES = ["auto", "light", "dark"];

export function theme() {
  return document.documentElement.dataset.theme;
}

export function choice() {
  const kept = localStorage.getItem(KEY);
  return CHOICES.includes(kept) ? kept : "auto";
}

/** Choose; `theme.js`, which runs before this, applies it and dispatches a `theme` event to the window. */
export function choose(word) {
  if (word === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, word);
  dispatchEvent(new Event("theme-chosen"));
}
