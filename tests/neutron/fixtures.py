"""Fixtures that let Neutron's own unit tests, unedited, run with a driver of Borough.

They create Borough's tables beside Neutron's, and empty them between tests. A test that names the reference
driver gets the driver of Borough, whose calls are counted. For ``borough_remote`` they start a service. It is
never emptied: no two tests have a network or a subnet of the same id.
"""

from __future__ import annotations

import atexit
import functools
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from neutron import policy
from neutron.conf import common
from neutron.ipam.drivers.neutrondb_ipam import driver as reference
from neutron_lib import fixture
from oslo_config import cfg
from oslo_policy import _checks as policy_checks

from borough.neutron import driver as ours
from borough.neutron.service import driver as remote
from borough.neutron.service.client import AddressService
from borough.neutron.session.driver import BoroughPool
from borough.store.sql import routines, schema
from tests.neutron.serving import Served

#: The rows that an empty schema has.
SEEDS: dict[str, list[dict[str, Any]]] = {
    "borough_meta": [{"id": 1, "catalogue_version": 1}],
    "borough_scope": [{"name": "default", "source": ""}],
    "borough_dimension": [
        {"name": name, "position": at, "fallback": fallback, "claims": claims, "source": ""}
        for at, (name, fallback, claims) in enumerate(
            [
                ("network", "none", 0),
                ("segment", "none", 0),
                ("service_type", "unlabelled", 0),
                ("host", "any", 1),
            ]
        )
    ],
}

#: Number of calls of each method of the driver.
calls: Counter[str] = Counter()


def add_seeds(connection: sa.Connection) -> None:
    """Add the rows that an empty schema has."""
    for name, rows in SEEDS.items():
        connection.execute(sa.insert(schema.metadata.tables[name]), rows)


def _attach_tables() -> None:
    generate = fixture.SqlFixture._generate_schema.__func__
    delete = fixture.SqlFixture._delete_from_schema

    def generate_both(cls: Any, engine: sa.Engine) -> None:
        generate(cls, engine)
        schema.metadata.create_all(engine)
        with engine.begin() as connection:
            routines.install(connection)
            add_seeds(connection)

    def delete_from_both(self: Any, engine: sa.Engine) -> None:
        delete(self, engine)
        with engine.begin() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
            add_seeds(connection)

    fixture.SqlFixture._generate_schema = classmethod(generate_both)
    fixture.SqlFixture._delete_from_schema = delete_from_both


def _share_policy_checks() -> None:
    # Every test registers all of Neutron's rules anew. Most of its time would go to copies of their
    # checks, which never change.
    for owner in (policy_checks.BaseCheck, policy.OwnerCheck):
        setattr(owner, "__deepcopy__", lambda self, _memo: self)  # noqa: B010  (it has no such name)


def _count(owner: type, name: str) -> None:
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[f"{owner.__name__}.{name}"] += 1
        return plain(*args, **kwargs)

    setattr(owner, name, counted)


def _replace_reference(driver: str) -> None:
    if driver in ("borough", "borough_remote"):
        # Tests ask for the driver "internal", and also use its classes by name, even to mock them.
        reference.NeutronDbPool = BoroughPool if driver == "borough" else remote.RemotePool
        reference.NeutronDbSubnet = ours.BoroughSubnet
        return
    override = cfg.ConfigOpts.set_override

    def set_override(self: Any, name: str, value: Any, group: Any = None, **more: Any) -> None:
        if name == "ipam_driver" and value == "internal":
            value = driver
        override(self, name, value, group, **more)

    cfg.ConfigOpts.set_override = set_override


def _serve() -> None:
    """Start a service for the tests of this process."""
    folder = tempfile.TemporaryDirectory()
    served = Served(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(served.close)
    service = AddressService(f"http://127.0.0.1:{served.port}", None, timeout=30, cloud="neutron")
    # Tests discard the configuration again and again.
    setattr(remote, "configured", lambda _conf: service)  # noqa: B010  (mypy knows it for a function)


def set_up(driver: str) -> None:
    """Run all tests of this process with a driver; call it once, before any test is loaded."""
    # Some tests rely on an earlier test for this.
    common.register_core_common_config_opts()
    if driver == "borough_remote":
        _serve()
    else:
        _attach_tables()
    _share_policy_checks()
    for name in (
        "allocate_subnet",
        "update_subnet",
        "remove_subnet",
        "get_subnet",
        "get_allocator",
    ):
        _count(ours.NeutronPool, name)
    for name in ("allocate", "deallocate"):
        _count(ours.BoroughSubnet, name)
    _count(ours.BoroughSubnetGroup, "allocate")
    if driver != "internal":
        _replace_reference(driver)
