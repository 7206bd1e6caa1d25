"""Filters of allocations and of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from borough.domain.net.prefixes import Prefix
from borough.domain.space.allocations import State


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on allocations; None leaves a field out.

    :ivar owner: only those of one owner, without shared ones.
    :ivar sharer: only shared ones that this owner has.
    :ivar state: only those in this state.
    :ivar subnet_ids: only addresses of these subnets.
    :ivar within: only addresses of this prefix; comes with a scope.
    :ivar owner_prefix: only owners with a name that begins so.
    :ivar attributes: only those with these attributes; see
        :func:`borough.domain.space.allocations.attribute_text`.
    :ivar after: only sequence numbers above this one, for paging.
    """

    scope: str | None = None
    owner: str | None = None
    sharer: str | None = None
    host: str | None = None
    state: State | None = None
    subnet_id: int | None = None
    subnet_ids: tuple[int, ...] | None = None
    within: Prefix | None = None
    owner_prefix: str | None = None
    sequences: tuple[int, ...] | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    after: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """Conditions on events.

    :ivar after: only ids above this one, for paging.
    :ivar upto: only ids up to this one, the result of :meth:`Store.horizon`.
    :ivar cohorts: only events of these cohorts; None for all events.
    :ivar newest_first: by id, descending.
    :ivar within: only events whose subject, or its first address, lies in this prefix.
    :ivar since: only events of this time or later, in microseconds since the epoch; ``until``: before.
    """

    after: int
    upto: int
    limit: int
    cohorts: Sequence[int] | None = None
    newest_first: bool = False
    within: Prefix | None = None
    owner: str | None = None
    host: str | None = None
    subnet: str | None = None
    scope: str | None = None
    actor: str | None = None
    act: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def conditions(self) -> dict[str, str | int]:
        """The conditions on single columns, by name."""
        return {name: value for name in CONDITIONS if (value := getattr(self, name)) is not None}


#: The fields of a :class:`Trail` that are conditions on single columns.
CONDITIONS: Final = ("owner", "host", "subnet", "scope", "actor", "act", "since", "until")
