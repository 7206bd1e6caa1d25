"""Return to the reference driver, whose tables are a side of a reconciliation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from neutron_lib import constants
from oslo_utils import uuidutils

from borough.domain.net.addresses import format_address, parse_address
from borough.neutron.commands.database import Database
from borough.neutron.commands.reconcile import Difference, HeldAddress, SideSubnet, TableSide
from borough.neutron.tables import THEIR_ALLOCATION, THEIR_POOL, THEIR_SUBNET, TableSubnet
from borough.store.sql import migrate
from borough.store.sql import schema as t


class ReferenceSide(TableSide[None]):
    """The reference driver's tables, which hold no times; a subnet that differs is replaced."""

    known = sa.select(THEIR_SUBNET.c.neutron_subnet_id)

    def _read(
        self, connection: sa.Connection, name: str, wanted: TableSubnet | None
    ) -> SideSubnet[None] | None:
        ids = _ids(connection, name)
        if not ids:
            return None
        pools = sa.select(THEIR_POOL.c.first_ip, THEIR_POOL.c.last_ip)
        addresses = sa.select(THEIR_ALLOCATION.c.ip_address)
        found_pools = sorted(
            (parse_address(first)[1], parse_address(last)[1])
            for first, last in connection.execute(pools.where(THEIR_POOL.c.ipam_subnet_id.in_(ids)))
        )
        rows = connection.execute(addresses.where(THEIR_ALLOCATION.c.ipam_subnet_id.in_(ids)))
        is_right = wanted is not None and found_pools == list(wanted.declared.pools)
        return SideSubnet(
            {parse_address(address)[1]: HeldAddress(0, None) for (address,) in rows},
            differs=() if is_right and len(ids) == 1 else ("pools",),
        )

    def _mend(self, connection: sa.Connection, found: Difference[None]) -> None:
        ids = _ids(connection, found.name)
        for table in (THEIR_POOL, THEIR_ALLOCATION):
            connection.execute(sa.delete(table).where(table.c.ipam_subnet_id.in_(ids)))
        connection.execute(sa.delete(THEIR_SUBNET).where(THEIR_SUBNET.c.id.in_(ids)))
        if found.wanted is not None:
            _add(connection, found.wanted)


def _ids(connection: sa.Connection, name: str) -> Collection[str]:
    """The keys of a subnet; the table permits several."""
    query = sa.select(THEIR_SUBNET.c.id).where(THEIR_SUBNET.c.neutron_subnet_id == name)
    return list(connection.execute(query).scalars())


def _add(connection: sa.Connection, wanted: TableSubnet) -> None:
    declared, id = wanted.declared, uuidutils.generate_uuid()
    family = declared.prefix.family
    connection.execute(sa.insert(THEIR_SUBNET), {"id": id, "neutron_subnet_id": declared.name})
    pools: list[dict[str, Any]] = [
        {
            "id": uuidutils.generate_uuid(),
            "ipam_subnet_id": id,
            "first_ip": format_address(family, first),
            "last_ip": format_address(family, last),
        }
        for first, last in declared.pools
    ]
    addresses: list[dict[str, Any]] = [
        {
            "ip_address": format_address(family, each.address),
            "ipam_subnet_id": id,
            "status": constants.IPAM_ALLOCATION_STATUS_ALLOCATED,
        }
        for each in wanted.addresses
    ]
    for table, rows in ((THEIR_POOL, pools), (THEIR_ALLOCATION, addresses)):
        if rows:
            connection.execute(sa.insert(table), rows)


def drop_tables(database: Database) -> None:
    """Remove Borough's tables from Neutron's database."""
    with database.engine.begin() as connection:
        t.metadata.drop_all(connection)
        connection.execute(sa.schema.DropTable(sa.table(migrate.VERSION_TABLE), if_exists=True))  # type: ignore[arg-type]
