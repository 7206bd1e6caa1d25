"""Explanation of a decision: rule 11 of ``docs/reference/rules.md``.

Each rung of the ladder is listed as taken, full or not reached, every other subnet with the reason that
excludes it. Long lists are cut, with the number of entries left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final

from borough.domain.declared.dimensions import Dimension, Match
from borough.domain.declared.records import NO_LABELS, Cohort, Subnet
from borough.domain.net.addresses import Family
from borough.domain.policy.allocate import ResolvedRequest
from borough.domain.policy.selection import Candidate, PlacementGroup, candidate_subnets
from borough.domain.request import Kind
from borough.domain.space.blocks import Block
from borough.domain.space.plan import Act, Grant, Note, Plan, Tally
from borough.domain.space.rungs import Hold, Rung

#: Subnets listed for one rung, and subnets listed as passed over.
LISTED: Final = 8


@dataclass(frozen=True, slots=True)
class SubnetLine:
    """One subnet on a rung.

    :ivar free: free addresses of the subnet in blocks of this hold.
    """

    name: str
    prefix: str
    free: int
    reason: str


@dataclass(frozen=True, slots=True)
class RungLine:
    """One rung.

    :ivar hold: the hold of its blocks, in words.
    :ivar verdict: ``taken``, ``full`` or ``not reached``.
    :ivar more: subnets that are not listed.
    """

    step: int
    family: Family
    hold: str
    verdict: str
    reason: str
    subnets: tuple[SubnetLine, ...]
    more: int


@dataclass(frozen=True, slots=True)
class PassedLine:
    """Subnets that the request may not use, for one reason."""

    reason: str
    subnets: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one decision.

    :ivar group: the requested group, in words.
    :ivar outcome: one sentence.
    :ivar notes: claims, growth and loans that the decision made.
    :ivar possible: False when the request gets nothing.
    :ivar advice: of a preview of such a request: steps, each of which helps.
    """

    group: str
    outcome: str
    rungs: tuple[RungLine, ...]
    passed: tuple[PassedLine, ...]
    notes: tuple[str, ...]
    possible: bool = True
    advice: tuple[str, ...] = ()


def describe_group(resolved: ResolvedRequest) -> str:
    """The group in words: ``network=pods + rack=r1 (implied by host node-1)``."""
    request, selector = resolved.request, resolved.selector
    if request.tiers is not None:
        words = ["subnets " + ", then ".join("/".join(tier) for tier in request.tiers)]
    else:
        words = [_labels_text(name, request.labels[name]) for name in sorted(request.labels)]
    words += [
        f"{_labels_text(name, values)} (implied by host {request.host})"
        for name, values in sorted(selector.implied.items())
    ]
    if request.scope != "default":
        words.insert(0, f"scope {request.scope}")
    return " + ".join(words) or "unlabelled subnets"


def _labels_text(name: str, values: frozenset[str]) -> str:
    return f"{name}={'|'.join(sorted(values))}"


def subnets_to_tally(resolved: ResolvedRequest) -> list[int]:
    """The ids of the subnets that an explanation counts."""
    ids = (
        subnet.id
        for placement_group in resolved.ladder.placement_groups
        for candidate in placement_group.candidates
        for subnet in candidate_subnets(resolved.catalogue, candidate)[:LISTED]
    )
    return list(dict.fromkeys(ids))


def explain(
    resolved: ResolvedRequest,
    plan: Plan | None,
    tallies: Mapping[int, Tally],
    outcome: str = "",
    *,
    is_preview: bool = False,
) -> Explanation:
    """Explain a decision.

    :param plan: the decision; None when nothing could be allocated.
    :param tallies: counts before it, at least of :func:`subnets_to_tally`.
    :param is_preview: True when the decision is not carried out.
    """
    rungs: list[RungLine] = []
    for placement_group in resolved.ladder.placement_groups:
        for family in resolved.ladder.families:
            rungs += _rung_lines(resolved, plan, tallies, placement_group, family, len(rungs))
    notes = _notes(resolved, plan) if plan else ()
    return Explanation(
        group=describe_group(resolved),
        outcome=outcome
        or _outcome(resolved, plan, "would allocate" if is_preview else "allocated"),
        rungs=tuple(rungs),
        passed=_passed(resolved),
        notes=notes,
        possible=plan is not None,
    )


def _outcome(resolved: ResolvedRequest, plan: Plan | None, verb: str) -> str:
    if plan is not None:
        granted = [
            f"{grant.allocation.text} from {resolved.catalogue.subnets[grant.allocation.subnet_id].name}"
            for grant in plan.grants[:LISTED]
        ]
        more = len(plan.grants) - len(granted)
        return f"{verb}: " + ", ".join(granted) + (f" and {more} more" if more else "")
    if not resolved.ladder.placement_groups:
        return "no subnet may be used"
    return "every subnet that may be used is full"


def _rung_lines(
    resolved: ResolvedRequest,
    plan: Plan | None,
    tallies: Mapping[int, Tally],
    placement_group: PlacementGroup,
    family: Family,
    steps: int,
) -> list[RungLine]:
    rungs = placement_group.rungs[family]
    taken = _taken_rungs(resolved, plan, rungs)
    last = max(taken, default=len(rungs) if plan is None else -1)
    by_members = {
        (each.cohorts, each.subnets): each
        for each in placement_group.candidates
        if each.family == family
    }
    lines = []
    for at, rung in enumerate(rungs):
        candidate = by_members[(rung.cohorts, rung.subnets)]
        if at in taken:
            verdict = "taken"
        elif resolved.request.kind not in (Kind.ANY, Kind.NEXT):
            verdict = "not chosen from"
        else:
            verdict = "full" if at < last else "not reached"
        members = candidate_subnets(resolved.catalogue, candidate)
        lines.append(
            RungLine(
                step=steps + at + 1,
                family=family,
                hold=_hold_text(rung.hold, resolved.selector.claimant),
                verdict=verdict,
                reason=_fit_text(resolved, candidate),
                subnets=tuple(
                    _subnet_line(resolved, rung.hold, subnet, tallies.get(subnet.id, Tally()))
                    for subnet in members[:LISTED]
                ),
                more=max(len(members) - LISTED, 0),
            )
        )
    return lines


def _taken_rungs(resolved: ResolvedRequest, plan: Plan | None, rungs: Sequence[Rung]) -> set[int]:
    if plan is None:
        return set()
    taken = set()
    for grant in plan.grants:
        cohort = resolved.catalogue.cohort_of[grant.allocation.subnet_id]
        for at, rung in enumerate(rungs):
            member = cohort in rung.cohorts or grant.allocation.subnet_id in rung.subnets
            if member and grant.found in (None, rung.hold):
                taken.add(at)
                break
    return taken


def _hold_text(hold: Hold, claimant: str) -> str:
    if hold is Hold.OWN:
        return f"claimed by {claimant}"
    if hold is Hold.UNCLAIMED:
        return "unclaimed"
    return "claimed by others" if claimant else "claimed"


def _fit_text(resolved: ResolvedRequest, candidate: Candidate) -> str:
    """The fit of the candidate's subnets, dimension by dimension."""
    if candidate.subnets:
        return "named in the request"
    labels = resolved.catalogue.cohorts[candidate.cohorts[0]].labels
    words = []
    for dimension in resolved.catalogue.dimensions:
        if not resolved.selector.counts(dimension):
            continue
        fit = resolved.selector.fit(dimension, labels)
        asked = (
            resolved.selector.named.get(dimension.name) or resolved.selector.implied[dimension.name]
        )
        text = _labels_text(dimension.name, asked)
        if fit is Match.SAME:
            words.append(f"matches {text}")
        elif (
            fit is Match.UNLABELLED
            and dimension.name != resolved.selector.claimant.partition("=")[0]
        ):
            words.append(f"has no {dimension.name} (fallback of {text})")
        elif fit is Match.OTHER:
            words.append(f"is of another {dimension.name} than {text}")
    return "; ".join(words) or "no label asked for"


def _subnet_line(resolved: ResolvedRequest, hold: Hold, subnet: Subnet, tally: Tally) -> SubnetLine:
    claimant = resolved.selector.claimant
    own = tally.free.get(claimant, 0) if claimant else 0
    unclaimed = tally.free.get("", 0)
    free = {
        Hold.OWN: own,
        Hold.UNCLAIMED: unclaimed,
        Hold.OTHERS: tally.total_free - own - unclaimed,
    }[hold]
    words = [f"{tally.allocated} of {subnet.capacity} allocated"]
    if tally.cooling:
        words.append(f"{tally.cooling} cooling")
    if tally.reserved:
        words.append(f"{tally.reserved} reserved")
    if hold is Hold.OTHERS and free:
        holders = sorted(each for each, count in tally.free.items() if each and each != claimant)
        words.append("free in blocks of " + ", ".join(holders[:3]) + ("…" if holders[3:] else ""))
    return SubnetLine(subnet.name, str(subnet.prefix), free, ", ".join(words))


def _notes(resolved: ResolvedRequest, plan: Plan) -> tuple[str, ...]:
    """Claims and loans in words, each with its reason."""
    notes = [text for text in (_note_text(resolved, plan, note) for note in plan.notes) if text]
    for grant in plan.grants[:LISTED]:
        if grant.block is None or grant.hold is Hold.OWN:
            continue
        if grant.hold is Hold.OTHERS:
            notes.append(_loan_text(resolved, grant, grant.block))
        elif resolved.selector.claimant and resolved.request.kind in (Kind.ANY, Kind.NEXT):
            notes.append(_shared_text(resolved, plan, grant, grant.block))
    return tuple(notes)


def _note_text(resolved: ResolvedRequest, plan: Plan, note: Note) -> str:
    if note.act is Act.CLAIMED:
        return f"{note.holder} claims {note.prefix}: {_claim_reason(resolved, plan, note)}"
    if note.act is Act.GREW:
        return (
            f"{note.holder} grows its region in place to {note.prefix}: the other half was unclaimed, "
            "so that it is still one route"
        )
    if note.act is Act.TRANSFERRED:
        return f"{note.holder} takes over {note.prefix}, {_takeover_reason(note)}"
    if note.act is Act.BORROWED:
        return (
            f"{note.holder} borrows {note.prefix} of {note.previous_holder}'s {note.region}, unused there: "
            f"{note.previous_holder} keeps its route, and {note.prefix} is a longer one"
        )
    return ""


def _claim_reason(resolved: ResolvedRequest, plan: Plan, note: Note) -> str:
    if resolved.request.kind is Kind.NEXT:
        return "the lowest free address is there"
    free_range = next(
        (
            free_range.prefix
            for free_range in plan.free_ranges_removed
            if free_range.subnet_id == note.subnet_id and free_range.prefix.covers(note.prefix)
        ),
        None,
    )
    if free_range is None:
        return "nothing of its own is free, and this block is unused and unclaimed"
    if free_range == note.prefix:
        return "nothing of its own is free, and this is the largest unclaimed space"
    return (
        f"nothing of its own is free; it starts in the largest unclaimed space, {free_range}, "
        "where it has most room to double"
    )


def _takeover_reason(note: Note) -> str:
    """The reason for a takeover, and its cost for the previous holder."""
    holder, region = note.previous_holder, note.region
    if region is None or region == note.prefix:
        return f"which {holder} had left unused: it costs {holder} the route to that space"
    return f"the unused half of {holder}'s {region}, which costs {holder} no route"


def _loan_text(resolved: ResolvedRequest, grant: Grant, block: Block) -> str:
    text = f"{grant.allocation.text} is borrowed from {block.holder}'s {block.region()}: "
    if resolved.request.kind not in (Kind.ANY, Kind.NEXT):
        return text + "this address was asked for"
    if not resolved.selector.claimant:
        return text + "nothing unclaimed is free"
    return text + (
        "nothing of its own and nothing unclaimed is free, and no unused piece of a region may be borrowed "
        "in its place; it is a route of its own"
    )


def _shared_text(resolved: ResolvedRequest, plan: Plan, grant: Grant, block: Block) -> str:
    """The reason for an address in an unclaimed block."""
    was_used = block.id in plan.changed and plan.changed[block.id][0].high_water
    reason = (
        "nothing of its own is free, and others use this block as well"
        if was_used
        else f"{resolved.selector.claimant} may claim no more"
    )
    return (
        f"{grant.allocation.text} lies in {block.prefix}, which is unclaimed: {reason}; "
        "it is a route of its own"
    )


def _passed(resolved: ResolvedRequest) -> tuple[PassedLine, ...]:
    """The subnets of the scope and families that no placement group admits, grouped by reason."""
    admitted = {
        cohort
        for placement_group in resolved.ladder.placement_groups
        for candidate in placement_group.candidates
        for cohort in candidate.cohorts
    }
    reasons: dict[str, list[Subnet]] = {}
    if resolved.request.tiers is not None:
        return ()
    for cohort in resolved.catalogue.cohorts_in(resolved.request.scope):
        if cohort.id in admitted or cohort.family not in resolved.ladder.families:
            continue
        reasons.setdefault(_boundary_text(resolved, cohort), []).extend(
            resolved.catalogue.members[cohort.id]
        )
    return tuple(
        PassedLine(
            reason,
            tuple(
                f"{subnet.name} ({subnet.prefix})"
                for subnet in nsmallest(LISTED, subnets, key=lambda each: each.prefix)
            ),
            max(len(subnets) - LISTED, 0),
        )
        for reason, subnets in sorted(reasons.items())
    )


def _boundary_text(resolved: ResolvedRequest, cohort: Cohort) -> str:
    if cohort.closed:
        return "closed: takes no new addresses"
    for dimension in resolved.catalogue.dimensions:
        if resolved.selector.fit(dimension, cohort.labels) is Match.OUTSIDE_BOUNDARY:
            return _boundary_reason(resolved, dimension, cohort)
    families = " and ".join(f"IPv{family}" for family in resolved.ladder.families)
    return f"does not have {families} together"


def _boundary_reason(resolved: ResolvedRequest, dimension: Dimension, cohort: Cohort) -> str:
    on_subnet = cohort.labels.get(dimension.name, NO_LABELS)
    if not on_subnet:
        asked = resolved.selector.named[dimension.name]
        return f"has no {dimension.name}, {_labels_text(dimension.name, asked)} was asked for"
    reason = f"inside the boundary {_labels_text(dimension.name, on_subnet)}"
    if resolved.selector.counts(dimension):
        return reason
    return f"{reason}, which the request does not name"
