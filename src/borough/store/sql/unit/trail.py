"""The trail of events in an SQL database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.dimensions import Labels, make_labels
from borough.domain.net.addresses import WIDTH, to_bytes
from borough.domain.space.events import Event, EventRow
from borough.domain.space.filters import Trail
from borough.domain.space.plan_events import in_cohort
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.indexes import by_index
from borough.store.sql.runner import Row, Runner, shaped
from borough.store.sql.unit.part import SqlPart

#: Most cohorts of one query.
_BRANCHES: Final = 128

#: Fewest events to read of each cohort.
_FEWEST: Final = 8

_P: Final = sa.bindparam
_COLUMNS: Final = tuple(column for column in t.event.c if column.name != "address")
_COHORT: Final = _COLUMNS.index(t.event.c.cohort_id)

#: Most events in a prefix that are found by their addresses. With more of them, a page is found sooner by id.
_IN_PREFIX: Final = 100_000

#: Each page of ids in a prefix is so many times as long as the one before.
_LONGER: Final = 8

#: Events read at once by id.
_IDS: Final = 128

#: Most difference between the clocks of two writers, in microseconds.
_CLOCKS: Final = 600_000_000

_BETWEEN: Final = (t.event.c.id > _P("after"), t.event.c.id <= _P("upto"))
_IN_ADDRESSES: Final = (
    t.event.c.address >= _P("first", type_=t.Packed),
    t.event.c.address <= _P("last", type_=t.Packed),
    sa.func.length(t.event.c.address) == _P("width", type_=sa.Integer),
)
# An expression, so that no planner reads the index of addresses, which has too many of them.
_PLAIN: Final = sa.func.coalesce(t.event.c.address, sa.literal_column("''"), type_=t.Packed)
_IN_ADDRESSES_BY_ID: Final = (
    _P("first", type_=t.Packed) <= _PLAIN,
    _P("last", type_=t.Packed) >= _PLAIN,
    _IN_ADDRESSES[2],
)
_FOUND_WITHIN: Final = by_index(
    sa.select(t.event.c.id).where(*_IN_ADDRESSES, *_BETWEEN), t.event, "ix_borough_event_address"
)
_COUNT_WITHIN: Final = sa.select(sa.func.count()).select_from(
    _FOUND_WITHIN.limit(sa.literal_column(str(_IN_PREFIX + 1))).subquery()
)
_TIME_FROM: Final = (
    sa.select(t.event.c.id, t.event.c.at)
    .where(t.event.c.id >= _P("from_id"))
    .order_by(t.event.c.id)
    .limit(sa.literal_column("1"))
)
_NEWEST: Final = sa.select(sa.func.max(t.event.c.id)).where(t.event.c.id <= _P("upto"))
_LABELS: Final = sa.select(t.cohort_labels.c.id, t.cohort_labels.c.labels)
_PRUNED: Final = sa.select(t.pruned.c.through)
_OLDEST: Final = (
    sa.select(t.event.c.id)
    .where(t.event.c.id <= _P("upto"))
    .order_by(t.event.c.id)
    .limit(_P("count"))
)
_REMOVE: Final = sa.delete(t.event).where(t.event.c.id <= _P("upto"))
# On MariaDB, a transaction that prunes fewer events may commit after one that prunes more.
_MARK: Final = (
    sa.update(t.pruned).where(t.pruned.c.through < _P("upto")).values(through=_P("through"))
)

# Labels of a removed cohort that no event names. SQLite continues from the largest id, so the newest row
# stays. They are read without a lock, and then removed: on MariaDB a query that removes would lock the
# places where other transactions add events.
_FORGOTTEN: Final = sa.select(t.cohort_labels.c.id).where(
    t.cohort_labels.c.id.not_in(sa.select(t.cohort.c.id)),
    ~sa.exists().where(t.event.c.cohort_id == t.cohort_labels.c.id),
    t.cohort_labels.c.id < sa.select(sa.func.max(t.cohort_labels.alias().c.id)).scalar_subquery(),
)
_FORGET: Final = s.remove(t.cohort_labels)


class SqlTrail(SqlPart):
    """See :class:`borough.store.port.ReadTrail` and :class:`borough.store.port.WriteTrail`."""

    def events(self, wanted: Trail) -> list[Event]:
        return [rows.to_event(row) for row in _Search(self._runner, wanted).run()]

    def newest_event(self, upto: int) -> int:
        return _number(self._runner.one(_NEWEST, upto=upto))

    def cohort_labels(self) -> dict[int, Labels]:
        return {id: make_labels(json.loads(text)) for id, text in self._runner.rows(_LABELS)}

    def pruned(self) -> int:
        return _number(self._runner.one(_PRUNED))

    def prune(self, through: int, limit: int) -> int:
        newest = _number(self._runner.one(s.NEWEST))
        oldest = self._runner.rows(_OLDEST, upto=min(through, newest - 1), count=limit)
        if not oldest:
            return 0
        last = oldest[-1][0]
        count = self._runner.write(_REMOVE, upto=last)
        self._runner.write(_MARK, upto=last, through=last)
        if count < limit:
            self._runner.write_all(
                _FORGET, [{"old_id": id} for (id,) in self._runner.rows(_FORGOTTEN)]
            )
        return count

    def record(self, *events: EventRow) -> None:
        # The catalogue may have to be read, which an event without a subnet does not need.
        filed = [in_cohort(each, self.catalogue) if each.subnet else each for each in events]
        self._runner.write_all(s.add_event, map(rows.event_values, filed))


def _number(row: Row | None) -> int:
    """The answer to a query for one number; 0 for null."""
    assert row is not None
    return int(row[0] or 0)


class _Search:
    """One query of the trail, by the index that finds the fewest events.

    An owner, a host and an address have an index each, by id. So have seldom acts, tokens and scopes, and
    cohorts, whose events are merged. All other conditions are compared with the events that the index finds.
    """

    def __init__(self, runner: Runner, wanted: Trail) -> None:
        self._runner = runner
        self._cohorts = None if wanted.cohorts is None else frozenset(wanted.cohorts)
        self._keys: Sequence[object]
        within = wanted.within
        exact = within is not None and within.length == WIDTH[within.family]
        self._values: dict[str, Any] = dict(wanted.conditions)
        self._range = within is not None and not exact
        if within is not None:
            self._values |= rows.between(within.family, within.base, within.last)
        conditions = tuple(wanted.conditions)
        if exact and within is not None:
            self._column, self._keys = "address", [to_bytes(within.family, within.base)]
        elif wanted.owner or wanted.host:
            self._column = "owner" if wanted.owner else "host"
            self._keys = [self._values.pop(self._column)]
            conditions = tuple(each for each in conditions if each != self._column)
        elif not self._range and (seldom := _seldom(self._values)):
            self._column, self._keys = seldom, [self._values.pop(seldom)]
            conditions = tuple(each for each in conditions if each != seldom)
        elif wanted.cohorts is not None and not self._range:
            self._column, self._keys = "cohort_id", list(wanted.cohorts)
        else:
            self._column, self._keys = "", [None]
        self._conditions = (*conditions, *(("within",) if self._range else ()))
        self._wanted = wanted

    def run(self) -> list[Row]:
        """The rows, at most as many as are wanted."""
        if self._column not in ("address", "owner", "host"):
            self._wanted = self._between_times(self._wanted)
        if self._range and not self._column:
            between = {"after": self._wanted.after, "upto": self._wanted.upto}
            if _number(self._runner.one(_COUNT_WITHIN, **self._values, **between)) <= _IN_PREFIX:
                return self._by_addresses()
        return self._merged()

    def _between_times(self, wanted: Trail) -> Trail:
        """Bounds on ids for bounds on times: times ascend with ids, but for the clocks of writers."""
        after, upto = wanted.after, wanted.upto
        if wanted.since is not None:
            after = max(after, self._first_at(wanted.since - _CLOCKS, after, upto) - 1)
        if wanted.until is not None:
            upto = min(upto, self._first_at(wanted.until + _CLOCKS, after, upto))
        return replace(wanted, after=after, upto=upto)

    def _first_at(self, at: int, after: int, upto: int) -> int:
        """The first id of a time or later, by bisection; one more than the last when there is none."""
        newest = self._runner.one(_NEWEST, upto=upto)
        low, high = after, _number(newest) + 1
        while low < high:
            middle = (low + high) // 2
            found = self._runner.rows(_TIME_FROM, from_id=middle)
            if not found or found[0][1] >= at:
                high = middle
            else:
                low = found[0][0] + 1
        return low

    def _by_addresses(self) -> list[Row]:
        """The first events in a prefix: the server sorts the ids that the index of addresses finds."""
        wanted, newest = self._wanted, self._wanted.newest_first
        after, upto = wanted.after, wanted.upto
        each = 1 << (max(wanted.limit, _IDS) - 1).bit_length()
        found: list[Row] = []
        while True:
            clause = first_within(each, newest)
            ids = [
                id for (id,) in self._runner.rows(clause, **self._values, after=after, upto=upto)
            ]
            found += self._by_ids(ids)
            if len(found) >= wanted.limit or len(ids) < each:
                return found[: wanted.limit]
            after, upto = (after, ids[-1] - 1) if newest else (ids[-1], upto)
            # Few events fulfil the other conditions.
            each *= _LONGER

    def _by_ids(self, ids: list[int]) -> list[Row]:
        found: list[Row] = []
        for start in range(0, len(ids), _IDS):
            some = ids[start : start + _IDS]
            values = {f"id_{at}": 0 for at in range(_IDS)}
            values |= {f"id_{at}": id for at, id in enumerate(some)}
            clause = with_ids(self._conditions)
            page = self._runner.rows(clause, **values, **self._values)
            found += sorted(filter(self._is_visible, page), reverse=self._wanted.newest_first)
            if len(found) >= self._wanted.limit:
                break
        return found[: self._wanted.limit]

    def _is_visible(self, row: Row) -> bool:
        return self._cohorts is None or row[_COHORT] in self._cohorts

    def _merged(self) -> list[Row]:
        """The first events of some keys, merged by id.

        Each key is one range of an index. The events of a page are seldom all of one cohort. So a few are
        read of each, up to the first id where a cohort may have more, and then the next few.
        """
        wanted, keys = self._wanted, self._keys
        found: list[Row] = []
        after, upto = wanted.after, wanted.upto
        while len(found) < wanted.limit and after < upto and keys:
            share = 2 * (wanted.limit - len(found)) // len(keys)
            # Powers of two keep the number of texts small.
            each = 1 << (max(_FEWEST, min(share, wanted.limit - len(found))) - 1).bit_length()
            some, known = self._round(after, upto, each)
            found += filter(self._is_visible, some)
            if wanted.newest_first:
                upto = known - 1
            else:
                after = known
        return found[: wanted.limit]

    def _round(self, after: int, upto: int, each: int) -> tuple[list[Row], int]:
        """A few events of each key, in order, and the id to which they are complete."""
        found: list[Row] = []
        ends: list[int] = []
        newest = self._wanted.newest_first
        for values, count in self._branches():
            clause = first_of(
                self._column, count, each, newest, self._conditions, self._runner.dialect.name
            )
            page = self._runner.rows(clause, **values, **self._values, after=after, upto=upto)
            found += page
            own: dict[Any, list[int]] = {}
            for row in page:
                key = row[_COHORT] if self._column == "cohort_id" else None
                own.setdefault(key, []).append(row[0])
            last = min if newest else max
            ends += [last(ids) for ids in own.values() if len(ids) == each]
        if newest:
            known = max([after + 1, *ends])
            return sorted((row for row in found if row[0] >= known), reverse=True), known
        known = min([upto, *ends])
        return sorted(row for row in found if row[0] <= known), known

    def _branches(self) -> Iterator[tuple[dict[str, Any], int]]:
        """The parameters of the keys of one query, and the number of its branches."""
        if self._column != "cohort_id":
            yield {} if not self._column else {"key_0": self._keys[0]}, 1
            return
        for start in range(0, len(self._keys), _BRANCHES):
            some = self._keys[start : start + _BRANCHES]
            # Padding with cohort 0, which does not exist, keeps the number of texts small.
            count = 1 << (len(some) - 1).bit_length()
            values: dict[str, Any] = {f"key_{at}": 0 for at in range(count)}
            yield values | {f"key_{at}": key for at, key in enumerate(some)}, count


def _seldom(values: Mapping[str, Any]) -> str | None:
    """The first condition by an index of seldom values; None for none."""
    for name, usual in t.USUAL.items():
        if values.get(name, usual[0]) not in usual:
            return name
    return None


def _narrowed(query: Any, conditions: tuple[str, ...]) -> Any:
    """A query with conditions on columns."""
    for name in conditions:
        if name == "within":
            query = query.where(*_IN_ADDRESSES_BY_ID)
        elif name == "since":
            query = query.where(t.event.c.at >= _P("since"))
        elif name == "until":
            query = query.where(t.event.c.at < _P("until"))
        else:
            query = query.where(t.event.c[name] == _P(name))
    return query


@shaped
def first_within(each: int, newest: bool) -> Any:
    """The first ids, or the newest, of the events in a prefix."""
    # An expression: by the id itself a planner would read all events in order.
    order = -t.event.c.id if newest else t.event.c.id + sa.literal_column("0")
    return _FOUND_WITHIN.order_by(order).limit(sa.literal_column(str(each)))


@shaped
def with_ids(conditions: tuple[str, ...]) -> Any:
    """Events by id, of which some do not exist."""
    ids = [_P(f"id_{at}", type_=t.Id) for at in range(_IDS)]
    # For a usual scope MariaDB would read its whole index.
    query = by_index(sa.select(*_COLUMNS).where(t.event.c.id.in_(ids)), t.event, "PRIMARY")
    return _narrowed(query, conditions)


@shaped
def first_of(
    column: str, count: int, each: int, newest: bool, conditions: tuple[str, ...], dialect: str
) -> Any:
    """The first events, or the newest, of each of some values of an indexed column."""
    branches = [
        _narrowed(_branch(column, f"key_{at}", each, newest, dialect), conditions)
        for at in range(count)
    ]
    if count == 1:
        return branches[0]
    found = [branch.subquery() for branch in branches]
    return sa.union_all(*(sa.select(*branch.c) for branch in found))


def _branch(column: str, name: str, each: int, newest: bool, dialect: str) -> Any:
    """The first events of one value, by its range of the index.

    For a value with few events a planner may scan all events by id. The limit is a constant, because a
    planner takes an unknown one for a tenth of the table.
    """
    id = t.event.c.id
    limit: Any = sa.literal_column(str(each))
    query: Any = sa.select(*_COLUMNS).limit(limit)
    if not column:
        query = by_index(query.where(*_BETWEEN), t.event, "PRIMARY")
        return query.order_by(id.desc() if newest else id)
    key = t.event.c[column]
    if dialect in ("mysql", "mariadb"):
        # It would sort by a text that is constant.
        query = query.order_by(id.desc() if newest else id)
        # MariaDB does not use an index for a comparison of pairs.
        index = f"ix_borough_event_{column.removesuffix('_id')}"
        return by_index(query.where(key == _P(name), *_BETWEEN), t.event, index)
    query = query.order_by(*((key.desc(), id.desc()) if newest else (key, id)))
    if column in ("owner", "host"):
        # The index has no rows without a name. On MariaDB it has, and the condition would make it sort.
        query = query.where(key != sa.literal_column("''"))
    elif column == "address":
        query = query.where(key.is_not(None))
    elif column in t.USUAL:
        query = query.where(t.is_seldom(key))
    pair = sa.tuple_(key, id)
    return query.where(
        key == _P(name, type_=key.type),
        pair > sa.tuple_(_P(name, type_=key.type), _P("after", type_=t.Id)),
        pair <= sa.tuple_(_P(name, type_=key.type), _P("upto", type_=t.Id)),
    )
