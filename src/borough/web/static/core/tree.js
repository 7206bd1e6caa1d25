/** The subnets as a tree: scopes, the pools of a scope, and the subnets of each. Pure. */

import { stateOf } from "./groups.js";

const SUMS = ["size", "used", "free", "allocated", "cooling", "reserved", "outside", "claimed_free"];

/** Lines of subnets with their usage, from which a tree is made. */
export function linesOf(subnets, usage) {
  return subnets.map((subnet) => {
    const sums = usage.get(subnet.name) ?? Object.fromEntries(SUMS.map((name) => [name, 0]));
    return { ...subnet, ...pick(sums), ...stateOf(sums), kind: "subnet", key: subnet.name, hay: hayOf(subnet) };
  });
}

/**
 * The lines of the tree: each group before its members.
 *
 * @param lines see linesOf
 * @param order compares two lines; null leaves them as they are
 * @param {Set<string>} closed keys of the groups whose members are hidden
 * @param {string} first the scope that comes first
 */
export function arrange(lines, order, closed = new Set(), first = "") {
  const scopes = grouped(lines, (line) => line.scope);
  const sorted = (list) => (order ? [...list].sort(order) : list);
  const made = [];
  const add = (line, depth) => made.push({ ...line, depth });
  const ordered = sorted([...scopes].map(([name, members]) => group("scope", name, name, members)));
  for (const scope of [...ordered.filter((each) => each.name === first), ...ordered.filter((each) => each.name !== first)]) {
    const depth = scopes.size > 1 ? 1 : 0;
    if (depth) add(scope, 0);
    if (depth && closed.has(scope.key)) continue;
    const pools = grouped(scope.members, (line) => line.pool);
    const loose = pools.get("") ?? [];
    pools.delete("");
    const groups = [...pools].map(([name, members]) => group("pool", name, scope.name, members));
    for (const line of sorted([...groups, ...loose])) {
      add(line, depth);
      if (line.kind === "pool" && !closed.has(line.key)) sorted(line.members).forEach((each) => add(each, depth + 1));
    }
  }
  return made;
}

function group(kind, name, scope, members) {
  const sums = Object.fromEntries(SUMS.map((column) => [column, members.reduce((sum, line) => sum + line[column], 0)]));
  return { kind, key: `${kind}:${scope}:${name}`, name, scope, pool: kind === "pool" ? name : "", members, ...sums, ...stateOf(sums), at: members[0].at, prefix: "", labels: {}, attributes: {}, gateway: null, project: "", closed: false };
}

function grouped(lines, nameOf) {
  const made = new Map();
  for (const line of lines) {
    if (!made.has(nameOf(line))) made.set(nameOf(line), []);
    made.get(nameOf(line)).push(line);
  }
  return made;
}

function pick(sums) {
  return Object.fromEntries(SUMS.map((name) => [name, sums[name]]));
}

/** The text that a filter looks at. */
function hayOf(subnet) {
  const labels = Object.entries(subnet.labels).flatMap(([name, values]) => values.map((value) => `${name}=${value}`));
  const attributes = Object.entries(subnet.attributes ?? {}).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [subnet.name, subnet.prefix, subnet.gateway ?? "", subnet.pool, subnet.project, subnet.source, subnet.closed ? "closed" : "", ...labels, ...attributes].join(" ").toLowerCase();
}

/** Lines that have every word of a filter. */
export function filtered(lines, words) {
  const asked = words.toLowerCase().split(/\s+/).filter(Boolean);
  return asked.length ? lines.filter((line) => asked.every((word) => line.hay.includes(word))) : lines;
}
