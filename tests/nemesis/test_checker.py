"""The checker itself: it finds each kind of violation, and none in a good history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.nemesis.builder import ONE, TOPOLOGY, TWO, HistoryBuilder, L
from tests.nemesis.checker import InjectedFault
from tests.nemesis.dump import Event, Held


def good() -> HistoryBuilder:
    """One address allocated, released and allocated again; another one held."""
    history = HistoryBuilder()
    history.allocate(ONE, 1, 10, 20)
    history.allocate(TWO, 2, 12, 22)
    history.release(ONE, 1, 30, 40)
    history.allocate(ONE, 3, 35, 50)
    return history


def full() -> HistoryBuilder:
    """No address is free between 20 and 30."""
    history = HistoryBuilder()
    history.allocate(ONE, 1, 10, 20)
    history.allocate(TWO, 2, 10, 20)
    history.release(ONE, 1, 30, 40)
    return history


def test_good_history_is_clean() -> None:
    """A call without an answer is no violation, done or not."""
    history = good()
    assert history.found() == {}
    history.call("release", {"address": TWO, "sequence": 2}, 60, 70, None)
    assert history.found() == {}
    history.add_release(TWO, 2)
    assert history.found() == {}
    history.call("allocate", {"labels": L, "owner": "o5"}, 80, 90, None)
    assert history.found() == {}
    history.add_allocation(TWO, 5, "o5")
    assert history.found() == {}


def two_holders(history: HistoryBuilder) -> None:
    history.allocate(TWO, 9, 60, 70)


def allocated_twice(history: HistoryBuilder) -> None:
    history.call("allocate", {"labels": L, "owner": "x"}, 60, 70, [[TWO, 2, "n", ""]])


def released_twice(history: HistoryBuilder) -> None:
    history.call("release", {"address": ONE, "sequence": 1}, 60, 70, [[ONE, 1]])


def released_without_allocation(history: HistoryBuilder) -> None:
    history.call("release", {"address": ONE, "sequence": 77}, 60, 70, [[ONE, 77]])


def release_refused(history: HistoryBuilder) -> None:
    history.fail("release", {"address": TWO, "sequence": 2}, 60, 70, "not_allocated")


def release_incomplete(history: HistoryBuilder) -> None:
    history.call("release", {"owner": "o2"}, 60, 70, [])


def lost(history: HistoryBuilder) -> None:
    del history.held[TWO]


def other_owner(history: HistoryBuilder) -> None:
    history.held[TWO] = history.held[TWO]._replace(owner="o1")


def other_host(history: HistoryBuilder) -> None:
    history.held[TWO] = history.held[TWO]._replace(host="c1-h1")


def not_released(history: HistoryBuilder) -> None:
    del history.held[ONE]
    history.held[ONE] = Held(ONE, 1, "o1", "")
    # The second holding of the address is removed: it would be another violation.
    del history.calls[-1], history.events[-1]


def held_without_request(history: HistoryBuilder) -> None:
    history.held["10.0.0.3"] = Held("10.0.0.3", 50, "", "")


def smaller_sequence(history: HistoryBuilder) -> None:
    """The later holding has the smaller sequence number."""
    history.calls[-1] = replace(history.calls[-1], answer=[[ONE, 0, "n", ""]])
    history.events = [each._replace(id=0) if each.id == 3 else each for each in history.events]
    history.held[ONE] = history.held[ONE]._replace(sequence=0)
    history.calls[-1] = replace(history.calls[-1], began=45)


def no_event(history: HistoryBuilder) -> None:
    history.events = [each for each in history.events if each.id != 2]


def event_of_another(history: HistoryBuilder) -> None:
    history.events = [e._replace(owner="o1") if e.id == 2 else e for e in history.events]


def no_event_of_release(history: HistoryBuilder) -> None:
    history.events = [each for each in history.events if each.act != "released"]


def released_without_request(history: HistoryBuilder) -> None:
    history.add_release(TWO, 2)


def done_twice(history: HistoryBuilder) -> None:
    """One request, one answer, two addresses."""
    history.events.append(Event(60, "allocated", "10.0.0.3", "o2", None))


def refused_and_done(history: HistoryBuilder) -> None:
    history.release(TWO, 2, 60, 70)
    history.fail("allocate", {"labels": L, "owner": "o6"}, 80, 90, "contended")
    history.add_allocation(TWO, 106, "o6")


def done_in_part(history: HistoryBuilder) -> None:
    history.release(TWO, 2, 60, 70)
    history.call("allocate", {"labels": L, "owner": "o6", "count": 2}, 80, 90, None)
    history.add_allocation(TWO, 106, "o6")


def another_segment(history: HistoryBuilder) -> None:
    labels = {"network": "r", "segment": "s1"}
    history.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels=labels)


def another_segment_than_implied(history: HistoryBuilder) -> None:
    labels = {"network": "r"}
    history.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels=labels, host="h1")


def segment_not_named(history: HistoryBuilder) -> None:
    history.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels={"network": "r"})


def typed_without_type(history: HistoryBuilder) -> None:
    history.allocate("10.32.1.1", 60, 60, 70, subnet="typed", labels={"network": "t"})


def outside_its_subnet(history: HistoryBuilder) -> None:
    history.allocate("10.0.0.9", 60, 60, 70)


def broadcast(history: HistoryBuilder) -> None:
    history.allocate("10.0.0.3", 60, 60, 70, kind="specific", address="10.0.0.3")


def refused_while_free(history: HistoryBuilder) -> None:
    """One address is free from 70 on."""
    history.release(TWO, 2, 60, 70)
    history.fail("allocate", {"labels": L, "owner": "x"}, 80, 90, "exhausted")


def no_subnet_while_one_matches(history: HistoryBuilder) -> None:
    history.release(TWO, 2, 60, 70)
    history.fail("allocate", {"labels": L, "owner": "x"}, 80, 90, "no_matching_subnet")


def in_use_while_free(history: HistoryBuilder) -> None:
    history.release(TWO, 2, 60, 70)
    args = {"labels": L, "owner": "x", "kind": "specific", "address": TWO}
    history.fail("allocate", args, 80, 90, "address_in_use")


def outside_while_inside(history: HistoryBuilder) -> None:
    args = {"labels": L, "owner": "x", "kind": "specific", "address": TWO}
    history.fail("allocate", args, 80, 90, "address_outside_group")


def two_answers_to_a_key(history: HistoryBuilder) -> None:
    args = {"labels": L, "owner": "o2", "key": "k"}
    history.calls[2] = replace(history.calls[2], args=args)
    history.call("allocate", args, 60, 70, [[ONE, 3, "n", ""]])


def spent_while_held(history: HistoryBuilder) -> None:
    args = {"labels": L, "owner": "o2", "key": "k"}
    history.calls[2] = replace(history.calls[2], args=args)
    history.fail("allocate", args, 60, 70, "idempotency_key_spent")


def carved_twice(history: HistoryBuilder) -> None:
    for number, at in enumerate((60, 80)):
        args = {"name": f"c{number}", "labels": {"network": "c"}, "prefix_length": 28}
        answer: dict[str, Any] = {"cidr": "10.96.0.0/28", "gateway": None, "ranges": []}
        history.call("carve", args, at, at + 5, answer)


def raw(history: HistoryBuilder) -> None:
    history.fail("allocate", {"labels": L, "owner": "x"}, 60, 70, "raw")


def corrupt(history: HistoryBuilder) -> None:
    history.fail("release", {"address": TWO, "sequence": 5}, 60, 70, "corrupt")


def unavailable_without_fault(history: HistoryBuilder) -> None:
    history.fail("explain", {"labels": L}, 60, 70, "unavailable")


def audit_in_between(history: HistoryBuilder) -> None:
    history.call("audit", {"repair": True}, 60, 70, ["bit_without_allocation"])


def audit_at_the_end(history: HistoryBuilder) -> None:
    history.findings = ["allocation_without_bit"]


BAD: list[tuple[str, Callable[[HistoryBuilder], None]]] = [
    ("two holders", two_holders),
    ("contradiction", allocated_twice),
    ("contradiction", released_twice),
    ("contradiction", released_without_allocation),
    ("contradiction", release_refused),
    ("contradiction", release_incomplete),
    ("lost or left", lost),
    ("lost or left", other_owner),
    ("lost or left", other_host),
    ("lost or left", not_released),
    ("lost or left", held_without_request),
    ("sequence", smaller_sequence),
    ("trail", no_event),
    ("trail", event_of_another),
    ("trail", no_event_of_release),
    ("trail", released_without_request),
    ("trail", done_twice),
    ("trail", refused_and_done),
    ("trail", done_in_part),
    ("boundary", another_segment),
    ("boundary", another_segment_than_implied),
    ("boundary", segment_not_named),
    ("boundary", typed_without_type),
    ("boundary", outside_its_subnet),
    ("boundary", broadcast),
    ("false exhaustion", refused_while_free),
    ("false exhaustion", no_subnet_while_one_matches),
    ("false conflict", in_use_while_free),
    ("false conflict", outside_while_inside),
    ("contradiction", two_answers_to_a_key),
    ("key", spent_while_held),
    ("pool", carved_twice),
    ("error", raw),
    ("error", corrupt),
    ("error", unavailable_without_fault),
    ("audit", audit_in_between),
    ("audit", audit_at_the_end),
]


@pytest.mark.parametrize(
    ("kind", "spoil"), BAD, ids=[f"{kind}: {spoil.__name__}" for kind, spoil in BAD]
)
def test_each_violation_is_found(kind: str, spoil: Callable[[HistoryBuilder], None]) -> None:
    """Each one is added to a history that is clean without it."""
    history = good()
    spoil(history)
    assert kind in history.found()


def test_true_refusals_are_no_violation() -> None:
    """A full group at one instant is enough, and so is an address that may be held."""
    history = full()
    history.fail("allocate", {"labels": L, "owner": "x"}, 15, 35, "exhausted")
    named = {"labels": L, "owner": "y", "kind": "specific", "address": ONE}
    history.fail("allocate", named, 35, 45, "address_in_use")
    history.fail("allocate", {"labels": L, "owner": "z", "count": 2}, 50, 60, "exhausted")
    assert history.found() == {}


def test_allocation_without_answer_counts_as_held() -> None:
    """The trail has its address, which is possibly held from the beginning of the call."""
    history = full()
    history.call("allocate", {"labels": L, "owner": "o9"}, 50, 60, None)
    history.add_allocation(ONE, 109, "o9")
    history.fail("allocate", {"labels": L, "owner": "x"}, 70, 80, "exhausted")
    assert history.found() == {}


def test_slack_allows_refusals_by_an_older_state() -> None:
    """A released address may seem held for the slack, and not longer."""
    history = full()
    history.slack = 15
    history.fail("allocate", {"labels": L, "owner": "x"}, 50, 60, "exhausted")
    assert history.found() == {}
    history.fail("allocate", {"labels": L, "owner": "y"}, 90, 95, "exhausted")
    assert list(history.found()) == ["false exhaustion"]


def changed(**more: Any) -> dict[str, Any]:
    """The topology with a changed subnet n."""
    first = {**TOPOLOGY["subnets"][0], **more}
    return {**TOPOLOGY, "subnets": [first, *TOPOLOGY["subnets"][1:]]}


def test_free_addresses_are_those_of_every_state_of_the_call() -> None:
    """A narrow range at any time of the call makes a refusal true; before and after it is false."""
    history = HistoryBuilder()
    history.allocate(ONE, 1, 10, 20)
    narrow = changed(ranges=["10.0.0.1-10.0.0.1"])
    history.call("apply", {"topology": narrow}, 30, 40, True)
    history.fail("allocate", {"labels": L, "owner": "x"}, 35, 38, "exhausted")
    history.fail("allocate", {"labels": L, "owner": "y"}, 50, 60, "exhausted")
    history.call("apply", {"topology": TOPOLOGY}, 70, 80, None)
    history.fail("allocate", {"labels": L, "owner": "z"}, 90, 95, "exhausted")
    assert history.found() == {}
    history.call("apply", {"topology": TOPOLOGY}, 100, 110, True)
    history.fail("allocate", {"labels": L, "owner": "late"}, 120, 130, "exhausted")
    assert list(history.found()) == ["false exhaustion"]


def test_boundaries_are_those_of_any_state_of_the_call() -> None:
    """An address outside the ranges is allowed while they change, and not before or after."""
    history = HistoryBuilder()
    narrow = changed(ranges=["10.0.0.1-10.0.0.1"])
    history.call("apply", {"topology": narrow}, 30, 40, True)
    history.allocate(TWO, 2, 35, 45)
    assert history.found() == {}
    history.release(TWO, 2, 50, 60)
    history.allocate(TWO, 203, 70, 80)
    assert list(history.found()) == ["boundary"]


def test_fault_explains_errors_of_its_time_and_kind() -> None:
    history = good()
    history.fail("explain", {"labels": L}, 60, 70, "unavailable")
    history.fail("explain", {"labels": L}, 60, 70, "disk_full")
    history.injected = [InjectedFault("disk full", 55, 65, "disk_full")]
    assert history.found() == {}
    history.injected = [InjectedFault("server killed", 55, 65)]
    assert list(history.found()) == ["error"]


def test_clock_ahead_explains_only_times_in_the_future() -> None:
    history = good()
    history.call(
        "audit", {"repair": False}, 60, 70, ["rest_too_long n 10.0.0.0/30: until tomorrow"]
    )
    assert list(history.found()) == ["audit"]
    history.clocks_jump = True
    assert history.found() == {}
    history.findings = ["bit_without_allocation n: 10.0.0.1"]
    assert list(history.found()) == ["audit"]
