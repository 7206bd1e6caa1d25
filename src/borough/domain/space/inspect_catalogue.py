"""Contradictions in the catalogue: cohorts, the subnets in them, overlaps, and pools."""

from __future__ import annotations

from collections.abc import Iterable

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.pools import check_carved, check_quota, quota_use
from borough.domain.declared.records import Cohort, Subnet, cohort_key
from borough.domain.space.findings import Finding, StoredCohort
from borough.errors import FixInput, QuotaExceeded


def inspect_cohorts(stored: Iterable[StoredCohort]) -> dict[int, Finding]:
    """The cohorts that are stored wrongly, by id.

    A group would see half of its subnets if they stood in two cohorts that mean the same.
    """
    first: dict[str, int] = {}
    found: dict[int, Finding] = {}
    # The one that a search finds is kept, and the others are its duplicates.
    for id, text, key, findable in sorted(
        stored, key=lambda each: (each.text != each.key, not each.findable, each.id)
    ):
        if key is None:
            problem = "has a text that cannot be read"
        elif key in first:
            problem = f"means the same as cohort {first[key]}"
        elif text != key or not findable:
            problem = "is not stored in the form in which it is searched for"
        else:
            first[key] = id
            continue
        if key is not None:
            first.setdefault(key, id)
        found[id] = Finding("duplicate_cohort", "", text, f"cohort {id} {problem}")
    return found


def inspect_members(catalogue: Catalogue) -> dict[int, Finding]:
    """The subnets that stand in a cohort of other labels, weight, scope or family, by id."""
    found: dict[int, Finding] = {}
    for subnet in catalogue.subnets.values():
        cohort = catalogue.cohorts.get(catalogue.cohort_of[subnet.id])
        key = cohort_key(subnet)
        if cohort is None or cohort.key != key:
            seen = f"one of {_traits(cohort)}" if cohort else "one of no cohort at all"
            found[subnet.id] = Finding(
                "subnet_in_wrong_cohort",
                subnet.name,
                str(subnet.prefix),
                f"subnet {subnet.name} ({subnet.prefix}) is one of {_traits(subnet)}, "
                f"but requests take it for {seen}",
            )
    return found


def _traits(each: Subnet | Cohort) -> str:
    labels = " ".join(
        f"{name}={value}"
        for name, values in sorted(each.labels.items())
        for value in sorted(values)
    )
    place = f"IPv{each.family} in scope {each.scope}"
    return f"{labels or 'no labels'}, weight {each.weight}, {place}"


def inspect_overlaps(catalogue: Catalogue) -> list[Finding]:
    """The subnets that share addresses with another one of their scope.

    Only a person can tell whose they are.
    """
    found = []
    ordered = sorted(
        catalogue.subnets.values(), key=lambda subnet: (subnet.scope, subnet.prefix, subnet.id)
    )
    outer: Subnet | None = None
    for subnet in ordered:
        if outer and outer.scope == subnet.scope and outer.prefix.overlaps(subnet.prefix):
            found.append(
                Finding(
                    "overlapping_subnets",
                    subnet.name,
                    str(subnet.prefix),
                    f"subnet {subnet.name} shares addresses with subnet {outer.name} "
                    f"({outer.prefix}); remove one of them",
                )
            )
        else:
            outer = subnet
    return found


def inspect_pools(catalogue: Catalogue) -> list[Finding]:
    """The carved subnets that do not fit into their pools, and the projects beyond a quota.

    Only a person can tell which of the two is wrong.
    """
    found = []
    for subnet in catalogue.subnets.values():
        pool = catalogue.pools.get(subnet.pool)
        problem = f"there is no pool {subnet.pool}, which subnet {subnet.name} was carved from"
        if pool is not None:
            try:
                check_carved(pool, subnet)
            except FixInput as error:
                problem = f"subnet {subnet.name}: {error.message}"
            else:
                continue
        if subnet.pool:
            found.append(Finding("outside_pool", subnet.name, str(subnet.prefix), problem))
    for pool in catalogue.pools.values():
        for project, units in quota_use(pool, catalogue.subnets.values()).items():
            try:
                check_quota(pool, project, units, 0)
            except QuotaExceeded as error:
                found.append(Finding("quota_exceeded", "", pool.name, error.message))
    return found
