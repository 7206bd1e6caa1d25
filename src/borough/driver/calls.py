"""Calls to the system behind a driver: counted, bounded, with errors that name driver and subnet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, TypeVar

from borough.domain.declared.records import Subnet
from borough.driver.interface import DriverSubnet, SubnetDriver
from borough.errors import (
    BoroughError,
    DriverFault,
    DriverUnavailable,
    FixInput,
    NotAllocated,
    RetryLater,
)
from borough.retry import Retry

T = TypeVar("T")

#: Attempts at a call before its failure is reported, unless set.
ATTEMPTS: Final = 3


@dataclass
class Calls:
    """All calls of one driver.

    :ivar retry: bounds the attempts at a call.
    :ivar made: calls made so far.
    """

    driver: SubnetDriver
    name: str
    retry: Retry
    made: int = 0
    _lock: Lock = field(default_factory=Lock)

    def subnet(self, subnet: Subnet) -> DriverSubnet:
        """The subnet as the system has it.

        :raises DriverFault: the system has no such subnet.
        """
        return self.translated(subnet, lambda: self.driver.get_subnet(subnet))

    def once(self, subnet: Subnet, call: Callable[[], T]) -> T:
        """Make a call, once.

        :raises BoroughError: the call failed; ``detail`` has the driver and the subnet.
        """
        with self._lock:
            self.made += 1
        return self.translated(subnet, call)

    def translated(self, subnet: Subnet, call: Callable[[], T]) -> T:
        """See :meth:`once`; not counted."""
        try:
            return call()
        except RetryLater as error:
            if not isinstance(error, DriverUnavailable):
                error = DriverUnavailable(error.message, **error.detail)
            raise self._named(subnet, error) from error.__cause__
        except BoroughError as error:
            raise self._named(subnet, error) from error.__cause__
        except Exception as error:
            # The driver may have taken an address before this error of its own.
            raise self.fault(
                subnet, f"failed with {type(error).__name__}: {error}", outcome="unknown"
            ) from error

    def repeated(self, subnet: Subnet, call: Callable[[], T]) -> T:
        """Make a call that may be repeated; repeat it while the system does not answer."""
        return self.retry.run(lambda: self.once(subnet, call), DriverUnavailable)

    def deallocate(self, subnet: Subnet, address: str) -> None:
        """Release an address; an address that is free already counts as released.

        :raises DriverUnavailable: the system answered no attempt.
        """
        place = self.subnet(subnet)
        try:
            self.repeated(subnet, lambda: place.deallocate(address))
        except NotAllocated:
            return

    def find(self, subnet: Subnet, token: str) -> Sequence[str] | None:
        """The addresses that an attempt took; None when the system cannot find them."""
        place = self.subnet(subnet)
        if type(place).find is DriverSubnet.find:
            return None
        return self.repeated(subnet, lambda: place.find(token))

    def fault(self, subnet: Subnet, what: str, **detail: Any) -> DriverFault:
        """The error for a system that breaks its contract."""
        return DriverFault(
            f"driver {self.name}, subnet {subnet.name}: {what}",
            driver=self.name,
            subnet=subnet.name,
            **detail,
        )

    def _named(self, subnet: Subnet, error: BoroughError) -> BoroughError:
        named = f"driver {self.name}, subnet {subnet.name}: "
        if isinstance(error, FixInput) or error.message.startswith(named):
            return error
        made = type(error)(named + error.message, **error.detail)
        made.detail |= {"driver": self.name, "subnet": subnet.name}
        return made
