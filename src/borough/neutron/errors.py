"""Errors of the drivers: Neutron's own where Neutron has one, and three more."""

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
    """Other requests held the same address space for too long; the caller can try again."""

    message = "Other requests are at work in the same address space; try again."


class AddressSpaceNotReady(exceptions.ServiceUnavailable):
    """Borough's tables do not exist, or belong to another release."""

    message = "Borough's tables are not ready: %(reason)s"


class AddressServiceUnavailable(exceptions.ServiceUnavailable):
    """The service that keeps the addresses did not answer in time, or refused the request."""

    message = "The address service cannot serve the request: %(reason)s"


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Raise refusals of the engine as Neutron's errors.

    :param name: the subnet to report for an address that lies in none.
    :raises IpAddressGenerationFailureAllSubnets: no address is free.
    :raises IpAddressAlreadyAllocated: the requested address is held.
    :raises InvalidIpForSubnet: the requested address cannot be allocated.
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
