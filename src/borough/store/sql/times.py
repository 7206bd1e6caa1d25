"""The latest times that are stored, and how they are cut; see :mod:`borough.engine.audit_times`."""

from __future__ import annotations

import sqlalchemy as sa

from borough.store.port import Times
from borough.store.sql import schema as t
from borough.store.sql.runner import Runner

_P = sa.bindparam

_RESTS = (
    sa.select(t.allocation.c.subnet_id, sa.func.max(t.allocation.c.until))
    .where(t.allocation.c.until > _P("bound"))
    .group_by(t.allocation.c.subnet_id)
)
_IDLE_MARKS = (
    sa.select(t.block.c.subnet_id, sa.func.max(t.block.c.idle_since))
    .where(t.block.c.idle_since > _P("bound"))
    .group_by(t.block.c.subnet_id)
)
_KEY = sa.select(sa.func.max(t.idempotency_key.c.at)).where(t.idempotency_key.c.at > _P("bound"))
_CUT_RESTS = (
    sa.update(t.allocation)
    .where(t.allocation.c.subnet_id == _P("of_subnet"), t.allocation.c.until > _P("bound"))
    .values(until=_P("latest"))
)
# Whoever decides on a block compares its version, so that a sweep meanwhile is run again.
_CUT_IDLE_MARKS = (
    sa.update(t.block)
    .where(t.block.c.subnet_id == _P("of_subnet"), t.block.c.idle_since > _P("bound"))
    .values(idle_since=_P("latest"), version=t.block.c.version + sa.literal_column("1"))
)
_CUT_KEYS = (
    sa.update(t.idempotency_key).where(t.idempotency_key.c.at > _P("bound")).values(at=_P("latest"))
)


def times_after(run: Runner, bound: int) -> Times:
    """See :meth:`borough.store.port.Unit.times_after`."""
    newest = run.one(_KEY, bound=bound)
    return Times(
        {int(subnet_id): int(until) for subnet_id, until in run.rows(_RESTS, bound=bound)},
        {int(subnet_id): int(marked) for subnet_id, marked in run.rows(_IDLE_MARKS, bound=bound)},
        newest[0] if newest else None,
    )


def cut_rests(run: Runner, subnet_id: int, until: int) -> None:
    """See :meth:`borough.store.port.Unit.cut_rests`."""
    run.write(_CUT_RESTS, of_subnet=subnet_id, bound=until, latest=until)


def cut_idle_marks(run: Runner, subnet_id: int, latest: int) -> None:
    """See :meth:`borough.store.port.Unit.cut_idle_marks`."""
    run.write(_CUT_IDLE_MARKS, of_subnet=subnet_id, bound=latest, latest=latest)


def cut_keys(run: Runner, latest: int) -> None:
    """See :meth:`borough.store.port.Unit.cut_keys`."""
    run.write(_CUT_KEYS, bound=latest, latest=latest)
