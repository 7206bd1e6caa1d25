"""The service that keeps the addresses for ``borough_remote``.

Every call can be repeated: an allocation has an idempotency key, a release names a sequence number, and a
declaration describes the final state.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from borough.client.ipam import RemoteIpam
from borough.client.transport import Transport
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Topology
from borough.domain.net.addresses import format_address
from borough.domain.net.prefixes import Prefix
from borough.domain.request import Kind, Request
from borough.domain.space import allocations as records
from borough.engine.request import write_request
from borough.engine.views import Allocation, SubnetView, show_subnet
from borough.errors import (
    AddressInUse,
    FixInput,
    InUse,
    NotAllocated,
    RetryLater,
    StaleSequence,
    UnknownObject,
    WouldStrand,
)
from borough.neutron.requests import port_request
from borough.neutron.subnet import FIELDS, OUTSIDE
from borough.neutron.tables import PortAddress, TableSubnet
from borough.retry import Retry

T = TypeVar("T")

#: Addresses in one request to release them.
_BATCH: Final = 1000


class ServiceAddress(NamedTuple):
    """One allocated address at the service.

    :ivar subnet: its id in Neutron.
    :ivar sequence: the number of its allocation, which tells it from the next one of the address.
    """

    subnet: str
    scope: str
    address: str
    sequence: int

    @classmethod
    def of(cls, made: Allocation) -> ServiceAddress:
        """From an allocation."""
        return cls(made.subnet, made.scope, made.address, made.sequence)


class AddressService:
    """One service; safe to share between threads.

    The methods raise the errors of the library, such as :class:`~borough.errors.RetryLater` when the service
    does not answer in time.
    """

    def __init__(self, url: str, token: str | None, *, timeout: float, cloud: str) -> None:
        """Name a service; this sends nothing.

        :param timeout: seconds to wait for an answer, and for which a call is repeated.
        :param cloud: the prefix of the names of this cloud's topologies.
        :raises FixInput: the URL or the token is malformed.
        """
        self._http = Transport(url, token, timeout)
        self._ipam = RemoteIpam(self._http)
        self._retry = Retry(timeout=timeout)
        self._cloud = cloud

    def _ask(self, call: Callable[[], T]) -> T:
        return self._retry.run(call, RetryLater)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(self, request: Request) -> list[ServiceAddress]:
        """Allocate all addresses of a request, or none, in one HTTP request."""
        # A new key each time: the addresses of an earlier key may have been released.
        words = write_request(replace(request, key=f"neutron:{uuid.uuid4()}"))
        answer = self._ask(lambda: self._ipam.allocate(**words))
        return [ServiceAddress.of(each) for each in answer.allocations]

    def take(self, subnet: Subnet, found: PortAddress) -> None:
        """Allocate the address of a port, unless it is allocated already."""
        request = port_request(Kind.SPECIFIC, found.port, address=found.address)
        tiers = ((subnet.name,),)
        with suppress(AddressInUse):
            self.allocate(
                replace(request, scope=subnet.scope, families=(subnet.family,), tiers=tiers)
            )

    def holder(self, scope: str, subnet: str, address: str) -> ServiceAddress | None:
        """The allocation of an address of a subnet; None when it is free."""
        try:
            found = self._ask(lambda: self._ipam.show(address, scope=scope))
        except (NotAllocated, UnknownObject):
            return None
        if found.state != records.State.ALLOCATED.value or found.subnet != subnet:
            return None
        return ServiceAddress.of(found)

    def release(self, held: ServiceAddress) -> None:
        """Release an address, unless it is released already."""
        with suppress(NotAllocated, StaleSequence, UnknownObject):
            release = partial(self._ipam.release, sequence=held.sequence, scope=held.scope)
            self._ask(partial(release, held.address))

    def allocations(self, subnet: str) -> list[Allocation]:
        """The allocations of a subnet; none when the service does not have it."""
        try:
            found = self._ask(lambda: self._ipam.allocations(subnet=subnet))
        except UnknownObject:
            return []
        return [each for each in found if each.state == records.State.ALLOCATED.value]

    # --- Subnets --------------------------------------------------------------------------------

    def declare(self, subnet: Subnet) -> None:
        """Declare a subnet that may exist already.

        A new delegated prefix releases the addresses outside it.
        """
        apart = subnet.scope == subnet.name
        wanted = Topology(
            self._source(subnet.name),
            scopes=(subnet.scope,) if apart else (),
            subnets=(portable(subnet),),
        )
        try:
            self._apply(wanted)
        except UnknownObject as error:
            if error.detail.get("kind") != "scope":
                raise
            # The first subnet of its network. The scope is a topology of its own, because subnets share it.
            self._apply(Topology(self._source(subnet.scope), scopes=(subnet.scope,)))
            self._apply(wanted)
        except WouldStrand:
            self._clear(subnet.name)
            self._apply(wanted)

    def adopt(self, found: TableSubnet) -> None:
        """Adopt a subnet from Neutron's tables, with the addresses of ports in it."""
        subnet = found.declared.stored()
        unable = never(subnet.prefix)
        taken = [each for each in found.inside if each.address not in unable]
        if taken:
            # The subnet allocates nothing else before all addresses in use are taken.
            self.declare(replace(subnet, ranges=()))
            for each in taken:
                self.take(subnet, each)
        self.declare(subnet)

    def forget(self, name: str) -> None:
        """Remove a subnet with its addresses, and its scope when that is empty."""
        found = self.subnet(name)
        if found is None:
            return
        nothing = Topology(self._source(name))
        try:
            self._apply(nothing)
        except WouldStrand:
            # Neutron drops automatic addresses with their subnet, without a call of the driver.
            self._clear(name)
            self._apply(nothing)
        if found.scope != name:
            with suppress(InUse):
                self._apply(Topology(self._source(found.scope)))

    def subnet(self, name: str) -> SubnetView | None:
        """A subnet at the service; None when it is not one of this cloud."""
        try:
            view = self._ask(lambda: self._ipam.subnet(name))
        except UnknownObject:
            return None
        return view if view.source == self._source(name) else None

    def subnets(self) -> dict[str, SubnetView]:
        """All subnets of this cloud, by id."""
        found = self._ask(lambda: list(self._ipam.subnets()))
        return {each.name: each for each in found if each.source == self._source(each.name)}

    def _source(self, name: str) -> str:
        return f"{self._cloud}:{name}"

    def _apply(self, topology: Topology) -> None:
        self._ask(lambda: self._ipam.apply(topology))

    def _clear(self, name: str) -> None:
        found = self.allocations(name)
        for start in range(0, len(found), _BATCH):
            batch = [each.address for each in found[start : start + _BATCH]]
            try:
                self._ask(partial(self._ipam.release, batch, scope=found[start].scope))
            except NotAllocated as error:
                raise RetryLater("another caller released addresses of the subnet") from error


def never(prefix: Prefix) -> frozenset[int]:
    """Addresses that the service never allocates; it makes no exception for IPv6 routers."""
    return Subnet(0, "", "", prefix).never


def differences(subnet: Subnet, view: SubnetView) -> list[str]:
    """Names of the fields of a subnet in which the service differs from Neutron."""
    wanted = show_subnet(portable(subnet))
    fields = ("scope", *FIELDS)
    return [field for field in fields if getattr(wanted, field) != getattr(view, field)]


def portable(subnet: Subnet) -> Subnet:
    """A subnet whose gateway can be allocated at the service, or without a gateway."""
    if subnet.gateway is None or subnet.gateway not in never(subnet.prefix):
        return subnet
    outside = {OUTSIDE: format_address(subnet.family, subnet.gateway)}
    return replace(subnet, gateway=None, attributes={**subnet.attributes, **outside})


@lru_cache(maxsize=4)
def _made(process: int, url: str, token: str | None, timeout: float, cloud: str) -> AddressService:
    # The process is part of the key: connections do not outlive a fork.
    return AddressService(url, token, timeout=timeout, cloud=cloud)


def configured(conf: Any) -> AddressService:
    """The service that Neutron's configuration names.

    :raises FixInput: it names none, or is malformed.
    """
    group = conf.borough
    if not group.url:
        raise FixInput("the configuration names no service: [borough] url is not set")
    token = group.token
    if token is None and group.token_file:
        try:
            token = Path(group.token_file).read_text().strip()
        except OSError as error:
            raise FixInput(
                f"[borough] token_file {group.token_file} cannot be read: {error.strerror}"
            ) from None
    return _made(os.getpid(), group.url, token, group.timeout, group.cloud)
