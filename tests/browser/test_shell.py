"""The frame of the views: tokens, themes, keys, layout, content security policy."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from borough import Ipam
from borough.web import HEADERS, INDEX, assets
from tests.api.serving import Served
from tests.browser.browsing import Browser

VIEWS = ("subnets", "map", "groups", "hosts", "allocate", "events", "topology")


def test_a_token_travels_in_a_header_only(
    ipam: Ipam, serve: Callable[..., Served], browser: Browser
) -> None:
    """The token is kept for the tab, never in a URL; the event stream sends it too."""
    _token, text = ipam.create_token("ops", permission="administer")
    served = serve(ipam, requires_token=True)
    browser.open(f"{served.url}/#/events")
    browser.until("dialog")
    browser.write("#token-field", "wrong")
    browser.press("enter")
    browser.until("dialog [role=alert]", "token")
    browser.write("#token-field", text)
    browser.press("enter")
    browser.until("#live[data-state=live]")
    browser.until("tbody tr", "web-1")
    browser.until("#rail-foot", "ops · may administer")
    stores = browser.run(
        "return [JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]"
    )
    assert text in stores[0]
    assert text not in stores[1] + stores[2]
    sent = [each for each in browser.requests() if "/v1/" in each["url"]]
    secret = text[-12:]
    assert not [each["url"] for each in sent if secret in each["url"]]
    assert secret not in browser.driver.current_url
    streams = [each for each in sent if "event-stream" in each["headers"].get("Accept", "")]
    assert streams
    assert all(each["headers"].get("Authorization") == f"Bearer {text}" for each in streams[-1:])
    # The browser reports a refused login too; it is no fault of the page.
    assert all("401" in line for line in browser.complaints())
    browser.click("#token")
    browser.click("dialog button", "Forget it")
    browser.until("dialog")
    assert browser.run("return sessionStorage.length") == 0
    browser.complaints()


def test_a_confined_token_sees_its_labels_only(
    ipam: Ipam, serve: Callable[..., Served], browser: Browser
) -> None:
    """The page shows the visible objects, and the labels of the token."""
    _token, text = ipam.create_token("edge", permission="read", labels={"network": "edge"})
    served = serve(ipam, requires_token=True)
    browser.open(f"{served.url}/#/map")
    browser.until("dialog")
    browser.write("#token-field", text)
    browser.press("enter")
    browser.until(".inspector h2", "2 subnets")
    browser.until("#rail-foot", "network=edge")
    assert "pods" not in browser.until("body").text
    browser.press("3")
    browser.until("tbody tr", "rack-7")
    assert len(browser.all("tbody tr")) == 2
    held = ipam.allocations(owner="lb")[0].address
    browser.open(f"{served.url}/#/map?at={held}")
    browser.until(".inspector", "lb")
    assert not browser.all(".inspector .danger")
    browser.driver.execute_script("sessionStorage.clear()")
    assert all("401" in line for line in browser.complaints())


def test_themes(page: Served, browser: Browser) -> None:
    """The theme is that of the system until the user chooses; a choice survives a reload."""
    theme = "return document.documentElement.dataset.theme"
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.media(dark=True, still=True)
    browser.until("html[data-theme=dark]", shown=False)
    assert browser.run(ground) != light
    browser.until("#theme[aria-label='Theme: as the system']").click()
    browser.until("#theme[aria-label='Theme: light']")
    assert browser.run(ground) == light
    browser.open(f"{page.url}/#/map")
    browser.until("#theme[aria-label='Theme: light']")
    assert browser.run(theme) == "light"
    browser.press("t")
    assert browser.run(theme) == "dark"
    browser.press("t")
    assert browser.run("return localStorage.length") == 0


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(page: Served, browser: Browser, dark: bool) -> None:
    """Every text that is shown has a contrast of 4.5 with its ground (WCAG 2.2, AA)."""
    browser.media(dark=dark, still=True)
    for name in VIEWS:
        browser.go(f"#/{name}?network=pods&host=node-1")
        faint = browser.run("""
        const { contrast } = await import('/static/core/colour.js');
        const parts = (text) => text.match(/[\\d.]+/g).map(Number);
        const groundOf = (element) => {
          for (let each = element; each; each = each.parentElement) {
            const colour = parts(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
          }
          return [255, 255, 255];
        };
        const found = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const element = walker.currentNode.parentElement;
          if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
          const ink = parts(getComputedStyle(element).color).slice(0, 3);
          const ratio = contrast(ink, groundOf(element));
          if (ratio < 4.5) found.push([walker.currentNode.data, ratio.toFixed(2)]);
        }
        return found;
        """)
        assert not faint


def test_everything_has_a_name_and_an_order(page: Served, browser: Browser) -> None:
    """Controls have accessible names, ids are unique, and Tab reaches what a mouse does."""
    for name in VIEWS:
        browser.go(f"#/{name}")
        nameless, twice, headings = browser.run("""
        const controls = 'button, a, input, select, canvas, [role=listbox], table';
        const shown = [...document.querySelectorAll(controls)];
        const label = (each) => each.ariaLabel || each.labels?.[0]?.textContent.trim()
          || each.textContent.trim() || each.title;
        const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
        return [
          shown.filter((each) => !label(each)).map((each) => each.outerHTML),
          ids.filter((id, at) => ids.indexOf(id) !== at),
          document.querySelectorAll('h1').length,
        ];
        """)
        assert not nameless
        assert not twice
        assert headings == 1
    browser.open(f"{page.url}/#/groups")
    browser.until("tbody tr")
    browser.press("tab")
    assert browser.focused().text == "Skip to content"
    browser.press("enter")
    assert browser.focused().get_attribute("id") == "main"
    browser.press("tab")
    assert browser.focused().get_attribute("type") == "checkbox"


def test_keys_reach_every_view(page: Served, browser: Browser) -> None:
    """The help lists the keys; none acts in a text field."""
    for at, name in enumerate(VIEWS, 1):
        browser.press(str(at))
        browser.until(f"main[data-view={name}] h1", shown=False)
        assert browser.until("#rail [aria-current=page]").get_attribute("data-view") == name
    browser.press("?")
    browser.until("dialog .keys", "Search")
    browser.press("escape")
    browser.gone("dialog")
    browser.press("/", "1", "2")
    assert browser.focused().get_attribute("value") == "12"
    browser.until("main[data-view=topology]")


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_the_page_never_scrolls_sideways(page: Served, browser: Browser, width: int) -> None:
    """On a telephone, a tablet and a desktop."""
    browser.resize(width, 800)
    for name in VIEWS:
        browser.go(f"#/{name}?host=node-2&network=pods&at=10.64.0.1")
        over = browser.run("""
        const wide = document.documentElement.clientWidth;
        const scrolls = '.table-wrap, .legend, .inspector, .detail, .unseen, .skip, .search-list';
        const over = [...document.querySelectorAll('body *')].filter((each) => each.checkVisibility()
          && !each.closest(scrolls) && each.getBoundingClientRect().right > wide + 1);
        return [document.documentElement.scrollWidth - wide, over.map((each) => each.outerHTML)];
        """)
        assert over == [0, []], name


def test_the_page_survives_an_outage_of_the_service(
    page: Served, browser: Browser, ipam: Ipam
) -> None:
    """The page shows the outage, and resumes by itself."""
    page.service.feed.close()
    browser.until("#live[data-state=waiting]", "Offline")
    browser.until(
        "#banner[role=alert]", "No connection to the service. The figures are those of 20"
    )
    # As of a new service: the old event is set, and a stream that waits for it would never rest.
    page.service.feed._news = asyncio.Event()
    page.service.feed.closed = False
    ipam.allocate(labels={"network": "pods"}, host="node-1", families=4, owner="later")
    browser.until("#live[data-state=live]")
    browser.gone("#banner")
    browser.press("6")
    browser.until("tbody tr", "later")


# --- The files, without a browser ------------------------------------------------------------------


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def test_files_are_served_with_their_policy_and_tag(
    ipam: Ipam, serve: Callable[..., Served]
) -> None:
    """Each file has its type; the second answer has no body."""
    served = serve(ipam)
    for path, asset in assets().items():
        status, headers, body = fetch(served.url + path)
        assert (status, body) == (200, asset.body)
        assert headers["content-type"] == asset.media_type
        assert HEADERS.items() <= headers.items()
        again, headers, body = fetch(served.url + path, **{"If-None-Match": headers["etag"]})
        assert (again, body) == (304, b"")
    assert fetch(f"{served.url}/static/../__init__.py")[0] == 404
    assert fetch(f"{served.url}/static/")[0] == 404


def test_the_policy_allows_only_files_of_the_page() -> None:
    """No script, style, frame or request of any other origin; no text becomes markup."""
    policy = {
        part.split()[0]: part.split()[1:] for part in HEADERS["content-security-policy"].split("; ")
    }
    assert policy["default-src"] == ["'none'"]
    assert {
        source for name, sources in policy.items() if name.endswith("-src") for source in sources
    } == {
        "'none'",
        "'self'",
    }
    assert policy["require-trusted-types-for"] == ["'script'"]


def test_files_name_no_other_site_and_write_no_markup() -> None:
    """Except for namespaces, no file has a URL of another site, or turns text into markup."""
    outside = re.compile(rb"(?:https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)
    markup = re.compile(
        rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    )
    for path, asset in assets().items():
        body = asset.body.replace(b"http://www.w3.org/2000/svg", b"")
        assert not outside.findall(body), path
        assert not markup.findall(body), path
        assert body.count(b"\n") < 400, path
    index = assets()[INDEX].body
    assert not re.search(rb"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", index)


def test_imports_lead_to_files() -> None:
    """A wrong name in a rarely used module would otherwise fail in use only."""
    found = assets()
    for path, asset in found.items():
        for name in re.findall(rb'from "(\.[^"]+)"', asset.body):
            parts = path.rsplit("/", 1)[0].split("/")
            for piece in name.decode().split("/"):
                if piece == "..":
                    parts.pop()
                elif piece != ".":
                    parts.append(piece)
            assert "/".join(parts) in found, (path, name)
