"""Times that a clock ahead of its time has left behind, and how they are brought back.

A clock that is a year ahead for a minute dates rests, idle marks and idempotency keys a year ahead. An
address would rest for that year, an idle region would be kept, and a key would not be forgotten. Times of
events and allocations only tell what a clock said, and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from borough.domain.encode import rfc3339, utc
from borough.domain.policy.allocate import SECOND
from borough.domain.space.inspection import Finding
from borough.store.port import ReadUnit, Unit

#: Microseconds by which clocks that are right may differ.
SLACK: Final = 300 * SECOND


def late(unit: ReadUnit, now: int) -> list[Finding]:
    """Find times that are later than they can have been.

    :param now: microseconds since the epoch, by a clock that is right.
    """
    return [finding for _, finding in _late(unit, now)]


def bring_back(unit: Unit, now: int) -> list[Finding]:
    """Let rests end no later than one that begins now, and date the rest as of now; return what was late."""
    found = list(_late(unit, now))
    for subnet_id, finding in found:
        match finding.code:
            case "rest_too_long":
                cooldown = unit.catalogue.subnets[subnet_id].cooldown * SECOND
                unit.cut_rests(subnet_id, now + cooldown)
            case "idle_since_future":
                unit.cut_idle_marks(subnet_id, now)
            case "key_from_future":
                unit.cut_keys(now)
    return [finding for _, finding in found]


def _late(unit: ReadUnit, now: int) -> Iterator[tuple[int, Finding]]:
    """Times that are late, each with the id of its subnet; 0 for none."""
    subnets = unit.catalogue.subnets
    latest = now + SLACK
    times = unit.times_after(latest)
    for subnet_id, until in sorted(times.rests.items()):
        subnet = subnets.get(subnet_id)
        if subnet is not None and until > latest + subnet.cooldown * SECOND:
            message = (
                f"released addresses of {subnet.name} rest until {rfc3339(utc(until))}, "
                f"longer than its cool-down of {subnet.cooldown} s from now"
            )
            yield subnet_id, Finding("rest_too_long", subnet.name, str(subnet.prefix), message)
    for subnet_id, marked in sorted(times.idle_marks.items()):
        subnet = subnets.get(subnet_id)
        if subnet is not None:
            message = (
                f"space of {subnet.name} is marked as idle since {rfc3339(utc(marked))}, which is to come: "
                "no sweep gives it back before"
            )
            yield subnet_id, Finding("idle_since_future", subnet.name, str(subnet.prefix), message)
    if times.key is not None:
        message = f"idempotency keys are dated up to {rfc3339(utc(times.key))}, which is to come"
        yield 0, Finding("key_from_future", "", "idempotency keys", message)
