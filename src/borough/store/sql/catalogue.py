"""Reading the declared objects: scopes, dimensions, pools, hosts, subnets, cohorts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from borough.domain.address import from_bytes, parse_family
from borough.domain.dimension import Claiming, Dimension, Fallback, Labels, Settings
from borough.domain.model import Catalogue, Cohort, Host, Pool, Subnet
from borough.domain.prefix import Prefix
from borough.errors import Corrupt, FixInput
from borough.store.sql import schema as t
from borough.store.sql.dialect import Runner
from borough.store.sql.rows import prefix_of

_SCOPES = sa.select(t.scope.c.id, t.scope.c.name, t.scope.c.source)
_DIMENSIONS = sa.select(
    t.dimension.c.name,
    t.dimension.c.position,
    t.dimension.c.fallback,
    t.dimension.c.claims,
    t.dimension.c.source,
    t.dimension.c.claiming,
).order_by(t.dimension.c.position)
_COHORTS = sa.select(t.cohort.c.id, t.cohort.c.description).order_by(t.cohort.c.id)
#: The columns that :func:`to_subnet` reads.
SUBNET_COLUMNS = tuple(column for column in t.subnet.c if column is not t.subnet.c.outside)
_SUBNETS = sa.select(*SUBNET_COLUMNS).order_by(t.subnet.c.id)
_RANGES = sa.select(
    t.subnet_range.c.subnet_id, t.subnet_range.c.first, t.subnet_range.c.last
).order_by(t.subnet_range.c.subnet_id, t.subnet_range.c.first)
_SUBNET_LABELS = sa.select(
    t.subnet_label.c.subnet_id, t.subnet_label.c.dimension, t.subnet_label.c.value
).order_by(t.subnet_label.c.subnet_id, t.subnet_label.c.dimension, t.subnet_label.c.value)
_POOLS = sa.select(*t.pool.c)
_POOL_PREFIXES = sa.select(
    t.pool_prefix.c.pool_id, t.pool_prefix.c.base, t.pool_prefix.c.length
).order_by(t.pool_prefix.c.pool_id, t.pool_prefix.c.base)
_HOSTS = sa.select(t.host.c.id, t.host.c.name, t.host.c.source, t.host.c.claiming)
_HOST_LABELS = sa.select(t.host_label.c.host_id, t.host_label.c.dimension, t.host_label.c.value)


#: A row, or what is left of it.
_Row = tuple[Any, ...]

_S = TypeVar("_S", bound=Subnet)

#: Of a subnet that has none.
_NONE: Final[list[_Row]] = []


class CatalogueReader:
    """Reads the declared objects, and makes only those anew whose rows it has not seen.

    Every change is a new version of the catalogue, which every process reads as a whole: to make twenty
    thousand subnets of their rows takes five times as long as to read the rows. What is made depends on
    the rows alone, so that it may be kept whatever becomes of the transaction that they were read in.
    """

    def __init__(self) -> None:
        # Replaced as a whole: another thread may be reading.
        self._subnets: dict[int, tuple[_Row, Subnet]] = {}
        self._cohorts: dict[int, tuple[str, Cohort]] = {}

    def read(self, run: Runner, version: int) -> Catalogue:
        """Load the whole catalogue in the present transaction.

        :raises Corrupt: a cohort has a text that cannot be read.
        """
        scopes = run.rows(_SCOPES)
        names = {id: name for id, name, _ in scopes}
        dimensions = run.rows(_DIMENSIONS)
        subnets, cohort_of = self._read_subnets(run, names)
        return Catalogue(
            version=version,
            dimensions=tuple(
                to_dimension(rank, name, fallback, claims, claiming)
                for rank, (name, _, fallback, claims, _, claiming) in enumerate(dimensions)
            ),
            scopes={name: id for id, name, _ in scopes},
            subnets=subnets,
            cohorts=self._read_cohorts(run),
            cohort_of=cohort_of,
            pools=_pools(run, names),
            hosts=_hosts(run),
            scope_sources={name: source for _, name, source in scopes},
            dimension_sources={name: source for name, _, _, _, source, _ in dimensions},
        )

    def _read_subnets(
        self, run: Runner, scopes: Mapping[int, str]
    ) -> tuple[dict[int, Subnet], dict[int, int]]:
        before, after = self._subnets, {}
        ranges = _by_first(run.rows(_RANGES))
        labels = _by_first(run.rows(_SUBNET_LABELS))
        cohort_of = {}
        for row in run.rows(_SUBNETS):
            id, _, scope_id, cohort_id = row[:4]
            its_ranges, its_labels = ranges.get(id, _NONE), labels.get(id, _NONE)
            seen = (row, its_ranges, its_labels, scopes[scope_id])
            known = before.get(id)
            if known is None or known[0] != seen:
                made = to_subnet(Subnet, scopes[scope_id], row, its_ranges, _labels(its_labels))
                known = seen, made
            after[id] = known
            cohort_of[id] = cohort_id
        self._subnets = after
        return {id: subnet for id, (_, subnet) in after.items()}, cohort_of

    def _read_cohorts(self, run: Runner) -> dict[int, Cohort]:
        before, after = self._cohorts, {}
        for id, text in run.rows(_COHORTS):
            known = before.get(id)
            if known is None or known[0] != text:
                known = text, parse_cohort(id, text)
            after[id] = known
        self._cohorts = after
        return {id: cohort for id, (_, cohort) in after.items()}


def _by_first(rows: Iterable[_Row]) -> dict[int, list[_Row]]:
    """The rest of each row by its first column."""
    found: dict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row[1:])
    return found


def _settings(text: str) -> Settings:
    return dict(json.loads(text)) if text else {}


def parse_cohort(id: int, description: str) -> Cohort:
    """A cohort from its canonical text.

    :raises Corrupt: when it is none.
    """
    try:
        scope, family, weight, labels, *claiming = json.loads(description)
        return Cohort(
            id,
            scope,
            parse_family(family),
            {name: frozenset(values) for name, values in labels.items()},
            weight,
            dict(*claiming),
        )
    except (ValueError, TypeError, AttributeError, FixInput) as error:
        raise Corrupt(
            f"cohort {id} has a text that cannot be read; run `borough audit --repair`", cohort=id
        ) from error


def _labels(pairs: Iterable[_Row]) -> Labels:
    found: dict[str, set[str]] = defaultdict(set)
    for dimension, value in pairs:
        found[dimension].add(value)
    return {name: frozenset(values) for name, values in sorted(found.items())}


def to_dimension(rank: int, name: str, fallback: str, claims: int, claiming: str) -> Dimension:
    """A dimension from its columns."""
    settings = Claiming().with_settings(_settings(claiming))
    return Dimension(name, Fallback(fallback), rank, bool(claims), settings)


def to_subnet(
    kind: type[_S], scope: str, row: Sequence[Any], ranges: Iterable[_Row], labels: Labels
) -> _S:
    """A subnet from its row.

    :param row: the values of ``SUBNET_COLUMNS``.
    :param ranges: packed first and last addresses, ascending.
    """
    id, name, _, _, base, length, gateway, weight, project, pool = row[:10]
    cooldown, attributes, source, claiming, version = row[10:]
    return kind(
        id=id,
        name=name,
        scope=scope,
        prefix=prefix_of(base, length),
        gateway=None if gateway is None else from_bytes(gateway),
        ranges=tuple((from_bytes(first), from_bytes(last)) for first, last in ranges),
        labels=labels,
        weight=weight,
        project=project,
        pool=pool,
        cooldown=cooldown,
        attributes=json.loads(attributes),
        source=source,
        claiming=_settings(claiming),
        version=version,
    )


def _pools(run: Runner, scopes: Mapping[int, str]) -> dict[str, Pool]:
    prefixes: dict[int, list[Prefix]] = defaultdict(list)
    for pool_id, base, length in run.rows(_POOL_PREFIXES):
        prefixes[pool_id].append(prefix_of(base, length))
    found = {}
    for id, name, scope_id, family, minimum, maximum, default, quota, source in run.rows(_POOLS):
        found[name] = Pool(
            id,
            name,
            scopes[scope_id],
            parse_family(family),
            tuple(prefixes[id]),
            minimum,
            maximum,
            default,
            quota,
            source,
        )
    return found


def _hosts(run: Runner) -> dict[str, Host]:
    labels = _by_first(run.rows(_HOST_LABELS))
    return {
        name: Host(id, name, _labels(labels.get(id, _NONE)), source, _settings(claiming))
        for id, name, source, claiming in run.rows(_HOSTS)
    }
