"""A Neutron database on a test server, with the parts of Neutron that its IPAM drivers need."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import netaddr
import sqlalchemy as sa
from neutron.common import config  # noqa: F401  (registers Neutron's options)
from neutron.conf import common as common_config
from neutron.db import models_v2
from neutron.db.migration.models import head
from neutron.ipam import driver as ipam_driver
from neutron.ipam import requests as ipam_req
from neutron.objects import subnet as subnet_obj
from neutron.plugins.ml2.models import PortBinding
from neutron_lib import context as neutron_context
from neutron_lib.db import api as db_api
from neutron_lib.plugins import constants, directory
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils

from borough import Ipam
from borough.engine.views import Allocation
from borough.neutron.commands.database import Database
from borough.neutron.commands.reconcile import Report, Side, reconcile
from borough.neutron.commands.sides import SessionSide
from borough.store.open import open_store
from borough.store.sql import migrate
from borough.store.sql import schema as t

PROJECT = "p" * 32


def driver_url(url: str) -> str:
    """The URL of a test server in the form for Neutron."""
    made = sa.make_url(url)
    names = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
    return made.set(drivername=names[made.get_backend_name()]).render_as_string(hide_password=False)


@cache
def _configure() -> None:
    common_config.register_core_common_config_opts()
    cfg.CONF([], project="neutron")


class _Plugin:
    """The part of Neutron's core plugin that the reference driver uses."""

    def _get_subnet_object(self, context: Any, id: str) -> Any:
        return subnet_obj.Subnet.get_object(context, id=id)

    def get_plugin_type(self) -> str:
        return "CORE"


class Cloud:
    """One database with Neutron's tables and Borough's, and one IPAM driver."""

    def __init__(self, url: str, driver: str, *, create: bool = True, tables: bool = True) -> None:
        """Work on a database.

        :param create: create Neutron's tables; with ``tables`` Borough's as well.
        """
        self.url = driver_url(url)
        self._server_url = url
        _configure()
        self.driver = driver
        manager = enginefacade.transaction_context()
        manager.configure(
            connection=self.url, max_pool_size=20, max_overflow=20, flush_on_subtransaction=True
        )
        self._factory = manager._factory
        self.engine = manager.writer.get_engine()
        self.use()
        if create:
            head.get_metadata().create_all(self.engine)
            if tables:
                migrate.upgrade(sa.create_engine(self.url), shared=True)
        directory.add_plugin(constants.CORE, _Plugin())

    def use(self) -> None:
        """Select its database and its driver for this process."""
        cfg.CONF.set_override("ipam_driver", self.driver)
        db_api.get_context_manager()._root_factory = self._factory

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # --- Allocated addresses --------------------------------------------------------------------------

    @contextmanager
    def ipam(self) -> Iterator[Ipam]:
        """The address space, without Neutron."""
        with Ipam(open_store(self._server_url)) as ipam:
            yield ipam

    def side(self, database: Database) -> Side:
        """The side with the addresses."""
        return SessionSide(database)

    def held(self, subnet: str) -> list[Allocation]:
        """The allocations of a subnet, by address."""
        with self.ipam() as ipam:
            return sorted(ipam.allocations(subnet=subnet), key=lambda each: each.address)

    def addresses(self, subnet: str) -> list[str]:
        """The allocated addresses of a subnet."""
        return [each.address for each in self.held(subnet)]

    def audit(self, *, write: bool = False, grace: int = 0) -> Report:
        """Compare both sides."""
        database = Database(self.url)
        return reconcile(database, self.side(database), write=write, grace=grace)

    def forget(self, subnet: str) -> None:
        """Remove a subnet from the driver, but not from Neutron."""
        context = self.context
        with db_api.CONTEXT_WRITER.using(context):
            self.pool(context).remove_subnet(subnet)

    def age(self, seconds: int) -> None:
        """Make every allocation older."""
        older = sa.update(t.allocation).values(at=t.allocation.c.at - seconds * 1_000_000)
        with self.engine.begin() as connection:
            connection.execute(older)

    def execute(self, *statements: str) -> None:
        """Run statements in Neutron's database."""
        with self.engine.begin() as connection:
            for text in statements:
                connection.execute(sa.text(text))

    # --- Neutron --------------------------------------------------------------------------------------

    @property
    def context(self) -> Any:
        """The context of a new request."""
        return neutron_context.get_admin_context()

    def subnet(self, cidr: str, *, network: str = "", labels: Any = None) -> str:
        """Add a subnet to Neutron's tables and to those of the driver."""
        context, id = self.context, uuidutils.generate_uuid()
        net = ipaddress.ip_network(cidr)
        gateway = str(net[1])
        request = ipam_req.SpecificSubnetRequest(
            PROJECT,
            id,
            cidr,
            gateway_ip=gateway,
            allocation_pools=[netaddr.IPRange(str(net[2]), str(net[-2]))],
        )
        with db_api.CONTEXT_WRITER.using(context):
            network = network or self.network(context)
            context.session.add(
                models_v2.Subnet(
                    id=id,
                    project_id=PROJECT,
                    network_id=network,
                    name="",
                    ip_version=net.version,
                    cidr=cidr,
                    gateway_ip=gateway,
                    enable_dhcp=False,
                )
            )
            context.session.add(
                models_v2.IPAllocationPool(subnet_id=id, first_ip=str(net[2]), last_ip=str(net[-2]))
            )
            request.network_id = network
            request.labels = labels
            self.pool(context).allocate_subnet(request)
        return str(id)

    def port(
        self, network: str, subnet: str, address: str, *, host: str = "", owner: str = ""
    ) -> str:
        """Add a port to Neutron's tables only, as Neutron does after the allocation of its address."""
        context, id = self.context, owner or uuidutils.generate_uuid()
        with db_api.CONTEXT_WRITER.using(context):
            context.session.add(
                models_v2.Port(
                    id=id,
                    project_id=PROJECT,
                    name="",
                    network_id=network,
                    mac_address=":".join(("fa", "16", *(id[at : at + 2] for at in (0, 2, 4, 6)))),
                    admin_state_up=True,
                    status="ACTIVE",
                    device_id="",
                    device_owner="compute:nova",
                )
            )
            context.session.flush()
            context.session.add(
                models_v2.IPAllocation(
                    port_id=id, ip_address=address, subnet_id=subnet, network_id=network
                )
            )
            if host:
                context.session.add(PortBinding(port_id=id, host=host, vif_type="unbound"))
        return str(id)

    def delete_port(self, id: str) -> None:
        """Remove a port from Neutron's tables only."""
        context = self.context
        with db_api.CONTEXT_WRITER.using(context):
            context.session.delete(context.session.get(models_v2.Port, id))

    def network(self, context: Any | None = None) -> str:
        """Add a network to Neutron's tables."""
        id = uuidutils.generate_uuid()
        context = context or self.context
        with db_api.CONTEXT_WRITER.using(context):
            context.session.add(
                models_v2.Network(id=id, project_id=PROJECT, name="", admin_state_up=True)
            )
        return str(id)

    def pool(self, context: Any) -> Any:
        """The driver."""
        return ipam_driver.Pool.get_instance(None, context)

    def allocate(
        self, ids: Sequence[str], request: Any = None, port: Any = None
    ) -> tuple[str, str]:
        """Allocate one address in a new transaction, as the creation of a port does."""
        context = self.context
        with db_api.CONTEXT_WRITER.using(context):
            return self.allocate_in(context, ids, request, port)

    def allocate_in(
        self, context: Any, ids: Sequence[str], request: Any = None, port: Any = None
    ) -> tuple[str, str]:
        """Allocate one address."""
        pool = self.pool(context)
        if request is None:
            factory = pool.get_address_request_factory()
            request = factory.get_request(context, port or {"device_owner": "compute:nova"}, {})
        answer: tuple[str, str] = pool.get_allocator(list(ids)).allocate(request)
        return answer

    def release(self, subnet: str, address: str) -> None:
        """Release an address."""
        context = self.context
        with db_api.CONTEXT_WRITER.using(context):
            self.pool(context).get_subnet(subnet).deallocate(address)


def port(host: str = "", device_owner: str = "compute:nova") -> dict[str, str]:
    """A port before its creation."""
    made = {"id": uuidutils.generate_uuid(), "device_owner": device_owner, "project_id": "p"}
    return {**made, "binding:host_id": host} if host else made


def specific(address: str) -> Any:
    """A request for one address by name."""
    return ipam_req.SpecificAddressRequest(address)
