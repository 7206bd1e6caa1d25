"""Resolve a selector to an ordered ladder of rungs: rules 1 to 5 of ``docs/reference/rules.md``.

A rung is a set of cohorts of equal preference, in one hold. A store needs one index probe for a rung of
any number of subnets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import (
    HOST,
    ClaimSettings,
    Dimension,
    Fallback,
    Labels,
    Match,
    match,
)
from borough.domain.declared.lookup import check_scope, did_you_mean, unknown
from borough.domain.declared.records import NO_LABELS, Cohort, Subnet, families_of
from borough.domain.net.addresses import Family
from borough.domain.request import Kind, Request
from borough.domain.space.rungs import Hold, Rung
from borough.errors import UnknownDimension

#: The sort key of a rung, most important first.
Key = tuple[int | tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Cohorts (or the subnets of one tier) that the selector admits with equal fit.

    :ivar before: key of the dimensions down to the claiming one.
    :ivar after: key that is compared after the hold.
    """

    family: Family
    before: Key
    after: Key
    cohorts: tuple[int, ...] = ()
    subnets: tuple[int, ...] = ()
    claiming: ClaimSettings = field(default_factory=ClaimSettings)


@dataclass(frozen=True, slots=True)
class PlacementGroup:
    """Subnets that can hold all addresses of one request together (rule 5).

    :ivar values: the shared value by hard dimension; empty text for subnets without a label in it.
    :ivar rungs: the ladder of each family, best first.
    :ivar candidates: the candidates of the rungs, best first.
    """

    values: tuple[tuple[str, str], ...]
    rungs: Mapping[Family, tuple[Rung, ...]]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Ladder:
    """The order of preference of one request.

    :ivar families: the families to allocate.
    :ivar placement_groups: alternatives, best first; at most one for a request of a single address.
    :ivar identity: distinguishes a ladder from all others, without a reference to it.
    """

    families: tuple[Family, ...]
    placement_groups: tuple[PlacementGroup, ...]
    identity: object = field(default_factory=object, compare=False, repr=False)

    def admits(self, catalogue: Catalogue, subnet: Subnet) -> bool:
        """True when the request may use a subnet."""
        cohort = catalogue.cohort_of[subnet.id]
        return any(
            cohort in candidate.cohorts or subnet.id in candidate.subnets
            for placement_group in self.placement_groups
            for candidate in placement_group.candidates
        )

    def subnets(
        self, catalogue: Catalogue, placement_group: PlacementGroup, family: Family
    ) -> Iterator[Subnet]:
        """The subnets of one placement group and family in order of preference, holds ignored."""
        for candidate in placement_group.candidates:
            if candidate.family == family:
                yield from candidate_subnets(catalogue, candidate)


def candidate_subnets(catalogue: Catalogue, candidate: Candidate) -> list[Subnet]:
    """The subnets behind a candidate, ascending by address."""
    if candidate.subnets:
        named = [catalogue.subnets[subnet] for subnet in candidate.subnets]
        return sorted(named, key=lambda subnet: subnet.prefix)
    groups = [catalogue.members[cohort] for cohort in candidate.cohorts]
    if len(groups) == 1:
        return list(groups[0])
    return sorted(
        (subnet for group in groups for subnet in group), key=lambda subnet: subnet.prefix
    )


@dataclass(frozen=True)
class ResolvedSelector:
    """The values that a request asks for, with those that its host implies (rule 3).

    :ivar named: values by dimension that the request names.
    :ivar implied: values by dimension that only its host implies.
    :ivar claimant: claims blocks for the request, as ``dimension=value``; empty for none.
    :ivar claiming: the dimension that claims.
    :ivar rules: settings of the claims; a subnet may override them.
    """

    named: Labels
    implied: Labels
    claimant: str
    claiming: Dimension | None
    rules: ClaimSettings

    def fit(self, dimension: Dimension, labels: Labels) -> Match:
        """The fit of a subnet's labels in one dimension."""
        on_subnet = labels.get(dimension.name, NO_LABELS)
        named = self.named.get(dimension.name)
        if named:
            return match(dimension, on_subnet, named)
        return match(dimension, on_subnet, self.implied.get(dimension.name), implied=True)

    def counts(self, dimension: Dimension) -> bool:
        """True when the request names or implies a value of a dimension."""
        return dimension.name in self.named or dimension.name in self.implied


def resolve_selector(catalogue: Catalogue, request: Request) -> ResolvedSelector:
    """Combine a request's labels with those that its host implies."""
    host = catalogue.hosts.get(request.host)
    implied = (
        {name: values for name, values in host.labels.items() if name not in request.labels}
        if host
        else {}
    )
    claiming = None
    claimant = ""
    for dimension in catalogue.dimensions:
        if not dimension.claims:
            continue
        claiming = dimension if claiming is None or not claimant else claiming
        values = request.labels.get(dimension.name) or implied.get(dimension.name, NO_LABELS)
        # A request that names two racks has no single claimant.
        if len(values) == 1:
            claiming, claimant = dimension, f"{dimension.name}={next(iter(values))}"
    rules = claiming.claiming if claiming else ClaimSettings()
    if host and claimant and claiming and claiming.name == HOST:
        rules = rules.with_settings(host.claiming)
    return ResolvedSelector(request.labels, implied, claimant, claiming, rules)


def check(catalogue: Catalogue, request: Request) -> None:
    """Refuse a request that names an unknown scope or dimension.

    :raises UnknownDimension: for a label in an unknown dimension.
    :raises UnknownObject: for an unknown scope.
    """
    check_scope(catalogue, request.scope)
    for name in request.labels:
        if name not in catalogue.by_dimension:
            raise UnknownDimension(
                f"there is no dimension {name!r}" + did_you_mean(name, catalogue.by_dimension),
                dimension=name,
                known=[dimension.name for dimension in catalogue.dimensions],
            )


def climb(catalogue: Catalogue, request: Request) -> Ladder:
    """Resolve a request to its ladder.

    :return: a ladder without placement groups when no subnet is admitted, or none has all families.
    """
    check(catalogue, request)
    selector = resolve_selector(catalogue, request)
    if request.tiers is None:
        candidates = _by_labels(catalogue, request, selector)
    else:
        candidates = _by_tiers(catalogue, request.scope, request.tiers, selector)
    families = _families(catalogue, request, candidates)
    candidates = [candidate for candidate in candidates if candidate.family in families]
    together = len(families) > 1 or request.count > 1
    divided = _placement_groups(catalogue, selector, candidates) if together else {(): candidates}
    placement_groups = [
        _placement_group(values, members, claims=bool(selector.claimant))
        for values, members in divided.items()
        if {member.family for member in members} == set(families)
    ]
    placement_groups.sort(
        key=lambda placement_group: (
            [_place(member) for member in placement_group.candidates],
            placement_group.values,
        )
    )
    return Ladder(families, tuple(placement_groups) if families else ())


def _families(
    catalogue: Catalogue, request: Request, candidates: Sequence[Candidate]
) -> tuple[Family, ...]:
    if request.families:
        return request.families
    present = {candidate.family for candidate in candidates}
    if request.kind is Kind.EUI64:
        # Also without an IPv6 subnet: an IPv4 address would not be what was asked for.
        return (6,)
    if present:
        return (4,) if 4 in present else (6,)
    return families_of(catalogue.subnets.values())[:1]


def _by_labels(
    catalogue: Catalogue, request: Request, selector: ResolvedSelector
) -> list[Candidate]:
    """Rules 1 to 4 over every cohort of the scope, best first."""
    ranked = catalogue.dimensions
    split = 1 + next(
        (at for at, dimension in enumerate(ranked) if dimension is selector.claiming),
        len(ranked) - 1,
    )
    grouped: dict[tuple[Family, Key, Key, ClaimSettings], list[int]] = {}
    for cohort in _reachable(catalogue, request):
        if cohort.closed:
            continue
        levels = [selector.fit(dimension, cohort.labels) for dimension in ranked]
        if Match.OUTSIDE_BOUNDARY in levels:
            continue
        before: Key = tuple(levels[:split])
        after: Key = (*levels[split:], -cohort.weight)
        claiming = selector.rules.with_settings(cohort.claiming)
        grouped.setdefault((cohort.family, before, after, claiming), []).append(cohort.id)
    made = [
        Candidate(family, before, after, tuple(sorted(cohorts)), claiming=claiming)
        for (family, before, after, claiming), cohorts in grouped.items()
    ]
    return sorted(made, key=_place)


def _reachable(catalogue: Catalogue, request: Request) -> Iterable[Cohort]:
    """The cohorts that can match: those with a named value of one hard dimension, if any is named.

    Otherwise each request would read every network of the scope.
    """
    hard = [
        request.labels[dimension.name]
        and [(dimension.name, value) for value in request.labels[dimension.name]]
        for dimension in catalogue.dimensions
        if dimension.fallback is Fallback.NONE and dimension.name in request.labels
    ]
    if not hard:
        return catalogue.cohorts_in(request.scope)
    keys = min(hard, key=lambda keys: sum(len(catalogue.cohorts_with(*key)) for key in keys))
    found = {cohort.id: cohort for key in keys for cohort in catalogue.cohorts_with(*key)}
    return [found[id] for id in sorted(found) if found[id].scope == request.scope]


def _by_tiers(
    catalogue: Catalogue, scope: str, tiers: tuple[tuple[str, ...], ...], selector: ResolvedSelector
) -> list[Candidate]:
    """Subnets that the request names, in its order (rule 2)."""
    made = []
    for position, tier in enumerate(tiers):
        members = [_named_subnet(catalogue, scope, name) for name in tier]
        grouped: dict[tuple[Family, ClaimSettings], set[int]] = {}
        for each in members:
            if each.closed:
                continue
            claiming = selector.rules.with_settings(each.claiming)
            grouped.setdefault((each.family, claiming), set()).add(each.id)
        made += [
            Candidate(family, (position,), (), subnets=tuple(sorted(ids)), claiming=claiming)
            for (family, claiming), ids in sorted(grouped.items(), key=lambda item: item[0][0])
        ]
    return made


def _named_subnet(catalogue: Catalogue, scope: str, name: str) -> Subnet:
    subnet = catalogue.by_name.get(name)
    if subnet is None or subnet.scope != scope:
        raise unknown("subnet", name, catalogue.by_name, f" in scope {scope}")
    return subnet


def _placement_groups(
    catalogue: Catalogue, selector: ResolvedSelector, candidates: Sequence[Candidate]
) -> dict[tuple[tuple[str, str], ...], list[Candidate]]:
    """Divide candidates by their shared values in the requested hard dimensions (rule 5)."""
    hard = [
        dimension
        for dimension in catalogue.dimensions
        if dimension.fallback is Fallback.NONE and selector.counts(dimension)
    ]
    divided: dict[tuple[tuple[str, str], ...], list[Candidate]] = {}
    for candidate in candidates:
        split: dict[tuple[tuple[str, str], ...], list[int]] = {}
        for cohort in candidate.cohorts:
            labels = catalogue.cohorts[cohort].labels
            for values in product(*(_shared(dimension, selector, labels) for dimension in hard)):
                placement_group = tuple(
                    zip((dimension.name for dimension in hard), values, strict=True)
                )
                split.setdefault(placement_group, []).append(cohort)
        if candidate.subnets:
            split[()] = []
        for placement_group, cohorts in split.items():
            divided.setdefault(placement_group, []).append(
                Candidate(
                    candidate.family,
                    candidate.before,
                    candidate.after,
                    tuple(cohorts),
                    candidate.subnets,
                    candidate.claiming,
                )
            )
    return divided


def _shared(dimension: Dimension, selector: ResolvedSelector, labels: Labels) -> list[str]:
    asked = selector.named.get(dimension.name) or selector.implied.get(dimension.name, NO_LABELS)
    return sorted(labels.get(dimension.name, NO_LABELS) & asked) or [""]


def _place(candidate: Candidate) -> tuple[Key, Key, Family]:
    return candidate.before, candidate.after, candidate.family


def _placement_group(
    values: tuple[tuple[str, str], ...], candidates: Sequence[Candidate], *, claims: bool
) -> PlacementGroup:
    holds = list(Hold) if claims else [Hold.UNCLAIMED, Hold.OTHERS]
    rungs: dict[Family, list[tuple[tuple[Key, Hold, Key], Rung]]] = {}
    for candidate in candidates:
        for hold in holds:
            rung = Rung(
                candidate.family, hold, candidate.cohorts, candidate.subnets, candidate.claiming
            )
            place = (candidate.before, hold, candidate.after)
            rungs.setdefault(candidate.family, []).append((place, rung))
    ordered: dict[Family, tuple[Rung, ...]] = {
        family: tuple(rung for _, rung in sorted(placed, key=lambda pair: pair[0]))
        for family, placed in rungs.items()
    }
    return PlacementGroup(values, ordered, tuple(candidates))
