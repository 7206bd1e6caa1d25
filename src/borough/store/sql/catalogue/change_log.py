"""The log of changes of each version of the catalogue.

A process that has read one version reads only the changes of later ones. The transaction that makes a
version writes at least one row here, and each row names the version before. Where a link of that chain is
missing, the whole catalogue is read: rows were dropped, a writer keeps no log, or the version that the
process has read belongs to another history of the database.

Versions grow by random steps. Otherwise, after a failover that lost commits or in a restored database, the
same number would name another catalogue, and everything cached with it would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from secrets import randbelow
from typing import Final

import sqlalchemy as sa

from borough.store.sql import schema as t
from borough.store.sql.runner import Runner

#: The mean step to the next version. Steps are uniform, from 1 on: two histories of a database reach the same
#: number once in two million times. JavaScript represents eight thousand million versions exactly.
STEP: Final = 1 << 20

#: Mean number of versions kept.
KEPT: Final = 256

#: Most objects that one version lists, and that a process follows at once; beyond it all are read.
LISTED: Final = 1000

#: A version that no catalogue reaches; its row marks a database whose rows change without a version.
_NEVER: Final = 1 << 62


class ChangedKind(StrEnum):
    """A kind of declared object."""

    SUBNET = "subnet"
    HOST = "host"
    #: A scope, dimension or pool. There are few: when one changes, all are read.
    OTHER = "other"
    #: Anything may have changed.
    ALL = "all"


#: A kind and the id of an object, which is 0 where all of the kind are meant.
Change = tuple[ChangedKind, int]

_P = sa.bindparam
_ADD = sa.insert(t.change).values(
    {name: _P(name) for name in ("previous", "version", "kind", "object_id")}
)
_DROP = sa.delete(t.change).where(t.change.c.version <= _P("oldest"))
_SINCE = (
    sa.select(t.change.c.previous, t.change.c.version, t.change.c.kind, t.change.c.object_id)
    .where(t.change.c.version > _P("seen"))
    .limit(sa.literal_column(str(LISTED + 1)))
)


def ids(kind: ChangedKind) -> sa.Select[tuple[int]]:
    """The ids of the objects of a kind that changed after a version ``seen``, as a subquery."""
    return sa.select(t.change.c.object_id).where(
        t.change.c.version > _P("seen"), t.change.c.kind == sa.literal_column(f"'{kind.value}'")
    )


def step() -> int:
    """The difference from one version to the next."""
    return 1 + randbelow(2 * STEP - 1)


def write(runner: Runner, previous: int, version: int, changes: Iterable[Change]) -> None:
    """Record the changes of a version, and drop the oldest versions."""
    listed = set(changes)
    if not listed or len(listed) > LISTED:
        listed = {(ChangedKind.ALL, 0)}
    link = {"previous": previous, "version": version}
    runner.write_all(
        _ADD, [{**link, "kind": kind.value, "object_id": id} for kind, id in sorted(listed)]
    )
    runner.write(_DROP, oldest=version - KEPT * STEP)


def since(runner: Runner, seen: int, version: int) -> set[Change] | None:
    """Changes after version ``seen`` up to the present one; None when they are not known."""
    rows = runner.rows(_SINCE, seen=seen)
    links = sorted({(at, previous) for previous, at, _, _ in rows})
    is_chain = [seen, *(at for at, _ in links)] == [*(previous for _, previous in links), version]
    changes = {(ChangedKind(kind), id) for _, _, kind, id in rows}
    return (
        changes
        if is_chain and len(rows) <= LISTED and (ChangedKind.ALL, 0) not in changes
        else None
    )


def keep_none(connection: sa.Connection) -> None:
    """Mark a database whose rows change without a version: every process reads the whole catalogue."""
    found = sa.select(t.change.c.id).where(t.change.c.version == _NEVER)
    if connection.scalar(found) is None:
        everything = {
            "previous": 0,
            "version": _NEVER,
            "kind": ChangedKind.ALL.value,
            "object_id": 0,
        }
        connection.execute(sa.insert(t.change), [everything])
