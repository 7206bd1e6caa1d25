"""Answers with a count or a sum: how full a group is, what a topology changed, what an audit found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from borough.domain.declared.effects import LISTED, Effect
from borough.domain.declared.topology import Change, Changes
from borough.domain.space.inspection import Finding
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
    outside: int
    claimed_free: int

    @classmethod
    def of(cls, family: int, lines: Sequence[Usage]) -> Self:
        """The sum over some subnets of a family."""
        return cls(
            family,
            size=sum(line.size for line in lines),
            used=sum(line.used for line in lines),
            free=sum(line.free for line in lines),
            allocated=sum(line.allocated for line in lines),
            cooling=sum(line.cooling for line in lines),
            outside=sum(line.outside for line in lines),
            claimed_free=sum(line.claimed_free for line in lines),
        )


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """How full some subnets are, and the sum of each family."""

    subnets: tuple[Usage, ...]
    totals: tuple[Total, ...]

    @classmethod
    def of(cls, lines: Iterable[Usage]) -> Self:
        """With the sum of each family."""
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
    """How many objects."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What changed, or would.

    :ivar effects: what becomes of addresses, claims and routes.
    :ivar more_effects: how many more there are.
    """

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
    more_effects: int
    summary: ChangeCount
    dry_run: bool

    @classmethod
    def of(cls, changes: Changes, *, dry_run: bool) -> Self:
        """The lines of a diff, counted."""
        actions = [each.action for each in changes.changes]
        count = ChangeCount(*(actions.count(word) for word in ("add", "change", "remove")))
        more = changes.more_effects + max(len(changes.effects) - LISTED, 0)
        return cls(changes.changes, changes.effects[:LISTED], more, count, dry_run)


@dataclass(frozen=True, slots=True)
class Audited:
    """Where the stored state contradicts itself.

    :ivar clean: whether nothing is wrong any more.
    """

    clean: bool
    findings: tuple[Finding, ...]
    repaired: int
    left: int

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Self:
        """What an audit found, counted."""
        left = sum(not each.repaired for each in findings)
        return cls(not left, tuple(findings), len(findings) - left, left)
