"""The HTTP reference under ``/docs``."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from borough import Ipam
from borough.api.app import OPERATIONS
from borough.web import HEADERS, assets
from tests.api.serving import Served
from tests.browser.browsing import Browser
from tests.browser.test_shell import fetch


def test_the_reference_has_every_operation(ipam: Ipam, serve: Callable[..., Served]) -> None:
    """Without a token, with the policy of the page, and with links that lead somewhere."""
    served = serve(ipam, requires_token=True)
    status, headers, body = fetch(f"{served.url}/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert HEADERS.items() <= headers.items()
    text = body.decode()
    for each in OPERATIONS:
        path = each.path.replace(":path}", "}")
        assert f">{each.method} {path}</h3>" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    for path in re.findall(r'(?:href|src)="(/[^"]*)"', text):
        assert path in assets() or fetch(served.url + path)[0] == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=|https?://", text)
    assert fetch(f"{served.url}/docs", **{"If-None-Match": headers["etag"]})[0] == 304


@pytest.mark.parametrize("width", [360, 768, 1440, 2560])
def test_the_reference_fits(
    ipam: Ipam, serve: Callable[..., Served], browser: Browser, width: int
) -> None:
    """Tables scroll by themselves, and nothing is asked of another site."""
    served = serve(ipam)
    browser.resize(width, 900)
    browser.open(f"{served.url}/docs")
    browser.until("h1", "HTTP reference")
    wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    assert browser.run("return getComputedStyle(document.querySelector('h3')).fontFamily") != ""
    assert browser.complaints() == []
    assert browser.requests_elsewhere() == []
