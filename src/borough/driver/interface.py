"""What a driver is: the classic interface, one subnet at a time, and the group interface.

Whoever has an IPAM system that knows subnets writes a :class:`SubnetDriver`; the shim
(:mod:`borough.driver.shim`) makes a :class:`GroupDriver` of it for every kind of grouping. Whoever has
a system that decides groups itself writes a :class:`GroupDriver`, or a :class:`SubnetDriver` that
says with :attr:`SubnetDriver.decides` which groups it wants whole.

``docs/drivers.md`` has an example to copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

from borough.domain.declared.dimensions import Fallback
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology
from borough.domain.request import Kind, Request
from borough.driver.feature import Feature
from borough.driver.group import Group
from borough.driver.settings import Settings
from borough.engine.face import takes
from borough.engine.request import ReleaseRequest, parse_release
from borough.engine.views import Allocation, Answer


@dataclass(frozen=True, slots=True)
class SubnetRequest:
    """One address wanted from one subnet.

    :ivar kind: *any* and *next* leave the address to the driver; for the other kinds it is known.
    :ivar address: the address in text, for *specific*, *eui64* and *gateway*.
    :ivar mac: for *eui64*, the MAC address that the address was made from.
    :ivar owner: the caller's name for what will hold the address.
    :ivar host: where the address will live; empty for nowhere in particular.
    :ivar note: free text that the caller keeps with the address.
    :ivar token: unique to this attempt. A system that can keep a remark should keep it, so that
        :meth:`DriverSubnet.find` can tell what a lost reply would have said.
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
        """Take one address.

        :return: the address in text.
        :raises Exhausted: the subnet has no free address; the next subnet is asked.
        :raises AddressInUse: the address asked for is held; the next subnet is asked, if one can give it.
        :raises DriverUnavailable: the system did not answer; see there for ``outcome``.
        :raises DriverFault: the system answered with nonsense, or refuses the login.
        """

    @abstractmethod
    def deallocate(self, address: str) -> None:
        """Give an address back.

        :raises NotAllocated: it is free already; whoever gives back takes that for done.
        :raises DriverUnavailable: the system did not answer.
        """

    def find(self, token: str) -> Sequence[str] | None:
        """The addresses that the attempt with this token took.

        :return: None when the system cannot tell; a lost reply is then reported, and not asked for again.
        """
        return None


class DriverAddress(NamedTuple):
    """An address that a system took.

    :ivar address: in text.
    :ivar token: see :class:`SubnetRequest`.
    """

    subnet: Subnet
    address: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Decides:
    """Which groups a driver wants whole, in one call, instead of subnet by subnet.

    :ivar fallbacks: those whose dimensions the request may name or its host imply.
    :ivar kinds: kinds of request.
    :ivar several: whether also several addresses at once, in both families where asked for.
    :ivar hosts: whether also requests that name a host.
    """

    fallbacks: frozenset[Fallback] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    several: bool = False
    hosts: bool = False


class SubnetDriver(ABC):
    """The classic interface: one subnet at a time.

    :cvar lacks: what the system cannot do, and why; everything else is tested by the conformance kit.
    :cvar decides: which groups :meth:`allocate_from` takes; none unless said otherwise.
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
        """The system's own view of a subnet. No round trip: it is made for every request.

        :raises DriverFault: the system has no such subnet.
        """

    def add_subnet(self, subnet: Subnet) -> None:  # noqa: B027  (may be left out)
        """Make a declared subnet known to the system, or bring it up to date.

        Called again for a subnet that is known already. Nothing by default: the system knows its own.
        """

    def remove_subnet(self, subnet: Subnet) -> None:  # noqa: B027  (may be left out)
        """Make the system forget a subnet that is no longer declared."""

    def allocate_from(
        self, subnets: Sequence[Subnet], count: int, request: SubnetRequest
    ) -> Sequence[DriverAddress]:
        """Take addresses from a group in one call; only what :attr:`decides` says comes here.

        :param subnets: the group, best first: all of one family, and all fit to be used together.
        :return: as many as asked for, all or none.
        :raises Exhausted: the group cannot give them.
        """
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027  (may be left out)
        """Release connections and files."""


class GroupDriver(ABC):
    """The group interface: asked once for an address of a group.

    A context manager: leaving it closes the driver. Safe to share between threads.

    :ivar name: the name it was chosen by.
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
        """What the driver cannot do, and why; the conformance kit tests everything else."""
        return {}

    @property
    def round_trips(self) -> int:
        """Calls made so far to whatever keeps the addresses."""
        return 0

    @abstractmethod
    def apply(
        self, source: Topology | Mapping[str, Any] | str, *, name: str | None = None
    ) -> Changes:
        """Make the declared objects be as a topology says; see :meth:`borough.engine.face.Face.apply`."""

    @abstractmethod
    def allocate(self, group: Group, request: Request) -> Answer:
        """Give addresses from a group, all that is asked for or none.

        :param request: what is wanted; its own group fields are not looked at.
        :raises FixInput: the request cannot be meant so; ``not_supported`` when the driver lacks it.
        :raises NoMatchingSubnet: the group admits no subnet.
        :raises Exhausted: nothing of the group is free.
        :raises AddressInUse: the address asked for is held.
        :raises RetryLater: a passing condition; ``detail['outcome']`` says whether something was done.
        """

    @takes(parse_release)
    def release(self, request: ReleaseRequest) -> Sequence[Allocation]:
        """Release addresses; see :meth:`borough.engine.face.Face.release`.

        What the system does not take back now is kept as a leftover.
        """
        return self._release(request)

    @abstractmethod
    def _release(self, request: ReleaseRequest) -> Sequence[Allocation]: ...

    def retry_orphans(self) -> int:
        """Give back what earlier could not be given back.

        :return: how many leftovers are still there.
        """
        return 0

    def close(self) -> None:  # noqa: B027  (may be left out)
        """Release connections and files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
