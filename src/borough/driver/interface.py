"""The interfaces of drivers: the classic one, one subnet at a time, and the group interface.

A :class:`SubnetDriver` serves an IPAM system that knows subnets; the shim (:mod:`borough.driver.shim`)
makes a :class:`GroupDriver` of it. A :class:`GroupDriver` serves a system that decides groups. A
:class:`SubnetDriver` can decide some of them, see :attr:`SubnetDriver.decides`.

``docs/reference/drivers.md`` has an example to copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

from borough.domain.declared.dimensions import Fallback
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology
from borough.domain.request import Kind, Request
from borough.driver.feature import Feature
from borough.driver.group import Group
from borough.driver.settings import Settings
from borough.engine.faces.takes import takes
from borough.engine.request import ReleaseRequest, parse_release
from borough.engine.views import Allocation, Answer


@dataclass(frozen=True, slots=True)
class SubnetRequest:
    """A request for one address of one subnet.

    :ivar kind: *any* and *next* leave the address to the driver; the other kinds have an address.
    :ivar address: the address in text, for *specific*, *eui64* and *gateway*.
    :ivar mac: for *eui64*, the MAC address from which ``address`` is computed.
    :ivar owner: the caller's name for the user of the address.
    :ivar host: the host of the address; empty for none.
    :ivar note: free text that the caller keeps with the address.
    :ivar token: unique to this attempt. A system that keeps it with the address allows
        :meth:`DriverSubnet.find` to find the address after a lost reply.
    """

    kind: Kind = Kind.ANY
    address: str | None = None
    mac: str | None = None
    owner: str = ""
    host: str = ""
    token: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class DriverSubnet(ABC):
    """One subnet of an external system."""

    @abstractmethod
    def allocate(self, request: SubnetRequest) -> str:
        """Allocate one address.

        :return: the address in text.
        :raises Exhausted: the subnet has no free address; the shim tries the next subnet.
        :raises AddressInUse: the requested address is held; the shim tries the next subnet that can have one.
        :raises DriverUnavailable: the system did not answer; see there for ``outcome``.
        :raises DriverFault: the answer is malformed, or the system refuses the login.
        """

    @abstractmethod
    def deallocate(self, address: str) -> None:
        """Release an address.

        :raises NotAllocated: it is free already; the shim counts it as released.
        :raises DriverUnavailable: the system did not answer.
        """

    def find(self, token: str) -> Sequence[str] | None:
        """The addresses that the attempt with this token allocated.

        :return: None when the system cannot find them; a lost reply then fails the request.
        """
        return None


class DriverAddress(NamedTuple):
    """An address that a system allocated.

    :ivar address: in text.
    :ivar token: see :class:`SubnetRequest`.
    """

    subnet: Subnet
    address: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Decides:
    """The requests that a driver serves in one call for the group, instead of subnet by subnet.

    :ivar fallbacks: the dimensions of the request, implied ones included, have one of these.
    :ivar kinds: kinds of request.
    :ivar several: True for several addresses in one request, also of both families.
    :ivar hosts: True for requests that name a host.
    """

    fallbacks: frozenset[Fallback] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    several: bool = False
    hosts: bool = False


class SubnetDriver(ABC):
    """The classic interface: one subnet at a time.

    :cvar lacks: missing features, each with a reason; the conformance kit tests the others.
    :cvar decides: the requests that :meth:`allocate_from` serves; none by default.
    """

    lacks: ClassVar[Mapping[Feature, str]] = {}
    decides: ClassVar[Decides] = Decides()

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver from what an operator wrote.

        :raises InvalidSettings: a setting is missing or wrong.
        """

    @abstractmethod
    def get_subnet(self, subnet: Subnet) -> DriverSubnet:
        """The subnet as the system has it. Called for every request: it makes no round trip.

        :raises DriverFault: the system has no such subnet.
        """

    def add_subnet(self, subnet: Subnet) -> None:  # noqa: B027  (may be left out)
        """Add a declared subnet to the system, or update it.

        It may be called again for the same subnet. By default it does nothing.
        """

    def remove_subnet(self, subnet: Subnet) -> None:  # noqa: B027  (may be left out)
        """Remove a subnet that is no longer declared from the system."""

    def allocate_from(
        self, subnets: Sequence[Subnet], count: int, request: SubnetRequest
    ) -> Sequence[DriverAddress]:
        """Allocate addresses of a group in one call; only for requests that :attr:`decides` names.

        :param subnets: the group, best first: of one family, and of one placement group.
        :return: ``count`` addresses.
        :raises Exhausted: the group has fewer free addresses.
        """
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027  (may be left out)
        """Release connections and files."""


class GroupDriver(ABC):
    """The group interface: one call for an address of a group.

    A context manager that closes the driver. Threads may share it.

    :ivar name: the name that selected it.
    """

    name: str

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver from what an operator wrote.

        :raises InvalidSettings: a setting is missing or wrong.
        """

    @property
    def lacks(self) -> Mapping[Feature, str]:
        """Missing features, each with a reason; the conformance kit tests the others."""
        return {}

    @property
    def round_trips(self) -> int:
        """Calls so far to the system that keeps the addresses."""
        return 0

    @abstractmethod
    def apply(
        self, source: Topology | Mapping[str, Any] | str, *, name: str | None = None
    ) -> Changes:
        """Apply a topology; see :meth:`borough.engine.face.Face.apply`."""

    @abstractmethod
    def allocate(self, group: Group, request: Request) -> Answer:
        """Allocate all addresses of a request, or none.

        :param request: its own group fields are ignored.
        :raises FixInput: the request is not allowed; ``not_supported`` when the driver lacks a feature.
        :raises NoMatchingSubnet: the group admits no subnet.
        :raises Exhausted: the group has too few free addresses.
        :raises AddressInUse: the requested address is held.
        :raises RetryLater: a passing condition; see its ``detail['outcome']``.
        """

    @takes(parse_release)
    def release(self, request: ReleaseRequest) -> Sequence[Allocation]:
        """Release addresses; see :meth:`borough.engine.face.Face.release`.

        An address that the system does not release becomes an orphan.
        """
        return self._release(request)

    @abstractmethod
    def _release(self, request: ReleaseRequest) -> Sequence[Allocation]: ...

    def retry_orphans(self) -> int:
        """Try again to release the orphans.

        :return: the number of orphans that remain.
        """
        return 0

    def close(self) -> None:  # noqa: B027  (may be left out)
        """Release connections and files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
