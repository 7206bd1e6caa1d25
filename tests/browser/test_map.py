"""The map: prefix views, colours, zoom to single addresses, keyboard, the panel of a chosen place."""

from __future__ import annotations

from typing import Any

from selenium.webdriver.common.action_chains import ActionChains

from borough import Ipam
from tests.api.serving import Served
from tests.browser.browsing import Browser
from tests.browser.conftest import HOSTILE

MAP = """
const { mapOf } = await import('/static/map/canvas.js');
const map = mapOf.get(document.querySelector('canvas.map-canvas'));
"""

#: The place of an address on the canvas, from the middle of it, and the colour at the place.
PLACE = (
    MAP
    + """
const ip = await import('/static/core/ip.js');
const { place } = await import('/static/map/atlas.js');
const { toScreen } = await import('/static/map/camera.js');
const [x, y, w, h] = place(map.model.frame, ip.parsePrefix(arguments[0]));
map.draw();
const [px, py] = toScreen(map.camera, x + w / 2, y + h / 2, map.width, map.height);
const pixel = [px, py].map((each) => Math.round(each * map.ratio));
const colour = map.context.getImageData(...pixel, 1, 1).data;
const [x0, y0] = [map.width / 2, map.height / 2];
return { x: px - x0, y: py - y0, colour: [...colour].slice(0, 3), scale: map.camera.scale };
"""
)


def place(browser: Browser, prefix: str) -> Any:
    return browser.run(PLACE, prefix)


def click_on(browser: Browser, prefix: str) -> None:
    at = place(browser, prefix)
    canvas = browser.until("canvas.map-canvas")
    ActionChains(browser.driver).move_to_element_with_offset(
        canvas, round(at["x"]), round(at["y"])
    ).click().perform()


def wait_for_drawing(browser: Browser) -> None:
    """Wait until the visible part is drawn."""
    browser.run(
        MAP + "for (let turn = 0; turn < 9; turn++) await new Promise(requestAnimationFrame);"
    )


def test_blocks_are_coloured_by_how_full_they_are(page: Served, browser: Browser) -> None:
    """A full block differs from a little used one, and both from unused space."""
    wait_for_drawing(browser)
    assert "claimed prefix" in browser.text("#map-sum")
    blocks = page.ipam.blocks(host="node-2")
    assert {each.free == 0 for each in blocks} == {True, False}
    shades = {tuple(place(browser, each.prefix)["colour"]) for each in blocks}
    assert len(shades) > 1
    untouched = tuple(place(browser, "10.64.16.0/26")["colour"])
    assert untouched not in shades


def test_colours_by_holder_and_by_dimension(page: Served, browser: Browser) -> None:
    """Each value has a colour; the legend names them, and highlights one."""
    browser.choose("#colour-by", "holder")
    one, two = (page.ipam.blocks(host=name)[0].prefix for name in ("node-1", "node-2"))
    wait_for_drawing(browser)
    by_holder = [place(browser, each)["colour"] for each in (one, two)]
    assert by_holder[0] != by_holder[1]
    assert "node-1" in browser.text(".legend")
    browser.click(".legend button", "node-1")
    wait_for_drawing(browser)
    picked = [place(browser, each)["colour"] for each in (one, two)]
    assert picked[0] == by_holder[0]
    assert picked[1] != by_holder[1]
    browser.choose("#colour-by", "rack")
    wait_for_drawing(browser)
    ground = [place(browser, each)["colour"] for each in ("10.64.20.0/24", "10.64.90.0/24")]
    assert ground[0] != ground[1]
    assert {"r1", "r2"} <= set(browser.text(".legend").split())
    assert "by=rack" in browser.driver.current_url


def test_zoom_to_the_single_address(page: Served, browser: Browser) -> None:
    """A click shows a block; a click on an address in it shows its owner."""
    held = page.ipam.allocations(owner="web-1")[3]
    block = page.ipam.blocks(host="node-1")[0].prefix
    wait_for_drawing(browser)
    click_on(browser, block)
    browser.until(".inspector h2", block)
    browser.until(".inspector", "node-1")
    before = place(browser, block)["scale"]
    browser.click(".inspector a.mono", block)
    wait_for_drawing(browser)
    assert place(browser, block)["scale"] > 10 * before
    browser.until(".inspector .held", held.address)
    click_on(browser, f"{held.address}/32")
    browser.until(".inspector h2", held.address)
    browser.until(".inspector", "web-1")
    browser.until(".inspector", str(held.sequence))
    # A free address of the same block has another colour and text.
    free = page.ipam.explain(labels={"network": "pods"}, host="node-1").outcome.split()[2]
    assert place(browser, f"{free}/32")["colour"] != place(browser, f"{held.address}/32")["colour"]
    click_on(browser, f"{free}/32")
    browser.until(".inspector", "Free.")


def test_the_panel_tells_the_truth_about_each_kind_of_place(page: Served, browser: Browser) -> None:
    """A subnet in use is not unused space, and an address that no request gets is not free."""
    browser.open(f"{page.url}/#/map?at=10.64.0.0/18")
    browser.until(".inspector-head", "Subnet")
    browser.until(".inspector h3", "Addresses in use (64 shown)")
    browser.until(".inspector dd", "90 of")
    for address, words in {
        "10.64.63.255": "The broadcast address of the subnet: it is never allocated.",
        "10.64.40.1": "Free.",
        "203.0.113.1": "The gateway: only a request for the gateway gets it.",
    }.items():
        browser.run("location.hash = '#/map?at=' + arguments[0]", address)
        browser.until(".inspector h2", address)
        browser.until(".inspector p", words)


def test_the_legend_counts_the_blocks_that_are_shown(page: Served, browser: Browser) -> None:
    """The sum of its counts is the number of blocks of the prefix view."""
    for view in ("10.64.0.0/17", "2001:db8:64::/64"):
        browser.open(f"{page.url}/#/map?by=holder&prefix={view}")
        browser.until(".legend-title", "Blocks shown, by holder")
        counts = [int(each.text) for each in browser.all(".legend-lines b")]
        assert browser.text("#map-sum").startswith(f"{sum(counts)} block")


def test_ipv6_has_its_own_prefix_view(page: Served, browser: Browser) -> None:
    """Blocks in a /64 are too small to see: rings mark them, and a double click goes there."""
    browser.choose("#prefix-view", "2001:db8:64::/64")
    browser.until("#map-sum", "1 block")
    held = page.ipam.allocations(owner="six")[1].address
    browser.open(f"{page.url}/#/map?at={held}")
    browser.until(".inspector h2", held)
    browser.until(".inspector", "node-3")
    wait_for_drawing(browser)
    assert place(browser, f"{held}/128")["scale"] >= 30
    click_on(browser, f"{held}/128")
    browser.until(".inspector h2", held)


def test_the_map_works_with_the_keyboard(page: Served, browser: Browser) -> None:
    """Keys move, zoom, choose and close, and the place is announced."""
    browser.run("document.querySelector('canvas.map-canvas').focus()")
    browser.press("+", "+", "arrow_right", "arrow_down")
    browser.until("#announcer", "pods-", shown=False)
    moved = browser.run(MAP + "return [map.camera.x, map.camera.y, map.camera.scale]")
    browser.press("0")
    whole = browser.run(MAP + "return [map.camera.x, map.camera.y, map.camera.scale]")
    assert moved[2] > 2 * whole[2]
    assert moved[:2] != whole[:2]
    browser.press("enter")
    assert "subnet" not in browser.text(".inspector h2")
    browser.until(".inspector h2", "10.64.")
    browser.click(".inspector .icon-button")
    browser.until(".inspector h2", "2 subnets")


def test_changes_appear_without_a_reload(page: Served, browser: Browser) -> None:
    """A block that other callers fill changes its colour."""
    block = page.ipam.blocks(host="node-1")[0].prefix
    wait_for_drawing(browser)
    before = place(browser, block)["colour"]
    page.ipam.release(host="node-1", owner="web-1")
    page.ipam.allocate(labels={"network": "pods"}, host="node-1", families=4, owner="again")
    for _ in range(60):
        wait_for_drawing(browser)
        if place(browser, block)["colour"] != before:
            break
    assert place(browser, block)["colour"] != before


def test_a_release_from_the_panel_asks_twice(page: Served, browser: Browser) -> None:
    """A single wrong click must not release the address of a running machine."""
    held = page.ipam.allocations(owner="web-2")[0].address
    browser.open(f"{page.url}/#/map?at={held}")
    browser.click(".inspector .danger", "Release")
    browser.until(".inspector .danger", f"Really release {held}?")
    assert page.ipam.show(held).owner == "web-2"
    browser.click(".inspector .danger", "Really")
    browser.until(".toast", f"{held} released")
    browser.until(".inspector", "Free.")
    assert len(page.ipam.allocations(owner="web-2")) == 69


def test_hostile_names_are_only_text(ipam: Ipam, page: Served, browser: Browser) -> None:
    """Owners, hosts, attributes and labels come from other callers."""
    answer = ipam.allocate(
        labels={"network": "pods"},
        host=HOSTILE,
        families=4,
        owner=HOSTILE,
        attributes={HOSTILE: HOSTILE, "constructor": "x", "on": {"click": "x"}},
    )
    browser.open(f"{page.url}/#/map?at={answer.address}&by=holder")
    browser.until(".inspector", HOSTILE)
    browser.until(".legend", HOSTILE)
    wait_for_drawing(browser)
    browser.click(".inspector a[href*=hosts]", HOSTILE)
    browser.until(".detail h2", HOSTILE)
    browser.until(".detail", str(answer.address))
    browser.press("6")
    browser.until(".events", HOSTILE)
    browser.write("#search input", "<img")
    browser.until("#search-list .option", HOSTILE)
    assert browser.run("return [window.hacked, document.images.length]") == [None, 0]
