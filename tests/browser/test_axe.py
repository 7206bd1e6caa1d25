"""No finding of axe-core in any view, light and dark, full and empty."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from borough.api.settings import ServiceSettings
from tests.api.serving import Served
from tests.browser.browsing import Browser
from tests.browser.pictures import DEVICES, SHOTS, SPACES


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    found = find_spec("axe_core_python")
    if found is None or not found.submodule_search_locations:
        words = "axe-core is not installed: pip install axe-core-python"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    return (Path(next(iter(found.submodule_search_locations))) / "axe.min.js").read_text()


@pytest.mark.parametrize(("state", "dark"), [("full", False), ("full", True), ("empty", False)])
def test_axe_finds_nothing(browser: Browser, axe: str, state: str, dark: bool) -> None:
    """Every view that pictures are made of."""
    served = Served(SPACES[state](), ServiceSettings())
    findings: dict[str, Any] = {}
    for shot in SHOTS:
        if shot.state != state or shot.ends:
            continue
        browser.resize(*DEVICES["desk"])
        browser.media(dark=dark, still=True)
        browser.open(f"{served.url}/#/{shot.fragment}")
        browser.until("#live[data-state=live]", shown=False)
        shot.act(browser, served)
        browser.settle()
        browser.driver.execute_script(axe)
        found = browser.run("return (await axe.run()).violations")
        if found:
            findings[shot.name] = [
                (each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in found
            ]
    browser.driver.get("about:blank")
    browser.complaints()
    served.close()
    assert not findings
