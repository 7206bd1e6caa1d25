"""The judge itself: it must see each kind of violation, and must see none where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.nemesis.checker import Trouble
from tests.nemesis.dump import Event, Held
from tests.nemesis.story import ONE, TOPOLOGY, TWO, L, Story


def good() -> Story:
    """One address given, released and given again, another one held."""
    explanation = Story()
    explanation.allocate(ONE, 1, 10, 20)
    explanation.allocate(TWO, 2, 12, 22)
    explanation.release(ONE, 1, 30, 40)
    explanation.allocate(ONE, 3, 35, 50)
    return explanation


def full() -> Story:
    """Nothing is free between 20 and 30."""
    explanation = Story()
    explanation.allocate(ONE, 1, 10, 20)
    explanation.allocate(TWO, 2, 10, 20)
    explanation.release(ONE, 1, 30, 40)
    return explanation


def test_a_good_history_is_clean() -> None:
    """And a call without an answer is no fault, whether it was done or not."""
    explanation = good()
    assert explanation.found() == {}
    explanation.call("release", {"address": TWO, "sequence": 2}, 60, 70, None)
    assert explanation.found() == {}
    explanation.taken(TWO, 2)
    assert explanation.found() == {}
    explanation.call("allocate", {"labels": L, "owner": "o5"}, 80, 90, None)
    assert explanation.found() == {}
    explanation.given(TWO, 5, "o5")
    assert explanation.found() == {}


def two_holders(explanation: Story) -> None:
    explanation.allocate(TWO, 9, 60, 70)


def given_twice(explanation: Story) -> None:
    explanation.call("allocate", {"labels": L, "owner": "x"}, 60, 70, [[TWO, 2, "n", ""]])


def released_twice(explanation: Story) -> None:
    explanation.call("release", {"address": ONE, "sequence": 1}, 60, 70, [[ONE, 1]])


def released_never_given(explanation: Story) -> None:
    explanation.call("release", {"address": ONE, "sequence": 77}, 60, 70, [[ONE, 77]])


def release_refused(explanation: Story) -> None:
    explanation.fail("release", {"address": TWO, "sequence": 2}, 60, 70, "not_allocated")


def release_incomplete(explanation: Story) -> None:
    explanation.call("release", {"owner": "o2"}, 60, 70, [])


def lost(explanation: Story) -> None:
    del explanation.held[TWO]


def other_owner(explanation: Story) -> None:
    explanation.held[TWO] = explanation.held[TWO]._replace(owner="o1")


def other_host(explanation: Story) -> None:
    explanation.held[TWO] = explanation.held[TWO]._replace(host="c1-h1")


def not_released(explanation: Story) -> None:
    del explanation.held[ONE]
    explanation.held[ONE] = Held(ONE, 1, "o1", "")
    # The second holding of the address goes, so that nothing else is wrong.
    del explanation.calls[-1], explanation.events[-1]


def held_by_nobody(explanation: Story) -> None:
    explanation.held["10.0.0.3"] = Held("10.0.0.3", 50, "", "")


def smaller_sequence(explanation: Story) -> None:
    """The later holding has the smaller number."""
    explanation.calls[-1] = replace(explanation.calls[-1], answer=[[ONE, 0, "n", ""]])
    explanation.events = [
        each._replace(id=0) if each.id == 3 else each for each in explanation.events
    ]
    explanation.held[ONE] = explanation.held[ONE]._replace(sequence=0)
    explanation.calls[-1] = replace(explanation.calls[-1], began=45)


def no_event(explanation: Story) -> None:
    explanation.events = [each for each in explanation.events if each.id != 2]


def event_of_another(explanation: Story) -> None:
    explanation.events = [e._replace(owner="o1") if e.id == 2 else e for e in explanation.events]


def no_event_of_release(explanation: Story) -> None:
    explanation.events = [each for each in explanation.events if each.act != "released"]


def released_by_nobody(explanation: Story) -> None:
    explanation.taken(TWO, 2)


def done_twice(explanation: Story) -> None:
    """One request, one answer, two addresses."""
    explanation.events.append(Event(60, "allocated", "10.0.0.3", "o2", None))


def refused_and_done(explanation: Story) -> None:
    explanation.release(TWO, 2, 60, 70)
    explanation.fail("allocate", {"labels": L, "owner": "o6"}, 80, 90, "contended")
    explanation.given(TWO, 106, "o6")


def done_by_half(explanation: Story) -> None:
    explanation.release(TWO, 2, 60, 70)
    explanation.call("allocate", {"labels": L, "owner": "o6", "count": 2}, 80, 90, None)
    explanation.given(TWO, 106, "o6")


def another_segment(explanation: Story) -> None:
    labels = {"network": "r", "segment": "s1"}
    explanation.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels=labels)


def another_segment_than_implied(explanation: Story) -> None:
    labels = {"network": "r"}
    explanation.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels=labels, host="h1")


def segment_not_named(explanation: Story) -> None:
    explanation.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels={"network": "r"})


def typed_for_nobody(explanation: Story) -> None:
    explanation.allocate("10.32.1.1", 60, 60, 70, subnet="typed", labels={"network": "t"})


def outside_its_subnet(explanation: Story) -> None:
    explanation.allocate("10.0.0.9", 60, 60, 70)


def broadcast(explanation: Story) -> None:
    explanation.allocate("10.0.0.3", 60, 60, 70, kind="specific", address="10.0.0.3")


def refused_while_free(explanation: Story) -> None:
    """One address is free from 70 on."""
    explanation.release(TWO, 2, 60, 70)
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 80, 90, "exhausted")


def no_subnet_while_there_is(explanation: Story) -> None:
    explanation.release(TWO, 2, 60, 70)
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 80, 90, "no_matching_subnet")


def in_use_while_free(explanation: Story) -> None:
    explanation.release(TWO, 2, 60, 70)
    args = {"labels": L, "owner": "x", "kind": "specific", "address": TWO}
    explanation.fail("allocate", args, 80, 90, "address_in_use")


def outside_while_inside(explanation: Story) -> None:
    args = {"labels": L, "owner": "x", "kind": "specific", "address": TWO}
    explanation.fail("allocate", args, 80, 90, "address_outside_group")


def two_answers_to_a_key(explanation: Story) -> None:
    args = {"labels": L, "owner": "o2", "key": "k"}
    explanation.calls[2] = replace(explanation.calls[2], args=args)
    explanation.call("allocate", args, 60, 70, [[ONE, 3, "n", ""]])


def spent_while_held(explanation: Story) -> None:
    args = {"labels": L, "owner": "o2", "key": "k"}
    explanation.calls[2] = replace(explanation.calls[2], args=args)
    explanation.fail("allocate", args, 60, 70, "idempotency_key_spent")


def carved_twice(explanation: Story) -> None:
    for number, at in enumerate((60, 80)):
        args = {"name": f"c{number}", "labels": {"network": "c"}, "prefix_length": 28}
        answer: dict[str, Any] = {"cidr": "10.96.0.0/28", "gateway": None, "ranges": []}
        explanation.call("carve", args, at, at + 5, answer)


def raw(explanation: Story) -> None:
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 60, 70, "raw")


def corrupt(explanation: Story) -> None:
    explanation.fail("release", {"address": TWO, "sequence": 5}, 60, 70, "corrupt")


def unavailable_for_no_reason(explanation: Story) -> None:
    explanation.fail("explain", {"labels": L}, 60, 70, "unavailable")


def audit_in_between(explanation: Story) -> None:
    explanation.call("audit", {"repair": True}, 60, 70, ["bit_without_allocation"])


def audit_at_the_end(explanation: Story) -> None:
    explanation.findings = ["allocation_without_bit"]


BAD: list[tuple[str, Callable[[Story], None]]] = [
    ("two holders", two_holders),
    ("contradiction", given_twice),
    ("contradiction", released_twice),
    ("contradiction", released_never_given),
    ("contradiction", release_refused),
    ("contradiction", release_incomplete),
    ("lost or left", lost),
    ("lost or left", other_owner),
    ("lost or left", other_host),
    ("lost or left", not_released),
    ("lost or left", held_by_nobody),
    ("sequence", smaller_sequence),
    ("trail", no_event),
    ("trail", event_of_another),
    ("trail", no_event_of_release),
    ("trail", released_by_nobody),
    ("trail", done_twice),
    ("trail", refused_and_done),
    ("trail", done_by_half),
    ("boundary", another_segment),
    ("boundary", another_segment_than_implied),
    ("boundary", segment_not_named),
    ("boundary", typed_for_nobody),
    ("boundary", outside_its_subnet),
    ("boundary", broadcast),
    ("false exhaustion", refused_while_free),
    ("false exhaustion", no_subnet_while_there_is),
    ("false conflict", in_use_while_free),
    ("false conflict", outside_while_inside),
    ("contradiction", two_answers_to_a_key),
    ("key", spent_while_held),
    ("pool", carved_twice),
    ("error", raw),
    ("error", corrupt),
    ("error", unavailable_for_no_reason),
    ("audit", audit_in_between),
    ("audit", audit_at_the_end),
]


@pytest.mark.parametrize(
    ("kind", "spoil"), BAD, ids=[f"{kind}: {spoil.__name__}" for kind, spoil in BAD]
)
def test_each_violation_is_seen(kind: str, spoil: Callable[[Story], None]) -> None:
    """Each of these is added to a history that is clean without it."""
    explanation = good()
    spoil(explanation)
    assert kind in explanation.found()


def test_true_refusals_are_no_fault() -> None:
    """Full at one instant is enough; so is an address that may be held."""
    explanation = full()
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 15, 35, "exhausted")
    named = {"labels": L, "owner": "y", "kind": "specific", "address": ONE}
    explanation.fail("allocate", named, 35, 45, "address_in_use")
    explanation.fail("allocate", {"labels": L, "owner": "z", "count": 2}, 50, 60, "exhausted")
    assert explanation.found() == {}


def test_an_allocation_without_an_answer_counts_as_held() -> None:
    """Its address is known from the trail; until then and from then on it may be held."""
    explanation = full()
    explanation.call("allocate", {"labels": L, "owner": "o9"}, 50, 60, None)
    explanation.given(ONE, 109, "o9")
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 70, 80, "exhausted")
    assert explanation.found() == {}


def test_a_node_may_be_behind() -> None:
    """With slack, what was released only just may still seem to be held; what was free for long may not."""
    explanation = full()
    explanation.slack = 15
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 50, 60, "exhausted")
    assert explanation.found() == {}
    explanation.fail("allocate", {"labels": L, "owner": "y"}, 90, 95, "exhausted")
    assert list(explanation.found()) == ["false exhaustion"]


def changed(**more: Any) -> dict[str, Any]:
    """The topology with another subnet n."""
    first = {**TOPOLOGY["subnets"][0], **more}
    return {**TOPOLOGY, "subnets": [first, *TOPOLOGY["subnets"][1:]]}


def test_only_what_is_there_in_every_state_of_the_call_is_certainly_free() -> None:
    """A range that is narrow at some time of the call makes a refusal true; before and after it is false."""
    explanation = Story()
    explanation.allocate(ONE, 1, 10, 20)
    narrow = changed(ranges=["10.0.0.1-10.0.0.1"])
    explanation.call("apply", {"topology": narrow}, 30, 40, True)
    explanation.fail("allocate", {"labels": L, "owner": "x"}, 35, 38, "exhausted")
    explanation.fail("allocate", {"labels": L, "owner": "y"}, 50, 60, "exhausted")
    explanation.call("apply", {"topology": TOPOLOGY}, 70, 80, None)
    explanation.fail("allocate", {"labels": L, "owner": "z"}, 90, 95, "exhausted")
    assert explanation.found() == {}
    explanation.call("apply", {"topology": TOPOLOGY}, 100, 110, True)
    explanation.fail("allocate", {"labels": L, "owner": "late"}, 120, 130, "exhausted")
    assert list(explanation.found()) == ["false exhaustion"]


def test_boundaries_are_those_of_any_state_of_the_call() -> None:
    """An address outside the ranges is right while they change, and wrong before and after."""
    explanation = Story()
    narrow = changed(ranges=["10.0.0.1-10.0.0.1"])
    explanation.call("apply", {"topology": narrow}, 30, 40, True)
    explanation.allocate(TWO, 2, 35, 45)
    assert explanation.found() == {}
    explanation.release(TWO, 2, 50, 60)
    explanation.allocate(TWO, 203, 70, 80)
    assert list(explanation.found()) == ["boundary"]


def test_a_fault_explains_an_error() -> None:
    """Of its time, and of its kind."""
    explanation = good()
    explanation.fail("explain", {"labels": L}, 60, 70, "unavailable")
    explanation.fail("explain", {"labels": L}, 60, 70, "disk_full")
    explanation.troubles = [Trouble("disk full", 55, 65, "disk_full")]
    assert explanation.found() == {}
    explanation.troubles = [Trouble("server killed", 55, 65)]
    assert list(explanation.found()) == ["error"]


def test_a_clock_that_was_ahead_explains_times_that_are_to_come() -> None:
    """And nothing else."""
    explanation = good()
    explanation.call(
        "audit", {"repair": False}, 60, 70, ["rest_too_long n 10.0.0.0/30: until tomorrow"]
    )
    assert list(explanation.found()) == ["audit"]
    explanation.clocks_jump = True
    assert explanation.found() == {}
    explanation.findings = ["bit_without_allocation n: 10.0.0.1"]
    assert list(explanation.found()) == ["audit"]
