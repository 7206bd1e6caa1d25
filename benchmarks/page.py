"""Frame times of the page's map while it moves and zooms over many blocks, in a real browser.

    .venv/bin/python benchmarks/page.py [BLOCKS] [--frames N] [--keep FOLDER]

Needs Debian's ``chromium`` and ``chromium-driver``. The browser draws in software, without a graphics card,
which is the slowest case. One line for each kind of movement: milliseconds of the page's own code for a
frame, and from one frame to the next (16.7 at the rate of the screen).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import borough
from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import Prefix, span
from borough.domain.space.blocks import Block, block_length, withheld_bits
from borough.domain.space.plan import Plan
from borough.store.port import Unit
from tests.browser.browsing import Browser, start_service

HOSTS = 2000
SUBNETS = 64

DRIVE = """
const [kind, frames, done] = arguments;
const { mapOf } = await import("/static/map/canvas.js");
const canvas = document.querySelector("canvas.map-canvas");
const map = mapOf.get(canvas);
const box = canvas.getBoundingClientRect();
const at = (x, y) => ({ clientX: box.left + x, clientY: box.top + y, bubbles: true, pointerId: 1 });
canvas.setPointerCapture = () => {};
const middle = [box.width / 2, box.height / 2];
const moves = {
  "zoom in and out": (turn) => canvas.dispatchEvent(new WheelEvent("wheel", {
    ...at(box.width * 0.4, box.height * 0.45), deltaY: turn < frames / 2 ? -60 : 60, cancelable: true })),
  "move, all visible": (turn) => drag(turn),
  "move, close up": (turn) => drag(turn),
  "move, single addresses": (turn) => drag(turn),
};
function drag(turn) {
  if (turn === 0) canvas.dispatchEvent(new PointerEvent("pointerdown", at(...middle)));
  const angle = (turn / frames) * 4 * Math.PI;
  canvas.dispatchEvent(new PointerEvent("pointermove", at(
    middle[0] + Math.cos(angle) * 200 - 200, middle[1] + Math.sin(angle) * 200)));
}
map.showAll();
await new Promise((go) => setTimeout(go, 400));
const scale = { "move, close up": 3, "move, single addresses": 24 }[kind];
if (scale) map.zoom(scale / map.camera.scale);
else if (kind === "move, all visible") map.zoom(1.5);
await new Promise((go) => setTimeout(go, 400));
map.frames.length = 0;
const gaps = [];
let before = null;
for (let turn = 0; turn < frames; turn++) {
  moves[kind](turn);
  const now = await new Promise(requestAnimationFrame);
  if (before !== null) gaps.push(now - before);
  before = now;
}
canvas.dispatchEvent(new PointerEvent("pointercancel", at(...middle)));
return { work: map.frames.slice(), gaps };
"""


def fill(folder: Path, number: int) -> str:
    """Make a database with blocks that are claimed in regions of many sizes; return its URL."""
    url = f"sqlite:///{folder}/page.db"
    dice = random.Random(17)
    with borough.open(url, create=True) as ipam:
        ipam.apply(
            {
                "dimensions": {"rack": {"fallback": "any"}, "host": {"fallback": "any"}},
                "subnets": [
                    {
                        "name": f"pods-{at}",
                        "cidr": f"10.{at * 2}.0.0/15",
                        "labels": {"network": "pods", "rack": f"r{at % 9}"},
                    }
                    for at in range(SUBNETS)
                ],
                "hosts": {f"node-{at}": {"rack": f"r{at % 9}"} for at in range(HOSTS)},
            }
        )

        def write(unit: Unit) -> None:
            for subnet in unit.catalogue.subnets.values():
                blocks = make_blocks(subnet, unit.cohort_of(subnet.id), number // SUBNETS + 1, dice)
                unit.commit(
                    Plan(free_ranges_removed=unit.free_ranges([subnet.id]), blocks_added=blocks), 0
                )

        ipam.store.transact(write)
    return url


def make_blocks(subnet: Subnet, cohort: int, number: int, dice: random.Random) -> list[Block]:
    """Blocks of a subnet in regions of 16 to 4,096 addresses, each filled at random."""
    made: list[Block] = []
    at = subnet.prefix.base
    while len(made) < number and at < subnet.prefix.last:
        length = min(32, max(dice.choice((28, 27, 26, 26, 25, 24, 22, 20)), lowest(at)))
        region = Prefix(4, at, length)
        holder = "" if dice.random() < 0.1 else f"host=node-{dice.randrange(HOSTS)}"
        step = block_length(region)
        for prefix in span(4, region.base, region.last):
            for base in range(prefix.base, prefix.last + 1, 1 << 32 - step):
                block = Prefix(4, base, step)
                taken = withheld_bits(subnet, block)
                full = dice.random()
                taken |= sum(1 << bit for bit in range(block.size) if dice.random() < full)
                made.append(
                    Block(0, subnet.id, cohort, block, taken, holder, length if holder else 0)
                )
        at = region.last + 1
    return made[:number]


def lowest(at: int) -> int:
    """Length of the largest aligned prefix that begins at an address."""
    return 32 - (at & -at).bit_length() + 1 if at else 0


def show(kind: str, measured: dict[str, list[float]]) -> None:
    work, gaps = sorted(measured["work"]), sorted(measured["gaps"])

    def at(values: list[float], share: float) -> float:
        return values[min(len(values) - 1, int(len(values) * share))]

    late = sum(gap > 25 for gap in gaps)
    print(
        f"{kind:26} {len(work):5} {at(work, 0.5):9.1f} {at(work, 0.99):9.1f} {work[-1]:9.1f}"
        f" {at(gaps, 0.5):9.1f} {at(gaps, 0.99):9.1f} {late:6}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("blocks", type=int, nargs="?", default=100_000)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--keep", type=Path, help="make the database here and keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        url = fill(folder, options.blocks)
        with start_service(url) as base, Browser(width=1600, height=1000) as browser:
            begun = time.monotonic()
            browser.open(f"{base}/#/map")
            browser.until("canvas.map-canvas")
            browser.run("await new Promise(requestAnimationFrame); return 1")
            print(f"{options.blocks:,} blocks: shown after {time.monotonic() - begun:.2f} s")
            print(browser.text("#map-sum"))
            print(
                f"{'':26} {'frames':>5} {'work p50':>9} {'p99':>9} {'worst':>9}"
                f" {'gap p50':>9} {'p99':>9} {'>25ms':>6}"
            )
            for mode in ("fill", "holder"):
                browser.choose("#colour-by", mode)
                for kind in (
                    "move, all visible",
                    "zoom in and out",
                    "move, close up",
                    "move, single addresses",
                ):
                    show(f"{mode}: {kind}", browser.run(DRIVE, kind, options.frames))


if __name__ == "__main__":
    main()
