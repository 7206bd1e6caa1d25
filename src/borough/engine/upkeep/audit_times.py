"""Times in the future, written by a clock that was ahead, and their correction.

A clock that is a year ahead for a minute dates cool-downs, leases, idle marks and idempotency keys a year
ahead. An address would cool down or stay leased for that year, an idle region stay claimed, and a key stay
stored. Times of
events and allocations have no such effect, and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from borough.domain.encode import rfc3339, utc
from borough.domain.space.allocations import SECOND
from borough.domain.space.findings import Finding
from borough.store.port import ReadUnit, Unit

#: Microseconds by which correct clocks may differ.
SLACK: Final = 300 * SECOND


def late(unit: ReadUnit, now: int) -> list[Finding]:
    """Find times in the future.

    :param now: microseconds since the epoch, of a correct clock.
    """
    return [finding for _, finding in _late(unit, now)]


def bring_back(unit: Unit, now: int) -> list[Finding]:
    """Let cool-downs and leases end no later than if they began now, and set the other times to now."""
    found = list(_late(unit, now))
    for subnet_id, finding in found:
        match finding.code:
            case "rest_too_long":
                cooldown = unit.catalogue.subnets[subnet_id].cooldown * SECOND
                unit.cut_rests(subnet_id, now + cooldown)
            case "lease_from_future":
                unit.cut_leases(subnet_id, now)
            case "idle_since_future":
                unit.cut_idle_marks(subnet_id, now)
            case "key_from_future":
                unit.cut_keys(now)
    return [finding for _, finding in found]


def _late(unit: ReadUnit, now: int) -> Iterator[tuple[int, Finding]]:
    """Times in the future, each with the id of its subnet; 0 for none."""
    subnets = unit.catalogue.subnets
    latest = now + SLACK
    times = unit.times_after(latest)
    for subnet_id, until in sorted(times.rests.items()):
        subnet = subnets.get(subnet_id)
        if subnet is not None and until > latest + subnet.cooldown * SECOND:
            message = (
                f"released addresses of {subnet.name} cool down until {rfc3339(utc(until))}, "
                f"longer than its cool-down of {subnet.cooldown} s from now"
            )
            yield subnet_id, Finding("rest_too_long", subnet.name, str(subnet.prefix), message)
    for subnet_id, began in sorted(times.leases.items()):
        subnet = subnets.get(subnet_id)
        if subnet is not None:
            message = (
                f"leases of {subnet.name} were renewed up to {rfc3339(utc(began))}, in the future: "
                "they end later than they should"
            )
            yield subnet_id, Finding("lease_from_future", subnet.name, str(subnet.prefix), message)
    for subnet_id, marked in sorted(times.idle_marks.items()):
        subnet = subnets.get(subnet_id)
        if subnet is not None:
            message = (
                f"space of {subnet.name} is marked as idle since {rfc3339(utc(marked))}, in the future: "
                "it is not reclaimed before"
            )
            yield subnet_id, Finding("idle_since_future", subnet.name, str(subnet.prefix), message)
    if times.key is not None:
        message = f"idempotency keys are dated up to {rfc3339(utc(times.key))}, in the future"
        yield 0, Finding("key_from_future", "", "idempotency keys", message)
