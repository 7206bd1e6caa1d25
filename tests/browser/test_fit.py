"""Nothing is cut without a sign, in any view and at any width, with the longest names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from borough.api.settings import ServiceSettings
from tests.api.serving import Served
from tests.browser import sample
from tests.browser.browsing import Browser

WIDTHS = (360, 480, 768, 1024, 1440, 2560)

VIEWS = (
    "subnets",
    f"subnets?subnet={sample.LONG_OWNER}",
    "subnets?subnet=pods-v6-1",
    "map?at=10.64.4.0/22",
    f"map?by=service_type&at={sample.LONG_ADDRESS}",
    "groups",
    "hosts",
    f"hosts?host={sample.LONG_HOST}",
    "allocate?network=edge&segment=rack-1",
    "events",
    "topology",
    f"addresses?owner={sample.LONG_OWNER}",
)

#: Elements that reach over the edge of the nearest box that cuts them, where that box shows no sign:
#: neither an ellipsis nor a shadow.
CUT = """
const found = [];
const cuts = (style) => style.overflowX !== 'visible';
const signed = (box, style) =>
  style.textOverflow === 'ellipsis' || box.matches('.cut, .cut *, .legend-lines');
for (const each of document.querySelectorAll('body *')) {
  if (!each.checkVisibility() || each.closest('.unseen, .skip, svg, canvas, option, select')) continue;
  const edge = each.getBoundingClientRect();
  if (!edge.width || getComputedStyle(each).position === 'fixed') continue;
  let box = each.parentElement;
  while (box && !cuts(getComputedStyle(box))) box = box.parentElement;
  const limit = box ? box.getBoundingClientRect() : { right: innerWidth, left: 0 };
  const right = Math.min(limit.right, innerWidth) + 1;
  if (edge.right <= right && edge.left >= Math.max(limit.left, 0) - 1) continue;
  if (box && signed(box, getComputedStyle(box))) continue;
  if (each.closest('td.clip')) continue;
  found.push([each.tagName, each.className, each.textContent.slice(0, 60), box && box.className]);
}
// Text that is wider than its own box.
for (const each of document.querySelectorAll('body *')) {
  if (!each.checkVisibility() || each.closest('.unseen, .skip, svg, canvas, select')) continue;
  const style = getComputedStyle(each);
  const text = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!text || style.display === 'inline' || each.matches('th, td, input')) continue;
  if (each.scrollWidth > each.clientWidth + 1 && style.textOverflow !== 'ellipsis')
    found.push(['text', each.className, each.textContent.slice(0, 60), '']);
}
return [document.documentElement.scrollWidth - innerWidth, found];
"""


@pytest.fixture(scope="module")
def full() -> Iterator[Served]:
    served = Served(sample.full(), ServiceSettings())
    yield served
    served.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_without_a_sign(browser: Browser, full: Served, width: int) -> None:
    """Every view, measured with names of 60 letters."""
    browser.resize(width, 844 if width < 800 else 900)
    browser.open(f"{full.url}/#/subnets")
    browser.until("#live[data-state=live]", shown=False)
    faults = {}
    for view in VIEWS:
        browser.go(f"#/{view}")
        browser.settle()
        over, found = browser.run(CUT)
        if over or found:
            faults[view] = (over, found[:6])
    browser.driver.get("about:blank")
    assert not faults
