"""Reading the declared objects: scopes, dimensions, pools, hosts, subnets, cohorts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import ClaimSettings, Dimension, Fallback, Labels, Settings
from borough.domain.declared.records import Cohort, Host, Interval, Pool, Subnet
from borough.domain.net.addresses import from_bytes, parse_family
from borough.domain.net.prefixes import Prefix
from borough.errors import Corrupt, FixInput
from borough.store.sql import schema as t
from borough.store.sql.catalogue import change_log
from borough.store.sql.catalogue.change_log import ChangedKind
from borough.store.sql.rows import prefix_of
from borough.store.sql.runner import Runner

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
    t.subnet_range.c.subnet_id,
    t.subnet_range.c.first,
    t.subnet_range.c.last,
    t.subnet_range.c.excluded,
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

_CHANGED_SUBNETS = change_log.ids(ChangedKind.SUBNET)
_SUBNETS_SINCE = (
    sa.select(t.cohort.c.description, *SUBNET_COLUMNS)
    .select_from(t.subnet.join(t.cohort))
    .where(t.subnet.c.id.in_(_CHANGED_SUBNETS))
    .order_by(t.subnet.c.id)
)
_RANGES_SINCE = _RANGES.where(t.subnet_range.c.subnet_id.in_(_CHANGED_SUBNETS))
_SUBNET_LABELS_SINCE = _SUBNET_LABELS.where(t.subnet_label.c.subnet_id.in_(_CHANGED_SUBNETS))
_CHANGED_HOSTS = change_log.ids(ChangedKind.HOST)
_HOSTS_SINCE = _HOSTS.where(t.host.c.id.in_(_CHANGED_HOSTS))
_HOST_LABELS_SINCE = _HOST_LABELS.where(t.host_label.c.host_id.in_(_CHANGED_HOSTS))


#: A row, or the rest of one.
_Row = tuple[Any, ...]

_S = TypeVar("_S", bound=Subnet)

#: The ranges or labels of a subnet without any.
_NONE: Final[list[_Row]] = []


def load(runner: Runner, known: Catalogue | None, version: int) -> Catalogue:
    """The catalogue of the present transaction.

    :param known: the catalogue at another version, as this process has read it.
    :param version: the present version.
    :raises Corrupt: the text of a cohort cannot be read.
    """
    changes = None if known is None else change_log.since(runner, known.version, version)
    if known is None or changes is None:
        return _whole(runner, version)
    return _followed(runner, known, version, changes)


def _whole(runner: Runner, version: int) -> Catalogue:
    others = _others(runner)
    names = {id: name for name, id in others["scopes"].items()}
    ranges, labels = _by_first(runner.rows(_RANGES)), _by_first(runner.rows(_SUBNET_LABELS))
    subnets: dict[int, Subnet] = {}
    cohort_of: dict[int, int] = {}
    for row in runner.rows(_SUBNETS):
        id, _, scope_id, cohort_id = row[:4]
        its_labels = _labels(labels.get(id, _NONE))
        subnets[id] = to_subnet(Subnet, names[scope_id], row, ranges.get(id, _NONE), its_labels)
        cohort_of[id] = cohort_id
    used = set(cohort_of.values())
    return Catalogue(
        version=version,
        subnets=subnets,
        cohorts={id: parse_cohort(id, text) for id, text in runner.rows(_COHORTS) if id in used},
        cohort_of=cohort_of,
        hosts={host.name: host for host in _hosts(runner.rows(_HOSTS), runner.rows(_HOST_LABELS))},
        **others,
    )


def _followed(
    runner: Runner, known: Catalogue, version: int, changes: set[change_log.Change]
) -> Catalogue:
    """The catalogue made from an earlier one and the rows that changed."""
    kinds = {kind for kind, _ in changes}
    others = _others(runner) if ChangedKind.OTHER in kinds else {}
    if ChangedKind.HOST in kinds:
        others["hosts"] = _followed_hosts(runner, known, changes)
    subnets: dict[int, tuple[Subnet, Cohort] | None] = {}
    if ChangedKind.SUBNET in kinds:
        names = {id: name for name, id in others.get("scopes", known.scopes).items()}
        subnets = dict.fromkeys(id for kind, id in changes if kind is ChangedKind.SUBNET)
        ranges = _by_first(runner.rows(_RANGES_SINCE, seen=known.version))
        labels = _by_first(runner.rows(_SUBNET_LABELS_SINCE, seen=known.version))
        for text, *row in runner.rows(_SUBNETS_SINCE, seen=known.version):
            id, _, scope_id, cohort_id = row[:4]
            its_labels = _labels(labels.get(id, _NONE))
            made = to_subnet(Subnet, names[scope_id], row, ranges.get(id, _NONE), its_labels)
            subnets[id] = made, parse_cohort(cohort_id, text)
    return known.after(version, subnets, **others)


def _followed_hosts(
    runner: Runner, known: Catalogue, changes: set[change_log.Change]
) -> dict[str, Host]:
    gone = {id for kind, id in changes if kind is ChangedKind.HOST}
    hosts = {name: host for name, host in known.hosts.items() if host.id not in gone}
    rows = runner.rows(_HOSTS_SINCE, seen=known.version)
    labels = runner.rows(_HOST_LABELS_SINCE, seen=known.version)
    return hosts | {host.name: host for host in _hosts(rows, labels)}


def _others(runner: Runner) -> dict[str, Any]:
    """The fields of a catalogue for scopes, dimensions and pools."""
    scopes, dimensions = runner.rows(_SCOPES), runner.rows(_DIMENSIONS)
    return {
        "scopes": {name: id for id, name, _ in scopes},
        "scope_sources": {name: source for _, name, source in scopes},
        "dimensions": tuple(
            to_dimension(rank, name, fallback, claims, claiming)
            for rank, (name, _, fallback, claims, _, claiming) in enumerate(dimensions)
        ),
        "dimension_sources": {name: source for name, _, _, _, source, _ in dimensions},
        "pools": _pools(runner, {id: name for id, name, _ in scopes}),
    }


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

    :raises Corrupt: the text cannot be read.
    """
    try:
        scope, family, weight, labels, *more = json.loads(description)
        claiming, closed = more + [{}, False][len(more) :]
        return Cohort(
            id,
            scope,
            parse_family(family),
            {name: frozenset(values) for name, values in labels.items()},
            weight,
            dict(claiming),
            bool(closed),
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
    settings = ClaimSettings().with_settings(_settings(claiming))
    return Dimension(name, Fallback(fallback), rank, bool(claims), settings)


def to_subnet(
    kind: type[_S], scope: str, row: Sequence[Any], ranges: Iterable[_Row], labels: Labels
) -> _S:
    """A subnet from its row.

    :param row: the values of ``SUBNET_COLUMNS``.
    :param ranges: packed first and last addresses, and whether they are left out, ascending.
    """
    id, name, _, _, base, length, gateway, weight, project, pool = row[:10]
    cooldown, attributes, source, claiming, ranged, closed, version = row[10:]
    intervals: tuple[list[Interval], list[Interval]] = [], []
    for first, last, excluded in ranges:
        intervals[excluded].append((from_bytes(first), from_bytes(last)))
    return kind(
        id=id,
        name=name,
        scope=scope,
        prefix=prefix_of(base, length),
        gateway=None if gateway is None else from_bytes(gateway),
        ranges=tuple(intervals[False]) if ranged else None,
        labels=labels,
        weight=weight,
        project=project,
        pool=pool,
        cooldown=cooldown,
        attributes=json.loads(attributes),
        source=source,
        claiming=_settings(claiming),
        excluded=tuple(intervals[True]),
        closed=bool(closed),
        version=version,
    )


def _pools(runner: Runner, scopes: Mapping[int, str]) -> dict[str, Pool]:
    prefixes: dict[int, list[Prefix]] = defaultdict(list)
    for pool_id, base, length in runner.rows(_POOL_PREFIXES):
        prefixes[pool_id].append(prefix_of(base, length))
    found = {}
    for id, name, scope_id, family, minimum, maximum, default, quota, source in runner.rows(_POOLS):
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


def _hosts(rows: Iterable[_Row], labels: Iterable[_Row]) -> Iterator[Host]:
    by_host = _by_first(labels)
    for id, name, source, claiming in rows:
        yield Host(id, name, _labels(by_host.get(id, _NONE)), source, _settings(claiming))
