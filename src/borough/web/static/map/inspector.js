/** The panel beside the map: the facts about the chosen place. */

import { call, get } from "../core/api.js";
import { fillOf, holderOf } from "../core/columns.js";
import { h, iconButton, meter, put, toast, button } from "../core/dom.js";
import { clock, count, percent, plural } from "../core/format.js";
import { WIDTH, formatAddress, formatPrefix } from "../core/ip.js";
import { go, link } from "../core/router.js";
import { state } from "../core/state.js";
import { stateOf } from "../core/groups.js";
import { holderName } from "./legend.js";
import { blockPrefix, regionPrefix } from "./model.js";

const LISTED = 64;
const SUBNETS = 100;

export class Inspector {
  /** @param on `close()`; `look(prefix)`: move the map there; `prefixView()`: the one that the map shows */
  constructor(place, on) {
    this.place = place;
    this.on = on;
    this.serial = 0;
    this.shown = null;
  }

  /** Show the subnets of the map, the fullest first. */
  clear() {
    this.serial++;
    this.shown = null;
    const focused = document.activeElement?.dataset.subnet;
    const members = (this.on.prefixView()?.members ?? []).map((at) => state.subnets[at]);
    const lines = members
      .map((subnet) => [subnet, state.usage.get(subnet.name)])
      .filter(([, usage]) => usage)
      .map(([subnet, usage]) => ({ subnet, usage, ...stateOf(usage) }))
      .sort((one, two) => two.share - one.share);
    put(
      this.place,
      h("div", { class: "inspector-head" }, h("h2", {}, plural(members.length, "subnet"))),
      h("ul", { class: "subnet-lines" }, lines.slice(0, SUBNETS).map((line) => this.subnetLine(line))),
      lines.length > SUBNETS ? section("", h("p", { class: "hint" }, `and ${plural(lines.length - SUBNETS, "emptier one")}`)) : null,
      section("", h("p", { class: "hint" }, "Click a block or an address; or move the cross with the arrow keys and press Enter.")),
    );
    if (focused) [...this.place.querySelectorAll("button")].find((each) => each.dataset.subnet === focused)?.focus();
  }

  subnetLine({ subnet, usage, share, level }) {
    return h(
      "li",
      {},
      h("button", { type: "button", data: { subnet: subnet.name }, on: { click: () => this.on.look(subnet.prefix) } }, h("span", { class: "name" }, subnet.name), h("span", { class: "mono" }, subnet.prefix), meter(share, `${percent(share)} taken`, level), h("span", { class: "hint" }, `${count(usage.free)} free`)),
    );
  }

  /** Show the present state of a spot of the map. */
  again() {
    if (this.shown) this.show(this.shown);
  }

  /** @param spot see MapCanvas.spot, with `close`: true when single addresses can be chosen */
  async show(spot) {
    this.shown = spot;
    const serial = ++this.serial;
    const { columns } = state;
    const subnet = state.subnets[spot.subnet];
    if (this.known?.spot !== spot) this.known = { spot, held: null };
    if (!subnet) {
      this.fill("Outside all subnets", formatAddress(spot.family, spot.address), [h("p", { class: "hint" }, "No subnet of this scope holds this address.")]);
      return;
    }
    const address = spot.close ? formatAddress(spot.family, spot.address) : null;
    const head = spot.block >= 0 ? formatPrefix(blockPrefix(columns, spot.block)) : subnet.prefix;
    const parts = (held) => [
      address ? this.address(address, subnet, held) : null,
      spot.block >= 0 ? this.block(spot.block) : this.unused(),
      this.subnet(subnet),
      spot.block >= 0 ? this.held(held, spot.block) : null,
    ];
    this.fill(address ? "Address" : spot.block >= 0 ? "Block" : "Subnet", address ?? head, parts(this.known.held));
    if (spot.block < 0) return;
    try {
      const page = await get("/v1/allocations", { scope: state.scope, prefix: head, limit: LISTED });
      if (serial !== this.serial) return;
      this.known.held = page.allocations;
      this.fill(address ? "Address" : "Block", address ?? head, parts(page.allocations));
    } catch (error) {
      if (serial === this.serial) toast(error.message, "error");
    }
  }

  fill(kind, title, parts) {
    const focused = this.place.contains(document.activeElement);
    put(
      this.place,
      h(
        "div",
        { class: "inspector-head" },
        h("div", {}, h("div", { class: "hint" }, kind), h("h2", { class: "mono", tabindex: "-1", id: "inspected" }, title)),
        iconButton("Close", "close", { on: { click: () => this.on.close() } }),
      ),
      parts,
    );
    if (focused) this.place.querySelector("#inspected").focus();
  }

  address(address, subnet, held) {
    const found = held?.find((each) => each.address === address);
    if (held === null) return section("", h("p", { class: "hint" }, "Reading…"));
    if (!found) {
      const words = subnet.gateway === address ? "The gateway: allocated only to a request for it." : "This address is not allocated.";
      return section("", h("p", {}, words), button("Allocate it", { class: "small", on: { click: () => go("allocate", { address }) } }, "plus"));
    }
    return section(
      "",
      facts([
        ["Owner", found.owner || "none"],
        ["Host", found.host ? hostLink(found.host) : "none"],
        ["State", found.state === "reserved" ? `reserved for ${found.owner || "nobody"}` : found.state === "cooling" ? `cooling until ${clock(new Date(found.cooling_until))}` : found.borrowed ? h("span", { class: "badge warn" }, "borrowed from another host's block") : "allocated"],
        ["Since", clock(new Date(found.allocated_at))],
        ["Sequence", found.sequence],
        ...(found.note ? [["Note", found.note]] : []),
        ...Object.entries(found.attributes ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
      ]),
      found.state !== "allocated" ? null : this.releaseButton(found),
    );
  }

  releaseButton(found) {
    if (state.caller.permission === "read") return null;
    const made = button("Release", { class: "small danger", on: { click: () => sure() } });
    const sure = async () => {
      if (!made.dataset.sure) {
        made.dataset.sure = "yes";
        made.lastElementChild.textContent = `Really release ${found.address}?`;
        return;
      }
      made.disabled = true;
      try {
        await release(found);
        this.again();
      } catch (error) {
        toast(error.message, "error");
      }
      made.disabled = false;
    };
    made.addEventListener("blur", () => {
      delete made.dataset.sure;
      made.lastElementChild.textContent = "Release";
    });
    return made;
  }

  block(at) {
    const { columns } = state;
    const holder = columns.holders[columns.holder[at]];
    const region = formatPrefix(regionPrefix(columns, at));
    const share = fillOf(columns, at);
    const size = columns.size[at];
    const claimant = holderOf(holder);
    return section(
      "Block",
      fill(share, `${count(size - Math.min(size, columns.free[at]))} of ${plural(size, "address", "addresses")} taken`),
      facts([
        ["Prefix", code(formatPrefix(blockPrefix(columns, at)), this.on.look)],
        ["Claimed by", claimant?.dimension === "host" ? hostLink(claimant.value) : holderName(holder)],
        holder ? ["Advertised as", code(region, this.on.look)] : null,
      ]),
    );
  }

  unused() {
    return section("", h("p", { class: "hint" }, "Unused space: no address here was ever allocated, and no host claims it."));
  }

  subnet(subnet) {
    const usage = state.usage.get(subnet.name);
    const { share, level } = usage ? stateOf(usage) : { share: 0, level: "none" };
    return section(
      "Subnet",
      usage ? fill(share, `${count(usage.free)} of ${count(usage.size)} free`, level) : null,
      facts([
        ["Name", subnet.name],
        ["Prefix", code(subnet.prefix, this.on.look)],
        ["Gateway", subnet.gateway ?? "none"],
        subnet.ranges ? ["Ranges", subnet.ranges.join(", ") || "none"] : null,
        subnet.exclude.length ? ["Excluded", subnet.exclude.join(", ")] : null,
        subnet.closed ? ["Closed", "takes no new addresses"] : null,
        subnet.pool ? ["Pool", subnet.pool] : null,
        subnet.project ? ["Project", subnet.project] : null,
        subnet.cooldown ? ["Cool-down", `${subnet.cooldown} s`] : null,
        subnet.weight ? ["Weight", subnet.weight] : null,
      ]),
      labels(subnet.labels),
    );
  }

  held(found, block) {
    if (!found) return null;
    const size = 2 ** (WIDTH[state.columns.prefixes[state.columns.subnet[block]].family] - state.columns.length[block]);
    return section(
      `Addresses held (${found.length} of ${size})`,
      found.length
        ? h(
            "ul",
            { class: "held" },
            [...found].sort(byAddress).map((each) =>
              h("li", {}, h("button", { type: "button", class: "plain mono", on: { click: () => this.on.look(each.address) } }, each.address), h("span", { class: "clip" }, each.owner || "no owner"), each.borrowed ? h("span", { class: "badge warn" }, "borrowed") : null, each.state === "allocated" ? null : h("span", { class: "badge" }, each.state)),
            ),
          )
        : h("p", { class: "hint" }, "None."),
    );
  }
}

/** Release an address; the sequence number protects a later allocation of it. */
export async function release(allocation) {
  await call("DELETE", `/v1/allocations/${encodeURIComponent(allocation.scope)}/${encodeURIComponent(allocation.address)}`, {
    query: { sequence: allocation.sequence },
  });
  toast(`${allocation.address} released`, "good");
}

function byAddress(one, two) {
  return one.address.localeCompare(two.address, "en", { numeric: true });
}

export function section(title, ...parts) {
  return h("section", { class: "inspector-part" }, title ? h("h3", {}, title) : null, parts);
}

export function facts(lines) {
  return h("dl", { class: "facts" }, lines.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function labels(named) {
  const chips = Object.entries(named).flatMap(([name, values]) => values.map((value) => h("span", { class: "chip" }, h("b", {}, name), value)));
  return chips.length ? h("div", { class: "chips" }, chips) : null;
}

function fill(share, words, level = "") {
  return h("div", { class: "filled" }, meter(share, `${percent(share)} taken`, level), h("span", {}, words));
}

function code(text, look) {
  return h("button", { type: "button", class: "plain mono", on: { click: () => look(text) } }, text);
}

export function hostLink(name) {
  return h("a", { href: link("hosts", { host: name }) }, name);
}
