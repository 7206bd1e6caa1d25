"""The errors of requests that get nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Match
from borough.domain.declared.lookup import did_you_mean
from borough.domain.encode import plain
from borough.domain.policy.allocate import ResolvedRequest, named_addresses
from borough.domain.policy.explain import Explanation, describe_group
from borough.domain.policy.refusal import ADVICE, Refusal, sentence
from borough.domain.policy.selection import Ladder, ResolvedSelector
from borough.domain.request import Kind, Request
from borough.errors import Exhausted, NeedsSpace, NoMatchingSubnet

#: What a group lacks when no address can be computed in it.
_COMPUTED: Final = {
    Kind.EUI64: "no /64, and so no place for an EUI-64 interface identifier,",
    Kind.GATEWAY: "no subnet with a gateway",
}

Climb = Callable[[Catalogue, Request], tuple[ResolvedSelector, Ladder]]


def refusal(
    resolved: ResolvedRequest, explanation: Explanation, reasons: Sequence[Refusal], climb: Climb
) -> NeedsSpace:
    """The error of a request that gets nothing.

    :param resolved: the request, as far as the caller may be told of it.
    :param reasons: see :func:`borough.domain.policy.refusal.refuse`.
    """
    request = resolved.request
    group = describe_group(resolved)
    detail = {
        "group": {name: sorted(values) for name, values in sorted(request.labels.items())},
        "scope": request.scope,
        "host": request.host,
        "families": list(resolved.ladder.families),
        "count": request.count,
        "explanation": plain(explanation),
    }
    if not resolved.ladder.placement_groups and not _is_for_ipv4(resolved, climb):
        return NoMatchingSubnet(
            f"no subnet may be used for {group}{_hint(resolved)}",
            **detail,
            **{"try": ["label a subnet so that the group admits it", "correct the labels"]},
        )
    missing = _COMPUTED.get(request.kind)
    if missing and not any(named_addresses(resolved)):
        return NoMatchingSubnet(
            f"{missing} in {group}",
            **detail,
            **{"try": ["ask for any address", "add such a subnet to the group"]},
        )
    out = [each.family for each in reasons] or resolved.ladder.families
    families = " and ".join(f"IPv{family}" for family in out)
    wanted_count = f"{request.count} addresses" if request.count > 1 else "address"
    why = f": {sentence(reasons)}" if reasons else ""
    advice = list(dict.fromkeys(step for each in reasons for step in each.advice)) or list(ADVICE)
    others = [family for family in resolved.ladder.families if family not in out]
    advice += [f"ask for IPv{family} only" for family in others]
    return Exhausted(
        f"no free {families} {wanted_count} in {group}{why}",
        **detail,
        reason=reasons[0].reason.value if reasons else "",
        **{"try": advice},
    )


def _is_for_ipv4(resolved: ResolvedRequest, climb: Climb) -> bool:
    """True when an EUI-64 address is asked for in a group without IPv6 subnets."""
    request = resolved.request
    if request.kind is not Kind.EUI64 or request.families:
        return False
    other = replace(request, kind=Kind.ANY, mac=None)
    return bool(climb(resolved.catalogue, other)[1].placement_groups)


def _hint(resolved: ResolvedRequest) -> str:
    """A hint for a selector that admits no subnet, as the end of a sentence."""
    catalogue, request = resolved.catalogue, resolved.request
    if request.tiers is not None or any(
        cohort.closed
        and not any(
            resolved.selector.fit(dimension, cohort.labels) is Match.OUTSIDE_BOUNDARY
            for dimension in catalogue.dimensions
        )
        for cohort in catalogue.cohorts_in(request.scope)
    ):
        return ": every subnet that it could use is closed, and takes no new addresses"
    for dimension in catalogue.dimensions:
        for value in request.labels.get(dimension.name, ()):
            known = {
                each
                for cohort in catalogue.cohorts_in(request.scope)
                for each in cohort.labels.get(dimension.name, ())
            }
            if dimension.is_boundary and value not in known:
                said = did_you_mean(value, known)
                return f": no subnet has {dimension.name}={value}{said}"
    unnamed = (
        {
            dimension.name
            for cohort in catalogue.cohorts_in(request.scope)
            for dimension in catalogue.dimensions
            if dimension.is_boundary and cohort.labels.get(dimension.name)
        }
        - set(request.labels)
        - set(resolved.selector.implied)
    )
    if unnamed and request.tiers is None:
        return (
            f": every subnet is inside a boundary; name a value of {' or '.join(sorted(unnamed))}"
        )
    return ""
