"""Writing the declared objects: scopes, dimensions, pools, hosts, subnets, cohorts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.address import to_bytes
from borough.domain.dimension import Dimension, Labels, Settings
from borough.domain.inspect import StoredCohort
from borough.domain.model import Cohort, Host, Pool, Subnet, cohort_key
from borough.errors import Corrupt
from borough.store.port import LostRace
from borough.store.sql import schema as t
from borough.store.sql.catalogue import parse_cohort
from borough.store.sql.runner import Runner

_P = sa.bindparam

#: Ids written into one query, and texts that one looks up.
_BATCH: Final = 500


def _insert(table: sa.Table, *leave_out: str) -> Any:
    return sa.insert(table).values(
        {column.name: _P(column.name) for column in table.c if column.name not in leave_out}
    )


def _update(table: sa.Table, *leave_out: str) -> Any:
    left = {"id", *leave_out}
    return (
        sa.update(table)
        .where(table.c.id == _P("old_id"))
        .values({column.name: _P(column.name) for column in table.c if column.name not in left})
    )


def _remove(table: sa.Table, column: str = "id") -> Any:
    return sa.delete(table).where(table.c[column] == _P("old_id"))


_ADD_SCOPE = _insert(t.scope, "id").returning(t.scope.c.id)
_REMOVE_SCOPE = sa.delete(t.scope).where(t.scope.c.name == _P("old_name"))
_ADD_DIMENSION = _insert(t.dimension)
_CLEAR_DIMENSIONS = sa.delete(t.dimension)
_ADD_POOL = _insert(t.pool, "id").returning(t.pool.c.id)
_CHANGE_POOL = _update(t.pool)
_REMOVE_POOL = _remove(t.pool)
_ADD_POOL_PREFIX = _insert(t.pool_prefix, "id")
_REMOVE_POOL_PREFIXES = _remove(t.pool_prefix, "pool_id")
_ADD_HOST = _insert(t.host, "id").returning(t.host.c.id)
_CHANGE_HOST = _update(t.host)
_REMOVE_HOST = _remove(t.host)
_ADD_HOST_LABEL = _insert(t.host_label, "id")
_REMOVE_HOST_LABELS = _remove(t.host_label, "host_id")
_ADD_SUBNET = _insert(t.subnet, "id", "outside")
_ADD_SUBNET_RETURNING = _ADD_SUBNET.returning(t.subnet.c.name, t.subnet.c.id)
_IS_SAME_SUBNET = (t.subnet.c.id == _P("old_id"), t.subnet.c.version == _P("old_version"))
_CHANGE_SUBNET = (
    sa.update(t.subnet)
    .where(*_IS_SAME_SUBNET)
    .values(
        {
            column.name: _P(column.name)
            for column in t.subnet.c
            if column.name not in ("id", "version", "outside")
        }
        | {"version": t.subnet.c.version + sa.literal_column("1")}
    )
)
# Addresses that lie in no block: the change was decided on those that there were.
_CHANGE_LOCKED_SUBNET = _CHANGE_SUBNET.where(t.subnet.c.outside == _P("old_outside"))
_REMOVE_SUBNET = sa.delete(t.subnet).where(*_IS_SAME_SUBNET)
_ADD_RANGE = _insert(t.subnet_range, "id")
_REMOVE_RANGES = _remove(t.subnet_range, "subnet_id")
_ADD_SUBNET_LABEL = _insert(t.subnet_label, "id")
_REMOVE_SUBNET_LABELS = _remove(t.subnet_label, "subnet_id")
_ADD_COHORT = _insert(t.cohort)
_ADD_LABELS = _insert(t.cohort_labels, "id")
_ADD_LABELS_RETURNING = _ADD_LABELS.returning(t.cohort_labels.c.id)
_DROP_COHORTS = sa.delete(t.cohort).where(t.cohort.c.id.not_in(sa.select(t.subnet.c.cohort_id)))
_STORED_COHORTS = sa.select(t.cohort.c.id, t.cohort.c.description, t.cohort.c.digest).order_by(
    t.cohort.c.id
)
_CHANGE_COHORT = _update(t.cohort)
_COHORT_OF = sa.select(t.subnet.c.cohort_id).where(t.subnet.c.id == _P("subnet_id"))
_MOVE_BLOCKS = (
    sa.update(t.block)
    .where(t.block.c.subnet_id == _P("old_id"))
    .values(cohort_id=_P("cohort_id"), version=t.block.c.version + sa.literal_column("1"))
)
_MOVE_RUNS = (
    sa.update(t.run).where(t.run.c.subnet_id == _P("old_id")).values(cohort_id=_P("cohort_id"))
)
# Only cooling ones: a held one left behind keeps the foreign key from letting its subnet go.
_REMOVE_ALLOCATIONS = sa.delete(t.allocation).where(
    t.allocation.c.subnet_id == _P("old_id"), t.allocation.c.until.is_not(None)
)
_CLEAR_BLOCKS = _remove(t.block, "subnet_id")
_CLEAR_RUNS = _remove(t.run, "subnet_id")


def all_met(met: int, expected: int) -> None:
    """Every precondition held, or the whole unit is run again.

    :raises LostRace: fewer rows were met than were expected.
    """
    if met != expected:
        raise LostRace("a row is not as it was read")


def outside(run: Runner, ids: Sequence[int]) -> dict[int, int]:
    """The count of changes to addresses that lie in no block, by subnet id."""
    found: dict[int, int] = {}
    for start in range(0, len(ids), _BATCH):
        some: list[Any] = [sa.literal_column(str(int(id))) for id in ids[start : start + _BATCH]]
        query = sa.select(t.subnet.c.id, t.subnet.c.outside).where(t.subnet.c.id.in_(some))
        found |= {row[0]: row[1] for row in run.once(query)}
    return found


def digest(description: str) -> str:
    """What makes a cohort unique in the database."""
    return hashlib.sha256(description.encode()).hexdigest()


def settings_text(settings: Settings) -> str:
    """Settings as they are stored; empty when there are none."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":")) if settings else ""


def labels_text(labels: Labels) -> str:
    """Labels as JSON."""
    return json.dumps({name: sorted(labels[name]) for name in sorted(labels)})


def add_scope(run: Runner, name: str, source: str) -> int:
    """See :meth:`borough.store.port.Unit.add_scope`; return the key."""
    return run.insert(_ADD_SCOPE, name=name, source=source)


def remove_scope(run: Runner, name: str) -> None:
    """See :meth:`borough.store.port.Unit.remove_scope`."""
    run.write(_REMOVE_SCOPE, old_name=name)


def set_dimensions(
    run: Runner, dimensions: Sequence[Dimension], sources: Mapping[str, str]
) -> None:
    """See :meth:`borough.store.port.Unit.set_dimensions`."""
    run.write(_CLEAR_DIMENSIONS)
    run.write_all(
        _ADD_DIMENSION,
        [
            {
                "name": dimension.name,
                "position": position,
                "fallback": dimension.fallback.value,
                "claims": int(dimension.claims),
                "source": sources.get(dimension.name, ""),
                "claiming": settings_text(dimension.claiming.differences),
            }
            for position, dimension in enumerate(dimensions)
        ],
    )


def put_pool(run: Runner, pool: Pool, scopes: Mapping[str, int]) -> None:
    """See :meth:`borough.store.port.Unit.put_pool`."""
    values = {
        "name": pool.name,
        "scope_id": scopes[pool.scope],
        "family": pool.family,
        "minimum_length": pool.minimum_length,
        "maximum_length": pool.maximum_length,
        "default_length": pool.default_length,
        "quota": pool.quota,
        "source": pool.source,
    }
    pool_id = pool.id
    if pool_id:
        run.write(_CHANGE_POOL, old_id=pool_id, **values)
        run.write(_REMOVE_POOL_PREFIXES, old_id=pool_id)
    else:
        pool_id = run.insert(_ADD_POOL, **values)
    run.write_all(
        _ADD_POOL_PREFIX,
        [
            {"pool_id": pool_id, "base": to_bytes(each.family, each.base), "length": each.length}
            for each in pool.prefixes
        ],
    )


def remove_pool(run: Runner, pool: Pool) -> None:
    """See :meth:`borough.store.port.Unit.remove_pool`."""
    run.write(_REMOVE_POOL_PREFIXES, old_id=pool.id)
    run.write(_REMOVE_POOL, old_id=pool.id)


def put_host(run: Runner, host: Host) -> int:
    """See :meth:`borough.store.port.Unit.put_host`; return the key."""
    host_id = host.id
    values = {
        "name": host.name,
        "source": host.source,
        "claiming": settings_text(host.claiming),
    }
    if host_id:
        run.write(_CHANGE_HOST, old_id=host_id, **values)
        run.write(_REMOVE_HOST_LABELS, old_id=host_id)
    else:
        host_id = run.insert(_ADD_HOST, **values)
    run.write_all(_ADD_HOST_LABEL, _label_rows("host_id", host_id, host.labels))
    return host_id


def remove_host(run: Runner, host: Host) -> None:
    """See :meth:`borough.store.port.Unit.remove_host`."""
    run.write(_REMOVE_HOST_LABELS, old_id=host.id)
    run.write(_REMOVE_HOST, old_id=host.id)


def add_subnets(
    run: Runner, subnets: Sequence[Subnet], scopes: Mapping[str, int]
) -> list[tuple[Subnet, int]]:
    """See :meth:`borough.store.port.Unit.add_subnets`."""
    if not subnets:
        return []
    known = _intern(run, subnets)
    cohorts = [known[cohort_key(each)] for each in subnets]
    values = [
        {**_subnet_values(subnet, scopes), "cohort_id": cohort_id, "version": 0}
        for subnet, cohort_id in zip(subnets, cohorts, strict=True)
    ]
    if len(values) == 1:
        ids = dict(run.rows(_ADD_SUBNET_RETURNING, **values[0]))
    else:
        ids = dict(_add_many(run, _ADD_SUBNET, values, t.subnet.c.name))
    stored = [replace(subnet, id=ids[subnet.name], version=0) for subnet in subnets]
    _add_parts(run, stored)
    return list(zip(stored, cohorts, strict=True))


def put_subnet(
    run: Runner, subnet: Subnet, scopes: Mapping[str, int], seen: int | None = None
) -> Subnet:
    """See :meth:`borough.store.port.Unit.put_subnet`.

    :param seen: the subnet's count of changes outside of blocks, when the change was decided on it.
    """
    (cohort_id,) = _intern(run, [subnet]).values()
    change, values = _CHANGE_SUBNET, _subnet_values(subnet, scopes)
    values |= {"cohort_id": cohort_id, "old_id": subnet.id, "old_version": subnet.version}
    if seen is not None:
        change, values = _CHANGE_LOCKED_SUBNET, {**values, "old_outside": seen}
    all_met(run.write(change, **values), 1)
    subnet = replace(subnet, version=subnet.version + 1)
    run.write(_REMOVE_RANGES, old_id=subnet.id)
    run.write(_REMOVE_SUBNET_LABELS, old_id=subnet.id)
    run.write(_MOVE_BLOCKS, old_id=subnet.id, cohort_id=cohort_id)
    run.write(_MOVE_RUNS, old_id=subnet.id, cohort_id=cohort_id)
    _add_parts(run, [subnet])
    return subnet


def _subnet_values(subnet: Subnet, scopes: Mapping[str, int]) -> dict[str, Any]:
    """The columns of a subnet without its id, cohort and version."""
    family = subnet.family
    return {
        "name": subnet.name,
        "scope_id": scopes[subnet.scope],
        "base": to_bytes(family, subnet.prefix.base),
        "length": subnet.prefix.length,
        "gateway": None if subnet.gateway is None else to_bytes(family, subnet.gateway),
        "weight": subnet.weight,
        "project": subnet.project,
        "pool": subnet.pool,
        "cooldown": subnet.cooldown,
        "claiming": settings_text(subnet.claiming),
        "attributes": json.dumps(subnet.attributes, sort_keys=True),
        "source": subnet.source,
    }


def _add_parts(run: Runner, subnets: Iterable[Subnet]) -> None:
    """Add the rows of subnets in other tables than their own."""
    ranges: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for subnet in subnets:
        ranges += [
            {
                "subnet_id": subnet.id,
                "first": to_bytes(subnet.family, first),
                "last": to_bytes(subnet.family, last),
            }
            for first, last in subnet.ranges
        ]
        labels += _label_rows("subnet_id", subnet.id, subnet.labels)
    run.write_all(_ADD_RANGE, ranges)
    run.write_all(_ADD_SUBNET_LABEL, labels)


def _label_rows(column: str, id: int, labels: Labels) -> list[dict[str, Any]]:
    return [
        {column: id, "dimension": name, "value": value}
        for name, values in sorted(labels.items())
        for value in sorted(values)
    ]


def _intern(run: Runner, subnets: Iterable[Subnet]) -> dict[str, int]:
    """The ids of the subnets' cohorts by their keys; those that do not exist are added."""
    labels = {cohort_key(each): each.labels for each in subnets}
    digests = {digest(key): key for key in labels}
    found: dict[str, int] = {}
    wanted = list(digests)
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        named = {f"digest_{at}": each for at, each in enumerate(some)}
        found |= dict(run.rows(_cohorts_by_digest(len(some)), **named))
    missing = [each for each in digests if each not in found]
    if missing:
        ids = _add_labels(run, [labels_text(labels[digests[each]]) for each in missing])
        found |= zip(missing, ids, strict=True)
        run.write_all(
            _ADD_COHORT,
            [{"id": found[each], "description": digests[each], "digest": each} for each in missing],
        )
    return {key: found[each] for each, key in digests.items()}


@lru_cache(maxsize=64)
def _cohorts_by_digest(count: int) -> Any:
    wanted: list[Any] = [_P(f"digest_{at}") for at in range(count)]
    return sa.select(t.cohort.c.digest, t.cohort.c.id).where(t.cohort.c.digest.in_(wanted))


def _add_labels(run: Runner, texts: Sequence[str]) -> list[int]:
    """Keep labels for the events of new cohorts; return the id of each."""
    if len(texts) == 1:
        return [run.insert(_ADD_LABELS_RETURNING, labels=texts[0])]
    added = _add_many(
        run, _ADD_LABELS, [{"labels": text} for text in texts], t.cohort_labels.c.labels
    )
    ids: dict[str, list[int]] = {}
    for text, id in sorted(added, key=itemgetter(1), reverse=True):
        ids.setdefault(text, []).append(id)
    return [ids[text].pop() for text in texts]


def _add_many(
    run: Runner, clause: Any, values: Sequence[Mapping[str, Any]], column: sa.Column[str]
) -> list[tuple[str, int]]:
    """Add rows; return the text in one column of each, and its id.

    The ids are read back as a range: a database that has no statistics of rows this new would compare each
    of them with each text of a list. Rows of others may be in it.
    """
    newest, newer = _newer(column)
    ((seen,),) = run.rows(newest)
    run.write_all(clause, values)
    return [(text, id) for text, id in run.rows(newer, seen=seen)]


@cache
def _newer(column: sa.Column[str]) -> tuple[Any, Any]:
    """The newest id of a table, and a column's texts with the ids above one."""
    id = column.table.c.id
    newest = sa.select(sa.func.coalesce(sa.func.max(id), sa.literal_column("0")))
    return newest, sa.select(column, id).where(id > _P("seen"))


def remove_subnet(run: Runner, subnet: Subnet) -> None:
    """See :meth:`borough.store.port.Unit.remove_subnet`."""
    for clause in (
        _REMOVE_ALLOCATIONS,
        _CLEAR_BLOCKS,
        _CLEAR_RUNS,
        _REMOVE_RANGES,
        _REMOVE_SUBNET_LABELS,
    ):
        run.write(clause, old_id=subnet.id)
    all_met(run.write(_REMOVE_SUBNET, old_id=subnet.id, old_version=subnet.version), 1)


def cohort_of(run: Runner, subnet_id: int) -> int:
    """See :meth:`borough.store.port.Unit.cohort_of`."""
    found = run.one(_COHORT_OF, subnet_id=subnet_id)
    assert found is not None
    id: int = found[0]
    return id


def drop_unused_cohorts(run: Runner) -> None:
    """Remove cohorts that no subnet belongs to any more."""
    run.write(_DROP_COHORTS)


def stored_cohorts(run: Runner) -> list[StoredCohort]:
    """See :meth:`borough.store.port.Unit.stored_cohorts`."""
    found = []
    for id, text, stored in run.rows(_STORED_COHORTS):
        try:
            key = parse_cohort(id, text).key
        except Corrupt:
            found.append(StoredCohort(id, text, None, findable=False))
        else:
            found.append(StoredCohort(id, text, key, stored == digest(key)))
    return found


def retire_cohort(run: Runner, id: int) -> None:
    """See :meth:`borough.store.port.Unit.retire_cohort`."""
    # No scope has an empty name, and the id in place of a weight makes it unlike any other.
    text = cohort_key(Cohort(id, "", 4, {}, id))
    run.write(_CHANGE_COHORT, old_id=id, description=text, digest=digest(text))
