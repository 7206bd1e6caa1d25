"""Filters of allocations and of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from borough.domain.net.prefixes import Prefix


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on allocations; None leaves a field out.

    :ivar subnet_ids: only addresses of these subnets.
    :ivar within: only addresses of this prefix; comes with a scope.
    :ivar owner_prefix: only owners with a name that begins so.
    :ivar after: only sequence numbers above this one, for paging.
    """

    scope: str | None = None
    owner: str | None = None
    host: str | None = None
    subnet_id: int | None = None
    subnet_ids: tuple[int, ...] | None = None
    within: Prefix | None = None
    owner_prefix: str | None = None
    sequences: tuple[int, ...] | None = None
    after: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """Conditions on events.

    :ivar after: only ids above this one, for paging.
    :ivar upto: only ids up to this one, the result of :meth:`Store.horizon`.
    :ivar cohorts: only events of these cohorts; None for all events.
    """

    after: int
    upto: int
    limit: int
    cohorts: Sequence[int] | None = None
