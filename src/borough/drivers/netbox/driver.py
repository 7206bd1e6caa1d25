"""The driver: prefixes of NetBox as subnets, IP addresses of NetBox as allocations.

What the driver makes carries ``borough:`` at the start of its description, and it removes nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address
from borough.domain.request import Kind
from borough.driver.interface import DriverSubnet, SubnetDriver, SubnetRequest
from borough.driver.settings import Settings
from borough.drivers.netbox.client import Client, Refused
from borough.errors import AddressInUse, DriverFault, Exhausted, NotAllocated

#: How descriptions of what the driver made begin.
MARK: Final = "borough:"

#: Of a gateway that nobody holds.
GATEWAY: Final = f"{MARK}gateway"

#: Longest description that NetBox keeps, in characters.
_LONGEST: Final = 200

_DEFAULT_SCOPE: Final = "default"


@dataclass
class NetboxDriver(SubnetDriver):
    """NetBox 4 (``available-ips`` of prefixes and ranges).

    :ivar create: whether prefixes, ranges, gateways and VRFs that are missing are made.
    :ivar vrfs: the VRF of a scope, by name; otherwise the default scope is the global table, and any
        other one the VRF of its name.
    """

    client: Client
    create: bool = False
    vrfs: dict[str, str] = field(default_factory=dict)
    _ids: dict[str, Any] = field(default_factory=dict)

    lacks: ClassVar[Any] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Connect to a NetBox.

        Settings: ``url``; ``token_env`` or ``token_file``; ``timeout`` in seconds (10); ``ca_file``, if its
        certificate is not a public one's; ``create`` (no); ``vrfs``, VRF names by scope.
        """
        url = settings.text("url")
        if not url.startswith(("http://", "https://")):
            raise settings.refuse("url", "must start with https:// or http://")
        timeout = settings.number("timeout", 10, low=0.1, high=600)
        ca_file = settings.text("ca_file", "")
        vrfs = dict(settings.mapping("vrfs", {}))
        if not all(isinstance(each, str) for each in vrfs.values()):
            raise settings.refuse("vrfs", "must give the name of a VRF for each scope")
        create = settings.flag("create", False)
        token = settings.secret("token")
        try:
            client = Client(url, token, timeout=timeout, verify=_trust(ca_file))
        except OSError as error:
            raise settings.refuse("ca_file", f"cannot be read: {error.strerror}") from None
        return cls(client, create, vrfs)

    def get_subnet(self, subnet: Subnet) -> DriverSubnet:
        """See :meth:`borough.driver.interface.SubnetDriver.get_subnet`."""
        return NetboxSubnet(self, subnet)

    def add_subnet(self, subnet: Subnet) -> None:
        """Find the prefix, its ranges and the gateway; with ``create``, make what is missing."""
        self._ids.pop(subnet.name, None)
        for path in self.places(subnet):
            assert path
        if subnet.gateway is not None:
            place = NetboxSubnet(self, subnet)
            address = format_address(subnet.family, subnet.gateway)
            if not place.entries(address):
                self._missing(subnet, f"gateway {address}")
                body = {"status": "reserved", "description": GATEWAY}
                self.client.post("ipam/ip-addresses/", body | place.place(address))

    def remove_subnet(self, subnet: Subnet) -> None:
        """Remove what :meth:`add_subnet` made."""
        self._ids.pop(subnet.name, None)
        vrf = self.vrf(subnet.scope)
        if subnet.gateway is not None:
            place = NetboxSubnet(self, subnet)
            for entry in place.entries(format_address(subnet.family, subnet.gateway)):
                self._remove("ipam/ip-addresses/", entry)
        for first, last in subnet.ranges or ():
            for entry in self._ranges(subnet, vrf, first, last):
                self._remove("ipam/ip-ranges/", entry)
        for entry in self._prefixes(subnet, vrf):
            self._remove("ipam/prefixes/", entry)

    def _remove(self, path: str, entry: dict[str, Any]) -> None:
        if str(entry.get("description", "")).startswith(MARK):
            self.client.delete(f"{path}{entry['id']}/")

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    # --- Where a subnet is in NetBox ------------------------------------------------------------

    def vrf(self, scope: str) -> int | None:
        """The VRF of a scope; None for the global table."""
        name = self.vrfs.get(scope, "" if scope == _DEFAULT_SCOPE else scope)
        if not name:
            return None
        key = f"vrf {name}"
        if key not in self._ids:
            found = self.client.get("ipam/vrfs/", name=name)
            if not found:
                if not self.create:
                    raise DriverFault(f"NetBox has no VRF {name!r}")
                body = {
                    "name": name,
                    "enforce_unique": True,
                    "description": f"{MARK}{name}"[:_LONGEST],
                }
                found = [self.client.post("ipam/vrfs/", body)]
            self._ids[key] = _id(found[0])
        vrf: int = self._ids[key]
        return vrf

    def places(self, subnet: Subnet) -> list[str]:
        """Where addresses of a subnet are asked for: its prefix, or its ranges if it has any."""
        if subnet.name not in self._ids:
            self._ids[subnet.name] = self._find(subnet)
        found: list[str] = self._ids[subnet.name]
        return found

    def forget(self, subnet: Subnet) -> None:
        """Look a subnet up again the next time."""
        self._ids.pop(subnet.name, None)

    def _find(self, subnet: Subnet) -> list[str]:
        vrf = self.vrf(subnet.scope)
        mark = f"{MARK}{subnet.name}"[:_LONGEST]
        found = self._prefixes(subnet, vrf)
        if not found:
            self._missing(subnet, f"prefix {subnet.prefix}")
            body = {"prefix": str(subnet.prefix), "vrf": vrf, "description": mark}
            found = [self.client.post("ipam/prefixes/", body)]
        if subnet.ranges is None:
            return [f"ipam/prefixes/{_id(found[0])}/available-ips/"]
        paths = []
        for first, last in subnet.ranges:
            ranges = self._ranges(subnet, vrf, first, last)
            if not ranges:
                ends = _ends(subnet, first, last)
                self._missing(subnet, "range {start_address} to {end_address}".format(**ends))
                ranges = [
                    self.client.post("ipam/ip-ranges/", {**ends, "vrf": vrf, "description": mark})
                ]
            paths.append(f"ipam/ip-ranges/{_id(ranges[0])}/available-ips/")
        return paths

    def _missing(self, subnet: Subnet, what: str) -> None:
        if not self.create:
            raise DriverFault(
                f"NetBox has no {what}; add it there, or set create", subnet=subnet.name
            )

    def _prefixes(self, subnet: Subnet, vrf: int | None) -> list[dict[str, Any]]:
        return self.client.get("ipam/prefixes/", prefix=str(subnet.prefix), vrf_id=_or_null(vrf))

    def _ranges(
        self, subnet: Subnet, vrf: int | None, first: int, last: int
    ) -> list[dict[str, Any]]:
        ends = _ends(subnet, first, last)
        return self.client.get("ipam/ip-ranges/", vrf_id=_or_null(vrf), **ends)


@dataclass
class NetboxSubnet(DriverSubnet):
    """A prefix of NetBox, and its IP addresses."""

    driver: NetboxDriver
    subnet: Subnet

    def allocate(self, request: SubnetRequest) -> str:
        """See :meth:`borough.driver.interface.DriverSubnet.allocate`."""
        body: dict[str, Any] = {
            "status": "active",
            "description": f"{MARK}{request.token} {request.owner}"[:_LONGEST],
        }
        if isinstance(request.attributes.get("dns_name"), str):
            body["dns_name"] = request.attributes["dns_name"]
        if request.address is None:
            return self._any(body)
        if request.kind is Kind.GATEWAY:
            return self._gateway(request.address, body)
        return self._specific(request.address, body)

    def _any(self, body: dict[str, Any]) -> str:
        for path in self.driver.places(self.subnet):
            try:
                return _address(self.driver.client.post(path, body))
            except Refused as error:
                if error.status == 404:
                    self.driver.forget(self.subnet)
                if error.status != 409:
                    raise DriverFault(str(error)) from error
        raise Exhausted(f"NetBox has no free address in {self.subnet.prefix}")

    def _specific(self, address: str, body: dict[str, Any]) -> str:
        client = self.driver.client
        try:
            made = client.post("ipam/ip-addresses/", body | self.place(address))
        except Refused as error:
            if error.status == 400 and self.entries(address):
                raise AddressInUse(f"NetBox has {address} already", address=address) from error
            raise DriverFault(str(error)) from error
        # NetBox looks before it writes, and lets two that do so at once both have it: the first one
        # keeps it.
        number = _id(made)
        if min((_id(each) for each in self.entries(address)), default=number) < number:
            client.delete(f"ipam/ip-addresses/{number}/")
            raise AddressInUse(f"NetBox has {address} already", address=address)
        return _address(made)

    def _gateway(self, address: str, body: dict[str, Any]) -> str:
        entries = self.entries(address)
        if not entries:
            return self._specific(address, body)
        if entries[0].get("description") != GATEWAY:
            raise AddressInUse(f"NetBox has {address} already", address=address)
        path = f"ipam/ip-addresses/{_id(entries[0])}/"
        return _address(self.driver.client.patch(path, body))

    def deallocate(self, address: str) -> None:
        """See :meth:`borough.driver.interface.DriverSubnet.deallocate`."""
        entries = self.entries(address)
        ours = [each for each in entries if str(each.get("description", "")).startswith(MARK)]
        held = [each for each in ours if each.get("description") != GATEWAY]
        if entries and not ours:
            raise DriverFault(
                f"{address} is in NetBox without the description that this driver gave it; "
                "somebody else may hold it by now"
            )
        if not held:
            raise NotAllocated(f"NetBox does not have {address}", address=address)
        gateway = self.subnet.gateway
        for entry in held:
            path = f"ipam/ip-addresses/{_id(entry)}/"
            if gateway is not None and address == format_address(self.subnet.family, gateway):
                self.driver.client.patch(path, {"status": "reserved", "description": GATEWAY})
                continue
            try:
                self.driver.client.delete(path)
            except Refused as error:
                if error.status != 404:
                    raise DriverFault(str(error)) from error

    def find(self, token: str) -> Sequence[str]:
        """See :meth:`borough.driver.interface.DriverSubnet.find`."""
        found = self.driver.client.get(
            "ipam/ip-addresses/",
            parent=str(self.subnet.prefix),
            vrf_id=_or_null(self.driver.vrf(self.subnet.scope)),
            description__isw=f"{MARK}{token}",
        )
        return [_address(each) for each in found]

    def entries(self, address: str) -> list[dict[str, Any]]:
        """What NetBox has of an address, the first one first."""
        found = self.driver.client.get(
            "ipam/ip-addresses/",
            address=address,
            vrf_id=_or_null(self.driver.vrf(self.subnet.scope)),
        )
        return sorted(found, key=_id)

    def place(self, address: str) -> dict[str, Any]:
        """The fields that say where an address is."""
        return {
            "address": f"{address}/{self.subnet.prefix.length}",
            "vrf": self.driver.vrf(self.subnet.scope),
        }


def _ends(subnet: Subnet, first: int, last: int) -> dict[str, str]:
    length = subnet.prefix.length
    return {
        "start_address": f"{format_address(subnet.family, first)}/{length}",
        "end_address": f"{format_address(subnet.family, last)}/{length}",
    }


def _or_null(vrf: int | None) -> int | str:
    return "null" if vrf is None else vrf


def _id(entry: dict[str, Any]) -> int:
    found = entry.get("id")
    if isinstance(found, bool) or not isinstance(found, int):
        raise DriverFault("NetBox answered with an object that has no id", outcome="unknown")
    return found


def _address(entry: dict[str, Any]) -> str:
    found = entry.get("address")
    if not isinstance(found, str):
        raise DriverFault("NetBox answered with an object that has no address", outcome="unknown")
    return found.partition("/")[0]


def _trust(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file) if ca_file else True
