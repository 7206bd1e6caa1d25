"""Rungs: the part of an address space that one step of a search looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from borough.domain.declared.dimensions import ClaimSettings
from borough.domain.net.addresses import Family


class Hold(IntEnum):
    """Holder of a block relative to the claimant of a request; lower is better (rule 4)."""

    OWN = 0
    UNCLAIMED = 1
    OTHERS = 2


@dataclass(frozen=True, slots=True)
class Rung:
    """Blocks of equal preference: one probe.

    :ivar cohorts: cohort ids; empty when the request named its subnets outright.
    :ivar subnets: subnet ids instead of cohorts.
    :ivar claiming: how space is claimed here.
    """

    family: Family
    hold: Hold
    cohorts: tuple[int, ...] = ()
    subnets: tuple[int, ...] = ()
    claiming: ClaimSettings = field(default_factory=ClaimSettings)
