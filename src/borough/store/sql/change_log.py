"""The log of what each version of the catalogue changed.

A process that has read one version reads only what later versions changed. Every version has at least one
row here, written by the transaction that makes it; a version without a row is one that nothing is known of,
because its row was dropped or its writer keeps no log, and the whole catalogue is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from borough.store.sql import schema as t
from borough.store.sql.runner import Runner

#: Versions that are kept.
KEPT: Final = 256

#: Objects that one version lists, and that a process follows at once; more are read with all others.
LISTED: Final = 1000

#: A version that no catalogue reaches: its row says that rows change without a version.
_NEVER: Final = 1 << 62


class Kind(StrEnum):
    """A kind of declared object."""

    SUBNET = "subnet"
    HOST = "host"
    #: A scope, dimension or pool. There are few: when one changes, all are read.
    OTHER = "other"
    #: Anything may have changed.
    ALL = "all"


#: A kind and the id of an object, which is 0 where all of the kind are meant.
Change = tuple[Kind, int]

_P = sa.bindparam
_ADD = sa.insert(t.change).values(version=_P("version"), kind=_P("kind"), object_id=_P("object_id"))
_DROP = sa.delete(t.change).where(t.change.c.version <= _P("oldest"))
_SINCE = (
    sa.select(t.change.c.version, t.change.c.kind, t.change.c.object_id)
    .where(t.change.c.version > _P("seen"))
    .limit(sa.literal_column(str(LISTED + 1)))
)


def ids(kind: Kind) -> sa.Select[tuple[int]]:
    """The ids of the objects of a kind that changed after a version ``seen``, as a subquery."""
    return sa.select(t.change.c.object_id).where(
        t.change.c.version > _P("seen"), t.change.c.kind == sa.literal_column(f"'{kind.value}'")
    )


def write(run: Runner, version: int, changes: Iterable[Change]) -> None:
    """Write down what a version changed, and drop the oldest version."""
    listed = set(changes)
    if not listed or len(listed) > LISTED:
        listed = {(Kind.ALL, 0)}
    run.write_all(
        _ADD,
        [{"version": version, "kind": kind.value, "object_id": id} for kind, id in sorted(listed)],
    )
    run.write(_DROP, oldest=version - KEPT)


def since(run: Runner, seen: int, version: int) -> set[Change] | None:
    """Changes after version ``seen`` up to the present one; None when they are not known."""
    if version < seen:
        return None
    rows = run.rows(_SINCE, seen=seen)
    changes = {(Kind(kind), id) for _, kind, id in rows}
    known = {at for at, _, _ in rows}.issuperset(range(seen + 1, version + 1))
    return changes if known and len(rows) <= LISTED and (Kind.ALL, 0) not in changes else None


def keep_none(connection: sa.Connection) -> None:
    """Make every process read the whole catalogue at each version: rows change without one here."""
    found = sa.select(t.change.c.id).where(t.change.c.version == _NEVER)
    if connection.scalar(found) is None:
        everything = {"version": _NEVER, "kind": Kind.ALL.value, "object_id": 0}
        connection.execute(sa.insert(t.change), [everything])
