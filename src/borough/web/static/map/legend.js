/** The legend of the colours of the map. */

import { GROUND, css, fillColour } from "../core/colour.js";
import { h, put } from "../core/dom.js";
import { count, plural } from "../core/format.js";

const SHOWN = 12;

/** Frames and lines of the map, which all colourings share: the name of a swatch, and its meaning. */
const FRAMES = [["claimed", "claimed prefix"], ["small", "blocks too small to see"], ["borrowed", "borrowed"], ["cooling", "cooling"], ["reserved", "reserved"], ["withheld", "not for any request"]];

export function holderName(text) {
  if (!text) return "no host";
  return text.startsWith("host=") ? text.slice(5) : text;
}

/**
 * @param {string|null} only the value that is highlighted
 * @param {(name: string|null) => void} pick
 */
export function showLegend(place, mode, colours, theme, only, pick) {
  if (mode === "fill") {
    const steps = [0, 0.25, 0.5, 0.75, 1];
    put(
      place,
      h("div", { class: "legend-title" }, "Share of a block that is taken"),
      h("div", { class: "scale", "aria-hidden": "true" }, steps.map((share) => h("i", { vars: { colour: css(fillColour(share, theme)) } }))),
      h("div", { class: "scale-words" }, h("span", {}, "0 %"), h("span", {}, "50 %"), h("span", {}, "100 %")),
      frames(theme),
    );
    return;
  }
  const { legend } = colours;
  const lines = legend.slice(0, SHOWN);
  const picked = legend.find((line) => line.name === only);
  if (picked && !lines.includes(picked)) lines.push(picked);
  const name = (line) => (mode === "holder" ? holderName(line.name) : line.name || "no label");
  put(
    place,
    h("div", { class: "legend-title" }, `Blocks shown, by ${mode}`),
    h(
      "ul",
      { class: "legend-lines" },
      lines.map((line) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", "aria-pressed": String(line.name === only), title: `Show ${name(line)} only`, on: { click: () => pick(line.name === only ? null : line.name) } },
            h("i", { vars: { colour: css(line.colour) } }),
            h("span", {}, name(line)),
            h("b", {}, count(line.count)),
          ),
        ),
      ),
    ),
    legend.length > lines.length ? h("div", { class: "hint" }, `and ${plural(legend.length - lines.length, "more", "more")}`) : null,
    legend.length ? null : h("div", { class: "hint" }, "No blocks yet"),
    frames(theme),
  );
}

function frames(theme) {
  const ground = GROUND[theme];
  const vars = { claimed: css(ground.outline), small: ground.mark, borrowed: ground.mark, cooling: ground.cooling, reserved: ground.line, withheld: ground.line };
  return h("ul", { class: "frames", "aria-label": "Frames and lines" }, FRAMES.map(([kind, words]) => h("li", {}, h("i", { class: `frame ${kind}`, vars: { colour: vars[kind] } }), words)));
}
