"""An IPAM driver written for OpenStack Neutron, unmodified, as a classic driver.

Neutron's interface (``neutron.ipam.driver.Pool``) knows one subnet at a time; through the shim its
drivers serve every kind of group. Outside a Neutron server the driver stands in for the little of it that
pools lean on: a configuration, a context for each call, and a core plug-in that knows the subnets.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from threading import RLock
from typing import Any, ClassVar, Final, Self, TypeVar

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address
from borough.domain.request import Kind
from borough.driver.interface import DriverSubnet, SubnetDriver, SubnetRequest
from borough.driver.settings import Settings
from borough.errors import (
    AddressInUse,
    DriverFault,
    DriverUnavailable,
    Exhausted,
    NotAllocated,
    UnknownDriver,
)

T = TypeVar("T")

#: The pool that Neutron itself ships.
REFERENCE: Final = "neutron.ipam.drivers.neutrondb_ipam.driver:NeutronDbPool"

#: Attribute of a subnet that holds its id in Neutron; without it an id is made from scope and name.
ID_ATTRIBUTE: Final = "neutron_subnet_id"

_NAMESPACE: Final = uuid.UUID("5a3c8b5e-6d0f-4b7e-9f57-0b4a0f1d2c11")


@dataclass(eq=False)
class NeutronDriver(SubnetDriver):
    """A Neutron pool.

    :ivar pool: the class, a subclass of ``neutron.ipam.driver.Pool``.
    :ivar serial: True for one call at a time: SQLite has one writer at a time.
    :ivar subnets: by their ids in Neutron, for pools that read them.
    """

    pool: type[Any]
    serial: bool = False
    subnets: dict[str, _NeutronSubnet] = field(default_factory=dict)
    _calling: Any = field(default_factory=RLock)

    lacks: ClassVar[Any] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Load a pool.

        Settings: ``pool``, its ``module:Class`` (Neutron's reference driver by default);
        ``config_files`` of Neutron; ``database``, the URL of Neutron's database, if it is not in those;
        ``create``, true to create the tables of the reference driver (in production Neutron's migrations do).
        """
        name = settings.text("pool", REFERENCE)
        files = settings.texts("config_files", ())
        database = settings.text("database", "")
        create = settings.flag("create", False)
        _configure(files, database)
        pool = _load(name)
        if create:
            _make_tables()
        from oslo_config import cfg

        url = cfg.CONF.database.connection or ""
        driver = cls(pool, serial=url.startswith("sqlite"))
        _stand_in(driver)
        return driver

    def get_subnet(self, subnet: Subnet) -> DriverSubnet:
        """See :meth:`borough.driver.interface.SubnetDriver.get_subnet`."""
        return _PoolSubnet(self, subnet)

    def add_subnet(self, subnet: Subnet) -> None:
        """Add an IPAM subnet, or update its allocation pools."""
        self.know(subnet)
        request = _subnet_request(subnet)
        if self._has(subnet):
            self.call(subnet, lambda pool: pool.update_subnet(request))
        else:
            self.call(subnet, lambda pool: pool.allocate_subnet(request))

    def _has(self, subnet: Subnet) -> bool:
        try:
            self.call(subnet, lambda pool: pool.get_subnet(subnet_id(subnet)))
        except DriverFault:
            return False
        return True

    def remove_subnet(self, subnet: Subnet) -> None:
        """Remove the IPAM subnet."""
        self.call(subnet, lambda pool: pool.remove_subnet(subnet_id(subnet)))
        self.subnets.pop(subnet_id(subnet), None)

    def close(self) -> None:
        """Remove the driver from the core plug-in."""
        if self in _standing_in:
            _standing_in.remove(self)

    def know(self, subnet: Subnet) -> None:
        """Store a subnet for pools that read it."""
        self.subnets[subnet_id(subnet)] = _NeutronSubnet(subnet)

    def call(self, subnet: Subnet, act: Callable[[Any], T]) -> T:
        """Call the pool in a new context, as a request to Neutron does, and translate its errors."""
        from neutron_lib import context
        from neutron_lib.db import api

        @api.retry_db_errors  # whole calls, as Neutron itself does
        def once() -> T:
            return act(self.pool(None, context.get_admin_context()))

        with self._calling if self.serial else nullcontext(), _translated(subnet):
            found: T = once()
            return found


@dataclass(frozen=True)
class _NeutronSubnet:
    """A subnet as Neutron's core plug-in describes it to a pool."""

    subnet: Subnet

    @property
    def id(self) -> str:
        return subnet_id(self.subnet)

    @property
    def cidr(self) -> Any:
        import netaddr

        return netaddr.IPNetwork(str(self.subnet.prefix))

    @property
    def gateway_ip(self) -> Any:
        import netaddr

        gateway = self.subnet.gateway
        return None if gateway is None else netaddr.IPAddress(_text(self.subnet, gateway))

    @property
    def project_id(self) -> str:
        return self.subnet.project


@dataclass(frozen=True)
class _PoolSubnet(DriverSubnet):
    """One subnet of a pool."""

    driver: NeutronDriver
    subnet: Subnet

    def allocate(self, request: SubnetRequest) -> str:
        """See :meth:`borough.driver.interface.DriverSubnet.allocate`."""
        self.driver.know(self.subnet)
        wanted = _address_request(self.subnet, request)
        return str(
            self.driver.call(
                self.subnet,
                lambda pool: pool.get_subnet(subnet_id(self.subnet)).allocate(wanted),
            )
        )

    def deallocate(self, address: str) -> None:
        """See :meth:`borough.driver.interface.DriverSubnet.deallocate`."""
        self.driver.know(self.subnet)
        self.driver.call(
            self.subnet,
            lambda pool: pool.get_subnet(subnet_id(self.subnet)).deallocate(address),
        )


def subnet_id(subnet: Subnet) -> str:
    """The id that a subnet has in Neutron."""
    id = subnet.attributes.get(ID_ATTRIBUTE)
    return str(id or uuid.uuid5(_NAMESPACE, f"{subnet.scope}/{subnet.name}"))


def _text(subnet: Subnet, address: int) -> str:
    return format_address(subnet.family, address)


def _subnet_request(subnet: Subnet) -> Any:
    import netaddr
    from neutron.ipam import requests

    pools = [
        netaddr.IPRange(_text(subnet, first), _text(subnet, last)) for first, last in subnet.usable
    ]
    return requests.SpecificSubnetRequest(
        subnet.project,
        subnet_id(subnet),
        str(subnet.prefix),
        gateway_ip=None if subnet.gateway is None else _text(subnet, subnet.gateway),
        allocation_pools=pools,
        set_gateway_ip=False,
    )


def _address_request(subnet: Subnet, request: SubnetRequest) -> Any:
    from neutron.ipam import requests

    match request.kind:
        case Kind.ANY:
            return requests.AnyAddressRequest()
        case Kind.NEXT:
            return requests.PreferNextAddressRequest()
        case Kind.EUI64:
            return requests.AutomaticAddressRequest(prefix=str(subnet.prefix), mac=request.mac)
        case _:
            return requests.SpecificAddressRequest(request.address)


@contextmanager
def _translated(subnet: Subnet) -> Iterator[None]:
    """Translate Neutron's errors by their classes."""
    from neutron.ipam import exceptions as ipam
    from neutron_lib import exceptions
    from oslo_db import exception as db

    try:
        yield
    except ipam.IpAddressGenerationFailure as error:
        raise Exhausted(str(error)) from error
    except ipam.IpAddressAlreadyAllocated as error:
        raise AddressInUse(str(error)) from error
    except ipam.IPAddressChangeNotAllowed as error:
        raise NotAllocated(str(error)) from error
    except db.DBConnectionError as error:
        raise DriverUnavailable(f"Neutron's database: {error}", outcome="unknown") from error
    except (db.DBDuplicateEntry, db.DBDeadlock, db.RetryRequest) as error:
        raise DriverUnavailable(
            f"Neutron's database is busy ({type(error).__name__})", outcome="not_done"
        ) from error
    except exceptions.NeutronException as error:
        raise DriverFault(str(error), subnet=subnet.name) from error


# --- Outside a Neutron server --------------------------------------------------------------------


def _load(name: str) -> type[Any]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownDriver(f"there is no Neutron pool {name}: {error}", pool=name) from error
    from neutron.ipam import driver

    if not (isinstance(found, type) and issubclass(found, driver.Pool)):
        raise UnknownDriver(f"{name} is not a neutron.ipam.driver.Pool", pool=name)
    return found


def _configure(files: tuple[str, ...], database: str) -> None:
    try:
        from neutron import objects
        from neutron.common import config  # noqa: F401  (declares Neutron's options)
        from neutron_lib.plugins import directory
        from oslo_config import cfg
        from oslo_db import options
    except ImportError as error:
        raise UnknownDriver(
            f"driver neutron needs the module {error.name}; run: pip install 'borough[neutron]'"
        ) from error
    objects.register_objects()
    options.set_defaults(cfg.CONF)
    if directory.get_plugin() is None:
        cfg.CONF(
            [f"--config-file={each}" for each in files], project="neutron", default_config_files=[]
        )
    if database:
        cfg.CONF.set_override("connection", database, group="database")


def _make_tables() -> None:
    from neutron.ipam.drivers.neutrondb_ipam import db_models
    from neutron_lib.db import api

    models = (db_models.IpamSubnet, db_models.IpamAllocationPool, db_models.IpamAllocation)
    engine = api.get_context_manager().writer.get_engine()
    models[0].metadata.create_all(engine, tables=[each.__table__ for each in models])


class _CorePlugin:
    """The part of Neutron's core plug-in that pools use: the subnets."""

    def __init__(self, drivers: list[NeutronDriver]) -> None:
        self._drivers = drivers

    def _get_subnet_object(self, _context: Any, id: str) -> _NeutronSubnet:
        from neutron_lib import exceptions

        for driver in self._drivers:
            if id in driver.subnets:
                return driver.subnets[id]
        raise exceptions.SubnetNotFound(subnet_id=id)

    def get_subnet(self, context: Any, id: str, fields: Any = None) -> Mapping[str, Any]:
        found = self._get_subnet_object(context, id)
        gateway = found.gateway_ip
        return {
            "id": id,
            "cidr": str(found.cidr),
            "gateway_ip": None if gateway is None else str(gateway),
            "tenant_id": found.project_id,
        }


#: Drivers of this process that are not inside a Neutron server.
_standing_in: Final[list[NeutronDriver]] = []


def _stand_in(driver: NeutronDriver) -> None:
    """Register a core plug-in, unless a Neutron server has."""
    from neutron_lib.plugins import constants, directory

    _standing_in.append(driver)
    if directory.get_plugin() is None:
        directory.add_plugin(constants.CORE, _CorePlugin(_standing_in))
