"""Neutron's subnets in Borough's catalogue, a few at a time.

A cloud has tens of thousands of subnets, in unrelated networks, so no process reads the whole catalogue. A
request reads the few subnets that Neutron names, unless they are remembered. A new subnet does not change the
version of the catalogue: every process would read again, and creators of subnets would queue. See
``docs/howto/neutron.md``, "Catalogue".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.records import Cohort, Subnet
from borough.neutron.subnet import NeutronSubnet
from borough.store.sql import schema as t
from borough.store.sql.catalogue.read import SUBNET_COLUMNS, parse_cohort, to_dimension, to_subnet
from borough.store.sql.runner import Runner, shaped

_DIMENSIONS = sa.select(
    t.dimension.c.name,
    t.dimension.c.fallback,
    t.dimension.c.claims,
    t.dimension.c.claiming,
    t.dimension.c.declared,
).order_by(t.dimension.c.position)


@shaped
def _subnets(count: int) -> Any:
    names: list[Any] = [sa.bindparam(f"name_{at}") for at in range(count)]
    return (
        sa.select(
            t.meta.c.catalogue_version,
            t.scope.c.name,
            t.cohort.c.description,
            *SUBNET_COLUMNS,
            t.subnet_range.c.first,
            t.subnet_range.c.last,
            t.subnet_range.c.excluded,
        )
        .select_from(
            t.subnet.join(t.scope).join(t.cohort).outerjoin(t.subnet_range).join(t.meta, sa.true())
        )
        .where(t.subnet.c.name.in_(names))
        .order_by(t.subnet.c.id, t.subnet_range.c.first)
    )


class Dimensions:
    """The dimensions at one version of the catalogue."""

    def __init__(self) -> None:
        self._found: tuple[int, tuple[Dimension, ...]] = (-1, ())

    def read(self, runner: Runner, version: int) -> tuple[Dimension, ...]:
        """The dimensions in rank order."""
        if self._found[0] != version:
            made = tuple(
                to_dimension(rank, *row) for rank, row in enumerate(runner.rows(_DIMENSIONS))
            )
            self._found = version, made
        return self._found[1]


def read(runner: Runner, names: Sequence[str], dimensions: Dimensions) -> Catalogue:
    """The part of the catalogue about some subnets; without unknown ones."""
    values = {f"name_{at}": name for at, name in enumerate(names)}
    found: dict[int, tuple[Any, ...]] = {}
    ranges: dict[int, list[tuple[Any, ...]]] = {}
    for row in runner.rows(_subnets(len(names)), **values):
        *facts, first, last, excluded = row
        found[facts[3]] = tuple(facts)
        if first is not None:
            ranges.setdefault(facts[3], []).append((first, last, excluded))
    version = next((facts[0] for facts in found.values()), 0)
    cohorts: dict[int, Cohort] = {}
    subnets: dict[int, Subnet] = {}
    scopes: dict[str, int] = {}
    for id, (_, scope, description, *columns) in found.items():
        cohort = cohorts.setdefault(columns[3], parse_cohort(columns[3], description))
        scopes[scope] = columns[2]
        subnets[id] = to_subnet(NeutronSubnet, scope, columns, ranges.get(id, ()), cohort.labels)
    return Catalogue(
        version=version,
        dimensions=dimensions.read(runner, version) if found else (),
        scopes=scopes,
        subnets=subnets,
        cohorts=cohorts,
        cohort_of={id: facts[6] for id, facts in found.items()},
    )
