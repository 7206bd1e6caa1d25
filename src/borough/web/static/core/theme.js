/** Light, dark, or as the system has it. */

const KEY = "borough.theme";
export const CHOICES = ["auto", "light", "dark"];

export function theme() {
  return document.documentElement.dataset.theme;
}

export function choice() {
  const kept = localStorage.getItem(KEY);
  return CHOICES.includes(kept) ? kept : "auto";
}

/** Choose; `theme.js`, which runs before this, applies it and tells the window with a `theme` event. */
export function choose(word) {
  if (word === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, word);
  dispatchEvent(new Event("theme-chosen"));
}
