"""Subnets and their cohorts in an SQL database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.dimensions import Labels, Settings
from borough.domain.declared.records import Subnet, cohort_key
from borough.domain.net.addresses import to_bytes
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.catalogue.change_log import ChangedKind
from borough.store.sql.failures import LockFirst
from borough.store.sql.unit.part import SqlPart, all_met

_P = sa.bindparam

#: Most ids or texts of one query.
_BATCH: Final = 500


_ADD_SUBNET = s.insert(t.subnet, "id", "outside")
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
# The decision also depends on the addresses that lie in no block.
_CHANGE_LOCKED_SUBNET = _CHANGE_SUBNET.where(t.subnet.c.outside == _P("old_outside"))
_VACATE = sa.update(t.subnet).where(*_IS_SAME_SUBNET).values(base=_P("base"))
_REMOVE_SUBNET = sa.delete(t.subnet).where(*_IS_SAME_SUBNET)
_ADD_RANGE = s.insert(t.subnet_range, "id")
_REMOVE_RANGES = s.remove(t.subnet_range, "subnet_id")
_ADD_SUBNET_LABEL = s.insert(t.subnet_label, "id")
_REMOVE_SUBNET_LABELS = s.remove(t.subnet_label, "subnet_id")
_ADD_COHORT = s.insert(t.cohort)
_ADD_LABELS = s.insert(t.cohort_labels, "id")
_ADD_LABELS_RETURNING = _ADD_LABELS.returning(t.cohort_labels.c.id)
_COHORT_OF = sa.select(t.subnet.c.cohort_id).where(t.subnet.c.id == _P("subnet_id"))
_RELABEL_BLOCKS = (
    sa.update(t.block)
    .where(t.block.c.subnet_id == _P("old_id"))
    .values(cohort_id=_P("cohort_id"), version=t.block.c.version + sa.literal_column("1"))
)
_RELABEL_FREE_RANGES = (
    sa.update(t.free_range)
    .where(t.free_range.c.subnet_id == _P("old_id"))
    .values(cohort_id=_P("cohort_id"))
)
# Only cooling ones: the foreign key keeps a subnet with an allocation or a reservation from being removed.
_REMOVE_ALLOCATIONS = sa.delete(t.allocation).where(
    t.allocation.c.subnet_id == _P("old_id"), s.IS_COOLING
)
_CLEAR_BLOCKS = s.remove(t.block, "subnet_id")
_CLEAR_FREE_RANGES = s.remove(t.free_range, "subnet_id")


class SqlSubnets(SqlPart):
    """The subnets of :class:`borough.store.port.WriteDeclarations`."""

    def lock_space(self, subnet_ids: Collection[int]) -> None:
        ids = sorted(set(subnet_ids) - self._outside.keys())
        if not ids:
            return
        if self._locked is not None and not self._locked.issuperset(ids):
            raise LockFirst(ids)
        self._outside |= self._counts_outside(ids)

    def add_subnets(self, subnets: Sequence[Subnet]) -> list[tuple[Subnet, int]]:
        added = self._add_subnets(subnets, self.catalogue.scopes)
        self._declared.update((ChangedKind.SUBNET, subnet.id) for subnet, _ in added)
        return added

    def _add_subnets(
        self, subnets: Sequence[Subnet], scopes: Mapping[str, int]
    ) -> list[tuple[Subnet, int]]:
        if not subnets:
            return []
        known = self._intern(subnets)
        cohorts = [known[cohort_key(each)] for each in subnets]
        values = [
            {**_subnet_values(subnet, scopes), "cohort_id": cohort_id, "version": 0}
            for subnet, cohort_id in zip(subnets, cohorts, strict=True)
        ]
        if len(values) == 1:
            ids = dict(self._runner.rows(_ADD_SUBNET_RETURNING, **values[0]))
        else:
            ids = dict(self._add_many(_ADD_SUBNET, values, t.subnet.c.name))
        stored = [replace(subnet, id=ids[subnet.name], version=0) for subnet in subnets]
        self._add_parts(stored)
        return list(zip(stored, cohorts, strict=True))

    def put_subnet(self, subnet: Subnet) -> Subnet:
        seen = self._outside.get(subnet.id)
        (cohort_id,) = self._intern([subnet]).values()
        change, values = _CHANGE_SUBNET, _subnet_values(subnet, self.catalogue.scopes)
        values |= {"cohort_id": cohort_id, "old_id": subnet.id, "old_version": subnet.version}
        if seen is not None:
            change, values = _CHANGE_LOCKED_SUBNET, {**values, "old_outside": seen}
        all_met(self._runner.write(change, **values), 1)
        subnet = replace(subnet, version=subnet.version + 1)
        self._runner.write(_REMOVE_RANGES, old_id=subnet.id)
        self._runner.write(_REMOVE_SUBNET_LABELS, old_id=subnet.id)
        self._runner.write(_RELABEL_BLOCKS, old_id=subnet.id, cohort_id=cohort_id)
        self._runner.write(_RELABEL_FREE_RANGES, old_id=subnet.id, cohort_id=cohort_id)
        self._add_parts([subnet])
        self._declared.add((ChangedKind.SUBNET, subnet.id))
        return subnet

    def remove_subnet(self, subnet: Subnet) -> None:
        for clause in (
            _REMOVE_ALLOCATIONS,
            _CLEAR_BLOCKS,
            _CLEAR_FREE_RANGES,
            _REMOVE_RANGES,
            _REMOVE_SUBNET_LABELS,
        ):
            self._runner.write(clause, old_id=subnet.id)
        all_met(self._runner.write(_REMOVE_SUBNET, old_id=subnet.id, old_version=subnet.version), 1)
        self._declared.add((ChangedKind.SUBNET, subnet.id))

    def vacate(self, subnets: Sequence[Subnet]) -> None:
        # No address is 8 bytes long.
        values = [
            {"old_id": each.id, "old_version": each.version, "base": each.id.to_bytes(8, "big")}
            for each in subnets
        ]
        if values:
            all_met(self._runner.write_all(_VACATE, values), len(values))

    def cohort_of(self, subnet_id: int) -> int:
        found = self._runner.one(_COHORT_OF, subnet_id=subnet_id)
        assert found is not None
        id: int = found[0]
        return id

    def _add_parts(self, subnets: Iterable[Subnet]) -> None:
        """Add the rows of subnets in other tables than their own."""
        ranges: list[dict[str, Any]] = []
        labels: list[dict[str, Any]] = []
        for subnet in subnets:
            ranges += [
                {
                    "subnet_id": subnet.id,
                    "first": to_bytes(subnet.family, first),
                    "last": to_bytes(subnet.family, last),
                    "excluded": excluded,
                }
                for excluded, intervals in enumerate((subnet.ranges or (), subnet.excluded))
                for first, last in intervals
            ]
            labels += label_rows("subnet_id", subnet.id, subnet.labels)
        self._runner.write_all(_ADD_RANGE, ranges)
        self._runner.write_all(_ADD_SUBNET_LABEL, labels)

    def _intern(self, subnets: Iterable[Subnet]) -> dict[str, int]:
        """The ids of the subnets' cohorts by their keys; those that do not exist are added."""
        labels = {cohort_key(each): each.labels for each in subnets}
        digests = {digest(key): key for key in labels}
        found: dict[str, int] = {}
        wanted = list(digests)
        for start in range(0, len(wanted), _BATCH):
            some = wanted[start : start + _BATCH]
            named = {f"digest_{at}": each for at, each in enumerate(some)}
            found |= dict(self._runner.rows(_cohorts_by_digest(len(some)), **named))
        missing = [each for each in digests if each not in found]
        if missing:
            ids = self._add_labels([labels_text(labels[digests[each]]) for each in missing])
            found |= zip(missing, ids, strict=True)
            self._runner.write_all(
                _ADD_COHORT,
                [
                    {"id": found[each], "description": digests[each], "digest": each}
                    for each in missing
                ],
            )
        return {key: found[each] for each, key in digests.items()}

    def _add_labels(self, texts: Sequence[str]) -> list[int]:
        """Keep labels for the events of new cohorts; return the id of each."""
        if len(texts) == 1:
            return [self._runner.insert(_ADD_LABELS_RETURNING, labels=texts[0])]
        added = self._add_many(
            _ADD_LABELS, [{"labels": text} for text in texts], t.cohort_labels.c.labels
        )
        ids: dict[str, list[int]] = {}
        for text, id in sorted(added, key=itemgetter(1), reverse=True):
            ids.setdefault(text, []).append(id)
        return [ids[text].pop() for text in texts]

    def _add_many(
        self, clause: Any, values: Sequence[Mapping[str, Any]], column: sa.Column[str]
    ) -> list[tuple[str, int]]:
        """Add rows; return the text in one column of each, and its id.

        The ids are read back as a range, which may have rows of other writers. For a list of texts a database
        without statistics of these rows would compare each row with each text.
        """
        newest, newer = _newer(column)
        ((seen,),) = self._runner.rows(newest)
        self._runner.write_all(clause, values)
        return [(text, id) for text, id in self._runner.rows(newer, seen=seen)]

    def _counts_outside(self, ids: Sequence[int]) -> dict[int, int]:
        """Counts of changes of addresses that lie in no block, by subnet id."""
        found: dict[int, int] = {}
        for start in range(0, len(ids), _BATCH):
            some: list[Any] = [
                sa.literal_column(str(int(id))) for id in ids[start : start + _BATCH]
            ]
            query = sa.select(t.subnet.c.id, t.subnet.c.outside).where(t.subnet.c.id.in_(some))
            found |= {row[0]: row[1] for row in self._runner.once(query)}
        return found


def digest(description: str) -> str:
    """The unique key of a cohort in the database."""
    return hashlib.sha256(description.encode()).hexdigest()


def settings_text(settings: Settings) -> str:
    """Settings as JSON; empty when there are none."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":")) if settings else ""


def labels_text(labels: Labels) -> str:
    """Labels as JSON."""
    return json.dumps({name: sorted(labels[name]) for name in sorted(labels)})


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
        "ranged": int(subnet.ranges is not None),
        "closed": int(subnet.closed),
    }


def label_rows(column: str, id: int, labels: Labels) -> list[dict[str, Any]]:
    """The rows of the labels of an object, with its id in a column."""
    return [
        {column: id, "dimension": name, "value": value}
        for name, values in sorted(labels.items())
        for value in sorted(values)
    ]


@lru_cache(maxsize=64)
def _cohorts_by_digest(count: int) -> Any:
    wanted: list[Any] = [_P(f"digest_{at}") for at in range(count)]
    return sa.select(t.cohort.c.digest, t.cohort.c.id).where(t.cohort.c.digest.in_(wanted))


@cache
def _newer(column: sa.Column[str]) -> tuple[Any, Any]:
    """The newest id of a table, and a column's texts with the ids above one."""
    id = column.table.c.id
    newest = sa.select(sa.func.coalesce(sa.func.max(id), sa.literal_column("0")))
    return newest, sa.select(column, id).where(id > _P("seen"))
