/** Groups of subnets with their fill, and a forecast of when they run dry. Pure. */

/** Thresholds by share and by seconds until dry: `warn`, and `alarm` when an operator must act. */
const WARN = { share: 0.8, dry: 43200 };
const ALARM = { share: 0.95, dry: 3600 };
const SEVERITY = ["dry", "alarm", "warn", "good", "none"];

/**
 * Subnets summed up by their labels in some dimensions, families apart.
 *
 * @param subnets [{name, labels, family}]
 * @param {Map} usage lines of `/v1/usage` by subnet
 * @param {string[]} by dimensions; a subnet with several values is counted under each
 */
export function summarise(subnets, usage, by) {
  const groups = new Map();
  for (const subnet of subnets) {
    const line = usage.get(subnet.name);
    if (!line) continue;
    for (const values of product(by.map((name) => subnet.labels[name] ?? [""]))) {
      const key = JSON.stringify([subnet.family, ...values]);
      const group = groups.get(key) ?? {
        key, family: subnet.family, values, names: [], size: 0, used: 0, free: 0, allocated: 0, cooling: 0, reserved: 0, outside: 0, claimed_free: 0,
      };
      groups.set(key, group);
      group.names.push(subnet.name);
      for (const column of ["size", "used", "free", "allocated", "cooling", "reserved", "outside", "claimed_free"]) group[column] += line[column];
    }
  }
  return [...groups.values()];
}

function product(lists) {
  return lists.reduce((made, list) => made.flatMap((front) => list.map((each) => [...front, each])), [[]]);
}

/**
 * The share that cannot be allocated now, and its level.
 *
 * @param {number} dry see dryIn
 * @param limits `share` from which, and `free` below which a group is to be noticed
 */
export function stateOf(group, dry = Infinity, limits = { share: WARN.share, free: 0 }) {
  const taken = group.used;
  const share = group.size ? Math.min(1, taken / group.size) : 0;
  const beyond = (limit) => share >= limit.share || dry <= limit.dry;
  const level = !group.size ? "none" : group.free === 0 ? "dry" : beyond(ALARM) ? "alarm" : share >= limits.share || dry <= WARN.dry || group.free < limits.free ? "warn" : "good";
  return { share, level };
}

/** Parts of the observed time; a burst fills one of them and does not change the median. */
const PARTS = 4;

/** Seconds of events below which nothing is forecast. */
const LEAST = 120;

/**
 * Net addresses per second of each subnet: the median of four parts of the time that the events span,
 * so that a single burst is no trend.
 *
 * @param events the latest ones, oldest first
 * @param {number} now milliseconds
 * @param {number} window seconds to look back at most
 * @returns {Map<string, number>} by subnet; empty when the events span too little time
 */
export function rates(events, now, window = 3600) {
  const recent = events.filter((event) => now - Date.parse(event.at) <= window * 1000);
  const start = recent.length ? Date.parse(recent[0].at) : now;
  const span = (now - start) / PARTS;
  if (span * PARTS < LEAST * 1000) return new Map();
  const parts = new Map();
  for (const event of recent) {
    const step = event.act === "allocated" ? 1 : event.act === "released" ? -1 : 0;
    if (!step) continue;
    if (!parts.has(event.subnet)) parts.set(event.subnet, new Array(PARTS).fill(0));
    parts.get(event.subnet)[Math.min(PARTS - 1, Math.floor((Date.parse(event.at) - start) / span))] += step;
  }
  const middle = (list) => {
    const sorted = [...list].sort((a, b) => a - b);
    return (sorted[PARTS / 2 - 1] + sorted[PARTS / 2]) / 2;
  };
  return new Map([...parts].map(([subnet, list]) => [subnet, middle(list) / (span / 1000)]));
}

/** Seconds until a group has nothing free at the present rate; Infinity when it does not grow. */
export function dryIn(group, rate) {
  if (group.free === 0) return 0;
  const speed = group.names.reduce((sum, name) => sum + (rate.get(name) ?? 0), 0);
  return speed > 1e-9 ? group.free / speed : Infinity;
}

/** Order of urgency: by level, then by time until dry, then by share. */
export function urgency(one, two) {
  const severity = SEVERITY.indexOf(one.level) - SEVERITY.indexOf(two.level);
  const sooner = one.dry === two.dry ? 0 : one.dry - two.dry;
  return severity || sooner || two.share - one.share || (one.key < two.key ? -1 : 1);
}
