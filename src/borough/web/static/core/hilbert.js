/**
 * The Hilbert curve: an address is a distance along it, a place on the map a cell of a square.
 *
 * Aligned prefixes are compact on it: one of an even number of host bits is a square, one of an odd
 * number two squares side by side. (D. Hilbert, "Ueber die stetige Abbildung einer Linie auf ein
 * Flächenstück", 1891; its use for address space goes back to xkcd 195.)
 *
 * Distances are a pair of numbers, `high` and `low`, the latter of LOW_BITS bits, so that a distance
 * of up to 96 bits stays exact without the cost of big integers.
 */

export const LOW_BITS = 48;
const LOW_LEVELS = LOW_BITS / 2;
const LOW_SPAN = 2 ** LOW_BITS;

/** The finest map: 2^48 cells along a side, the most that a double distinguishes. */
export const MAX_BITS = 96;

/** A distance as the pair that the functions below take. */
export function split(distance) {
  if (typeof distance === "number" && distance < LOW_SPAN) return [0, distance];
  const whole = BigInt(distance);
  return [Number(whole >> BigInt(LOW_BITS)), Number(whole & BigInt(LOW_SPAN - 1))];
}

/** The distance of a pair, as a big integer. */
export function join(high, low) {
  return (BigInt(high) << BigInt(LOW_BITS)) | BigInt(low);
}

/**
 * The cell at a distance along a curve of 4^order cells.
 *
 * The orientation of a quadrant is two bits: coordinates swapped, and then both flipped. These form
 * Klein's group of four, so that a quadrant's own turn is added by exclusive or.
 */
export function cell(high, low, order) {
  let x = 0;
  let y = 0;
  let turn = 0;
  // All of IPv4 fits into 32 bits, which engines divide much faster.
  const short = order <= 16;
  for (let level = order - 1; level >= 0; level--) {
    const digit = short
      ? (low >>> (2 * level)) & 3
      : level >= LOW_LEVELS
        ? Math.floor(high / 4 ** (level - LOW_LEVELS)) % 4
        : Math.floor(low / 4 ** level) % 4;
    // Swapping two bits is flipping both where they differ.
    let right = digit >> 1;
    let down = (digit ^ right) & 1;
    const flip = (turn & 1 & (right ^ down)) ^ (turn >> 1);
    right ^= flip;
    down ^= flip;
    x = x * 2 + right;
    y = y * 2 + down;
    if (digit === 0) turn ^= 1;
    else if (digit === 3) turn ^= 3;
  }
  return [x, y];
}

/** The distance, as a pair, of a cell of a curve of 4^order cells. */
export function distance(x, y, order) {
  let high = 0;
  let low = 0;
  let turn = 0;
  for (let level = order - 1; level >= 0; level--) {
    const side = 2 ** level;
    let right = Math.floor(x / side) % 2;
    let down = Math.floor(y / side) % 2;
    if (turn & 2) {
      right ^= 1;
      down ^= 1;
    }
    if (turn & 1) [right, down] = [down, right];
    const digit = (right << 1) | (right ^ down);
    if (level >= LOW_LEVELS) high = high * 4 + digit;
    else low = low * 4 + digit;
    if (digit === 0) turn ^= 1;
    else if (digit === 3) turn ^= 3;
  }
  return [high, low];
}

/**
 * The rectangle that an aligned range of 2^bits addresses covers.
 *
 * @returns {[number, number, number, number]} x, y, width, height in cells
 */
export function rectangle(high, low, bits, order) {
  const even = bits - (bits % 2);
  const side = 2 ** (even / 2);
  const [x, y] = corner(high, low, even, order);
  if (even === bits) return [x, y, side, side];
  const [high2, low2] = plus(high, low, even);
  const [x2, y2] = corner(high2, low2, even, order);
  return [
    Math.min(x, x2),
    Math.min(y, y2),
    Math.abs(x - x2) + side,
    Math.abs(y - y2) + side,
  ];
}

/** The top left cell of the square of an aligned range of 2^bits addresses, bits even. */
function corner(high, low, bits, order) {
  const side = 2 ** (bits / 2);
  const [x, y] = cell(high, low, order);
  return [x - (x % side), y - (y % side)];
}

/** The start of the aligned range of 2^bits addresses around a distance. */
export function align(high, low, bits) {
  if (bits < LOW_BITS) return [high, low - (low % 2 ** bits)];
  return [high - (high % 2 ** (bits - LOW_BITS)), 0];
}

/** A distance moved on by 2^bits. */
export function plus(high, low, bits) {
  if (bits >= LOW_BITS) return [high + 2 ** (bits - LOW_BITS), low];
  const sum = low + 2 ** bits;
  return sum < LOW_SPAN ? [high, sum] : [high + 1, sum - LOW_SPAN];
}
