/** The view of the map. */

import { button, debounce, h, iconButton, put, announce } from "../core/dom.js";
import { count, percent, plural } from "../core/format.js";
import { fillOf } from "../core/columns.js";
import { WIDTH, contains, formatAddress, formatPrefix, parsePrefix } from "../core/ip.js";
import { link, note } from "../core/router.js";
import { state } from "../core/state.js";
import { theme } from "../core/theme.js";
import { withheld } from "../core/usable.js";
import { Addresses, lookAt } from "../map/addresses.js";
import { place, prefixViews } from "../map/atlas.js";
import { MapCanvas } from "../map/canvas.js";
import { listen } from "../map/input.js";
import { Inspector } from "../map/inspector.js";
import { holderName, showLegend } from "../map/legend.js";
import { blockPrefix, buildModel, buildScene, colouring } from "../map/model.js";
import { ADDRESSES_FROM } from "../map/overlay.js";

export function mapView(root) {
  return new MapView(root);
}

class MapView {
  constructor(root) {
    this.mode = "fill";
    this.only = null;
    this.prefixView = null;
    this.build(root);
    this.addresses = new Addresses(() => this.map.redraw());
    this.map = new MapCanvas(this.canvas, {
      nameOf: (at) => [state.subnets[at].name, state.subnets[at].prefix],
      on: {
        hover: (spot) => this.hover(spot),
        choose: (spot) => this.choose(spot),
        look: (block) => this.look(block),
      },
    });
    listen(this.map);
    this.inspector = new Inspector(this.side, { close: () => this.clear(), prefixView: () => this.prefixViews.find((each) => formatPrefix(each) === this.prefixView) });
    this.again = debounce(() => this.inspector.again(), 300);
    this.stop = [
      state.listen(["declared"], () => this.declared()),
      state.listen(["space"], () => {
        this.draw();
        this.again();
      }),
      state.listen(["events"], (event) => this.happened(event.detail)),
    ];
    this.repaint = () => this.draw();
    addEventListener("theme", this.repaint);
    this.declared();
  }

  build(root) {
    this.prefixViewSelect = h("select", { class: "select-quiet mono", id: "prefix-view", "aria-label": "Part of the address space", on: { change: () => this.showPrefixView(this.prefixViewSelect.value) } });
    this.modeSelect = h("select", { class: "select-quiet", id: "colour-by", "aria-label": "Colour by", on: { change: () => this.colourBy(this.modeSelect.value) } });
    this.canvas = h("canvas", {
      class: "map-canvas", tabindex: "0", role: "application", "aria-roledescription": "map", "aria-describedby": "map-keys",
      "aria-label": "Address space as a Hilbert curve",
    });
    this.legend = h("div", { class: "legend", role: "group", "aria-label": "Legend" });
    this.status = h("div", { class: "map-status mono", id: "map-status" });
    this.side = h("aside", { class: "inspector", "aria-label": "Details" });
    this.none = h("div", { class: "empty", id: "map-none" }, h("strong", {}, "There is no subnet in this scope"), h("a", { href: link("topology") }, "Apply a topology"));
    this.zoom = h(
      "div",
      { class: "zoom", role: "group", "aria-label": "Zoom" },
      iconButton("Zoom in", "plus", { on: { click: () => this.map.zoom(2) } }),
      iconButton("Zoom out", "minus", { on: { click: () => this.map.zoom(0.5) } }),
      iconButton("Show all", "fit", { on: { click: () => this.map.showAll() } }),
    );
    put(
      root,
      h(
        "div",
        { class: "map-view" },
        h("h1", { class: "unseen" }, "Map of the address space"),
        h(
          "div",
          { class: "map-bar" },
          h("label", { class: "bar-field" }, h("span", {}, "Showing"), this.prefixViewSelect),
          h("label", { class: "bar-field" }, h("span", {}, "Colour by"), this.modeSelect),
          h("span", { class: "bar-note", id: "map-sum" }),
        ),
        h("div", { class: "map-stage" }, this.canvas, this.none, this.zoom, this.status, h("p", { class: "unseen", id: "map-keys" }, "Arrow keys move, plus and minus zoom, 0 shows all, Enter shows the address at the cross.")),
        h("div", { class: "map-side" }, this.legend, this.side),
      ),
    );
  }

  declared() {
    this.prefixViews = prefixViews(state.subnets.map((subnet) => subnet.at));
    put(
      this.prefixViewSelect,
      [4, 6].map((family) => {
        const some = this.prefixViews.filter((prefixView) => prefixView.family === family);
        return some.length
          ? h("optgroup", { label: `IPv${family}` }, some.map((prefixView) => h("option", { value: formatPrefix(prefixView) }, this.titleOf(prefixView))))
          : null;
      }),
    );
    const modes = [["fill", "fill"], ["holder", "holder"], ...state.dimensions.filter((each) => this.used(each.name)).map((each) => [each.name, each.name])];
    put(this.modeSelect, modes.map(([value, words]) => h("option", { value }, words)));
    if (!modes.some(([value]) => value === this.mode)) this.mode = "fill";
    this.modeSelect.value = this.mode;
    const kept = this.prefixViews.find((prefixView) => formatPrefix(prefixView) === this.prefixView);
    this.prefixView = formatPrefix(kept ?? this.fullest() ?? { family: 4, base: 0n, length: 32 });
    this.addresses.forget();
    this.draw();
  }

  titleOf(prefixView) {
    const text = formatPrefix(prefixView);
    if (prefixView.members.length > 1) return `${text} · ${plural(prefixView.members.length, "subnet")}`;
    return `${text} · ${state.subnets[prefixView.members[0]].name}`;
  }

  used(dimension) {
    return state.subnets.some((subnet) => subnet.labels[dimension]?.length) && dimension !== "holder";
  }

  /** The prefix view with the most blocks; the first one when there are none. */
  fullest() {
    const { columns } = state;
    const number = new Map();
    for (const subnet of columns.subnet) number.set(subnet, (number.get(subnet) ?? 0) + 1);
    const blocks = (prefixView) => [...number].reduce((sum, [subnet, some]) => sum + (contains(prefixView, columns.prefixes[subnet]) ? some : 0), 0);
    return [...this.prefixViews].sort((one, two) => blocks(two) - blocks(one))[0];
  }

  draw() {
    const prefixView = this.prefixViews.find((each) => formatPrefix(each) === this.prefixView);
    this.prefixViewSelect.parentElement.parentElement.hidden = !prefixView;
    this.canvas.hidden = this.legend.hidden = this.zoom.hidden = this.status.hidden = !prefixView;
    this.none.hidden = Boolean(prefixView);
    if (!prefixView) return;
    this.prefixViewSelect.value = this.prefixView;
    const colour = theme();
    this.model = buildModel(prefixView, state.subnets, state.columns);
    this.colours = colouring(this.mode, state.subnets, state.columns, this.model, colour, this.only);
    this.map.show(this.model, buildScene(this.model, this.colours, colour), colour);
    showLegend(this.legend, this.mode, this.colours, colour, this.only, (name) => this.pick(name));
    const blocks = this.model.blocks.number;
    put(document.getElementById("map-sum"), `${plural(blocks, "block")} in ${plural(prefixView.members.length, "subnet")}, ${plural(this.model.regions.number, "claimed prefix", "claimed prefixes")}`);
    if (!this.inspector.shown) this.inspector.clear();
    this.canvas.setAttribute("aria-label", `Map of ${this.prefixView}: ${plural(blocks, "block")} in ${plural(prefixView.members.length, "subnet")}`);
  }

  showPrefixView(text) {
    this.prefixView = text;
    this.clear();
    note({ prefix: text, at: "" });
    this.draw();
  }

  colourBy(mode) {
    this.mode = mode;
    this.only = null;
    note({ by: mode === "fill" ? "" : mode, only: "" });
    this.draw();
  }

  pick(name) {
    this.only = name;
    note({ only: name ?? "" });
    this.draw();
    const at = [...this.legend.querySelectorAll("[aria-pressed]")].find((each) => each.getAttribute("aria-pressed") === "true");
    at?.focus();
  }

  /** Apply the query of the page address. */
  update(query) {
    if (query.by && query.by !== this.mode && [...this.modeSelect.options].some((each) => each.value === query.by)) {
      this.modeSelect.value = query.by;
      this.mode = query.by;
      this.only = query.only ?? null;
      this.draw();
    }
    if (query.prefix && this.prefixViews.some((each) => formatPrefix(each) === query.prefix)) {
      this.prefixView = query.prefix;
      this.draw();
    }
    if (query.at) this.at(query.at);
  }

  /** Show an address or a prefix. */
  at(text) {
    const prefix = parsePrefix(text);
    const prefixView = prefix && this.prefixViews.find((each) => contains(each, prefix) || contains(prefix, each));
    if (!prefixView) {
      announce(`${text} is in no subnet of this scope`);
      put(this.status, `${text} lies in no subnet of this scope.`);
      return;
    }
    if (formatPrefix(prefixView) !== this.prefixView) {
      this.prefixView = formatPrefix(prefixView);
      this.draw();
    }
    const rect = place(this.model.frame, contains(prefixView, prefix) ? prefix : prefixView);
    this.map.fly(rect);
    const { blocks, subnets } = this.model;
    const around = (layer, prefixOf) => layer.source.find((each) => contains(prefixOf(each), prefix)) ?? -1;
    const block = around(blocks, (each) => blockPrefix(state.columns, each));
    const subnet = around(subnets, (each) => state.subnets[each].at);
    this.open({ block, subnet, rect, prefix });
  }

  choose(spot) {
    if (!spot || spot.subnet < 0) {
      this.clear();
      return;
    }
    const { family } = this.model.frame;
    const close = this.map.camera.scale >= ADDRESSES_FROM;
    const block = spot.block >= 0 ? blockPrefix(state.columns, spot.block) : null;
    const prefix = close ? { family, base: spot.address, length: WIDTH[family] } : block ?? state.subnets[spot.subnet].at;
    this.open({ ...spot, prefix });
  }

  open(spot) {
    const { prefix } = spot;
    const text = prefix.length === WIDTH[prefix.family] ? formatAddress(prefix.family, prefix.base) : formatPrefix(prefix);
    this.map.select(spot.rect);
    this.inspector.show(spot);
    this.side.classList.add("open");
    note({ at: text, prefix: this.prefixView });
    announce(`${text}: ${this.words(spot)}`);
  }

  clear() {
    this.map.select(null);
    this.inspector.clear();
    this.side.classList.remove("open");
    note({ at: "" });
    if (this.side.contains(document.activeElement)) this.canvas.focus();
  }

  words(spot) {
    const { columns } = state;
    if (spot.subnet < 0) return "no subnet";
    const { name, prefix } = state.subnets[spot.subnet];
    const usage = state.usage.get(name);
    if (usage && spot.prefix && formatPrefix(spot.prefix) === prefix) return `${count(usage.free)} of ${count(usage.size)} free · ${name}`;
    if (spot.block < 0) return `no claim · ${name}`;
    const holder = columns.holders[columns.holder[spot.block]];
    return `${percent(fillOf(columns, spot.block))} taken · ${holder ? `claimed by ${holderName(holder)}` : "unclaimed"} · ${name}`;
  }

  hover(spot) {
    if (!spot) {
      put(this.status, "");
      return;
    }
    const family = this.model.frame.family;
    const named = this.map.camera.scale >= ADDRESSES_FROM || spot.block < 0 ? formatAddress(family, spot.address) : formatPrefix(blockPrefix(state.columns, spot.block));
    put(this.status, h("b", {}, named), ` ${this.words(spot)}`);
    if (this.map.keyboard) announce(`${named}: ${this.words(spot)}`);
  }

  look(block) {
    const { columns } = state;
    const held = this.addresses.of(state.scope, columns, block);
    const subnet = state.byName.get(columns.subnetNames[columns.subnet[block]]);
    return lookAt(columns, block, held, (value) => withheld(subnet, value) !== null, this.mode === "fill" ? null : this.colours.block(block), theme());
  }

  happened(list) {
    if (!this.model) return;
    this.addresses.forget(new Set(list.map((event) => event.subnet)));
    for (const event of list.slice(-60)) {
      const at = parsePrefix(event.subject);
      if (at && state.byName.get(event.subnet)?.scope === state.scope && contains(this.model.prefixView, at)) this.map.pulse(place(this.model.frame, at));
    }
    this.map.redraw();
  }

  close() {
    this.stop.forEach((each) => each());
    this.again.cancel();
    this.inspector.close();
    removeEventListener("theme", this.repaint);
    this.map.close();
  }
}
