/** The address of what is shown: the fragment `/view?scope=…&name=value`. The default scope is left out. */

export const DEFAULT_SCOPE = "default";

/** @returns {{view: string, scope: string, query: Object<string, string>}} */
export function where() {
  const [path, text = ""] = location.hash.slice(1).split("?");
  const { scope = DEFAULT_SCOPE, ...query } = Object.fromEntries(new URLSearchParams(text));
  return { view: path.replace(/^\//, "") || "subnets", scope, query };
}

/** The link to a view; in the scope that is shown, unless the query names another. */
export function link(view, query = {}) {
  const { scope = where().scope, ...rest } = query;
  const known = Object.entries({ scope: scope === DEFAULT_SCOPE ? "" : scope, ...rest });
  const text = new URLSearchParams(known.filter(([, value]) => value !== "" && value !== null && value !== undefined)).toString();
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
