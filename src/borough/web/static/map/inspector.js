/** The panel beside the map: the facts about the chosen place. */

import { call, get } from "../core/api.js";
import { fillOf, holderOf, sumWithin } from "../core/columns.js";
import { button, h, iconButton, meter, put, toast } from "../core/dom.js";
import { count, percent, plural, when } from "../core/format.js";
import { stateOf } from "../core/groups.js";
import { WIDTH, contains, formatAddress, formatPrefix } from "../core/ip.js";
import { facts, filled, hostLink, labels, ownerLink, placeLink, section, subnetLink, timeOf, valueText } from "../core/parts.js";
import { go } from "../core/router.js";
import { state } from "../core/state.js";
import { canBeAllocated, freeWords } from "../core/usable.js";
import { holderName } from "./legend.js";
import { blockPrefix, regionPrefix } from "./model.js";

const LISTED = 64;
const SUBNETS = 100;

export class Inspector {
  /** @param on `close()`; `prefixView()`: the one that the map shows */
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
    if (focused) [...this.place.querySelectorAll("a")].find((each) => each.dataset.subnet === focused)?.focus();
  }

  subnetLine({ subnet, usage, share, level }) {
    return h(
      "li",
      {},
      h("a", { href: placeLink(subnet.prefix).getAttribute("href"), data: { subnet: subnet.name } }, h("span", { class: "name" }, subnet.name), h("span", { class: "mono" }, subnet.prefix), meter(share, `${percent(share)} taken`, level), h("span", { class: "hint" }, `${count(usage.free)} free`)),
    );
  }

  /** Drop answers that are on their way. */
  close() {
    this.serial++;
    this.shown = null;
  }

  /** Show the present state of a spot of the map. */
  again() {
    if (this.shown) this.show(this.shown);
  }

  /**
   * @param spot `subnet`: place in the subnets, or -1; `block`: place in the columns of the block that holds
   *   all of the prefix, or -1; `prefix`: the chosen address, block, subnet or other prefix
   */
  async show(spot) {
    this.shown = spot;
    const serial = ++this.serial;
    const subnet = state.subnets[spot.subnet];
    if (this.known?.spot !== spot) this.known = { spot, page: null };
    const { prefix } = spot;
    const single = prefix.length === WIDTH[prefix.family];
    const title = single ? formatAddress(prefix.family, prefix.base) : formatPrefix(prefix);
    if (!subnet) {
      const inside = state.subnets.filter((each) => contains(prefix, each.at));
      const words = inside.length ? `It holds ${plural(inside.length, "subnet")}.` : "No subnet of this scope contains it.";
      this.fill(inside.length ? "Prefix" : "Outside all subnets", title, [section("", h("p", {}, words)), inside.length ? this.space(prefix) : null]);
      return;
    }
    const block = spot.block >= 0 ? blockPrefix(state.columns, spot.block) : null;
    const around = single && block ? formatPrefix(block) : formatPrefix(prefix);
    const whole = title === subnet.prefix;
    const kind = single ? "Address" : whole ? "Subnet" : block && formatPrefix(block) === title ? "Block" : "Prefix";
    const draw = () =>
      this.fill(kind, title, [
        single ? this.address(title, subnet) : null,
        block ? this.block(spot.block) : single ? null : this.space(prefix),
        this.subnet(subnet),
        this.held(),
      ]);
    draw();
    try {
      const page = await get("/v1/allocations", { scope: state.scope, prefix: around, limit: LISTED });
      if (serial !== this.serial) return;
      this.known.page = page;
      draw();
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

  address(address, subnet) {
    const { page, spot } = this.known;
    if (page === null) return section("", h("p", { class: "hint" }, "Reading…"));
    const found = page.allocations.find((each) => each.address === address);
    if (!found) {
      const { base } = spot.prefix;
      const allocate = canBeAllocated(subnet, base) ? button("Allocate it", { class: "small", on: { click: () => go("allocate", { address }) } }, "plus") : null;
      return section("", h("p", {}, freeWords(subnet, base)), allocate);
    }
    return section(
      "",
      facts([
        ["Owner", found.owner ? ownerLink(found.owner) : "none"],
        ["Host", found.host ? hostLink(found.host) : "none"],
        ["State", stateWords(found)],
        ["Since", timeOf(found.allocated_at)],
        ["Sequence", found.sequence],
        ...(found.note ? [["Note", found.note]] : []),
        ...Object.entries(found.attributes ?? {}).map(([name, value]) => [name, valueText(value)]),
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
    const size = columns.size[at];
    const claimant = holderOf(holder);
    return section(
      "Block",
      filled(fillOf(columns, at), `${count(size - Math.min(size, columns.free[at]))} of ${plural(size, "address", "addresses")} taken`),
      facts([
        ["Prefix", placeLink(formatPrefix(blockPrefix(columns, at)))],
        ["Claimed by", claimant?.dimension === "host" ? hostLink(claimant.value) : holderName(holder)],
        holder ? ["Advertised as", placeLink(region)] : null,
      ]),
    );
  }

  /** The blocks inside a prefix that is larger than a block. */
  space(prefix) {
    const sum = sumWithin(state.columns, prefix);
    if (!sum.blocks) return section("Space", h("p", { class: "hint" }, "No block: no host claims any of it."));
    return section(
      "Space",
      facts([
        ["Blocks", count(sum.blocks)],
        ["Claimed prefixes", count(sum.regions)],
        ["In blocks", `${count(sum.taken)} of ${plural(sum.size, "address", "addresses")} taken`],
      ]),
    );
  }

  subnet(subnet) {
    const usage = state.usage.get(subnet.name);
    const { share, level } = usage ? stateOf(usage) : { share: 0, level: "none" };
    return section(
      "Subnet",
      usage ? filled(share, `${count(usage.free)} of ${count(usage.size)} free`, level) : null,
      facts([
        ["Name", subnetLink(subnet.name, subnet.scope)],
        ["Prefix", placeLink(subnet.prefix)],
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

  held() {
    const { page } = this.known;
    if (!page) return null;
    const found = [...page.allocations].sort(byAddress);
    const title = page.next === null ? `Addresses in use (${found.length})` : `Addresses in use (${found.length} shown)`;
    return section(
      title,
      found.length
        ? h(
            "ul",
            { class: "held" },
            found.map((each) =>
              h("li", {}, placeLink(each.address), h("span", { class: "clip" }, each.owner ? ownerLink(each.owner) : "no owner"), each.borrowed ? h("span", { class: "badge warn" }, "borrowed") : null, each.state === "allocated" ? null : h("span", { class: "badge" }, each.state)),
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

function stateWords(found) {
  if (found.state === "reserved") return `reserved for ${found.owner || "nobody"}`;
  if (found.state === "cooling") return `cooling until ${when(found.cooling_until)}`;
  return found.borrowed ? h("span", { class: "badge warn" }, "borrowed from another host's block") : "allocated";
}

function byAddress(one, two) {
  return one.address.localeCompare(two.address, "en", { numeric: true });
}
