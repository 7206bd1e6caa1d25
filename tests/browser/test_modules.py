"""Pure functions of the page, run in the browser, compared with simple ones in Python."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from itertools import pairwise
from typing import Any

import pytest

import borough
from tests.api.serving import Served
from tests.browser.browsing import Browser

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(one_browser: Browser) -> Iterator[Run]:
    """Run a script that may import modules of the page."""
    served = Served(borough.open("memory:", create=True))
    one_browser.driver.get(f"{served.url}/static/mark.svg")
    yield one_browser.run
    one_browser.driver.get("about:blank")
    served.close()


def curve(order: int) -> list[tuple[int, int]]:
    """The cells of a Hilbert curve, by its definition: four smaller ones, the first and last turned."""
    if order == 0:
        return [(0, 0)]
    inner, half = curve(order - 1), 2 ** (order - 1)
    return [
        *((y, x) for x, y in inner),
        *((x, y + half) for x, y in inner),
        *((x + half, y + half) for x, y in inner),
        *((2 * half - 1 - y, half - 1 - x) for x, y in inner),
    ]


def test_the_curve_is_hilberts(run: Run) -> None:
    """Every cell once, neighbours side by side, and the way back leads back."""
    for order in (1, 2, 5):
        cells = run(
            "const m = await import('/static/core/hilbert.js');"
            "return Array.from({length: 4 ** arguments[0]}, (_, at) => {"
            "  const [x, y] = m.cell(0, at, arguments[0]);"
            "  const [high, low] = m.distance(x, y, arguments[0]);"
            "  return [x, y, high, low];"
            "})",
            order,
        )
        assert [(x, y) for x, y, _, _ in cells] == curve(order)
        assert [(high, low) for _, _, high, low in cells] == [(0, at) for at in range(4**order)]
        assert all(abs(x - x2) + abs(y - y2) == 1 for (x, y, *_), (x2, y2, *_) in pairwise(cells))


def test_long_distances_stay_exact(run: Run) -> None:
    """Distances in a /64 and more, which a number of JavaScript would round."""
    dice = random.Random(3)
    order = 48
    distances = [dice.getrandbits(96) for _ in range(200)] + [0, 2**96 - 1, 2**48, 2**48 - 1]
    back = run(
        "const m = await import('/static/core/hilbert.js');"
        "const order = arguments[1];"
        "return arguments[0].map((text) => {"
        "  const [x, y] = m.cell(...m.split(BigInt(text)), order);"
        "  return String(m.join(...m.distance(x, y, order)));"
        "})",
        [str(each) for each in distances],
        order,
    )
    assert back == [str(each) for each in distances]


def test_prefixes_are_rectangles_that_hold_their_cells(run: Run) -> None:
    """A square, or two side by side, whose cells are exactly the addresses of the prefix."""
    dice = random.Random(5)
    order = 5
    cells = curve(order)
    cases = []
    for _ in range(60):
        bits = dice.randrange(2 * order + 1)
        base = dice.randrange(4**order >> bits) << bits
        cases.append([base, bits])
    found = run(
        "const m = await import('/static/core/hilbert.js');"
        "return arguments[0].map(([base, bits]) => m.rectangle(0, base, bits, 5))",
        cases,
    )
    for (base, bits), (x, y, w, h) in zip(cases, found, strict=True):
        inside = {(x + dx, y + dy) for dx in range(w) for dy in range(h)}
        assert inside == set(cells[base : base + 2**bits]), (base, bits)


def test_addresses_are_read_and_written_as_python_does(run: Run) -> None:
    """RFC 5952 included."""
    dice = random.Random(7)
    texts = ["::", "::1", "1::", "2001:db8::1:0:0:1", "2001:db8:0:1:1:1:1:1", "::ffff:1.2.3.4"]
    texts += [str(IPv4Address(dice.getrandbits(32))) for _ in range(100)]
    for _ in range(200):
        words = [dice.choice((0, 0, 0, 1, dice.getrandbits(16))) for _ in range(8)]
        texts.append(":".join(f"{word:x}" for word in words))
    found = run(
        "const m = await import('/static/core/ip.js');"
        "return arguments[0].map((text) => {"
        "  const { family, value } = m.parseAddress(text);"
        "  return [family, String(value), m.formatAddress(family, value)];"
        "})",
        texts,
    )
    for text, (family, value, formatted) in zip(texts, found, strict=True):
        known = ip_address(text)
        assert (family, int(value)) == (known.version, int(known))
        if not (isinstance(known, IPv6Address) and known.ipv4_mapped):
            assert formatted == str(known)


def test_invalid_addresses_are_refused(run: Run) -> None:
    """No invalid text is read in part."""
    wrong = ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", ":", ":::", "1::2::3", "g::"]
    wrong += ["1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "12345::", "::1.2.3", "1 .2.3.4", "web-1"]
    found = run(
        "const m = await import('/static/core/ip.js');"
        "return arguments[0].map((text) => m.parseAddress(text))",
        wrong,
    )
    assert found == [None] * len(wrong)
    prefixes = ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "::/129", "x/8"]
    found = run(
        "const m = await import('/static/core/ip.js');"
        "return arguments[0].map((text) => m.parsePrefix(text))",
        prefixes,
    )
    assert found == [None] * len(prefixes)


def test_prefix_views_hold_near_subnets_together(run: Run) -> None:
    """Each subnet is in one prefix view; the views are disjoint, and none is nearly empty."""
    dice = random.Random(11)
    for _ in range(20):
        taken: list[Any] = []
        for _ in range(dice.randrange(1, 40)):
            length = dice.choice((16, 20, 24, 24, 26, 28))
            base = dice.choice((10 << 24, 172 << 24, (10 << 24) + (64 << 16))) + dice.getrandbits(
                18
            )
            net = ip_network((base >> (32 - length) << (32 - length), length))
            if not any(net.overlaps(other) for other in taken):
                taken.append(net)
        views = run(
            "const ip = await import('/static/core/ip.js');"
            "const atlas = await import('/static/map/atlas.js');"
            "return atlas.prefixViews(arguments[0].map(ip.parsePrefix))"
            ".map((view) => [ip.formatPrefix(view), view.members])",
            [str(net) for net in taken],
        )
        assert sorted(at for _, members in views for at in members) == list(range(len(taken)))
        nets = [ip_network(text) for text, _ in views]
        assert nets == sorted(nets)
        for one, two in pairwise(nets):
            assert not one.overlaps(two)
        for net, (_, members) in zip(nets, views, strict=True):
            inside = [taken[at] for at in members]
            assert all(each.subnet_of(net) for each in inside)
            assert sum(each.num_addresses for each in inside) * 64 >= net.num_addresses


def test_walking_a_layer_finds_visible_prefixes(run: Run) -> None:
    """Compared with a check of every prefix."""
    script = """
    const ip = await import('/static/core/ip.js');
    const { frame, measure } = await import('/static/map/atlas.js');
    const { buildLayer, walk, find } = await import('/static/map/layer.js');
    const [root, texts, views] = arguments;
    const place = frame(ip.parsePrefix(root));
    const of = (at) => Object.values(measure(place, ip.parsePrefix(texts[at])));
    const layer = buildLayer(place, texts.length, of);
    return views.map(([view, smallest]) => {
      const items = [], covered = [];
      walk(layer, view, smallest, (at) => items.push(at), (x, y, side, from, to) => {
        for (let at = from; at < to; at++) covered.push(at);
      });
      const slow = [], small = [];
      for (let at = 0; at < layer.number; at++) {
        const inside = layer.x[at] < view[2] && layer.y[at] < view[3]
          && layer.x[at] + layer.w[at] > view[0] && layer.y[at] + layer.h[at] > view[1];
        if (inside) (Math.min(layer.w[at], layer.h[at]) >= smallest ? slow : small).push(at);
        if (find(layer, layer.high[at], layer.low[at]) !== at) throw new Error('not found ' + at);
      }
      return [items, slow, small.every((at) => covered.includes(at))];
    });
    """
    dice = random.Random(13)
    pieces = list(IPv4Network("10.0.0.0/20").subnets(new_prefix=26))
    texts = [str(each) for each in pieces if dice.random() < 0.5]
    split = [str(each) for net in pieces[:9] for each in net.subnets(new_prefix=29)]
    texts = sorted({*texts[9:], *split}, key=IPv4Network)
    texts = [
        text
        for at, text in enumerate(texts)
        if at == 0 or not ip_network(text).overlaps(ip_network(texts[at - 1]))
    ]
    views = []
    for _ in range(60):
        x, y, side = dice.randrange(60), dice.randrange(60), dice.randrange(1, 40)
        views.append([[x, y, x + side, y + side], dice.choice((0.5, 1, 2, 4, 8))])
    for items, slow, complete in run(script, "10.0.0.0/20", texts, views):
        assert items == slow
        assert complete


def test_columns_of_some_subnets_are_replaced(run: Run) -> None:
    """Columns merged of old and new ones equal those of a full read."""
    names = ["a", "b", "c", "d"]
    ipam = borough.open("memory:", create=True)
    for at, name in enumerate(names):
        ipam.add_subnet(f"10.0.{at}.0/24", name=name, labels={"network": name})

    def take(name: str, host: str, count: int) -> None:
        ipam.allocate(labels={"network": name}, host=host, count=count)

    def columns(only: list[str] | None = None) -> dict[str, Any]:
        return dataclasses.asdict(ipam.space_map(subnets=only))

    take("a", "h1", 70)
    take("c", "h2", 3)
    old = columns()
    take("b", "h3", 80)
    take("c", "h1", 20)
    ipam.release(host="h2")
    take("d", "h4", 1)
    ipam.release(host="h4")
    merged, whole = run(
        "const m = await import('/static/core/columns.js');"
        "const { merge, readColumns } = m;"
        "const [old, fresh, names, whole] = arguments;"
        "const at = (name) => ['a', 'b', 'c', 'd'].indexOf(name);"
        "const tell = (c) => Array.from(c.subnet, (_, at) => [c.subnets[c.subnet[at]], c.offset[at],"
        " c.length[at], c.region[at], c.size[at], c.free[at], c.holders[c.holder[at]]]);"
        "return [tell(merge(old, fresh, new Set(names), at)), tell(whole)];",
        old,
        columns(["b", "c", "d"]),
        ["b", "c", "d"],
        columns(),
    )
    assert merged == whole


def test_events_are_parsed_in_pieces_of_any_size(run: Run) -> None:
    """As in the standard: comments, several data lines, all three line ends."""
    stream = (
        "retry: 2000\n\n: hello\n\nid: 7\nevent: claimed\ndata: {}\n\n"
        "id: 8\r\ndata: one\r\ndata: two\r\n\r\ndata:no space\rid\r\r"
        "id: 9\n\ndata: at 9\n\ndata: never ended\n"
    )
    whole = run(
        "const m = await import('/static/core/feed.js'); return m.parser()(arguments[0])", stream
    )
    assert whole == [
        {"id": "7", "event": "claimed", "data": "{}"},
        {"id": "8", "event": "message", "data": "one\ntwo"},
        {"id": "", "event": "message", "data": "no space"},
        {"id": "9", "event": "message", "data": "at 9"},
    ]
    pieces = run(
        "const m = await import('/static/core/feed.js'); const parse = m.parser();"
        "return [...arguments[0]].flatMap((letter) => parse(letter))",
        stream,
    )
    assert pieces == whole


def test_groups_and_their_forecast(run: Run) -> None:
    """A steady rate gives a forecast, a burst does not."""
    found = run("""
    const m = await import('/static/core/groups.js');
    const now = Date.now();
    const at = (ago) => new Date(now - ago * 1000).toISOString();
    const events = [];
    for (let ago = 1200; ago > 0; ago -= 10) events.push({ act: 'allocated', subnet: 'steady', at: at(ago) });
    for (let turn = 0; turn < 500; turn++) events.push({ act: 'allocated', subnet: 'burst', at: at(300) });
    for (let ago = 1200; ago > 0; ago -= 10) for (const act of ['allocated', 'released']) events.push({ act, subnet: 'even', at: at(ago) });
    events.sort((a, b) => (a.at < b.at ? -1 : 1));
    const rate = m.rates(events, now);
    const dry = (name, free) => m.dryIn({ names: [name], free }, rate);
    const line = (size, free, name) => m.stateOf({ size, free, used: size - free, names: [name] }, dry(name, free)).level;
    return {
      steady: dry('steady', 100), burst: dry('burst', 100) === Infinity, even: dry('even', 100) === Infinity,
      empty: dry('even', 0), unknown: m.rates(events.slice(-1), now).size,
      levels: [line(100, 90, 'even'), line(100, 15, 'even'), line(100, 4, 'even'), line(100, 0, 'even'), line(0, 0, 'even'), line(10000, 9000, 'steady')],
    };
    """)  # noqa: E501
    assert found["steady"] == pytest.approx(1000, rel=0.05)
    assert found["burst"]
    assert found["even"]
    assert found["empty"] == 0
    assert found["unknown"] == 0
    assert found["levels"] == ["good", "warn", "alarm", "dry", "none", "good"]


def test_colours_are_distinct_and_legible(run: Run) -> None:
    """The fill scale only ever gets darker (on a light ground) or lighter; text on a cell is legible."""
    found = run("""
    const m = await import('/static/core/colour.js');
    const shares = Array.from({ length: 21 }, (_, at) => at / 20);
    const light = (colour) => m.contrast(colour, [0, 0, 0]);
    const made = {};
    for (const theme of ['light', 'dark']) {
      const cells = [...shares.map((share) => m.fillColour(share, theme)), ...Array.from({ length: 40 }, (_, at) => m.valueColour('v' + at, at, theme))];
      made[theme] = {
        scale: shares.map((share) => light(m.fillColour(share, theme))),
        ink: Math.min(...cells.map((cell) => m.contrast(cell, m.inkOn(cell) === '#ffffff' ? [255, 255, 255] : [16, 21, 29]))),
        values: new Set(Array.from({ length: 12 }, (_, at) => String(m.valueColour('v' + at, at, theme)))).size,
      };
    }
    return made;
    """)  # noqa: E501
    assert found["light"]["scale"] == sorted(found["light"]["scale"], reverse=True)
    assert found["dark"]["scale"] == sorted(found["dark"]["scale"])
    for theme in ("light", "dark"):
        assert found[theme]["ink"] >= 4.0
        assert found[theme]["values"] == 12
