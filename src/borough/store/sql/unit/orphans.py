"""Orphans in an SQL database."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from borough.domain.space.orphans import Leftover
from borough.store.sql import schema as t
from borough.store.sql.statements import insert
from borough.store.sql.unit.part import SqlPart

_ADD: Final = insert(t.leftover)
_REMOVE: Final = sa.delete(t.leftover).where(t.leftover.c.token == sa.bindparam("old_token"))
_ALL: Final = sa.select(*t.leftover.c).order_by(t.leftover.c.at, t.leftover.c.token)
_OF_DRIVER: Final = _ALL.where(t.leftover.c.driver == sa.bindparam("of_driver"))


class SqlOrphans(SqlPart):
    """See :class:`borough.store.port.ReadOrphans` and :class:`borough.store.port.WriteOrphans`."""

    def leave(self, leftover: Leftover) -> None:
        self.settle(leftover.token)
        self._run.write(_ADD, **leftover._asdict())

    def leftovers(self, driver: str | None = None) -> list[Leftover]:
        if driver is None:
            return [Leftover(*row) for row in self._run.rows(_ALL)]
        return [Leftover(*row) for row in self._run.rows(_OF_DRIVER, of_driver=driver)]

    def settle(self, token: str) -> None:
        self._run.write(_REMOVE, old_token=token)
