"""The trail of events in an SQL database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.dimensions import Labels, make_labels
from borough.domain.space.events import Event, EventRow
from borough.domain.space.filters import Trail
from borough.domain.space.plan_events import in_cohort
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.runner import Row, Runner, shaped
from borough.store.sql.unit.part import SqlPart

#: Most cohorts of one query.
_BRANCHES: Final = 128

#: Fewest events to read of each cohort.
_FEWEST: Final = 8

_P: Final = sa.bindparam
_COLUMNS: Final = tuple(t.event.c)
_COHORT: Final = _COLUMNS.index(t.event.c.cohort_id)

_BETWEEN: Final = (t.event.c.id > _P("after"), t.event.c.id <= _P("upto"))
_EVENTS: Final = sa.select(*_COLUMNS).where(*_BETWEEN).order_by(t.event.c.id).limit(_P("count"))
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
        if wanted.cohorts is not None:
            return [rows.to_event(row) for row in _of_cohorts(self._runner, wanted, wanted.cohorts)]
        found = self._runner.rows(_EVENTS, after=wanted.after, upto=wanted.upto, count=wanted.limit)
        return [rows.to_event(row) for row in found]

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


def _of_cohorts(runner: Runner, wanted: Trail, cohorts: Sequence[int]) -> list[Row]:
    """The first events of some cohorts, merged by id.

    Each cohort is one range of an index. The events of a page are seldom all of one cohort. So a few are
    read of each, up to the first id where a cohort may have more, and then the next few.
    """
    found: list[Row] = []
    after = wanted.after
    while len(found) < wanted.limit and after < wanted.upto and cohorts:
        share = 2 * (wanted.limit - len(found)) // len(cohorts)
        # Powers of two keep the number of texts small.
        each = 1 << (max(_FEWEST, min(share, wanted.limit - len(found))) - 1).bit_length()
        some, after = _round(runner, cohorts, after, wanted.upto, each)
        found += some
    return found[: wanted.limit]


def _round(
    runner: Runner, cohorts: Sequence[int], after: int, upto: int, each: int
) -> tuple[list[Row], int]:
    """A few events of each cohort, by id, and the id up to which they are complete."""
    found: list[Row] = []
    for start in range(0, len(cohorts), _BRANCHES):
        some = cohorts[start : start + _BRANCHES]
        # Padding with cohort 0, which does not exist, keeps the number of texts small.
        count = 1 << (len(some) - 1).bit_length()
        ids = {f"cohort_{at}": 0 for at in range(count)}
        ids |= {f"cohort_{at}": id for at, id in enumerate(some)}
        clause = first_of(count, each, runner.dialect.name)
        found += runner.rows(clause, **ids, after=after, upto=upto)
    own: dict[int, list[int]] = {}
    for row in found:
        own.setdefault(row[_COHORT], []).append(row[0])
    known = min([upto, *(max(ids) for ids in own.values() if len(ids) == each)])
    return sorted(row for row in found if row[0] <= known), known


@shaped
def first_of(count: int, each: int, dialect: str) -> Any:
    """The first events of each of some cohorts."""
    branches = [_branch(f"cohort_{at}", each, dialect).subquery() for at in range(count)]
    return sa.union_all(*(sa.select(*branch.c) for branch in branches))


def _branch(name: str, each: int, dialect: str) -> Any:
    """The first events of one cohort, by its range of the index.

    For a cohort with few events a planner may scan all events by id. The limit is a constant, because a
    planner takes an unknown one for a tenth of the table.
    """
    cohort, id = t.event.c.cohort_id, t.event.c.id
    limit: Any = sa.literal_column(str(each))
    query = sa.select(*_COLUMNS).order_by(cohort, id).limit(limit)
    if dialect in ("mysql", "mariadb"):
        # MariaDB does not use an index for a comparison of pairs.
        return query.where(cohort == _P(name), *_BETWEEN).with_hint(
            t.event, "FORCE INDEX (ix_borough_event_cohort)"
        )
    pair = sa.tuple_(cohort, id)
    return query.where(
        pair > sa.tuple_(_P(name, type_=t.Id), _P("after", type_=t.Id)),
        pair <= sa.tuple_(_P(name, type_=t.Id), _P("upto", type_=t.Id)),
    )
