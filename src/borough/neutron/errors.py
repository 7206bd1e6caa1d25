"""What the drivers raise: Neutron's own errors for what Neutron knows, and a few besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from neutron.ipam import exceptions as ipam_exc
from neutron_lib import exceptions
from oslo_log import log as logging

from borough.errors import (
    AddressInUse,
    AddressOutsideGroup,
    AddressUnusable,
    Exhausted,
    NoMatchingSubnet,
)

LOG: Final = logging.getLogger(__name__)


class AddressSpaceBusy(exceptions.ServiceUnavailable):
    """Others were at work in the same address space for too long; the request can be made again."""

    message = "Other requests are at work in the same address space; try again."


class AddressSpaceNotReady(exceptions.ServiceUnavailable):
    """Borough's tables are not there, or not of this release."""

    message = "Borough's tables are not ready: %(reason)s"


class AddressServiceUnavailable(exceptions.ServiceUnavailable):
    """The service that keeps the addresses did not answer in time, or refuses us."""

    message = "The address service cannot serve the request: %(reason)s"


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """What the engine refuses of an address request, as Neutron's errors.

    :param name: the subnet to speak of where an address has none.
    :raises IpAddressGenerationFailureAllSubnets: nothing is free.
    :raises IpAddressAlreadyAllocated: the address asked for is held.
    :raises InvalidIpForSubnet: nobody can hold it.
    """
    try:
        yield
    except (Exhausted, NoMatchingSubnet) as error:
        LOG.info("%s", error.message)
        raise ipam_exc.IpAddressGenerationFailureAllSubnets() from error
    except AddressInUse as error:
        raise ipam_exc.IpAddressAlreadyAllocated(
            subnet_id=error.detail.get("subnet", name), ip=error.detail["address"]
        ) from error
    except (AddressUnusable, AddressOutsideGroup) as error:
        raise ipam_exc.InvalidIpForSubnet(subnet_id=name, ip=error.detail["address"]) from error
