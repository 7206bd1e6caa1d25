"""What the drivers raise besides Neutron's own errors."""

from __future__ import annotations

from neutron_lib import exceptions


class AddressSpaceBusy(exceptions.ServiceUnavailable):
    """Others were at work in the same address space for too long; the request can be made again."""

    message = "Other requests are at work in the same address space; try again."


class AddressSpaceNotReady(exceptions.ServiceUnavailable):
    """Borough's tables are not there, or not of this release."""

    message = "Borough's tables are not ready: %(reason)s"


class AddressServiceUnavailable(exceptions.ServiceUnavailable):
    """The service that keeps the addresses did not answer in time, or refuses us."""

    message = "The address service cannot serve the request: %(reason)s"
