"""The diagrams of the pages, as SVG.

python docs/_diagrams/draw.py           # writes docs/_images/*.svg
python docs/_diagrams/draw.py --check   # fails when a file differs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "_images"

INK: Final = "#1f2937"
QUIET: Final = "#6b7280"
PAPER: Final = "#ffffff"
BLUE: Final = ("#dbeafe", "#2563eb")
GREEN: Final = ("#dcfce7", "#16a34a")
ORANGE: Final = ("#ffedd5", "#ea580c")
GREY: Final = ("#f3f4f6", "#9ca3af")

Colour = tuple[str, str]


class Drawing:
    """Shapes on a white sheet, so that it can be read on a dark page too."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.title = title
        self.size = width, height
        self.parts: list[str] = []

    def box(
        self, x: int, y: int, w: int, h: int, colour: Colour, *lines: str, dashed: bool = False
    ) -> None:
        """A rectangle with centred lines of text."""
        fill, line = colour
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" fill="{fill}" '
            f'stroke="{line}" stroke-width="1.5"{dash}/>'
        )
        for number, text in enumerate(lines):
            middle = y + h / 2 + 5 + (number - (len(lines) - 1) / 2) * 18
            self.text(x + w // 2, int(middle), text, anchor="middle")

    def text(
        self, x: int, y: int, text: str, *, anchor: str = "start", colour: str = INK, size: int = 14
    ) -> None:
        """One line of text."""
        self.parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def arrow(
        self, x1: int, y1: int, x2: int, y2: int, *, colour: str = INK, dashed: bool = False
    ) -> None:
        """A straight arrow."""
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" '
            f'stroke-width="1.5" marker-end="url(#head)"{dash}/>'
        )

    def cross(self, x: int, y: int) -> None:
        """A mark on a way that is not open."""
        self.text(x, y, "✕", anchor="middle", colour=ORANGE[1], size=22)

    def svg(self) -> str:
        """The file."""
        width, height = self.size
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" font-family="sans-serif" role="img">',
                f"<title>{escape(self.title)}</title>",
                '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
                f'markerHeight="7" orient="auto"><path d="M0 0 10 5 0 10z" fill="{INK}"/>'
                "</marker></defs>",
                f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
                *self.parts,
                "</svg>\n",
            ]
        )


def boundaries() -> Drawing:
    made = Drawing(680, 300, "A group of subnets and its boundaries")
    made.box(20, 20, 640, 170, GREY, dashed=True)
    made.text(34, 42, "network = apps (hard)", colour=QUIET)
    for x, rack, cidr, colour in (
        (50, "r1", "10.10.1.0/26", BLUE),
        (360, "r2", "10.10.2.0/26", GREEN),
    ):
        made.box(x, 60, 270, 110, (PAPER, colour[1]))
        made.text(x + 14, 82, f"rack = {rack} (hard)", colour=colour[1])
        made.box(x + 35, 96, 200, 56, colour, f"subnet rack-{rack[1]}", cidr)
    made.box(50, 220, 270, 56, BLUE, "request of node-1:", "network=apps, implied rack=r1")
    made.arrow(185, 220, 185, 154)
    made.arrow(320, 235, 470, 174, dashed=True)
    made.cross(395, 212)
    made.text(430, 240, "outside the boundary:", colour=ORANGE[1])
    made.text(430, 260, "refused, even when r1 is full", colour=ORANGE[1])
    return made


def ladder() -> Drawing:
    made = Drawing(720, 300, "The order of preference of a request")
    steps = (
        ("1  claimed by the host", "no further route", BLUE),
        ("2  unclaimed", "the host claims a region, or doubles its own", GREEN),
        (
            "3  claimed by other hosts",
            "an unused region is taken over, else space is borrowed",
            ORANGE,
        ),
        ("refused", "the error names each step, and each excluded subnet", GREY),
    )
    for number, (name, note, colour) in enumerate(steps):
        y = 24 + number * 68
        made.box(24, y, 230, 44, colour, name)
        made.text(274, y + 27, note)
        if number:
            made.arrow(139, y - 24, 139, y - 1)
            made.text(150, y - 8, "full", colour=QUIET, size=12)
    return made


def region() -> Drawing:
    made = Drawing(680, 250, "A region that grows in place")
    other, free = (16, GREEN, "node-2 /28"), (16, GREY, "free")
    rows = (
        ("first addresses", [(16, BLUE, "node-1 /28"), free, other, free]),
        ("node-1 doubles", [(32, BLUE, "node-1 /27: still one route"), other, free]),
        ("and again", [(32, BLUE, "node-1 /26: still one route"), other, (16, BLUE, "")]),
    )
    for number, (label, pieces) in enumerate(rows):
        y = 36 + number * 64
        made.text(20, y + 26, label)
        x = 150
        for size, colour, name in pieces:
            made.box(x, y, size * 8, 40, colour, name)
            x += size * 8
    made.text(150, 24, "10.10.1.0", colour=QUIET, size=12)
    made.text(662, 24, "10.10.1.63", anchor="end", colour=QUIET, size=12)
    made.text(
        150,
        236,
        "A region doubles over unclaimed space. A small region inside it becomes a loan.",
        colour=QUIET,
        size=12,
    )
    return made


def request() -> Drawing:
    made = Drawing(720, 330, "The path of one request")
    callers = (("library", 30), ("commands", 150), ("HTTP, page", 270), ("Neutron", 390))
    for name, x in callers:
        made.box(x, 20, 105, 40, GREY, name)
        made.arrow(x + 52, 60, x + 52, 92)
    made.box(30, 94, 465, 40, BLUE, "parse once: one request record")
    made.arrow(262, 134, 262, 160)
    made.box(30, 162, 465, 40, BLUE, "labels of the host, group, order of preference")
    made.arrow(262, 202, 262, 228)
    made.box(
        30,
        230,
        465,
        56,
        GREEN,
        "one transaction: read candidates, decide, write",
        "allocation, block, event",
    )
    made.arrow(495, 258, 545, 258)
    made.box(547, 230, 150, 56, GREY, "database:", "unique address")
    made.arrow(622, 230, 622, 188, dashed=True)
    made.text(622, 158, "conflict or lost", anchor="middle", colour=ORANGE[1], size=13)
    made.text(622, 176, "connection: again", anchor="middle", colour=ORANGE[1], size=13)
    made.arrow(565, 182, 497, 182, dashed=True)
    made.text(
        30,
        314,
        "The decision is pure code: the same for SQLite, PostgreSQL, MariaDB, Galera and the explanation.",
        colour=QUIET,
        size=13,
    )
    return made


def galera() -> Drawing:
    made = Drawing(680, 320, "A deployment on a Galera cluster")
    made.box(240, 16, 200, 44, GREY, "callers, proxy: /readyz")
    for number, (x, colour) in enumerate(((30, BLUE), (250, GREEN), (470, ORANGE)), 1):
        made.box(x, 84, 180, 200, (PAPER, GREY[1]), dashed=True)
        made.text(x + 12, 275, f"machine {number}", colour=QUIET, size=12)
        made.box(x + 20, 116, 140, 44, colour, "borough serve")
        made.arrow(340, 60, x + 90, 115)
        made.arrow(x + 90, 160, x + 90, 198)
        made.box(x + 20, 200, 140, 56, colour, f"MariaDB node {number}", f"partition {number}")
    for x in (190, 410):
        made.arrow(x, 228, x + 79, 228)
        made.arrow(x + 79, 228, x, 228)
    made.text(
        340,
        308,
        "Each service writes to its node first, and goes on at the next one when it fails.",
        anchor="middle",
        colour=QUIET,
        size=13,
    )
    return made


DRAWINGS: Final[dict[str, Callable[[], Drawing]]] = {
    each.__name__: each for each in (boundaries, ladder, region, request, galera)
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        path = FOLDER / f"{name}.svg"
        if not check:
            path.write_text(draw().svg())
        elif not path.exists() or path.read_text() != draw().svg():
            sys.exit(f"{path} differs: run python docs/_diagrams/draw.py")


if __name__ == "__main__":
    main()
