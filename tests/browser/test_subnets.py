"""The subnets, the panel of one, an owner, and a topology file in the browser."""

from __future__ import annotations

from collections.abc import Callable

import borough
from borough import Ipam
from tests.api.serving import Served
from tests.browser.browsing import Browser


def rows(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('main .table-wrap tbody tr')].map("
        "(row) => row.querySelector('td').innerText.replace(/\\s+/g, ' ').trim())"
    )
    return found


def test_subnets_are_a_tree(page: Served, browser: Browser) -> None:
    """Scopes hold subnets by prefix; a filter, a column and the choice are in the address."""
    browser.open(f"{page.url}/")
    browser.until("tbody tr", "edge-7")
    assert rows(browser) == [
        "▾ Scope default 5 subnets",
        "pods-a",
        "pods-b",
        "edge-7",
        "edge-8",
        "pods-v6",
        "▾ Scope blue 1 subnet",
        "lan",
    ]
    browser.click(".twist", "Scope default")
    browser.until(".twist[aria-expanded=false]")
    assert len(rows(browser)) == 3
    browser.click(".twist", "Scope default")
    browser.click("th button", "Free")
    assert rows(browser)[1] == "pods-v6"
    browser.write(".filter input", "network=edge rack-8")
    browser.until(".view-head .hint", "1 of 6 subnets")
    assert rows(browser) == ["edge-8"]
    browser.click(".menu summary")
    browser.click(".menu .check", "Size")
    browser.until("th", "Size")
    link = browser.driver.current_url
    browser.open(link)
    browser.until("th", "Size")
    browser.until(".view-head .hint", "1 of 6 subnets")
    browser.click("tbody a", "edge-8")
    browser.until(".detail h2", "edge-8")
    assert "q=network" in browser.driver.current_url


def test_a_pool_holds_the_subnets_that_were_carved_from_it(
    page: Served, ipam: Ipam, browser: Browser
) -> None:
    """The tree is made anew when a subnet is declared."""
    ipam.apply(
        {
            "pools": [
                {
                    "name": "tenants",
                    "prefixes": ["10.128.0.0/16"],
                    "default_length": 24,
                }
            ]
        },
        name="pools",
    )
    browser.press("1")
    ipam.allocate_subnet("tenants", name="tenant-a", labels={"network": "pods"})
    browser.until("tbody tr", "tenant-a")
    at = rows(browser).index("▾ Pool tenants 1 subnet")
    assert rows(browser)[at + 1] == "tenant-a"


def test_the_panel_lists_addresses_in_order(page: Served, ipam: Ipam, browser: Browser) -> None:
    """Held, reserved and free addresses are rows; owner, host and address are links."""
    ipam.reserve(["203.0.113.20"], owner="later")
    ipam.allocate(labels={"network": "edge", "segment": "rack-8"}, owner="web-9", note="front")
    browser.open(f"{page.url}/#/subnets?subnet=edge-8")
    browser.until(".lines tr", "web-9")
    lines = [each.text.replace("\n", " ") for each in browser.all(".lines tbody tr")]
    assert lines == [
        "203.0.113.16 never allocated",
        "203.0.113.17 allocated web-9 front",
        "203.0.113.18 \u2013 203.0.113.19 free 2 addresses allocate the first",
        "203.0.113.20 reserved later",
        "203.0.113.21 \u2013 203.0.113.30 free 10 addresses allocate the first",
        "203.0.113.31 never allocated",
    ]
    assert len(browser.all(".cells .cell")) == 16
    browser.until(".changes li", "reserved 203.0.113.20")
    browser.until(".facts dd", "1 address allocated")
    browser.click(".pick-button", "Held")
    assert len(browser.all(".lines tbody tr")) == 2
    browser.click(".lines a", "web-9")
    browser.until("main[data-view=addresses] tbody tr", "203.0.113.17")


def test_an_ipv6_subnet_lists_what_is_held(page: Served, browser: Browser) -> None:
    """The rest of a /64 is one row."""
    browser.open(f"{page.url}/#/subnets?subnet=pods-v6")
    browser.until(".lines tr", "six")
    assert len(browser.all(".lines tr[data-state=allocated]")) == 3
    browser.until(".lines tr.unheld", "2⁶⁴ addresses")


def test_several_addresses_are_reassigned_and_released(
    page: Served, ipam: Ipam, browser: Browser
) -> None:
    """Refused addresses are named and stay chosen."""
    browser.open(f"{page.url}/#/addresses?owner=web-1")
    browser.until("[role=status]", "20 addresses in 1 scope")
    browser.click("tbody tr:nth-child(1) input")
    browser.click("tbody tr:nth-child(2) input")
    browser.until(".selection", "2 addresses chosen")
    browser.click(".selection button", "Reassign")
    browser.write("#new-host", "x" * 300)
    browser.click("dialog button.primary")
    browser.until("dialog .outcome.alarm", "2 addresses not reassigned")
    browser.press("escape")
    browser.click(".selection button", "Reassign")
    browser.write("#new-host", "node-3")
    browser.click("dialog button.primary")
    browser.until("tbody tr", "node-3")
    assert len(ipam.allocations(owner="web-1", host="node-3")) == 2
    browser.click("thead input")
    browser.until(".selection", "20 addresses chosen")
    browser.click(".selection button", "Release")
    browser.until("dialog li", "and 8 more")
    browser.click("dialog button.primary")
    browser.until("[role=status]", "0 addresses in 0 scopes")
    assert not ipam.allocations(owner="web-1")
    assert all("400" in line for line in browser.complaints())


def test_everything_of_an_owner_in_all_scopes(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The list follows the events."""
    ipam.allocate(labels={"network": "lan"}, scope="blue", owner="lb")
    browser.open(f"{page.url}/#/addresses?owner=lb")
    browser.until("[role=status]", "14 addresses in 2 scopes")
    ipam.release(owner="lb", scope="blue")
    browser.until("[role=status]", "13 addresses in 1 scope")


def test_a_new_database_explains_and_applies_an_example(
    serve: Callable[..., Served], browser: Browser
) -> None:
    """An example is one click away from its diff, and one more from the table of subnets."""
    made = borough.open("memory:", create=True)
    served = serve(made)
    browser.open(f"{served.url}/")
    browser.until("h1", "No subnets yet")
    browser.until(".welcome", "A topology is a file")
    browser.until(".commands code", "borough apply topology.yaml --dry-run")
    for name in ("map", "groups", "hosts", "allocate", "events", "subnets"):
        browser.go(f"#/{name}")
    browser.click("#example")
    browser.until(".diff-lines li", "subnet rack-1 (10.10.1.0/24)")
    browser.until(".outcome", "Would change: 7 added, 0 changed, 0 removed.")
    assert not made.subnets()
    browser.click("#apply")
    browser.until("tbody tr", "rack-1")
    assert [each.name for each in made.subnets()] == ["rack-1", "rack-2", "rack-1-v6"]


def test_a_pasted_topology_shows_its_diff(page: Served, ipam: Ipam, browser: Browser) -> None:
    """Errors name their line, changes their fields and effects; nothing changes before Apply."""
    browser.open(f"{page.url}/#/topology")
    browser.write("#topology-text", "subnets:\n  - {name: x, cidr: 10.0.0.0/33}\n")
    browser.until(".result .notes li", "line 2, subnets[0].cidr")
    browser.until(".result .outcome.alarm")
    text = "name: more\nsubnets:\n  - {name: more, cidr: 10.9.0.0/24, labels: {network: edge}}\n"
    browser.write("#topology-text", text)
    browser.until(".diff-lines li", "subnet more (10.9.0.0/24)")
    browser.click("#apply")
    browser.until(".result .outcome.good", "1 added, 0 changed, 0 removed.")
    assert ipam.subnet("more").prefix == "10.9.0.0/24"
    browser.write("#topology-text", text.replace("/24", "/25"))
    browser.until(".diff-lines li", "cidr 10.9.0.0/24 → 10.9.0.0/25")
    assert all("422" in line or "400" in line for line in browser.complaints())


def test_a_token_that_may_not_apply_is_told_so(
    ipam: Ipam, serve: Callable[..., Served], browser: Browser
) -> None:
    """A refusal names the permission that is missing."""
    _token, text = ipam.create_token("ro", permission="read")
    served = serve(ipam, requires_token=True)
    browser.open(f"{served.url}/#/topology")
    browser.until("dialog")
    browser.write("#token-field", text)
    browser.press("enter")
    browser.until(".result", "takes the permission administer")
    browser.driver.execute_script("sessionStorage.clear()")
    assert all("401" in line for line in browser.complaints())


def test_a_subnet_is_edited_after_its_dry_run(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The dialog shows the changes and effects while it is filled in; Escape leaves all as it is."""
    browser.open(f"{page.url}/#/subnets?subnet=edge-8")
    browser.click(".actions button", "Edit")
    browser.until("dialog .hint", "Declared by the topology default")
    browser.write("#change-gateway", "203.0.113.17")
    browser.until("dialog .diff-field", "gateway none → 203.0.113.17")
    browser.press("escape")
    browser.gone("dialog")
    assert ipam.subnet("edge-8").gateway is None
    browser.click(".actions button", "Close")
    browser.until("dialog .diff-field", "closed false → true")
    browser.click("dialog button.primary")
    browser.until(".detail dd", "takes no new addresses")
    assert ipam.subnet("edge-8").closed


def test_subnets_are_split_merged_and_removed(page: Served, ipam: Ipam, browser: Browser) -> None:
    """A refusal keeps the dialog open and names the addresses in the way."""
    for address in ("203.0.113.18", "203.0.113.28"):
        ipam.allocate(address=address, labels={"network": "edge", "segment": "rack-8"}, owner="x")
    browser.open(f"{page.url}/#/subnets?subnet=edge-8")
    browser.click(".actions button", "Split")
    browser.until("dialog .diff-effects li", "follows from subnet edge-8 to edge-8-2")
    browser.click("dialog button.primary")
    browser.until("tbody tr", "edge-8-2")
    assert ipam.subnet("edge-8-1").prefix == "203.0.113.16/29"
    browser.click("tbody a", "edge-8-1")
    browser.click(".actions button", "Remove")
    browser.until("dialog .outcome.alarm", "would lie in no subnet")
    assert browser.until("dialog button.primary").get_attribute("disabled")
    browser.press("escape")
    browser.gone("dialog")
    browser.click(".actions button", "Merge")
    browser.click("dialog .check", "edge-8-2")
    browser.write("#change-name", "edge-8")
    browser.until("dialog .diff-lines li", "203.0.113.16/28")
    browser.click("dialog button.primary")
    browser.gone("dialog")
    assert ipam.subnet("edge-8").prefix == "203.0.113.16/28"
    assert all("409" in line for line in browser.complaints())


def test_a_subnet_is_added_and_one_is_carved(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The dry run of a carving names the prefix."""
    pool = {"name": "tenants", "prefixes": ["10.128.0.0/16"], "default_length": 24}
    ipam.apply({"pools": [pool]}, name="pools")
    browser.press("1")
    browser.click("button", "Add a subnet")
    browser.write("#change-cidr", "10.9.0.0/24")
    browser.write("#change-name", "office")
    browser.write("#change-labels", "network=office")
    browser.until("dialog .diff-lines li", "subnet office (10.9.0.0/24)")
    browser.click("dialog button.primary")
    browser.until("tbody tr", "office")
    browser.click("button", "Carve")
    browser.write("#change-length", "26")
    browser.until("dialog .diff-lines li", "(10.128.0.0/26)")
    browser.click("dialog button.primary")
    browser.until("tbody tr", "tenants")
    assert ipam.subnet("10.128.0.0/26").pool == "tenants"
