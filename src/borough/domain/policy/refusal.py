"""The reason of a refusal, and advice that works when it is followed.

Rule 10 of ``docs/reference/rules.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from borough.domain.declared.dimensions import AtCap
from borough.domain.net.addresses import Family
from borough.domain.policy.allocate import ResolvedRequest
from borough.domain.policy.selection import Candidate, PlacementGroup, candidate_subnets
from borough.domain.space.plan import Tally
from borough.domain.space.rungs import Hold, Rung

#: Most subnets of a group that are counted; larger groups are refused without figures.
COUNTED: Final = 32

#: Advice that helps in every full group.
ADVICE: Final = ("release addresses", "add a subnet to the group", "ask a wider group")


class Reason(StrEnum):
    """The rule or figure that refused a request."""

    FULL = "full"
    COUNT = "count"
    SPLIT = "split"
    COOLING = "cooling"
    RESERVED = "reserved"
    CAP = "cap"
    BORROW = "borrow"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a group has too few free addresses of a family.

    :ivar text: the reason as the end of a sentence.
    :ivar advice: steps, each of which helps.
    """

    reason: Reason
    family: Family
    text: str
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Room:
    """Addresses of one placement group and family.

    :ivar free: all free ones.
    :ivar allowed: those that the rules of claims allow.
    :ivar capped: those that a cap withholds.
    """

    free: int = 0
    allowed: int = 0
    capped: int = 0
    cooling: int = 0
    reserved: int = 0

    def __add__(self, other: _Room) -> _Room:
        return _Room(
            self.free + other.free,
            self.allowed + other.allowed,
            self.capped + other.capped,
            self.cooling + other.cooling,
            self.reserved + other.reserved,
        )


def subnets_to_count(resolved: ResolvedRequest) -> list[int]:
    """The ids of the subnets of a group; none for a large group."""
    ids = dict.fromkeys(
        subnet.id
        for placement_group in resolved.ladder.placement_groups
        for candidate in placement_group.candidates
        for subnet in candidate_subnets(resolved.catalogue, candidate)
    )
    return list(ids) if len(ids) <= COUNTED else []


def refuse(
    resolved: ResolvedRequest,
    tallies: Mapping[int, Tally],
    claimed: Callable[[Rung], int],
    cools_until: str,
) -> list[Refusal]:
    """The reasons of a refusal, one for each family that is out; empty when they are not known.

    :param tallies: counts of :func:`subnets_to_count`.
    :param claimed: the number of addresses that the claimant has claimed in the subnets of a rung.
    :param cools_until: the time at which the first cool-down ends; empty when it is not known.
    """
    found = []
    for family in resolved.ladder.families:
        rooms = [
            _room(resolved, tallies, claimed, placement_group, family)
            for placement_group in resolved.ladder.placement_groups
        ]
        best = max(rooms, key=lambda room: (room.allowed, room.free, room.cooling, room.reserved))
        if best.allowed < resolved.request.count:
            found.append(_refusal(resolved, family, rooms, best, cools_until))
    return found


def _room(
    resolved: ResolvedRequest,
    tallies: Mapping[int, Tally],
    claimed: Callable[[Rung], int],
    placement_group: PlacementGroup,
    family: Family,
) -> _Room:
    total = _Room()
    for candidate in placement_group.candidates:
        if candidate.family == family:
            total += _room_of(resolved, tallies, claimed, candidate)
    return total


def _room_of(
    resolved: ResolvedRequest,
    tallies: Mapping[int, Tally],
    claimed: Callable[[Rung], int],
    candidate: Candidate,
) -> _Room:
    claimant, rules = resolved.selector.claimant, candidate.claiming
    own = unclaimed = others = cooling = reserved = 0
    for subnet in candidate_subnets(resolved.catalogue, candidate):
        tally = tallies[subnet.id]
        mine = tally.free.get(claimant, 0) if claimant else 0
        own += mine
        unclaimed += tally.free.get("", 0)
        others += tally.total_free - mine - tally.free.get("", 0)
        cooling += tally.cooling
        reserved += tally.reserved
    lent = others if rules.borrow else 0
    free = own + unclaimed + others
    if not (claimant and rules.cap and rules.at_cap is AtCap.FAIL):
        return _Room(free, own + unclaimed + lent, 0, cooling, reserved)
    rung = Rung(candidate.family, Hold.OWN, candidate.cohorts, candidate.subnets, rules)
    left = max(rules.cap - claimed(rung), 0)
    allowed = own + min(unclaimed + lent, left)
    return _Room(free, allowed, own + unclaimed + lent - allowed, cooling, reserved)


def _refusal(
    resolved: ResolvedRequest, family: Family, rooms: list[_Room], best: _Room, cools_until: str
) -> Refusal:
    count, claimant = resolved.request.count, resolved.selector.claimant
    asked = f"{count} asked, {best.allowed} free"
    if best.allowed + best.capped >= count:
        return Refusal(
            Reason.CAP,
            family,
            f"{claimant} has reached the cap of its claims, and {best.capped} addresses beyond it are free",
            (
                "raise the cap of its claims",
                "set at_cap to borrow",
                f"release addresses of {claimant}",
            ),
        )
    if best.free >= count:
        return Refusal(
            Reason.BORROW,
            family,
            f"{best.free} addresses are free in blocks that others have claimed, and borrowing is off",
            (
                "set borrow to true",
                "end the claims of a host with `borough host drain`",
                "add a subnet",
            ),
        )
    if sum(room.allowed for room in rooms) >= count:
        return Refusal(
            Reason.SPLIT,
            family,
            f"{asked} on one segment, {sum(room.allowed for room in rooms)} on all",
            (f"ask for {best.allowed} or fewer at a time", *ADVICE),
        )
    if best.allowed + max(best.cooling, best.reserved) >= count:
        return _kept(family, count, best, f"{asked}, and " if best.allowed else "", cools_until)
    if best.allowed:
        return Refusal(Reason.COUNT, family, asked, (f"ask for {best.allowed} or fewer", *ADVICE))
    return Refusal(Reason.FULL, family, "every address is allocated", ADVICE)


def _kept(family: Family, count: int, best: _Room, asked: str, cools_until: str) -> Refusal:
    """The refusal of a group with enough addresses that cool down, or else that are reserved."""
    if best.allowed + best.cooling < count:
        kept = "1 address is" if best.reserved == 1 else f"{best.reserved} addresses are"
        advice = "cancel a reservation with `borough cancel`"
        return Refusal(Reason.RESERVED, family, f"{asked}{kept} reserved", (advice, *ADVICE))
    until = f" until {cools_until}" if cools_until else ""
    cooling = "1 address cools down" if best.cooling == 1 else f"{best.cooling} addresses cool down"
    first = ", the first" if best.cooling > 1 and until else ""
    return Refusal(
        Reason.COOLING,
        family,
        f"{asked}{cooling}{first}{until}",
        (
            "wait for the end of a cool-down",
            "end cool-downs with `borough release --now`",
            *ADVICE,
        ),
    )


def sentence(reasons: Sequence[Refusal]) -> str:
    """Some reasons as one sentence; empty for none."""
    if len(reasons) == 1:
        return reasons[0].text
    return "; ".join(f"IPv{each.family}: {each.text}" for each in reasons)
