/** Colour scales: [red, green, blue] from 0 to 255. Never the only carrier of a meaning. */

/** Stops of the fill scale, from empty to full; light and dark grounds need opposite directions. */
const FILL = {
  light: [[214, 228, 245], [160, 193, 232], [94, 146, 212], [45, 97, 178], [22, 50, 112]],
  dark: [[33, 52, 77], [37, 83, 128], [50, 124, 184], [104, 174, 226], [199, 231, 255]],
};

/** Twelve hues that stay apart on either ground, also for most people with a colour vision deficiency. */
const HUES = {
  light: [
    [53, 110, 196], [217, 119, 40], [38, 140, 98], [192, 66, 92], [126, 87, 194], [19, 142, 158],
    [164, 132, 19], [196, 88, 160], [92, 122, 58], [122, 92, 74], [84, 108, 140], [150, 70, 40],
  ],
  dark: [
    [104, 158, 240], [240, 160, 88], [88, 196, 148], [240, 122, 146], [174, 142, 240], [80, 196, 212],
    [212, 184, 82], [236, 146, 206], [152, 186, 112], [186, 154, 132], [146, 172, 204], [216, 134, 104],
  ],
};

const NEUTRAL = { light: [178, 186, 198], dark: [86, 96, 112] };

/** Colours of the map besides data. */
export const GROUND = {
  light: { page: [246, 247, 249], space: [233, 236, 241], subnet: [221, 226, 234], line: "#8d98a8", text: "#1b2230", soft: "#5b6575", outline: [76, 86, 104], mark: "#c2410c", cooling: "#b7791f", halo: "rgba(255,255,255,0.86)" },
  dark: { page: [13, 16, 21], space: [22, 27, 34], subnet: [34, 41, 52], line: "#5d6979", text: "#e8ecf2", soft: "#9aa6b6", outline: [150, 162, 180], mark: "#ffb454", cooling: "#d9a441", halo: "rgba(13,16,21,0.82)" },
};

/** A colour of the fill scale; share from 0 (none taken) to 1. */
export function fillColour(share, theme) {
  const stops = FILL[theme];
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  return mix(stops[low], stops[low + 1], at - low);
}

export function mix(one, two, share) {
  return one.map((channel, at) => Math.round(channel + (two[at] - channel) * share));
}

/** A value's colour by its place among all values; beyond the twelve, a shade by the name's hash. */
export function valueColour(name, at, theme) {
  const hues = HUES[theme];
  if (name === "") return NEUTRAL[theme];
  if (at < hues.length) return hues[at];
  const seed = hash(name);
  const ground = theme === "light" ? [255, 255, 255] : [0, 0, 0];
  return mix(hues[seed % hues.length], ground, 0.12 + ((seed >>> 8) % 5) * 0.09);
}

/** FNV-1a, 32 bits. */
export function hash(text) {
  let made = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    made = Math.imul(made ^ text.charCodeAt(at), 0x01000193);
  }
  return made >>> 0;
}

export function css([red, green, blue], alpha = 1) {
  return alpha === 1 ? `rgb(${red},${green},${blue})` : `rgba(${red},${green},${blue},${alpha})`;
}

/** One pixel of ImageData seen as 32-bit words on a little-endian machine, as all browsers' are. */
export function pixel([red, green, blue]) {
  return (255 << 24) | (blue << 16) | (green << 8) | red;
}

/** Relative luminance and contrast of WCAG 2.2. */
export function contrast(one, two) {
  const light = (colour) => {
    const [red, green, blue] = colour.map((channel) => {
      const part = channel / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

/** Black or white text, whichever can be read on a colour. */
export function inkOn(colour) {
  return contrast(colour, [255, 255, 255]) >= 4.5 ? "#ffffff" : "#10151d";
}
