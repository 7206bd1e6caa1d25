/** Addresses and prefixes: text to numbers (big integers, 32 or 128 bits) and back, RFC 5952. */

export const WIDTH = { 4: 32, 6: 128 };

/** @returns {{family: 4|6, value: bigint}|null} null for what is no address */
export function parseAddress(text) {
  if (text.includes(":")) {
    const value = parseSix(text);
    return value === null ? null : { family: 6, value };
  }
  const value = parseFour(text);
  return value === null ? null : { family: 4, value };
}

function parseFour(text) {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    value = value * 256n + BigInt(part);
  }
  return value;
}

function parseSix(text) {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map(readGroups);
  if (groups.includes(null)) return null;
  const [front, back = []] = groups;
  const missing = 8 - front.length - back.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  return [...front, ...Array(missing).fill(0), ...back].reduce(
    (value, group) => value * 65536n + BigInt(group),
    0n,
  );
}

function readGroups(text) {
  if (text === "") return [];
  const made = [];
  const parts = text.split(":");
  for (const [at, part] of parts.entries()) {
    if (at === parts.length - 1 && part.includes(".")) {
      const four = parseFour(part);
      if (four === null) return null;
      made.push(Number(four >> 16n), Number(four & 0xffffn));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) made.push(parseInt(part, 16));
    else return null;
  }
  return made;
}

/** An address in its canonical text. */
export function formatAddress(family, value) {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  }
  const groups = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  const [start, length] = longestZeros(groups);
  const hex = (some) => some.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function longestZeros(groups) {
  let best = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start > best[1]) best = [start, end - start];
    start = Math.max(start, end - 1);
  }
  return best;
}

/**
 * A prefix in text; bits to the right of its length are cut off.
 *
 * @returns {{family: 4|6, base: bigint, length: number}|null}
 */
export function parsePrefix(text) {
  const [address, length, ...rest] = text.split("/");
  const found = parseAddress(address);
  if (!found || rest.length) return null;
  const width = WIDTH[found.family];
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null;
  const bits = length === undefined ? width : Number(length);
  if (bits > width) return null;
  return { family: found.family, base: floor(found.family, found.value, bits), length: bits };
}

/** The first address of the prefix of a length around an address. */
export function floor(family, value, length) {
  const bits = BigInt(WIDTH[family] - length);
  return (value >> bits) << bits;
}

export function formatPrefix({ family, base, length }) {
  return `${formatAddress(family, base)}/${length}`;
}

export function contains(outer, inner) {
  return (
    outer.family === inner.family &&
    outer.length <= inner.length &&
    floor(outer.family, inner.base, outer.length) === outer.base
  );
}

/** The longest prefix that covers two prefixes of one family. */
export function common(one, two) {
  let length = Math.min(one.length, two.length);
  const differing = (one.base ^ two.base) >> BigInt(WIDTH[one.family] - length);
  length -= differing === 0n ? 0 : differing.toString(2).length;
  return { family: one.family, base: floor(one.family, one.base, length), length };
}

/** Number of addresses of a prefix, as a number that may be rounded above 2^53. */
export function size({ family, length }) {
  return 2 ** (WIDTH[family] - length);
}
