"""The in-memory tables."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import BUILT_IN, Dimension, Labels
from borough.domain.declared.records import Cohort, Host, Pool, Subnet
from borough.domain.declared.tokens import Token
from borough.domain.encode import utc
from borough.domain.space.agents import AgentReport
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.events import Event, EventRow
from borough.domain.space.keys import Remembered
from borough.domain.space.orphans import Orphan
from borough.store.actor import actor


@dataclass
class Tables:
    """All rows. Records are frozen, so a copy of the dictionaries is a copy of the state."""

    version: int = 1
    scopes: dict[str, int] = field(default_factory=lambda: {"default": 1})
    scope_sources: dict[str, str] = field(default_factory=dict)
    dimensions: tuple[Dimension, ...] = BUILT_IN
    dimension_sources: dict[str, str] = field(default_factory=dict)
    subnets: dict[int, Subnet] = field(default_factory=dict)
    cohorts: dict[int, Cohort] = field(default_factory=dict)
    cohort_of: dict[int, int] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    free_ranges: dict[int, FreeRange] = field(default_factory=dict)
    allocations: dict[tuple[str, int, int], AllocationRow] = field(default_factory=dict)
    keys: dict[str, tuple[Remembered, int]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    cohort_labels: dict[int, Labels] = field(default_factory=dict)
    pruned: int = 0
    tokens: dict[str, Token] = field(default_factory=dict)
    orphans: dict[str, Orphan] = field(default_factory=dict)
    agents: dict[tuple[str, str], AgentReport] = field(default_factory=dict)
    next_id: int = 1

    @property
    def newest_event(self) -> int:
        """The id of the newest event, which is never pruned; 0 when there is none."""
        return self.events[-1].id if self.events else 0

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects."""
        return Catalogue(
            version=self.version,
            dimensions=self.dimensions,
            scopes=dict(self.scopes),
            subnets=dict(self.subnets),
            cohorts=dict(self.cohorts),
            cohort_of=dict(self.cohort_of),
            pools=dict(self.pools),
            hosts=dict(self.hosts),
            scope_sources=dict(self.scope_sources),
            dimension_sources=dict(self.dimension_sources),
        )

    def copy(self) -> Tables:
        """An independent copy."""
        made = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list):
                setattr(made, name, value.copy())
        return made

    def new_id(self) -> int:
        """An id for a row."""
        self.next_id += 1
        return self.next_id - 1

    def add_event(self, event: EventRow) -> None:
        """Add an event with the next id and the present actor."""
        self.events.append(
            Event(
                self.newest_event + 1,
                utc(event.at),
                event.act.value,
                event.subject,
                event.subnet,
                event.owner,
                event.host,
                event.sequence,
                event.detail,
                actor(),
                event.scope,
                event.cohort_id,
                event.address,
            )
        )

    def clear_space(self, subnet_id: int) -> None:
        """Remove the blocks and free ranges of a subnet."""
        self.blocks = {id: each for id, each in self.blocks.items() if each.subnet_id != subnet_id}
        self.free_ranges = {
            id: each for id, each in self.free_ranges.items() if each.subnet_id != subnet_id
        }
