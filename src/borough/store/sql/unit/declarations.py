"""Declared objects in an SQL database: scopes, dimensions, pools and hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.records import Host, Pool
from borough.domain.net.addresses import to_bytes
from borough.store.port import LostRace
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.catalogue import change_log
from borough.store.sql.catalogue.change_log import ChangedKind
from borough.store.sql.unit.subnets import SqlSubnets, label_rows, settings_text

_P = sa.bindparam

_ADD_SCOPE = s.insert(t.scope, "id").returning(t.scope.c.id)
_REMOVE_SCOPE = sa.delete(t.scope).where(t.scope.c.name == _P("old_name"))
_ADD_DIMENSION = s.insert(t.dimension)
_CLEAR_DIMENSIONS = sa.delete(t.dimension)
_ADD_POOL = s.insert(t.pool, "id").returning(t.pool.c.id)
_CHANGE_POOL = s.update(t.pool)
_REMOVE_POOL = s.remove(t.pool)
_ADD_POOL_PREFIX = s.insert(t.pool_prefix, "id")
_REMOVE_POOL_PREFIXES = s.remove(t.pool_prefix, "pool_id")
_ADD_HOST = s.insert(t.host, "id").returning(t.host.c.id)
_CHANGE_HOST = s.update(t.host)
_REMOVE_HOST = s.remove(t.host)
_ADD_HOST_LABEL = s.insert(t.host_label, "id")
_REMOVE_HOST_LABELS = s.remove(t.host_label, "host_id")

_DROP_COHORTS = sa.delete(t.cohort).where(t.cohort.c.id.not_in(sa.select(t.subnet.c.cohort_id)))


class SqlDeclarations(SqlSubnets):
    """See :class:`borough.store.port.WriteDeclarations`."""

    def touch(self, seen: int) -> None:
        version = seen + change_log.step()
        if self._runner.write(s.touch, seen=seen, version=version) != 1:
            raise LostRace("catalogue")
        self._runner.write(_DROP_COHORTS)
        change_log.write(self._runner, seen, version, self._declared)
        self._declared.clear()
        self._changed()

    def add_scope(self, name: str, source: str) -> None:
        known = self.catalogue
        scopes = {**known.scopes, name: self._runner.insert(_ADD_SCOPE, name=name, source=source)}
        self._declared.add((ChangedKind.OTHER, 0))
        self._touched = True
        self._fresh = known.after(known.version, {}, scopes=scopes)

    def remove_scope(self, name: str) -> None:
        self._runner.write(_REMOVE_SCOPE, old_name=name)
        self._declared.add((ChangedKind.OTHER, 0))

    def set_dimensions(self, dimensions: Sequence[Dimension], sources: Mapping[str, str]) -> None:
        self._runner.write(_CLEAR_DIMENSIONS)
        self._runner.write_all(
            _ADD_DIMENSION,
            [
                {
                    "name": dimension.name,
                    "position": position,
                    "fallback": dimension.fallback.value,
                    "claims": int(dimension.claims),
                    "source": sources.get(dimension.name, ""),
                    "claiming": settings_text(dimension.claiming.differences),
                    "declared": int(dimension.declared),
                }
                for position, dimension in enumerate(dimensions)
            ],
        )
        self._declared.add((ChangedKind.OTHER, 0))

    def put_pool(self, pool: Pool) -> None:
        values = {
            "name": pool.name,
            "scope_id": self.catalogue.scopes[pool.scope],
            "family": pool.family,
            "minimum_length": pool.minimum_length,
            "maximum_length": pool.maximum_length,
            "default_length": pool.default_length,
            "quota": pool.quota,
            "source": pool.source,
        }
        pool_id = pool.id
        if pool_id:
            self._runner.write(_CHANGE_POOL, old_id=pool_id, **values)
            self._runner.write(_REMOVE_POOL_PREFIXES, old_id=pool_id)
        else:
            pool_id = self._runner.insert(_ADD_POOL, **values)
        self._runner.write_all(
            _ADD_POOL_PREFIX,
            [
                {
                    "pool_id": pool_id,
                    "base": to_bytes(each.family, each.base),
                    "length": each.length,
                }
                for each in pool.prefixes
            ],
        )
        self._declared.add((ChangedKind.OTHER, 0))

    def remove_pool(self, pool: Pool) -> None:
        self._runner.write(_REMOVE_POOL_PREFIXES, old_id=pool.id)
        self._runner.write(_REMOVE_POOL, old_id=pool.id)
        self._declared.add((ChangedKind.OTHER, 0))

    def put_host(self, host: Host) -> None:
        host_id = host.id
        values = {
            "name": host.name,
            "source": host.source,
            "claiming": settings_text(host.claiming),
        }
        if host_id:
            self._runner.write(_CHANGE_HOST, old_id=host_id, **values)
            self._runner.write(_REMOVE_HOST_LABELS, old_id=host_id)
        else:
            host_id = self._runner.insert(_ADD_HOST, **values)
        self._runner.write_all(_ADD_HOST_LABEL, label_rows("host_id", host_id, host.labels))
        self._declared.add((ChangedKind.HOST, host_id))

    def remove_host(self, host: Host) -> None:
        self._runner.write(_REMOVE_HOST_LABELS, old_id=host.id)
        self._runner.write(_REMOVE_HOST, old_id=host.id)
        self._declared.add((ChangedKind.HOST, host.id))
