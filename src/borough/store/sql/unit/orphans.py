"""Orphans in an SQL database."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from borough.domain.space.orphans import Orphan
from borough.store.sql import schema as t
from borough.store.sql.statements import insert
from borough.store.sql.unit.part import SqlPart

_ADD: Final = insert(t.orphan)
_REMOVE: Final = sa.delete(t.orphan).where(t.orphan.c.token == sa.bindparam("old_token"))
_ALL: Final = sa.select(*t.orphan.c).order_by(t.orphan.c.at, t.orphan.c.token)
_OF_DRIVER: Final = _ALL.where(t.orphan.c.driver == sa.bindparam("of_driver"))


class SqlOrphans(SqlPart):
    """See :class:`borough.store.port.ReadOrphans` and :class:`borough.store.port.WriteOrphans`."""

    def keep_orphan(self, orphan: Orphan) -> None:
        self.discard_orphan(orphan.token)
        self._runner.write(_ADD, **orphan._asdict())

    def orphans(self, driver: str | None = None) -> list[Orphan]:
        if driver is None:
            return [Orphan(*row) for row in self._runner.rows(_ALL)]
        return [Orphan(*row) for row in self._runner.rows(_OF_DRIVER, of_driver=driver)]

    def discard_orphan(self, token: str) -> None:
        self._runner.write(_REMOVE, old_token=token)
