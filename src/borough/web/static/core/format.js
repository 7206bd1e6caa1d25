/** Numbers and times as people read them. */

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A count: grouped up to ten millions, in powers of two from 2^40 on, shortened in between. */
export function count(value) {
  if (value >= 2 ** 40) {
    const power = Math.log2(value);
    const near = Math.round(power);
    const raised = [...String(near)].map((digit) => RAISED[digit]).join("");
    return Math.abs(power - near) < 1e-6 ? `2${raised}` : `≈ 2${raised}`;
  }
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} G`;
  if (value >= 1e7) return `${(value / 1e6).toFixed(1)} M`;
  return GROUPED.format(value);
}

/** A share as per cent. Only nothing is 0 %, and only everything is 100 %. */
export function percent(share) {
  if (!(share > 0)) return "0 %";
  if (share >= 1) return "100 %";
  if (share < 0.001) return "<0.1 %";
  if (share > 0.999) return ">99.9 %";
  return `${(share * 100).toFixed(share < 0.1 || share > 0.9 ? 1 : 0)} %`;
}

/** Seconds as a length of time. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

const two = (number) => String(number).padStart(2, "0");

/** Date and time of a Date, or of a text of RFC 3339, in the time zone of the browser. */
export function when(at) {
  const date = new Date(at);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `1 block`, `2 blocks`. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
