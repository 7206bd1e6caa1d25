"""One browser for all tests of a process, and a service of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.api.settings import ServiceSettings
from tests.api.serving import Served
from tests.browser.browsing import CHROMIUM, DRIVER, Browser

#: A name that would run a script wherever a page took it for markup.
HOSTILE = '<img src=x onerror="window.hacked=1">'

TOPOLOGY: dict[str, Any] = {
    "dimensions": {
        "network": {"fallback": "none"},
        "segment": {"fallback": "none"},
        "rack": {"fallback": "any"},
        "host": {"fallback": "any"},
    },
    "scopes": ["blue"],
    "subnets": [
        {"name": "pods-a", "cidr": "10.64.0.0/18", "labels": {"network": "pods", "rack": "r1"}},
        {"name": "pods-b", "cidr": "10.64.64.0/18", "labels": {"network": "pods", "rack": "r2"}},
        {"name": "pods-v6", "cidr": "2001:db8:64::/64", "labels": {"network": "pods"}},
        {
            "name": "edge-7",
            "cidr": "203.0.113.0/28",
            "gateway": "203.0.113.1",
            "labels": {"network": "edge", "segment": "rack-7"},
        },
        {
            "name": "edge-8",
            "cidr": "203.0.113.16/28",
            "labels": {"network": "edge", "segment": "rack-8"},
        },
        {"name": "lan", "cidr": "10.0.0.0/24", "scope": "blue", "labels": {"network": "lan"}},
    ],
    "hosts": {
        "node-1": {"rack": "r1"},
        "node-2": {"rack": "r1", "claims": {"expected": 110}},
        "node-3": {"rack": "r2"},
        "compute-7": {"segment": "rack-7"},
        HOSTILE: {"rack": "r2"},
    },
}


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Browser]:
    missing = [name for name, path in (("chromium", CHROMIUM), ("driver", DRIVER)) if not path]
    if missing:
        words = "there is no browser: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(
    one_browser: Browser,
    serve: Callable[..., Served],
) -> Iterator[Browser]:
    """The browser, at its usual size; a test fails when the browser reported an error.

    It depends on ``serve`` so that it leaves the page before the services end.
    """
    one_browser.resize(1440, 900)
    one_browser.media(still=True)
    one_browser.complaints()
    one_browser.requests()
    yield one_browser
    # Before the service ends: a request that is refused then is no fault of the page.
    one_browser.driver.get("about:blank")
    assert not one_browser.complaints()
    assert not one_browser.requests_elsewhere()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Serve an address space."""
    running: list[Served] = []

    def start(ipam: Ipam, **settings: Any) -> Served:
        running.append(Served(ipam, ServiceSettings(**settings)))
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def ipam() -> Ipam:
    """An address space with subnets, hosts and allocations."""
    made = borough.open("memory:", create=True)
    made.apply(TOPOLOGY)
    made.allocate(labels={"network": "pods"}, host="node-1", families=4, count=20, owner="web-1")
    made.allocate(labels={"network": "pods"}, host="node-2", families=4, count=70, owner="web-2")
    made.allocate(labels={"network": "pods"}, host="node-3", families=6, count=3, owner="six")
    made.allocate(labels={"network": "edge", "segment": "rack-7"}, count=13, owner="lb")
    made.allocate(labels={"network": "lan"}, scope="blue", owner="desk", address="10.0.0.9")
    return made


@pytest.fixture
def page(browser: Browser, serve: Callable[..., Served], ipam: Ipam) -> Served:
    """The page, open on the map."""
    served = serve(ipam)
    browser.open(f"{served.url}/#/map")
    browser.until("#live[data-state=live]")
    return served
