"""The eleven rules of docs/reference/rules.md on every store, beyond the kit in ``test_kit.py``."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, cast

import pytest

import borough
from borough import BoroughError, Ipam
from borough.domain.encode import plain
from borough.engine import allocation, expiry
from borough.errors import (
    AddressInUse,
    AddressOutsideGroup,
    AddressUnusable,
    Exhausted,
    FixInput,
    KeyReused,
    NeedsSpace,
    NoMatchingSubnet,
    NotAllocated,
    UnknownDimension,
    UnknownObject,
)
from tests.conftest import EXAMPLES, Clock


def subnet(name: str, cidr: str, **labels: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        key: labels.pop(key)
        for key in ("scope", "gateway", "ranges", "weight", "cooldown")
        if key in labels
    }
    return {"name": name, "cidr": cidr, "labels": {"network": "n", **labels}, **settings}


def declare(ipam: Ipam, *subnets: dict[str, Any], **more: Any) -> None:
    ipam.apply({"subnets": list(subnets), **more})


def give(ipam: Ipam, host: str | None = None, **request: Any) -> str:
    labels = request.pop("labels", {})
    return ipam.allocate(labels={"network": "n", **labels}, host=host, **request).address


def given_from(ipam: Ipam, host: str | None = None, **request: Any) -> str:
    labels = request.pop("labels", {})
    answer = ipam.allocate(labels={"network": "n", **labels}, host=host, **request)
    return answer.allocations[0].subnet


# --- 1. Boundaries -------------------------------------------------------------------------------


def test_an_unlabelled_fallback_is_a_boundary_too(ipam: Ipam) -> None:
    """Rule 1: a request without a type uses no typed subnet."""
    declare(ipam, subnet("typed", "10.0.0.0/29", service_type="floating"))
    with pytest.raises(NoMatchingSubnet) as refused:
        give(ipam)
    assert "service_type" in refused.value.message


def test_the_network_is_one_more_group(ipam: Ipam) -> None:
    """Rule 1: a request without a network sees no subnet of any network."""
    declare(ipam, subnet("n", "10.0.0.0/29"))
    with pytest.raises(NoMatchingSubnet):
        ipam.allocate(host="h")


# --- 2. Selection --------------------------------------------------------------------------------


def test_claims_decide_only_among_equals_of_named_subnets(ipam: Ipam) -> None:
    """Rule 2: h has a block in b; named before, a is used; named beside, b is."""
    declare(ipam, subnet("a", "10.0.0.0/24"), subnet("b", "10.0.1.0/24"))
    ipam.allocate(subnets=["b"], host="h")
    beside = ipam.allocate(subnets=[("a", "b")], host="h").allocations[0]
    assert beside.subnet == "b"
    before = ipam.allocate(subnets=["a", "b"], host="h").allocations[0]
    assert before.subnet == "a"


# --- 3. Implied labels ---------------------------------------------------------------------------


def test_a_host_stays_on_the_segment_that_it_reaches(ipam: Ipam) -> None:
    """Rule 3: the host implies its segment, and never leaves it."""
    declare(
        ipam,
        subnet("a", "10.0.0.0/32", segment="a"),
        subnet("b", "10.0.1.0/24", segment="b"),
        hosts={"ha": {"segment": "a"}},
    )
    assert given_from(ipam, "ha") == "a"
    with pytest.raises(Exhausted) as refused:
        give(ipam, "ha")
    passed = refused.value.detail["explanation"]["passed"]
    assert passed == [
        {"reason": "inside the boundary segment=b", "subnets": ["b (10.0.1.0/24)"], "more": 0}
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_an_address_without_a_claim_has_a_host(ipam: Ipam, count: int) -> None:
    """Rule 3: where the host reaches, with a route of its own, and without a claim."""
    declare(
        ipam,
        subnet("a", "10.0.0.0/24", segment="a"),
        subnet("b", "10.0.1.0/24", segment="b"),
        hosts={"hb": {"segment": "b"}},
    )
    give(ipam, "hb")
    claimed = ipam.blocks(host="hb")
    asked: dict[str, Any] = {"labels": {"network": "n"}, "host": "hb", "count": count}
    foretold = ipam.explain(**asked, claims=False)
    got = ipam.allocate(**asked, claims=False, owner="dhcp", key="k").allocations
    assert [(each.host, each.subnet, each.borrowed) for each in got] == [("hb", "b", False)] * count
    assert {each.block for each in got} == {None}
    assert got[0].address in foretold.outcome
    assert ipam.blocks(host="hb") == claimed
    routes = [each.prefix for each in ipam.routes("hb")]
    assert len(routes) > len(claimed)
    # It is another request than the one that claims.
    with pytest.raises(KeyReused):
        ipam.allocate(**asked, owner="dhcp", key="k")
    again = ipam.allocate(**asked, claims=False, owner="dhcp", key="k")
    assert again.replayed
    with pytest.raises(FixInput):
        ipam.allocate(**asked, claims=cast("Any", "no"))
    assert ipam.audit() == []


# --- 4. Order ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "expected"),
    [(["service_type", "host"], "typed"), (["host", "service_type"], "plain")],
)
def test_the_rank_of_the_dimensions_decides(ipam: Ipam, order: list[str], expected: str) -> None:
    """Rule 4: typed first by default; with host ranked above, the host's own block wins."""
    every = {
        "network": {"fallback": "none"},
        "segment": {"fallback": "none"},
        "service_type": {"fallback": "unlabelled"},
        "host": {"fallback": "any"},
    }
    declare(
        ipam,
        subnet("typed", "10.0.0.0/24", service_type="t"),
        subnet("plain", "10.0.1.0/24"),
        dimensions={name: every[name] for name in ["network", "segment", *order]},
    )
    give(ipam, "h")
    assert given_from(ipam, "h", labels={"service_type": "t"}) == expected


def test_own_blocks_before_unclaimed_before_those_of_others(ipam: Ipam) -> None:
    """Rule 4: h1 fills what it has, claims what is left, and then borrows."""
    declare(ipam, subnet("s", "10.0.0.0/26"))
    mine = ipam.allocate(labels={"network": "n"}, host="h2", count=15).allocations
    ipam.release([mine[3].address, mine[5].address])
    got = ipam.allocate(labels={"network": "n"}, host="h1", count=48).allocations
    assert [each.borrowed for each in got].count(True) == 1
    assert not ipam.allocate(labels={"network": "n"}, host="h2").allocations[0].borrowed
    first = [each.borrowed for each in got]
    assert first == sorted(first), "borrowed before everything else was used"


# --- 5. Together ---------------------------------------------------------------------------------


def test_all_or_none(ipam: Ipam) -> None:
    """Rule 5: a request that cannot be filled takes nothing."""
    declare(ipam, subnet("s4", "10.0.0.0/30"), subnet("s6", "2001:db8::/126"))
    with pytest.raises(Exhausted):
        ipam.allocate(labels={"network": "n"}, families=[4, 6], count=3)
    assert ipam.allocations() == []
    assert len(ipam.allocate(labels={"network": "n"}, families=[4, 6], count=2).allocations) == 4


# --- 6. Kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.0/31", ["10.0.0.0", "10.0.0.1"]),
        ("10.0.0.5/32", ["10.0.0.5"]),
        ("2001:db8::/126", ["2001:db8::1", "2001:db8::2", "2001:db8::3"]),
        ("2001:db8::/127", ["2001:db8::", "2001:db8::1"]),
        ("2001:db8::7/128", ["2001:db8::7"]),
    ],
)
@pytest.mark.parametrize("kind", ["any", "next"])
def test_usable_addresses(ipam: Ipam, cidr: str, expected: list[str], kind: Any) -> None:
    """Rule 6: network, broadcast and anycast addresses never; /31, /32, /127, /128 in full."""
    declare(ipam, subnet("s", cidr))
    assert [give(ipam, kind=kind) for _ in expected] == expected
    with pytest.raises(Exhausted):
        give(ipam, kind=kind)


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "2001:db8::/64", "2001:db8::/32"])
def test_large_subnets_cost_nothing(ipam: Ipam, cidr: str) -> None:
    """A /8 and a /64 are one row each until they are used."""
    declare(ipam, subnet("s", cidr))
    assert ipam.blocks() == []
    first = ipaddress.ip_network(cidr)[1]
    assert give(ipam) == str(first)
    assert len(ipam.blocks()) == 1


def test_next_is_the_lowest_free_address(ipam: Ipam) -> None:
    """Rule 6: also when a hole opens."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    got = [give(ipam, kind="next") for _ in range(70)]
    assert got == [f"10.0.0.{number}" for number in range(1, 71)]
    ipam.release("10.0.0.7")
    ipam.release("10.0.0.66")
    assert [give(ipam, kind="next") for _ in range(3)] == ["10.0.0.7", "10.0.0.66", "10.0.0.71"]


def test_ranges_and_gateway_are_kept(ipam: Ipam) -> None:
    """Rule 6: any gives from the ranges less the gateway, by name also outside of them."""
    declare(
        ipam,
        subnet("s", "10.0.0.0/24", gateway="10.0.0.11", ranges=["10.0.0.10-10.0.0.12"]),
    )
    assert [give(ipam), give(ipam)] == ["10.0.0.10", "10.0.0.12"]
    with pytest.raises(Exhausted):
        give(ipam)
    assert give(ipam, address="10.0.0.200") == "10.0.0.200"
    assert give(ipam, address="10.0.0.11") == "10.0.0.11"
    ipam.release("10.0.0.200")
    ipam.release("10.0.0.11")
    with pytest.raises(Exhausted):
        give(ipam)


def test_a_specific_address_in_use_is_refused_with_its_owner(ipam: Ipam) -> None:
    """Rule 6: the error names the owner."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    give(ipam, address="10.0.0.9", owner="web", host="h")
    with pytest.raises(AddressInUse) as refused:
        give(ipam, address="10.0.0.9")
    assert refused.value.detail["owner"] == "web"


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.255", "2001:db8::"])
def test_unusable_addresses_cannot_be_specific(ipam: Ipam, address: str) -> None:
    """Rule 6: network, broadcast, subnet-router anycast."""
    declare(ipam, subnet("s4", "10.0.0.0/24"), subnet("s6", "2001:db8::/64"))
    with pytest.raises(AddressUnusable):
        give(ipam, address=address)


def test_by_name_outside_the_group_is_refused(ipam: Ipam) -> None:
    """Rule 6: inside some subnet is not enough, it must be one that the request may use."""
    declare(ipam, subnet("a", "10.0.0.0/24", segment="a"), subnet("plain", "10.0.1.0/24"))
    with pytest.raises(AddressOutsideGroup) as refused:
        give(ipam, address="10.0.0.9")
    assert refused.value.detail["subnet"] == "a"
    with pytest.raises(AddressOutsideGroup):
        give(ipam, address="192.0.2.1")


def test_an_address_that_cannot_be_computed_is_not_exhausted(ipam: Ipam) -> None:
    """Rules 6 and 10: without a /64 or a gateway the error is another one than for no free address."""
    declare(ipam, subnet("s", "2001:db8::/112"))
    for request in ({"mac": "00:00:00:00:00:01"}, {"kind": "gateway"}):
        with pytest.raises(NoMatchingSubnet):
            give(ipam, **request)


# --- 8. Release ------------------------------------------------------------------------------------


def test_releasing_several_is_all_or_nothing(ipam: Ipam) -> None:
    """Rule 8: one that is not allocated keeps the others from going."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    address = give(ipam)
    with pytest.raises(NotAllocated):
        ipam.release([address, "10.0.0.99"])
    assert len(ipam.allocations()) == 1


# --- 9. Cool-down ----------------------------------------------------------------------------------


def test_a_released_address_rests(ipam: Ipam, clock: Clock) -> None:
    """Rule 9: for the cool-down of its subnet, to the microsecond."""
    declare(ipam, subnet("s", "10.0.0.0/32", cooldown=60))
    give(ipam)
    ipam.release("10.0.0.0")
    assert ipam.show("10.0.0.0").state == "cooling"
    with pytest.raises(Exhausted) as refused:
        give(ipam)
    assert "cooling" in str(refused.value.detail["explanation"])
    clock.now += 60_000_000 - 1
    with pytest.raises(Exhausted):
        give(ipam)
    clock.now += 1
    assert give(ipam) == "10.0.0.0"


def test_an_explanation_expires_cooldowns(ipam: Ipam, clock: Clock) -> None:
    """Rules 9 and 11: explain equals allocate, also right after a cool-down."""
    declare(ipam, subnet("s", "10.0.0.0/32", cooldown=60))
    ipam.release(give(ipam))
    assert ipam.explain(labels={"network": "n"}).outcome.startswith("1 address cools down until ")
    clock.advance(61)
    assert ipam.explain(labels={"network": "n"}).outcome == "would allocate: 10.0.0.0 from s"


def test_an_explanation_writes_nothing(ipam: Ipam, clock: Clock) -> None:
    """Rules 9 and 11: a cool-down may end at any moment, also between the reads of an explanation."""
    declare(ipam, subnet("s", "10.0.0.0/32", cooldown=60))
    ipam.release(give(ipam))
    event = ipam.newest_event()

    class Ticking:
        """A clock that passes the end of the cool-down with its second tick."""

        ticks = 0

        def __call__(self) -> int:
            self.ticks += 1
            return clock.now + (60_000_000 if self.ticks > 1 else 0)

    explaining = Ipam(ipam.store, clock=Ticking()) if isinstance(ipam, Ipam) else ipam
    for _ in range(2):
        explaining.explain(labels={"network": "n"})
    clock.advance(60)
    assert ipam.explain(labels={"network": "n"}).outcome == "would allocate: 10.0.0.0 from s"
    assert (ipam.show("10.0.0.0").state, ipam.newest_event()) == ("cooling", event)


def test_an_explanation_equals_the_allocation_after_a_cooldown(ipam: Ipam, clock: Clock) -> None:
    """Rules 9 and 11: both first release claims that an ended cool-down leaves empty."""
    declare(ipam, subnet("s", "10.0.0.0/24", cooldown=60), subnet("t", "10.0.1.0/28", cooldown=60))
    for host in ("a", "b"):
        ipam.allocate(labels={"network": "n"}, host=host, owner=host, count=90)
    ipam.allocate(labels={"network": "n"}, owner="loose", count=16)
    ipam.release(owner="a")
    ipam.release(owner="loose")
    clock.advance(61)
    for asked in (
        {"host": "a"},
        {"host": "b", "count": 70},
        {"host": "c", "count": 40},
        {"host": "c", "kind": "next"},
        {"address": "10.0.0.3"},
        {},
    ):
        told = plain(ipam.explain(labels={"network": "n"}, **asked))
        given = ipam.allocate(labels={"network": "n"}, explain=True, **asked)
        assert given.explanation is not None
        told["outcome"] = told["outcome"].replace("would allocate", "allocated")
        assert told == plain(given.explanation)
        clock.advance(1)
        ipam.release([each.address for each in given.allocations])
        clock.advance(61)


def test_a_cooling_address_can_be_specific(ipam: Ipam) -> None:
    """Rule 9: unless asked for by name."""
    declare(ipam, subnet("s", "10.0.0.0/24", cooldown=60))
    address = give(ipam)
    ipam.release(address)
    assert give(ipam) != address
    assert give(ipam, address=address) == address
    with pytest.raises(AddressInUse):
        give(ipam, address=address)


def test_more_cooldowns_than_one_batch_end(ipam: Ipam, clock: Clock) -> None:
    """Rules 9 and 10: any number of cool-downs may end at once, and none makes the group exhausted."""
    declare(ipam, subnet("s", "10.0.0.0/22", cooldown=60))
    ipam.allocate(labels={"network": "n"}, owner="all", count=1022)
    ipam.release(owner="all")
    clock.advance(61)
    assert len(ipam.allocate(labels={"network": "n"}, count=1022).allocations) == 1022


def test_an_explanation_expires_a_bounded_number_of_cooldowns(
    ipam: Ipam, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules 9 and 11: it keeps them in memory, and reports when it would need more."""
    monkeypatch.setattr(allocation, "EXPIRE_BATCH", 2)
    monkeypatch.setattr(expiry, "EXPIRE_BATCH", 2)
    monkeypatch.setattr(allocation, "EXPLAINED", 8)
    other = {**subnet("other", "10.0.1.0/24", cooldown=60), "labels": {"network": "o"}}
    declare(ipam, subnet("s", "10.0.0.0/30"), other)
    ipam.allocate(labels={"network": "n"}, count=2)
    ipam.allocate(labels={"network": "o"}, owner="gone", count=9)
    ipam.release(owner="gone")
    assert "every address is allocated" in ipam.explain(labels={"network": "n"}).outcome
    clock.advance(61)
    assert ipam.explain(labels={"network": "o"}).outcome.startswith("would allocate")
    assert ipam.explain(labels={"network": "n"}).outcome.startswith("not decided")
    ipam.reclaim()
    assert "every address is allocated" in ipam.explain(labels={"network": "n"}).outcome


# --- 10 and 11. Exhausted, explained ---------------------------------------------------------------


def test_exhausted_is_raised_only_when_it_is_true(ipam: Ipam) -> None:
    """Rule 10: the last address is allocated, the next request fails."""
    declare(ipam, subnet("a", "10.0.0.0/30"), subnet("b", "10.0.0.4/30"))
    assert len({give(ipam) for _ in range(4)}) == 4
    with pytest.raises(Exhausted) as refused:
        give(ipam)
    assert refused.value.code == "exhausted"
    assert refused.value.detail["group"] == {"network": ["n"]}
    verdicts = [each["verdict"] for each in refused.value.detail["explanation"]["rungs"]]
    assert set(verdicts) == {"full"}


def test_explain_equals_allocate_and_writes_nothing(ipam: Ipam) -> None:
    """Rule 11: the explanation and the allocation after it agree."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    explanation = ipam.explain(labels={"network": "n"}, host="h")
    assert ipam.allocations() == []
    assert explanation.outcome == "would allocate: 10.0.0.1 from s"
    assert explanation.possible
    assert [rung.verdict for rung in explanation.rungs] == ["full", "taken", "not reached"]
    assert [note.partition(":")[0] for note in explanation.notes] == ["host=h claims 10.0.0.0/28"]
    assert give(ipam, "h") == "10.0.0.1"


def test_a_preview_of_a_refusal_has_its_advice(ipam: Ipam) -> None:
    """Rule 11: a preview tells success from failure, and helps as the refusal does."""
    declare(ipam, subnet("a", "10.0.0.0/30"))
    give(ipam)
    assert ipam.explain(labels={"network": "n"}).advice == ()
    give(ipam)
    for labels in ({"network": "n"}, {"network": "m"}):
        preview = ipam.explain(labels=labels)
        assert not preview.possible
        with pytest.raises(NeedsSpace) as refused:
            ipam.allocate(labels=labels)
        assert list(preview.advice) == refused.value.detail["try"] != []


def test_an_answer_carries_its_explanation_when_asked(ipam: Ipam) -> None:
    """Rule 11."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    answer = ipam.allocate(labels={"network": "n"}, explain=True)
    assert answer.explanation is not None
    assert answer.explanation.outcome == f"allocated: {answer.address} from s"


# --- Scopes, bad input, bookkeeping ----------------------------------------------------------------


def test_scopes_may_overlap(ipam: Ipam) -> None:
    """The same prefix in two scopes holds two addresses."""
    declare(
        ipam,
        subnet("a", "10.0.0.0/30"),
        subnet("b", "10.0.0.0/30", scope="blue"),
        scopes=["blue"],
    )
    assert give(ipam) == give(ipam, scope="blue") == "10.0.0.1"
    ipam.release("10.0.0.1", scope="blue")
    assert [each.scope for each in ipam.allocations()] == ["default"]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"count": 0}, FixInput),
        ({"count": 1_000_000_000}, FixInput),
        ({"count": True}, FixInput),
        ({"labels": {"nettwork": "n"}}, UnknownDimension),
        ({"labels": {"network": "m"}}, NoMatchingSubnet),
        ({"labels": {"network": ""}}, FixInput),
        ({"labels": {"network": "a\0b"}}, FixInput),
        ({"owner": "x" * 10_000}, FixInput),
        ({"owner": "a\0b"}, FixInput),
        ({"host": " h"}, FixInput),
        ({"address": "10.0.0.300"}, FixInput),
        ({"address": "10.0.0.1", "families": 6}, FixInput),
        ({"mac": "00:11:22:33:44"}, FixInput),
        ({"mac": "00:11:22:33:44:55", "families": 4}, FixInput),
        ({"families": [5]}, FixInput),
        ({"kind": "best"}, FixInput),
        ({"scope": "green"}, UnknownObject),
        ({"subnets": ["nowhere"]}, FixInput),
        ({"attributes": {"x": object()}}, FixInput),
        ({"attributes": {"x": "y" * 20_000}}, FixInput),
        ({"note": "x" * 1_025}, FixInput),
        ({"note": "two\nlines"}, FixInput),
        ({"key": "k" * 300}, FixInput),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    ipam: Ipam, request_: dict[str, Any], error: type[BoroughError]
) -> None:
    """Each has a clear error with its code."""
    declare(ipam, subnet("s", "10.0.0.0/24"), subnet("s6", "2001:db8::/64"))
    with pytest.raises(error) as refused:
        ipam.allocate(**{"labels": {"network": "n"}, **request_})
    assert refused.value.message
    assert refused.value.code != "failed"
    assert ipam.allocations() == []
    assert ipam.audit() == []


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"host": "h"},
        {"families": 6},
        {"key": "k"},
        {"address": "10.0.0.9"},
        {"count": 3},
        {"families": (4, 6)},
    ],
)
def test_a_note_is_kept_with_the_addresses(ipam: Ipam, request_: dict[str, Any]) -> None:
    """For every write path: by one statement, by a plan, in a new block or an open one."""
    declare(ipam, subnet("s", "10.0.0.0/24"), subnet("s6", "2001:db8::/64"))
    ipam.allocate(labels={"network": "n"}, families=(4, 6))
    note = "Müllers 'Drücker'; \\ 50 % \N{KISSING FACE} " + "x" * 988
    request_ = {"labels": {"network": "n"}, "note": note, **request_}
    given = ipam.allocate(**request_).allocations
    assert {each.note for each in given} == {note}
    assert [ipam.show(each.address) for each in given] == [*given]
    assert ipam.allocations()[-len(given) :] == [*given]
    assert ipam.allocations(limit=1)[0].note == ""
    if "key" in request_:
        assert ipam.allocate(**request_).replayed
        with pytest.raises(KeyReused):
            ipam.allocate(**request_ | {"note": "another"})
    assert {each.note for each in ipam.release([each.address for each in given])} == {note}


def test_every_act_is_an_event(ipam: Ipam) -> None:
    """The audit trail has the owner of each address, and its number."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    given = ipam.allocate(labels={"network": "n"}, host="h", owner="web").allocations[0]
    ipam.release(given.address)
    acts = [(each.act, each.subject, each.owner) for each in ipam.events()]
    assert acts[-3:] == [
        ("allocated", "10.0.0.1", "web"),
        ("claimed", "10.0.0.0/28", ""),
        ("released", "10.0.0.1", "web"),
    ] or acts[-3:] == [
        ("claimed", "10.0.0.0/28", ""),
        ("allocated", "10.0.0.1", "web"),
        ("released", "10.0.0.1", "web"),
    ]
    numbers = {each.sequence for each in ipam.events() if each.subject == "10.0.0.1"}
    assert numbers == {given.sequence}


def test_paging_through_allocations(ipam: Ipam) -> None:
    """By sequence number, without gaps or repeats."""
    declare(ipam, subnet("s", "10.0.0.0/24"))
    ipam.allocate(labels={"network": "n"}, count=25)
    seen: list[str] = []
    after = 0
    while page := ipam.allocations(after=after, limit=10):
        seen += [each.address for each in page]
        after = page[-1].sequence
    assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize(
    "page", [{"after": -1}, {"after": 10**30}, {"limit": 0}, {"limit": 10**30}, {"owner": "\ud800"}]
)
def test_an_invalid_page_is_refused(ipam: Ipam, page: dict[str, Any]) -> None:
    """On every store alike, and never by the database's driver."""
    with pytest.raises(FixInput):
        ipam.allocations(**page)


def test_the_examples_work_as_documented(make_ipam: Callable[[], Ipam]) -> None:
    """The topologies of Neutron's guide and a container network."""
    routed = make_ipam()
    routed.apply(EXAMPLES / "routed-network.yaml")
    got = routed.allocate(
        labels={"network": "multisegment1"}, host="compute0002", families=[4, 6]
    ).allocations
    assert [each.subnet for each in got] == [
        "multisegment1-segment2-v4",
        "multisegment1-segment2-v6",
    ]
    service = make_ipam()
    service.apply(EXAMPLES / "service-subnets.yaml")
    for wanted, expected in (
        ("network:floatingip", "demo-floating-ip-subnet"),
        ("network:floatingip_agent_gateway", "demo-floating-ip-agent-gateway-subnet"),
        ("network:router_gateway", "demo-other-subnet"),
    ):
        labels = {"network": "demo-ext-net", "service_type": wanted}
        assert service.allocate(labels=labels).allocations[0].subnet == expected
    pods = make_ipam()
    pods.apply(EXAMPLES / "container-hosts.yaml")
    rack = pods.allocate(labels={"network": "pods"}, host="node-3").allocations[0]
    assert rack.subnet == "pods-b"


def test_the_documented_example_of_the_package() -> None:
    """The docstring of ``borough`` is what a reader tries first."""
    import doctest

    assert doctest.testmod(borough).failed == 0
