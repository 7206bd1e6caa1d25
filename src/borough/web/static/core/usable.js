/** Addresses that a request for any address never gets. Pure. */

import { WIDTH, parseAddress } from "./ip.js";

/**
 * The reason why no request for any address of a subnet gets one address.
 *
 * @param subnet {at: prefix, gateway, ranges, exclude}
 * @param {bigint} value the address
 * @returns {"network"|"broadcast"|"gateway"|"excluded"|"outside"|null} null for an address that it may get
 */
export function withheld(subnet, value) {
  const { family, base, length } = subnet.at;
  const bits = BigInt(WIDTH[family] - length);
  if (bits > 1n && value === base) return "network";
  if (bits > 1n && family === 4 && value === base + (1n << bits) - 1n) return "broadcast";
  if (subnet.gateway && parseAddress(subnet.gateway).value === value) return "gateway";
  const holds = (range) => {
    const ends = range.split("-").map((text) => parseAddress(text).value);
    return ends[0] <= value && value <= ends.at(-1);
  };
  if (subnet.exclude.some(holds)) return "excluded";
  return subnet.ranges !== null && !subnet.ranges.some(holds) ? "outside" : null;
}

const WORDS = {
  network: "The first address of the subnet: it is never allocated.",
  broadcast: "The broadcast address of the subnet: it is never allocated.",
  gateway: "The gateway: only a request for the gateway gets it.",
  excluded: "Free, but excluded: only a request by its name gets it.",
  outside: "Free, but outside of the ranges: only a request by its name gets it.",
};

/** The state of an address that is not held, as a sentence. */
export function freeWords(subnet, value) {
  const reason = withheld(subnet, value);
  if (reason === "network" || reason === "broadcast") return WORDS[reason];
  if (subnet.closed) return "Free, but the subnet is closed: it takes no new addresses.";
  return reason ? WORDS[reason] : "Free.";
}

/** True for an address that some request may get. */
export function canBeAllocated(subnet, value) {
  return !subnet.closed && !["network", "broadcast"].includes(withheld(subnet, value));
}
