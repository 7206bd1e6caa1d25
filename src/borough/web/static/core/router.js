/** The shown view: the fragment of the address, `/view?name=value`. */

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

/** Change the query of the address without another view, and without a step in the history. */
export function note(query) {
  const { view, query: before } = where();
  history.replaceState(null, "", link(view, { ...before, ...query }));
}
