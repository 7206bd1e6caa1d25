/** Which view is shown: the part of the address behind `#`, `/view?name=value`. */

export function where() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  return { view: path.replace(/^\//, "") || "map", query: Object.fromEntries(new URLSearchParams(query)) };
}

export function link(view, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(known).toString();
  return `#/${view}${text ? `?${text}` : ""}`;
}

export function go(view, query = {}) {
  const target = link(view, query);
  if (location.hash === target) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = target;
}

/** Change what the address says without leaving the view, and without a step in the history. */
export function note(query) {
  const { view, query: before } = where();
  history.replaceState(null, "", link(view, { ...before, ...query }));
}
