/** Requests to the service that served the page; none goes to another origin. */

const TOKEN = "borough.token";
const PAGE = 5000;

/** An error: a problem document (RFC 9457), or no answer at all. */
export class Problem extends Error {
  constructor({ detail, title, code = "unavailable", status = 0, facts = {} }) {
    super(detail ?? title ?? "the service does not answer");
    Object.assign(this, { code, status, facts });
  }
}

/** Called when the service requires a token, or another one. */
export const gate = { asked: () => {} };

export function token() {
  return sessionStorage.getItem(TOKEN);
}

/** Keep a token until the tab is closed; an empty one removes it. */
export function keepToken(text) {
  if (text) sessionStorage.setItem(TOKEN, text);
  else sessionStorage.removeItem(TOKEN);
}

export function headers(more = {}) {
  const known = token();
  return { ...(known ? { Authorization: `Bearer ${known}` } : {}), ...more };
}

/** `path?name=value&…`; null and undefined are left out, a list gives a name several times. */
export function url(path, query = {}) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined && each !== "") made.append(name, each);
    }
  }
  const text = made.toString();
  return text ? `${path}?${text}` : path;
}

/** One request; its answer as JSON, null for an empty one. `text` is a body of YAML, instead of `body`. */
export async function call(method, path, { query, body, text, head = {}, signal } = {}) {
  const sent = { method, signal, headers: headers({ Accept: "application/json", ...head }) };
  sent.cache = "no-store";
  sent.credentials = "omit";
  if (body !== undefined) sent.body = JSON.stringify(body);
  // Also without a body: the service accepts no other kind of write.
  if (method === "POST" || method === "PUT" || method === "PATCH") sent.headers["Content-Type"] = "application/json";
  if (text !== undefined) {
    sent.body = text;
    sent.headers["Content-Type"] = "application/yaml";
  }
  let response;
  try {
    response = await fetch(url(path, query), sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: "The service does not answer. Is borough serve running?" });
  }
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

export async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  const problem = new Problem({ title: response.statusText, ...said, status: response.status });
  if (response.status === 401) gate.asked(problem);
  return problem;
}

export const get = (path, query, signal) => call("GET", path, { query, signal });

/** All lines of a list, page by page. */
export async function all(path, key, query = {}) {
  const found = [];
  let after = null;
  do {
    const page = await get(path, { ...query, limit: PAGE, after });
    found.push(...page[key]);
    after = page.next;
  } while (after !== null && after !== undefined);
  return found;
}
