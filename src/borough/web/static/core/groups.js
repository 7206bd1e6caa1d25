/** Groups of subnets with their fill, and a forecast of when they run dry. Pure. */

/** From so much on a group is worth a look, and from so much on somebody must act. */
export const WARN = 0.8;
export const ALARM = 0.95;

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
        key, family: subnet.family, values, names: [], size: 0, allocated: 0, cooling: 0, free: 0, claimed_free: 0,
      };
      groups.set(key, group);
      group.names.push(subnet.name);
      for (const column of ["size", "allocated", "cooling", "free", "claimed_free"]) group[column] += line[column];
    }
  }
  return [...groups.values()];
}

function product(lists) {
  return lists.reduce((made, list) => made.flatMap((front) => list.map((each) => [...front, each])), [[]]);
}

/** Share that cannot be given now, and how bad that is. */
export function stateOf(group) {
  const share = group.size ? 1 - group.free / group.size : 0;
  const level = !group.size ? "none" : group.free === 0 ? "dry" : share >= ALARM ? "alarm" : share >= WARN ? "warn" : "good";
  return { share, level };
}

/**
 * Net addresses per second that each subnet has given over the time that the events span.
 *
 * @param events the latest ones, oldest first
 * @param {number} now milliseconds
 * @param {number} window seconds to look back at most
 */
export function rates(events, now, window = 3600) {
  const recent = events.filter((event) => now - Date.parse(event.at) <= window * 1000);
  if (!recent.length) return new Map();
  // A burst of a second says nothing about the next hour.
  const seconds = Math.max(60, (now - Date.parse(recent[0].at)) / 1000);
  const made = new Map();
  for (const event of recent) {
    const step = event.act === "allocated" ? 1 : event.act === "released" ? -1 : 0;
    if (step) made.set(event.subnet, (made.get(event.subnet) ?? 0) + step / seconds);
  }
  return made;
}

/** Seconds until a group has nothing free at the present rate; Infinity when it does not grow. */
export function dryIn(group, rate) {
  if (group.free === 0) return 0;
  const speed = group.names.reduce((sum, name) => sum + (rate.get(name) ?? 0), 0);
  return speed > 1e-9 ? group.free / speed : Infinity;
}

/** The emptiest first: who runs dry soonest, then who is fullest. */
export function urgency(one, two) {
  return one.dry - two.dry || two.share - one.share || (one.key < two.key ? -1 : 1);
}
