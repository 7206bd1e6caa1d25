"""Answers with a count or a sum: of usage, of the changes of a topology, of the findings of an audit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from borough.domain.declared.effects import LISTED, Effect
from borough.domain.declared.topology import Change, Changes
from borough.domain.space.findings import Finding
from borough.engine.views import Usage


@dataclass(frozen=True, slots=True)
class Total:
    """The sum over the subnets of one family."""

    family: int
    size: int
    used: int
    free: int
    allocated: int
    cooling: int
    reserved: int
    outside: int
    claimed_free: int

    @classmethod
    def of(cls, family: int, lines: Sequence[Usage]) -> Self:
        """Add up some subnets of a family."""
        return cls(
            family,
            size=sum(line.size for line in lines),
            used=sum(line.used for line in lines),
            free=sum(line.free for line in lines),
            allocated=sum(line.allocated for line in lines),
            cooling=sum(line.cooling for line in lines),
            reserved=sum(line.reserved for line in lines),
            outside=sum(line.outside for line in lines),
            claimed_free=sum(line.claimed_free for line in lines),
        )


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """The usage of some subnets, and the sum of each family."""

    subnets: tuple[Usage, ...]
    totals: tuple[Total, ...]

    @classmethod
    def of(cls, lines: Iterable[Usage]) -> Self:
        """Add up each family."""
        subnets = tuple(lines)
        families = sorted({line.family for line in subnets})
        return cls(
            subnets,
            tuple(
                Total.of(family, [line for line in subnets if line.family == family])
                for family in families
            ),
        )


@dataclass(frozen=True, slots=True)
class ChangeCount:
    """Numbers of objects."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The changes of a topology; with a dry run those that it would make.

    :ivar effects: effects on addresses, claims and routes.
    :ivar more_effects: the number of further effects.
    :ivar source: of changed single objects, the topology whose file would change them back.
    """

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
    more_effects: int
    summary: ChangeCount
    dry_run: bool
    source: str = ""

    @classmethod
    def of(cls, changes: Changes, *, dry_run: bool) -> Self:
        """Count the lines of a diff."""
        actions = [each.action for each in changes.changes]
        count = ChangeCount(*(actions.count(word) for word in ("add", "change", "remove")))
        more = changes.more_effects + max(len(changes.effects) - LISTED, 0)
        listed = changes.effects[:LISTED]
        return cls(changes.changes, listed, more, count, dry_run, changes.source)


@dataclass(frozen=True, slots=True)
class Audited:
    """The contradictions of the stored state.

    :ivar clean: True when none is left.
    """

    clean: bool
    findings: tuple[Finding, ...]
    repaired: int
    left: int

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Self:
        """Count the findings of an audit."""
        left = sum(not each.repaired for each in findings)
        return cls(not left, tuple(findings), len(findings) - left, left)
