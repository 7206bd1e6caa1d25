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


@dataclass(frozen=True)
class Shot:
    """A picture to make.

    :ivar act: done before it, in the open page.
    """

    name: str
    fragment: str
    state: str = "full"
    act: Callable[[Browser, Served], None] = _nothing


SHOTS = (
    *(Shot(view, view) for view in ("map", "groups", "hosts", "allocate", "events")),
    Shot("map-holder", "map?by=holder"),
    Shot("map-subnet", "map?at=203.0.113.16/28"),
    Shot("map-address", "map?at=203.0.113.20"),
    Shot("host", "hosts?host=node-07"),
    Shot("allocate-refused", "allocate?network=edge&segment=rack-1", act=_refuse),
    *(Shot(view, view, "empty") for view in ("map", "groups", "hosts", "allocate", "events")),
    Shot("groups-offline", "groups", act=_lose),
)


def take(folder: Path, *parts: str) -> Iterator[Path]:
    """Make the pictures whose names contain all parts."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {"full": sample.full, "empty": lambda: borough.open("memory:", create=True)}
    spaces: dict[str, Ipam] = {}
    with Browser() as browser:
        for shot, theme, device in product(SHOTS, THEMES, DEVICES):
            name = f"{shot.name}-{shot.state}-{theme}-{device}"
            if not all(part in name for part in parts):
                continue
            space = spaces.setdefault(shot.state, made[shot.state]())
            served = Served(space, ServiceSettings())
            browser.resize(*DEVICES[device])
            browser.media(dark=theme == "dark", still=True)
            browser.open(f"{served.url}/#/{shot.fragment}")
            browser.until("#live[data-state=live]", shown=False)
            shot.act(browser, served)
            browser.settle()
            path = folder / f"{name}.png"
            browser.driver.save_screenshot(str(path))
            browser.driver.get("about:blank")
            if shot.act is not _lose:
                served.close()
            yield path


def main() -> None:
    """Make the pictures that the command line names."""
    folder, *parts = sys.argv[1:] or ["pictures"]
    for path in take(Path(folder), *parts):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
