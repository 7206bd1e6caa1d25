"""Groups, hosts, the allocation form, the live feed, and the search that leads to all of them."""

from __future__ import annotations

import time

from borough import Ipam
from tests.api.serving import Served
from tests.browser.browsing import Browser


def test_the_fullest_group_comes_first(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The fullest group comes first, marked by words as well as by colour."""
    browser.press("3")
    browser.until("h1", "Groups")
    browser.until("tbody tr", "pods")
    first = browser.all("tbody tr")[0].text
    assert "rack-7" in first
    assert "Dry" in first
    browser.until(".card", "No address of this group is free now.")
    browser.until(".card", "0 of 13 free")
    assert len(browser.all("tbody tr")) == 4
    browser.click(".pick", "segment")
    browser.until("tbody tr", "pods")
    assert len(browser.all("tbody tr")) == 3
    assert "by=network" in browser.driver.current_url
    # By free addresses, in both directions.
    for _ in range(2):
        browser.click("thead button", "Free")
        sort = browser.until("th[aria-sort]:not([aria-sort=none])").get_attribute("aria-sort")
        free = [row.find_elements("css selector", "td")[4].text for row in browser.all("tbody tr")]
        assert free[0 if sort == "descending" else -1] == "2⁶⁴"
    ipam.release(owner="lb")
    browser.until(".card", "All 3 groups have room.")


def test_a_group_leads_to_the_form(page: Served, browser: Browser) -> None:
    """A group leads to its subnets, and to the explanation of a request."""
    browser.open(f"{page.url}/#/groups")
    browser.click(".card a.chips")
    browser.until("h1", "Subnets")
    browser.until("tbody tr", "edge-7")
    browser.until(".view-head .hint", "1 of 6 subnets")
    browser.press("3")
    browser.until("tbody tr", "rack-7")
    browser.click("tbody tr:first-child td:last-child a", "Allocate")
    browser.until("h1", "Allocate")
    assert browser.until("#f-label-segment").get_attribute("value") == "rack-7"
    browser.until(".result .outcome", "every address is allocated")


def test_hosts_with_claims_and_routes(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The claims, addresses and routes of a host."""
    browser.press("4")
    browser.until("tbody tr", "node-2")
    routes = ipam.routes("node-2")
    browser.write(".filter input", "rack=r1")
    browser.until(".view-head .hint", "2 of 5 hosts")
    browser.click("tbody a", "node-2")
    browser.until(".detail h2", "node-2")
    for route in routes:
        browser.until(".detail", route.prefix)
    browser.until(".detail", f"Routes it advertises ({len(routes)})")
    browser.until(".detail dd", "70")
    browser.until(".detail dt", "claims.expected")
    browser.until(".detail dd", "110")
    assert browser.focused().text == "node-2"
    borrower = ipam.allocate(
        labels={"network": "pods"}, host="guest", address="10.64.0.200", owner="x"
    )
    browser.open(f"{page.url}/#/hosts?host=guest")
    browser.until(".detail", "Host, not declared")
    browser.until(".detail", borrower.address)
    browser.click(".detail a", borrower.address)
    browser.until(".inspector h2", borrower.address)


def test_the_form_explains_and_then_allocates(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The preview allocates nothing; the allocation is that of the preview."""
    browser.press("5")
    before = len(ipam.allocations())
    browser.write("#f-label-network", "pods")
    browser.write("#f-host", "node-1")
    browser.write("#f-owner", "by-hand")
    browser.until(".ladder .rung[data-verdict=taken]", "claimed by host=node-1")
    outcome = browser.until(".result:not([aria-busy]) .outcome", "would allocate: 10.64.").text
    browser.until(".ladder .rung", "not reached")
    browser.until(".passed", "inside the boundary")
    assert len(ipam.allocations()) == before
    browser.click("#allocate-now")
    given = browser.until(".allocated-address").text.partition("/")[0]
    assert given in outcome
    assert ipam.show(given).owner == "by-hand"
    browser.click(".allocated .danger", "Release")
    browser.until(".toast", "released")
    assert not ipam.allocations(owner="by-hand")


def test_a_slow_answer_is_shown_with_its_own_request(
    page: Served, ipam: Ipam, browser: Browser
) -> None:
    """A late explanation of an older request is dropped; an allocation is shown although the form changed."""
    browser.press("5")
    browser.until(".result")
    browser.run(
        """
        const real = window.fetch;
        window.held = [];
        window.fetch = async (url, options) => {
          const answer = await real(url, options);
          if (window.holding && String(url).includes(window.holding)) {
            await new Promise((go) => window.held.push(go));
          }
          return answer;
        };
        window.outcomes = [];
        new MutationObserver(() => {
          const shown = document.querySelector(".result .outcome");
          if (shown) window.outcomes.push(shown.textContent);
        }).observe(document.querySelector(".result"), { childList: true });
        window.until = async (met) => {
          while (!met()) await new Promise((go) => setTimeout(go, 20));
        };
        window.holding = "/v1/explain";
        const field = document.querySelector("#f-label-network");
        const write = (text) => {
          field.value = text;
          field.dispatchEvent(new Event("input", { bubbles: true }));
        };
        write("edge");
        await until(() => held.length);
        window.holding = "";
        write("pods");
        held.pop()();
        """
    )
    browser.until(".result:not([aria-busy]) .outcome", "10.64.")
    shown = browser.run("return window.outcomes")
    assert shown
    assert all("10.64." in each for each in shown), "the first answer came too late to be shown"
    browser.write("#f-owner", "slow")
    browser.until(".result:not([aria-busy]) .outcome", "10.64.")
    browser.run("window.holding = '/v1/allocations'")
    browser.click("#allocate-now")
    browser.run("await until(() => held.length)")
    browser.write("#f-host", "node-1")
    # Longer than the feed and the form wait before they ask again.
    time.sleep(1)
    browser.run("window.holding = ''; held.pop()()")
    given = browser.until(".allocated-address").text.partition("/")[0]
    assert ipam.show(given).owner == "slow"
    ipam.allocate(labels={"network": "pods"}, owner="another")
    time.sleep(1.5)
    assert browser.text(".allocated-address").startswith(given)


def test_the_form_knows_every_kind_of_request(page: Served, ipam: Ipam, browser: Browser) -> None:
    """By name, by MAC, both families, several addresses."""
    browser.open(f"{page.url}/#/allocate?network=pods")
    browser.click(".segments label", "By name")
    browser.write("#f-address", "10.64.7.7")
    browser.until(".result .outcome", "10.64.7.7")
    browser.click(".segments label", "By MAC")
    browser.write("#f-mac", "02:00:00:00:00:0a")
    browser.until(".result .outcome", "2001:db8:64::ff:fe00:a")
    browser.click(".segments label", "Any")
    browser.click(".segments label", "Both")
    browser.write("#f-count", "3")
    browser.write("#f-owner", "many")
    browser.until(".result .outcome", "2001:db8:64")
    browser.click("#allocate-now")
    browser.until(".allocated-address")
    assert sorted(each.family for each in ipam.allocations(owner="many")) == [4, 4, 4, 6, 6, 6]


def test_an_exhausted_group_is_explained(page: Served, browser: Browser) -> None:
    """A refusal looks like one, before and after it; its steps and its advice are shown."""
    browser.open(f"{page.url}/#/allocate?network=edge&segment=rack-7")
    browser.until(".result .outcome.alarm[role=alert]", "every address is allocated")
    browser.until(".result .hint", "this request gets nothing")
    browser.until(".result .advice li", "release addresses")
    browser.click("#allocate-now")
    browser.until(".result h2", "Not allocated")
    browser.until(".result .outcome.alarm[role=alert]", "no free IPv4 address")
    browser.until(".result .advice li", "add a subnet to the group")
    browser.until(".result code", "exhausted")
    browser.until(".ladder .rung[data-verdict=full]")
    # The browser reports refused requests too; they are no fault of the page.
    assert all("409" in line for line in browser.complaints())


def test_a_live_feed(page: Served, ipam: Ipam, browser: Browser) -> None:
    """New events appear by themselves; while paused they are only counted."""
    browser.press("6")
    browser.until("tbody tr", "web-2")
    ipam.allocate(labels={"network": "pods"}, host="node-1", families=4, owner="fresh-1")
    browser.until("tbody tr.fresh", "fresh-1")
    browser.click("#pause", "Pause")
    ipam.allocate(labels={"network": "pods"}, host="node-1", families=4, owner="fresh-2")
    browser.until("#event-sum", "paused, 1 new event")
    assert not [row for row in browser.all("tbody tr") if "fresh-2" in row.text]
    browser.click("#pause", "Resume")
    browser.until("tbody tr", "fresh-2")


def test_events_are_filtered_by_the_service(page: Served, ipam: Ipam, browser: Browser) -> None:
    """Also those that the page never read; the filter is in the address, and new events obey it."""
    ipam.allocate(labels={"network": "pods"}, families=4, owner="old-1")
    for _ in range(3):
        ipam.allocate(labels={"network": "pods"}, families=4, count=100, owner="many")
    browser.open(f"{page.url}/#/events")
    browser.until("#event-sum", "the newest 200 events")
    browser.click("button", "Older events")
    browser.until("#event-sum", "the newest 400 events")
    browser.write(".filter input[name=what]", "old-1")
    browser.press("enter")
    browser.until("#event-sum", "1 event")
    browser.open(browser.driver.current_url)
    browser.until("#event-sum", "1 event")
    ipam.allocate(labels={"network": "pods"}, families=4, owner="other")
    ipam.release(owner="old-1")
    browser.until("tbody tr.fresh", "released")
    browser.until("#event-sum", "2 events")
    browser.choose(".filter select", "claimed")
    browser.until("tbody", "No event matches.")
    browser.open(f"{page.url}/#/events?what=10.64.0.1&act=allocated")
    browser.until("tbody tr", "web-1")
    assert len(browser.all("tbody tr")) == 1


def test_a_cut_stream_resumes(page: Served, ipam: Ipam, browser: Browser) -> None:
    """No event is missed, and none comes twice."""
    browser.press("6")
    browser.until("tbody tr", "web-2")
    browser.run("const { state } = await import('/static/core/state.js');state.feed.stop()")
    for number in range(3):
        ipam.allocate(labels={"network": "pods"}, host="node-1", families=4, owner=f"gap-{number}")
    browser.requests()
    last = browser.run(
        "const { state } = await import('/static/core/state.js');"
        "state.feed.start(); return state.events.at(-1).id"
    )
    browser.until("tbody tr", "gap-2")
    (stream,) = [each for each in browser.requests() if each["url"].endswith("/v1/events")]
    assert stream["headers"]["Last-Event-ID"] == str(last)
    ids = browser.run(
        "const { state } = await import('/static/core/state.js');"
        "return state.events.map((event) => event.id)"
    )
    assert ids == sorted(set(ids))
    assert ids[-3:] == [each.id for each in ipam.events(after=ids[-4])]


def test_a_stream_whose_events_were_pruned_reads_everything_anew(
    page: Served, ipam: Ipam, browser: Browser
) -> None:
    """The page reads what it missed, and events go on from there."""
    browser.press("6")
    browser.until("tbody tr", "web-2")
    browser.run("const { state } = await import('/static/core/state.js');state.feed.stop()")
    ipam.add_subnet("10.99.0.0/24", name="missed", labels={"network": "missed"})
    ipam.prune_events(ipam.newest_event() - 1)
    browser.run("const { state } = await import('/static/core/state.js');state.feed.start()")
    assert browser.run(
        "const { state } = await import('/static/core/state.js');"
        "for (let turn = 0; turn < 400 && !state.byName.has('missed'); turn++)"
        "  await new Promise((done) => setTimeout(done, 50));"
        "return state.byName.has('missed')"
    )
    ipam.allocate(labels={"network": "missed"}, owner="after-it")
    browser.until("tbody tr", "after-it")
    assert all("410" in line for line in browser.complaints())


def test_search_by_address_owner_host_and_subnet(
    page: Served, ipam: Ipam, browser: Browser
) -> None:
    """Search works in every view, with the keyboard alone."""
    held = ipam.allocations(owner="web-1")[0].address

    def find(words: str, kind: str, what: str) -> None:
        browser.press("/")
        browser.write("#search input", words)
        browser.until("#search-list .option", what)
        browser.settle()
        lines = [each.text for each in browser.all("#search-list .option")]
        at = next(at for at, line in enumerate(lines) if kind in line and what in line)
        browser.press(*["arrow_down"] * at, "enter")

    find(held, "Address", held)
    browser.until(".inspector h2", held)
    find("EB-", "Owner", "web-2")
    browser.until("main[data-view=addresses] tbody tr", "web-2")
    find("ode-3", "Host", "node-3")
    browser.until(".detail h2", "node-3")
    find("edge-8", "Subnet", "edge-8")
    browser.until(".detail h2", "edge-8")
    # Over all scopes, with counts.
    browser.press("/")
    browser.write("#search input", "desk")
    browser.until("#search-list .group-title", "Addresses (1)")
    find("10.0.0.9", "Address", "10.0.0.9")
    browser.until(".inspector", "desk")
    assert "scope=blue" in browser.driver.current_url
    browser.press("/")
    browser.write("#search input", "nothing-like-it")
    browser.until("#search-list", "Nothing found")
    browser.press("escape", "escape")
    browser.gone("#search-list")


def test_another_scope(page: Served, browser: Browser) -> None:
    """Scopes may use the same addresses; the page shows one at a time."""
    browser.open(f"{page.url}/#/map?at=10.64.0.0/18")
    browser.until(".inspector h2", "10.64.0.0/18")
    browser.choose("#scope", "blue")
    browser.until("#prefix-view", "10.0.0.0/24")
    # Nothing that was chosen in the old scope stays.
    browser.until(".inspector h2", "1 subnet")
    assert browser.driver.current_url.endswith("#/map?scope=blue")
    browser.open(f"{page.url}/#/groups?scope=nowhere")
    browser.until("main [role=alert]", "no scope 'nowhere'")
    browser.click("main a", "Show the default scope")
    browser.until("tbody tr", "pods")
    assert all("404" in line for line in browser.complaints())
    browser.open(f"{page.url}/#/map?scope=blue")
    browser.until(".inspector", "lan")
    browser.click("#rail a[data-view=groups]")
    browser.until("tbody tr", "lan")
    assert len(browser.all("tbody tr")) == 1


def test_thresholds_name_the_groups_that_exceed_them(page: Served, browser: Browser) -> None:
    """By share and by a number of free addresses; they are in the address of the page."""
    browser.open(f"{page.url}/#/groups?by=network,segment&few=15")
    browser.until(".card.warn", "14 of 14 free")
    assert len(browser.all(".card")) == 2
    browser.write("input[aria-label='Free addresses']", "")
    browser.press("tab")
    browser.gone(".card.warn")
    browser.write("input[aria-label='Per cent taken']", "0.1")
    browser.press("tab")
    browser.until(".card.warn", "pods")
    assert "full=0.1" in browser.driver.current_url


def test_tokens_are_created_and_revoked(page: Served, ipam: Ipam, browser: Browser) -> None:
    """The text of a token is shown once."""
    browser.click("#rail-foot a", "Tokens")
    browser.until("tbody", "There is no token.")
    browser.click("button", "Create a token")
    browser.write("#token-name", "ops")
    browser.choose("#token-permission", "allocate")
    browser.write("#token-labels", "network=pods")
    browser.click("dialog button.primary")
    secret = browser.until("dialog .secret").text
    assert len(secret) > 20
    browser.click("dialog button", "Close")
    browser.until("tbody tr", "ops")
    (token,) = ipam.tokens()
    assert (token.permission, token.labels) == ("allocate", {"network": ["pods"]})
    browser.click("tbody button", "Revoke")
    browser.click("dialog button.primary")
    browser.until("tbody", "There is no token.")
    assert not ipam.tokens()
