"""The service that keeps the addresses for ``borough_remote``.

Whatever is asked here may be asked again: an allocation has an idempotency key, a release names the sequence
number of what it means, and a declaration says how things shall be.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from borough.client.ipam import RemoteIpam
from borough.client.transport import Transport
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Topology
from borough.domain.net.addresses import format_address
from borough.domain.net.prefixes import Prefix
from borough.domain.request import Kind
from borough.domain.space import allocations as records
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
from borough.neutron.requests import WantedAddress
from borough.neutron.subnet import FIELDS, OUTSIDE
from borough.neutron.tables import PortAddress, TableSubnet
from borough.retry import Retry

T = TypeVar("T")

#: Addresses in one request to release them.
_BATCH: Final = 1000


class ServiceAddress(NamedTuple):
    """One address that the service has allocated.

    :ivar subnet: its id in Neutron.
    :ivar sequence: what makes it this holder's and not the next one's.
    """

    subnet: str
    scope: str
    address: str
    sequence: int

    @classmethod
    def of(cls, made: Allocation) -> ServiceAddress:
        """From the service's record."""
        return cls(made.subnet, made.scope, made.address, made.sequence)


class AddressService:
    """One service; safe to share between threads.

    Each method raises what the library does: :class:`~borough.errors.RetryLater` when the service has not
    answered in time.
    """

    def __init__(self, url: str, token: str | None, *, timeout: float, cloud: str) -> None:
        """Name a service; nothing is sent yet.

        :param timeout: seconds that an answer may take, and for which a call is made again.
        :param cloud: what the topologies of this cloud are called by.
        :raises FixInput: the URL or the token cannot be meant so.
        """
        self._http = Transport(url, token, timeout)
        self._ipam = RemoteIpam(self._http)
        self._retry = Retry(timeout=timeout)
        self._cloud = cloud

    def _ask(self, call: Callable[[], T]) -> T:
        return self._retry.run(call, RetryLater)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(
        self, scope: str, family: int, tiers: Sequence[Sequence[str]], wanted: WantedAddress
    ) -> list[ServiceAddress]:
        """Allocate addresses of a group of subnets, all that are wanted or none, in one request.

        :param tiers: names of subnets in order of preference; equals share a tier.
        """
        port = wanted.port
        arguments: dict[str, Any] = {
            "subnets": [list(tier) for tier in tiers],
            "scope": scope,
            "host": port.host or None,
            "claims": wanted.claims,
            "families": family,
            "count": wanted.count,
            "kind": wanted.kind.value,
            "address": None if wanted.address is None else format_address(family, wanted.address),
            "owner": port.owner,
            "attributes": port.attributes,
            # A new key each time: the addresses of an earlier one may have been released since.
            "key": f"neutron:{uuid.uuid4()}",
        }
        answer = self._ask(lambda: self._ipam.allocate(**arguments))
        return [ServiceAddress.of(each) for each in answer.allocations]

    def take(self, subnet: Subnet, found: PortAddress) -> None:
        """Allocate an address that a port has; one that is held already is left as it is."""
        wanted = WantedAddress(Kind.SPECIFIC, found.port, address=found.address)
        try:
            self.allocate(subnet.scope, subnet.family, [[subnet.name]], wanted)
        except AddressInUse:
            return

    def holder(self, scope: str, subnet: str, address: str) -> ServiceAddress | None:
        """The holder of an address of a subnet; None when nobody holds it."""
        try:
            found = self._ask(lambda: self._ipam.show(address, scope=scope))
        except (NotAllocated, UnknownObject):
            return None
        if found.state != records.State.ALLOCATED.value or found.subnet != subnet:
            return None
        return ServiceAddress.of(found)

    def release(self, held: ServiceAddress) -> None:
        """Release an address; that somebody has done so already is no error."""
        try:
            self._ask(
                lambda: self._ipam.release(held.address, sequence=held.sequence, scope=held.scope)
            )
        except (NotAllocated, StaleSequence, UnknownObject):
            return

    def allocations(self, subnet: str) -> list[Allocation]:
        """The allocations of a subnet; none of one that the service does not know."""
        try:
            found = self._ask(lambda: self._ipam.allocations(subnet=subnet))
        except UnknownObject:
            return []
        return [each for each in found if each.state == records.State.ALLOCATED.value]

    # --- Subnets --------------------------------------------------------------------------------

    def declare(self, subnet: Subnet) -> None:
        """Declare a subnet, whether it is there or not.

        Addresses outside a new prefix are released: it was delegated anew.
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
            # The first subnet of its network, which is a topology for itself: its subnets share it.
            self._apply(Topology(self._source(subnet.scope), scopes=(subnet.scope,)))
            self._apply(wanted)
        except WouldStrand:
            self._clear(subnet.name)
            self._apply(wanted)

    def adopt(self, found: TableSubnet) -> None:
        """Take over a subnet from Neutron's tables, with the addresses that ports have in it."""
        subnet = found.declared.stored()
        unable = never(subnet.prefix)
        # Addresses outside the prefix were allocated before it was delegated anew.
        taken = [
            each
            for each in found.addresses
            if subnet.prefix.holds(each.address) and each.address not in unable
        ]
        if taken:
            # Nothing is allocated from it before all that is in use is taken.
            self.declare(replace(subnet, ranges=()))
            for each in taken:
                self.take(subnet, each)
        self.declare(subnet)

    def forget(self, name: str) -> None:
        """Remove a subnet, all that it holds, and its scope when nothing else is in it."""
        found = self.subnet(name)
        if found is None:
            return
        nothing = Topology(self._source(name))
        try:
            self._apply(nothing)
        except WouldStrand:
            # Neutron drops automatic addresses with their subnet, without a word to the driver.
            self._clear(name)
            self._apply(nothing)
        if found.scope != name:
            try:
                self._apply(Topology(self._source(found.scope)))
            except InUse:
                return

    def subnet(self, name: str) -> SubnetView | None:
        """A subnet as the service has it; None when it has none of this cloud."""
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
            scope = found[start].scope
            try:
                self._ask(lambda batch=batch, scope=scope: self._ipam.release(batch, scope=scope))  # type: ignore[misc]
            except NotAllocated as error:
                raise RetryLater("addresses of the subnet were released meanwhile") from error


def never(prefix: Prefix) -> frozenset[int]:
    """Addresses that nobody can hold at the service; it knows no exception for IPv6 routers."""
    return Subnet(0, "", "", prefix).never


def differences(subnet: Subnet, view: SubnetView) -> list[str]:
    """Names of the fields of a subnet that the service does not have as Neutron declares them."""
    wanted = show_subnet(portable(subnet))
    fields = ("scope", *FIELDS)
    return [field for field in fields if getattr(wanted, field) != getattr(view, field)]


def portable(subnet: Subnet) -> Subnet:
    """A subnet as it can be declared: with a gateway that somebody can hold there, or with none."""
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

    :raises FixInput: it names none, or one that cannot be.
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
