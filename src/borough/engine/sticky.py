"""The writes of a sticky request, and the row that keeps two requests of one owner apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from borough.domain.request import Request
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.keys import Binding, Remembered
from borough.domain.space.plan import Plan
from borough.store.port import Unit


def key_of(request: Request) -> str:
    """The idempotency key under which an owner's last sticky allocation is stored.

    No caller can send it: it has a character that cannot be printed.
    """
    owner = f"{request.scope}\n{request.owner}"
    return "sticky\x1f" + hashlib.sha256(owner.encode()).hexdigest()


def write(
    unit: Unit, request: Request, plan: Plan, seen: Remembered | None, now: int
) -> Sequence[AllocationRow]:
    """Write the plan of a sticky request.

    :param seen: the key of :func:`key_of`, as this unit read it before its decision.
    :return: the new allocations.
    :raises LostRace: another sticky request of the owner has allocated meanwhile.
    """
    sequences = unit.commit(plan, now)
    if sequences:
        # Two requests that saw no address would otherwise allocate one each, from different blocks.
        unit.bind(Binding(key_of(request), ""), sequences, now, seen)
    return [
        replace(grant.allocation, sequence=sequence)
        for grant, sequence in zip(plan.grants, sequences, strict=True)
    ]
