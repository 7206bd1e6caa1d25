"""Pictures of every view: ``python -m tests.browser.pictures FOLDER [PART …]``.

A picture is named ``view-state-theme-device.png``. With parts, only those whose name contains all of them
are made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import borough
from borough import Ipam
from borough.api.settings import ServiceSettings
from tests.api.serving import Served
from tests.browser import sample
from tests.browser.browsing import Browser

#: Width and height by device.
DEVICES = {"desk": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")


def _nothing(browser: Browser, served: Served) -> None:
    del browser, served


def _lose(browser: Browser, served: Served) -> None:
    """Lose the service while the page is open."""
    served.close()
    browser.until("#live[data-state=waiting]", shown=False)


def _refuse(browser: Browser, served: Served) -> None:
    """Ask for an address of a full group."""
    del served
    browser.until(".result .outcome")
    browser.click("#allocate-now")
    browser.until(".result [role=alert]")


def _edit(browser: Browser, served: Served) -> None:
    """Fill in the dialog that edits a subnet, and see its dry run."""
    del served
    browser.click(".actions button", "Edit")
    browser.write("#change-gateway", "203.0.113.50")
    browser.until("dialog .diff-field")


def _example(browser: Browser, served: Served) -> None:
    """See the diff of the example."""
    del served
    browser.click("#example")
    browser.until(".diff-lines")


def _search(browser: Browser, served: Served) -> None:
    """Search for a part of a name."""
    del served
    browser.press("/")
    browser.write("#search input", "edge")
    browser.until("#search-list .option")


@dataclass(frozen=True)
class Shot:
    """A picture to make.

    :ivar act: done before it, in the open page.
    :ivar ends: whether the service ends with it.
    """

    name: str
    fragment: str
    state: str = "full"
    act: Callable[[Browser, Served], None] = _nothing
    ends: bool = False


VIEWS = (
    "subnets",
    "map",
    "groups",
    "hosts",
    "allocate",
    "events",
    "topology",
    "addresses",
    "tokens",
)

SHOTS = (
    *(Shot(view, view) for view in VIEWS),
    Shot("subnet", "subnets?subnet=edge-3"),
    Shot("subnet-v6", "subnets?subnet=pods-v6-1"),
    Shot("subnet-edit", "subnets?subnet=edge-3", act=_edit),
    Shot("map-holder", "map?by=holder"),
    Shot("map-subnet", "map?at=203.0.113.16/28"),
    Shot("map-address", "map?at=203.0.113.20"),
    Shot("host", f"hosts?host={sample.LONG_HOST}"),
    Shot("owner", f"addresses?owner={sample.LONG_OWNER}"),
    Shot("search", "subnets", act=_search),
    Shot("allocate-refused", "allocate?network=edge&segment=rack-1", act=_refuse),
    *(Shot(view, view, "empty") for view in VIEWS),
    Shot("topology-example", "topology", "empty", act=_example),
    Shot("subnets-offline", "subnets", act=_lose, ends=True),
    Shot("map-offline", "map", act=_lose, ends=True),
)

#: Address spaces by state.
SPACES: dict[str, Callable[[], Ipam]] = {
    "full": sample.full,
    "empty": lambda: borough.open("memory:", create=True),
}


def prepare(browser: Browser, shot: Shot, space: Ipam, theme: str, device: str) -> Served:
    """Open what a picture shows, and return the service behind it."""
    served = Served(space, ServiceSettings())
    browser.resize(*DEVICES[device])
    browser.media(dark=theme == "dark", still=True)
    browser.open(f"{served.url}/#/{shot.fragment}")
    browser.until("#live[data-state=live]", shown=False)
    shot.act(browser, served)
    browser.settle()
    return served


def take(folder: Path, *parts: str) -> Iterator[Path]:
    """Make the pictures whose names contain all parts."""
    folder.mkdir(parents=True, exist_ok=True)
    spaces: dict[str, Ipam] = {}
    with Browser() as browser:
        for shot, theme, device in product(SHOTS, THEMES, DEVICES):
            name = f"{shot.name}-{shot.state}-{theme}-{device}"
            if not all(part in name for part in parts):
                continue
            space = spaces.get(shot.state) or spaces.setdefault(shot.state, SPACES[shot.state]())
            served = prepare(browser, shot, space, theme, device)
            path = folder / f"{name}.png"
            browser.driver.save_screenshot(str(path))
            browser.driver.get("about:blank")
            if not shot.ends:
                served.close()
            yield path


def main() -> None:
    """Make the pictures that the command line names."""
    folder, *parts = sys.argv[1:] or ["pictures"]
    for path in take(Path(folder), *parts):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
