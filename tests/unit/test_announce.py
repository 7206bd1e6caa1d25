"""The order in which hosts announce and withdraw prefixes."""

from __future__ import annotations

import random

import pytest

from borough.domain.net.announce import (
    NO_PREFIXES,
    Announcer,
    Prefixes,
    astray,
    batch,
    permitted,
)
from borough.domain.net.prefixes import Prefix, parse_prefix


def made(*texts: str) -> Prefixes:
    return frozenset(map(parse_prefix, texts))


def announcer(target: Prefixes, installed: Prefixes, **more: object) -> Announcer:
    return Announcer(target, installed, is_silent=bool(more.get("is_silent")))


def test_batch_announces_the_longest_first_and_withdraws_it_last():
    done = batch(made("10.0.0.0/24", "10.0.0.1/32"), made("10.1.0.0/24", "10.1.0.1/32"))
    assert [(str(prefix), is_added) for prefix, is_added in done] == [
        ("10.1.0.1/32", True),
        ("10.1.0.0/24", True),
        ("10.0.0.0/24", False),
        ("10.0.0.1/32", False),
    ]


def test_host_keeps_a_prefix_until_its_next_holder_announces_it():
    prefix = made("10.0.0.0/28")
    old, new = announcer(NO_PREFIXES, prefix), announcer(prefix, NO_PREFIXES)
    assert permitted({"a": old, "b": new}) == {"a": prefix, "b": prefix}
    assert permitted({"a": old, "b": announcer(prefix, prefix)}) == {"b": prefix}


@pytest.mark.parametrize("next_one", ["10.0.0.0/27", "10.0.0.8/29"])
def test_next_holder_may_announce_a_shorter_or_a_longer_prefix(next_one: str):
    old = announcer(NO_PREFIXES, made("10.0.0.0/28"))
    new = announcer(made(next_one), NO_PREFIXES)
    assert permitted({"a": old, "b": new})["a"] == made("10.0.0.0/28")


def test_nobody_waits_for_a_silent_host():
    prefix = made("10.0.0.0/28")
    old = announcer(NO_PREFIXES, prefix)
    new = announcer(prefix, NO_PREFIXES, is_silent=True)
    assert permitted({"a": old, "b": new}) == {"b": prefix}


def test_nobody_waits_for_a_prefix_that_failed():
    prefix = made("10.0.0.0/28")
    old = announcer(NO_PREFIXES, prefix)
    new = Announcer(prefix, failed=prefix, is_silent=False)
    assert permitted({"a": old, "b": new}) == {"b": prefix}


def test_exception_is_announced_before_the_prefix_around_it():
    outer, inner = made("10.0.0.0/24"), made("10.0.0.5/32")
    around = announcer(outer, NO_PREFIXES)
    assert permitted({"a": around, "b": announcer(inner, NO_PREFIXES)}) == {"b": inner}
    assert permitted({"a": around, "b": announcer(inner, inner)}) == {"a": outer, "b": inner}


def test_new_exception_takes_back_no_prefix_that_a_host_may_have_installed():
    """The report of the outer prefix is still under way."""
    outer, inner = made("10.0.0.0/24"), made("10.0.0.5/32")
    hosts = {"a": announcer(outer, NO_PREFIXES), "b": announcer(inner, NO_PREFIXES)}
    assert permitted(hosts, {"a": outer}) == {"a": outer, "b": inner}


def test_host_keeps_a_prefix_that_it_may_have_installed():
    prefix = made("10.0.0.0/28")
    hosts = {"a": announcer(NO_PREFIXES, NO_PREFIXES), "b": announcer(prefix, NO_PREFIXES)}
    assert permitted(hosts, {"a": prefix}) == {"a": prefix, "b": prefix}
    assert permitted({**hosts, "b": announcer(prefix, prefix)}, {"a": prefix}) == {"b": prefix}


def test_other_address_space_is_not_waited_for():
    a = announcer(NO_PREFIXES, made("10.0.0.0/28", "2001:db8::/64"))
    b = announcer(made("10.0.0.16/28"), NO_PREFIXES)
    assert permitted({"a": a, "b": b}) == {"b": made("10.0.0.16/28")}


def test_address_is_astray_until_the_routers_surely_lead_to_its_holder():
    at = parse_prefix("10.0.0.0/24").base + 5
    outer, inner = made("10.0.0.0/24"), made("10.0.0.5/32")
    hosts = {"a": announcer(NO_PREFIXES, outer), "b": announcer(NO_PREFIXES, inner)}
    assert astray(hosts, 4, at, "b") == frozenset()
    assert astray(hosts, 4, at, "a") == {"b"}
    assert astray(hosts, 4, at + 1, "a") == frozenset()
    assert astray(hosts, 4, at + 1, "b") == {"b"}
    assert astray(hosts, 6, at, "a") == {"a"}
    assert astray(hosts, 4, at, "nobody") == {"nobody"}


def test_settling_prefix_is_one_that_the_routers_may_have_or_not():
    at = parse_prefix("10.0.0.0/24").base
    outer = made("10.0.0.0/24")
    hosts = {
        "a": announcer(NO_PREFIXES, outer),
        "b": Announcer(settling=outer, is_silent=False),
    }
    assert astray(hosts, 4, at, "a") == {"b"}
    assert astray(hosts, 4, at, "b") == {"b"}


def test_host_keeps_a_prefix_that_settles_when_the_service_has_restarted():
    """A report after the settling time was lost with the service."""
    prefix = made("10.0.0.0/28")
    hosts = {
        "a": Announcer(settling=prefix, is_silent=False),
        "b": announcer(prefix, NO_PREFIXES),
    }
    assert permitted(hosts) == {"a": prefix, "b": prefix}


def test_prefix_that_is_withdrawn_does_not_come_back():
    """Its removal is not reported yet when an exception appears inside it."""
    outer, inner = made("10.0.0.0/24"), made("10.0.0.5/32")
    hosts = {"a": announcer(NO_PREFIXES, outer), "b": announcer(inner, NO_PREFIXES)}
    assert permitted(hosts, {}) == {"b": inner}
    assert permitted(hosts) == {"a": outer, "b": inner}


def _random_targets(draw: random.Random) -> dict[str, set[Prefix]]:
    """Disjoint prefixes and exceptions inside them, on three hosts."""
    targets: dict[str, set[Prefix]] = {"a": set(), "b": set(), "c": set()}
    for block in range(4):
        outer = Prefix(4, block * 16, 28)
        holder = draw.choice("abc-")
        if holder != "-":
            targets[holder].add(outer)
        for address in range(block * 16, block * 16 + 3):
            other = draw.choice("abc---")
            if other not in ("-", holder):
                targets[other].add(Prefix(4, address, 32))
    return targets


def _holder(targets: dict[str, set[Prefix]], address: int) -> frozenset[str]:
    """The hosts with the longest prefix around an address."""
    lengths = {
        host: max((each.length for each in every if each.holds(address)), default=-1)
        for host, every in targets.items()
    }
    best = max(lengths.values())
    return frozenset(host for host, length in lengths.items() if length == best >= 0)


@pytest.mark.parametrize("seed", range(60))
def test_address_that_stays_never_loses_its_route(seed: int):
    """Agents act one change at a time, in any order between hosts; all come to their targets."""
    draw = random.Random(seed)
    before, after = _random_targets(draw), _random_targets(draw)
    installed = {host: set(each) for host, each in before.items()}
    held = {
        address: hosts
        for address in range(64)
        if (hosts := _holder(before, address)) and hosts == _holder(after, address)
    }
    routed = [
        address for address in range(64) if _holder(before, address) and _holder(after, address)
    ]
    reported = {host: frozenset(each) for host, each in before.items()}
    allowed = dict(reported)
    for _ in range(400):
        allowed = permitted(
            {host: announcer(frozenset(after[host]), reported[host]) for host in after}, allowed
        )
        host = draw.choice("abc")
        if draw.random() < 0.5:
            reported[host] = frozenset(installed[host])
            continue
        todo = batch(frozenset(installed[host]), allowed.get(host, NO_PREFIXES))
        for prefix, is_added in todo[: draw.choice((1, len(todo)))]:
            (installed[host].add if is_added else installed[host].remove)(prefix)
            for address in routed:
                assert _holder(installed, address), "an address has no route"
            for address, hosts in held.items():
                assert _holder(installed, address) >= hosts, "a route leads elsewhere only"
    assert installed == after
