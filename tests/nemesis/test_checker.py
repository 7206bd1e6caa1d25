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
    story = Story()
    story.allocate(ONE, 1, 10, 20)
    story.allocate(TWO, 2, 12, 22)
    story.release(ONE, 1, 30, 40)
    story.allocate(ONE, 3, 35, 50)
    return story


def full() -> Story:
    """Nothing is free between 20 and 30."""
    story = Story()
    story.allocate(ONE, 1, 10, 20)
    story.allocate(TWO, 2, 10, 20)
    story.release(ONE, 1, 30, 40)
    return story


def test_a_good_history_is_clean() -> None:
    """And a call without an answer is no fault, whether it was done or not."""
    story = good()
    assert story.found() == {}
    story.call("release", {"address": TWO, "sequence": 2}, 60, 70, None)
    assert story.found() == {}
    story.taken(TWO, 2)
    assert story.found() == {}
    story.call("allocate", {"labels": L, "owner": "o5"}, 80, 90, None)
    assert story.found() == {}
    story.given(TWO, 5, "o5")
    assert story.found() == {}


def two_holders(story: Story) -> None:
    story.allocate(TWO, 9, 60, 70)


def given_twice(story: Story) -> None:
    story.call("allocate", {"labels": L, "owner": "x"}, 60, 70, [[TWO, 2, "n", ""]])


def released_twice(story: Story) -> None:
    story.call("release", {"address": ONE, "sequence": 1}, 60, 70, [[ONE, 1]])


def released_never_given(story: Story) -> None:
    story.call("release", {"address": ONE, "sequence": 77}, 60, 70, [[ONE, 77]])


def release_refused(story: Story) -> None:
    story.fail("release", {"address": TWO, "sequence": 2}, 60, 70, "not_allocated")


def release_incomplete(story: Story) -> None:
    story.call("release", {"owner": "o2"}, 60, 70, [])


def lost(story: Story) -> None:
    del story.held[TWO]


def other_owner(story: Story) -> None:
    story.held[TWO] = story.held[TWO]._replace(owner="o1")


def other_host(story: Story) -> None:
    story.held[TWO] = story.held[TWO]._replace(host="c1-h1")


def not_released(story: Story) -> None:
    del story.held[ONE]
    story.held[ONE] = Held(ONE, 1, "o1", "")
    # The second holding of the address goes, so that nothing else is wrong.
    del story.calls[-1], story.events[-1]


def held_by_nobody(story: Story) -> None:
    story.held["10.0.0.3"] = Held("10.0.0.3", 50, "", "")


def smaller_sequence(story: Story) -> None:
    """The later holding has the smaller number."""
    story.calls[-1] = replace(story.calls[-1], answer=[[ONE, 0, "n", ""]])
    story.events = [each._replace(id=0) if each.id == 3 else each for each in story.events]
    story.held[ONE] = story.held[ONE]._replace(sequence=0)
    story.calls[-1] = replace(story.calls[-1], began=45)


def no_event(story: Story) -> None:
    story.events = [each for each in story.events if each.id != 2]


def event_of_another(story: Story) -> None:
    story.events = [e._replace(owner="o1") if e.id == 2 else e for e in story.events]


def no_event_of_release(story: Story) -> None:
    story.events = [each for each in story.events if each.act != "released"]


def released_by_nobody(story: Story) -> None:
    story.taken(TWO, 2)


def done_twice(story: Story) -> None:
    """One request, one answer, two addresses."""
    story.events.append(Event(60, "allocated", "10.0.0.3", "o2", None))


def refused_and_done(story: Story) -> None:
    story.release(TWO, 2, 60, 70)
    story.fail("allocate", {"labels": L, "owner": "o6"}, 80, 90, "contended")
    story.given(TWO, 106, "o6")


def done_by_half(story: Story) -> None:
    story.release(TWO, 2, 60, 70)
    story.call("allocate", {"labels": L, "owner": "o6", "count": 2}, 80, 90, None)
    story.given(TWO, 106, "o6")


def another_segment(story: Story) -> None:
    labels = {"network": "r", "segment": "s1"}
    story.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels=labels)


def another_segment_than_implied(story: Story) -> None:
    labels = {"network": "r"}
    story.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels=labels, host="h1")


def segment_not_named(story: Story) -> None:
    story.allocate("10.16.1.1", 60, 60, 70, subnet="s2", labels={"network": "r"})


def typed_for_nobody(story: Story) -> None:
    story.allocate("10.32.1.1", 60, 60, 70, subnet="typed", labels={"network": "t"})


def outside_its_subnet(story: Story) -> None:
    story.allocate("10.0.0.9", 60, 60, 70)


def broadcast(story: Story) -> None:
    story.allocate("10.0.0.3", 60, 60, 70, kind="specific", address="10.0.0.3")


def refused_while_free(story: Story) -> None:
    """One address is free from 70 on."""
    story.release(TWO, 2, 60, 70)
    story.fail("allocate", {"labels": L, "owner": "x"}, 80, 90, "exhausted")


def no_subnet_while_there_is(story: Story) -> None:
    story.release(TWO, 2, 60, 70)
    story.fail("allocate", {"labels": L, "owner": "x"}, 80, 90, "no_matching_subnet")


def in_use_while_free(story: Story) -> None:
    story.release(TWO, 2, 60, 70)
    args = {"labels": L, "owner": "x", "kind": "specific", "address": TWO}
    story.fail("allocate", args, 80, 90, "address_in_use")


def outside_while_inside(story: Story) -> None:
    args = {"labels": L, "owner": "x", "kind": "specific", "address": TWO}
    story.fail("allocate", args, 80, 90, "address_outside_group")


def two_answers_to_a_key(story: Story) -> None:
    args = {"labels": L, "owner": "o2", "key": "k"}
    story.calls[2] = replace(story.calls[2], args=args)
    story.call("allocate", args, 60, 70, [[ONE, 3, "n", ""]])


def spent_while_held(story: Story) -> None:
    args = {"labels": L, "owner": "o2", "key": "k"}
    story.calls[2] = replace(story.calls[2], args=args)
    story.fail("allocate", args, 60, 70, "idempotency_key_spent")


def carved_twice(story: Story) -> None:
    for number, at in enumerate((60, 80)):
        args = {"name": f"c{number}", "labels": {"network": "c"}, "prefix_length": 28}
        answer: dict[str, Any] = {"cidr": "10.96.0.0/28", "gateway": None, "ranges": []}
        story.call("carve", args, at, at + 5, answer)


def raw(story: Story) -> None:
    story.fail("allocate", {"labels": L, "owner": "x"}, 60, 70, "raw")


def corrupt(story: Story) -> None:
    story.fail("release", {"address": TWO, "sequence": 5}, 60, 70, "corrupt")


def unavailable_for_no_reason(story: Story) -> None:
    story.fail("explain", {"labels": L}, 60, 70, "unavailable")


def audit_in_between(story: Story) -> None:
    story.call("audit", {"repair": True}, 60, 70, ["bit_without_allocation"])


def audit_at_the_end(story: Story) -> None:
    story.findings = ["allocation_without_bit"]


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
    story = good()
    spoil(story)
    assert kind in story.found()


def test_true_refusals_are_no_fault() -> None:
    """Full at one instant is enough; so is an address that may be held."""
    story = full()
    story.fail("allocate", {"labels": L, "owner": "x"}, 15, 35, "exhausted")
    named = {"labels": L, "owner": "y", "kind": "specific", "address": ONE}
    story.fail("allocate", named, 35, 45, "address_in_use")
    story.fail("allocate", {"labels": L, "owner": "z", "count": 2}, 50, 60, "exhausted")
    assert story.found() == {}


def test_an_allocation_without_an_answer_counts_as_held() -> None:
    """Its address is known from the trail; until then and from then on it may be held."""
    story = full()
    story.call("allocate", {"labels": L, "owner": "o9"}, 50, 60, None)
    story.given(ONE, 109, "o9")
    story.fail("allocate", {"labels": L, "owner": "x"}, 70, 80, "exhausted")
    assert story.found() == {}


def test_a_node_may_be_behind() -> None:
    """With slack, what was released only just may still seem to be held; what was free for long may not."""
    story = full()
    story.slack = 15
    story.fail("allocate", {"labels": L, "owner": "x"}, 50, 60, "exhausted")
    assert story.found() == {}
    story.fail("allocate", {"labels": L, "owner": "y"}, 90, 95, "exhausted")
    assert list(story.found()) == ["false exhaustion"]


def changed(**more: Any) -> dict[str, Any]:
    """The topology with another subnet n."""
    first = {**TOPOLOGY["subnets"][0], **more}
    return {**TOPOLOGY, "subnets": [first, *TOPOLOGY["subnets"][1:]]}


def test_only_what_is_there_in_every_state_of_the_call_is_certainly_free() -> None:
    """A range that is narrow at some time of the call makes a refusal true; before and after it is false."""
    story = Story()
    story.allocate(ONE, 1, 10, 20)
    narrow = changed(ranges=["10.0.0.1-10.0.0.1"])
    story.call("apply", {"topology": narrow}, 30, 40, True)
    story.fail("allocate", {"labels": L, "owner": "x"}, 35, 38, "exhausted")
    story.fail("allocate", {"labels": L, "owner": "y"}, 50, 60, "exhausted")
    story.call("apply", {"topology": TOPOLOGY}, 70, 80, None)
    story.fail("allocate", {"labels": L, "owner": "z"}, 90, 95, "exhausted")
    assert story.found() == {}
    story.call("apply", {"topology": TOPOLOGY}, 100, 110, True)
    story.fail("allocate", {"labels": L, "owner": "late"}, 120, 130, "exhausted")
    assert list(story.found()) == ["false exhaustion"]


def test_boundaries_are_those_of_any_state_of_the_call() -> None:
    """An address outside the ranges is right while they change, and wrong before and after."""
    story = Story()
    narrow = changed(ranges=["10.0.0.1-10.0.0.1"])
    story.call("apply", {"topology": narrow}, 30, 40, True)
    story.allocate(TWO, 2, 35, 45)
    assert story.found() == {}
    story.release(TWO, 2, 50, 60)
    story.allocate(TWO, 203, 70, 80)
    assert list(story.found()) == ["boundary"]


def test_a_fault_explains_an_error() -> None:
    """Of its time, and of its kind."""
    story = good()
    story.fail("explain", {"labels": L}, 60, 70, "unavailable")
    story.fail("explain", {"labels": L}, 60, 70, "disk_full")
    story.troubles = [Trouble("disk full", 55, 65, "disk_full")]
    assert story.found() == {}
    story.troubles = [Trouble("server killed", 55, 65)]
    assert list(story.found()) == ["error"]


def test_a_clock_that_was_ahead_explains_times_that_are_to_come() -> None:
    """And nothing else."""
    story = good()
    story.call("audit", {"repair": False}, 60, 70, ["rest_too_long n 10.0.0.0/30: until tomorrow"])
    assert list(story.found()) == ["audit"]
    story.clocks_jump = True
    assert story.found() == {}
    story.findings = ["bit_without_allocation n: 10.0.0.1"]
    assert list(story.found()) == ["audit"]
