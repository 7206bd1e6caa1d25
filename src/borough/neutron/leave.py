"""Going back to the reference driver: its tables are written anew from Neutron's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from neutron_lib import constants
from oslo_utils import uuidutils

from borough.domain.address import format_address
from borough.errors import NeedsOperator
from borough.neutron import truth
from borough.neutron.database import Database
from borough.neutron.subnets import Declared
from borough.neutron.truth import Given
from borough.store.sql import migrate
from borough.store.sql import schema as t


@dataclass
class Left:
    """What the reference driver's tables hold now."""

    subnets: int = 0
    pools: int = 0
    addresses: int = 0
    dropped: bool = False


def leave(
    database: Database,
    *,
    write: bool,
    drop: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Left:
    """Write the reference driver's tables anew, subnet by subnet, and verify them.

    :param write: whether to change anything.
    :param drop: whether to remove Borough's tables in the end.
    :param progress: called with (subnets done, subnets in all).
    :raises NeedsOperator: they do not agree with Neutron's in the end.
    """
    left = Left()
    names = database.transact(truth.subnet_ids)
    if write:
        database.transact(lambda connection: _remove_unknown(connection, set(names)))
    for done, name in enumerate(names, 1):
        wanted, given = database.transact(
            lambda connection, name=name: _one(connection, name, write=write)  # type: ignore[misc]
        )
        left.subnets += 1
        left.pools += len(wanted.pools)
        left.addresses += len(given)
        if progress is not None:
            progress(done, len(names))
    if write:
        _verify(database, left)
        if drop:
            _drop(database)
            left.dropped = True
    return left


def _one(connection: sa.Connection, name: str, *, write: bool) -> tuple[Declared, list[Given]]:
    wanted, given = truth.subnets(connection, [name])[name], truth.given(connection, name)
    if write:
        _remove(connection, [name])
        id, family = uuidutils.generate_uuid(), wanted.prefix.family
        connection.execute(
            sa.insert(truth.THEIR_SUBNET), {"id": id, "neutron_subnet_id": wanted.name}
        )
        pools: list[dict[str, Any]] = [
            {
                "id": uuidutils.generate_uuid(),
                "ipam_subnet_id": id,
                "first_ip": format_address(family, first),
                "last_ip": format_address(family, last),
            }
            for first, last in wanted.pools
        ]
        addresses: list[dict[str, Any]] = [
            {
                "ip_address": format_address(family, each.address),
                "ipam_subnet_id": id,
                "status": constants.IPAM_ALLOCATION_STATUS_ALLOCATED,
            }
            for each in given
        ]
        for table, rows in ((truth.THEIR_POOL, pools), (truth.THEIR_ALLOCATION, addresses)):
            if rows:
                connection.execute(sa.insert(table), rows)
    return wanted, given


def _remove(connection: sa.Connection, names: list[str]) -> None:
    ids = sa.select(truth.THEIR_SUBNET.c.id).where(
        truth.THEIR_SUBNET.c.neutron_subnet_id.in_(names)
    )
    found = [row[0] for row in connection.execute(ids)]
    for table in (truth.THEIR_POOL, truth.THEIR_ALLOCATION):
        connection.execute(sa.delete(table).where(table.c.ipam_subnet_id.in_(found)))
    connection.execute(sa.delete(truth.THEIR_SUBNET).where(truth.THEIR_SUBNET.c.id.in_(found)))


def _remove_unknown(connection: sa.Connection, names: set[str]) -> None:
    """Remove what the reference driver has of subnets that are gone."""
    query = sa.select(truth.THEIR_SUBNET.c.neutron_subnet_id)
    gone = [row[0] for row in connection.execute(query) if row[0] not in names]
    if gone:
        _remove(connection, gone)


def _verify(database: Database, left: Left) -> None:
    def count(connection: sa.Connection) -> tuple[int, ...]:
        return tuple(
            connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (truth.THEIR_SUBNET, truth.THEIR_POOL, truth.THEIR_ALLOCATION)
        )

    found = database.transact(count)
    if found != (left.subnets, left.pools, left.addresses):
        raise NeedsOperator(
            "the reference driver's tables do not agree with Neutron's: something still writes; stop "
            "neutron-server and run `borough neutron leave` again",
            found=found,
        )


def _drop(database: Database) -> None:
    with database.engine.begin() as connection:
        t.metadata.drop_all(connection)
        connection.execute(sa.schema.DropTable(sa.table(migrate.VERSION_TABLE), if_exists=True))  # type: ignore[arg-type]
