"""Taking over what Neutron's tables say, and finding where Borough's differ from them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from borough.domain.model import Allocation
from borough.domain.space import Grant, Plan
from borough.neutron import subnets, truth
from borough.neutron.backend import Backend, now
from borough.neutron.catalogue import NeutronSubnet
from borough.neutron.truth import Given
from borough.neutron.unit import SessionUnit


def adopt_one(backend: Backend, connection: sa.Connection, name: str) -> None:
    """Take over one subnet from Neutron's tables, with the addresses that it has given."""
    wanted = truth.subnets(connection, [name])[name]
    given = truth.given(connection, name)

    def work(unit: SessionUnit) -> None:
        at = now()
        subnet = subnets.add(unit, wanted, [each.address for each in given], now=at)
        unit.commit(Plan(grants=[Grant(_held(subnet, each, at), None, None, None) for each in given]), at)

    backend.run(connection, (name,), work)
    backend.forget(name)


def _held(subnet: NeutronSubnet, given: Given, at: int) -> Allocation:
    return Allocation(
        scope=subnet.scope,
        family=subnet.family,
        address=given.address,
        subnet_id=subnet.id,
        owner=given.place.owner,
        host=given.place.host,
        attributes=given.place.attributes,
        at=at,
    )
