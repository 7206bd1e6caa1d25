"""The group of a request, and the request, as drivers get them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from borough.domain.address import format_address
from borough.domain.dimension import HOST, Labels
from borough.domain.model import Request
from borough.engine.request import LabelsIn, SubnetsIn, parse_request


@dataclass(frozen=True, slots=True)
class Group:
    """The subnets that a selector admits: what a driver is asked for an address of.

    :ivar labels: values wanted by dimension, the host dimension included when a host is named and claims.
    :ivar tiers: instead of labels, subnet names outright; equals share a tier.
    :ivar host: where the addresses will live; it implies the host's own labels.
    """

    labels: Labels = field(default_factory=dict)
    tiers: tuple[tuple[str, ...], ...] | None = None
    host: str = ""
    scope: str = "default"

    def narrow(self, request: Request) -> Request:
        """A request with this group for its own, as the rules of allocation take it."""
        return replace(
            request, labels=self.labels, tiers=self.tiers, host=self.host, scope=self.scope
        )

    def arguments(self, request: Request) -> dict[str, Any]:
        """Group and request in plain text and numbers, ready for JSON.

        What is empty is left out. These are the parameters of
        :meth:`borough.engine.ipam.Ipam.allocate`, and the body of the same request over HTTP.
        """
        family = request.families[0] if request.families else 4
        named = {name: sorted(values) for name, values in self.labels.items() if name != HOST}
        address, mac = request.address, request.mac
        every = {
            "labels": named,
            "subnets": None if self.tiers is None else [list(tier) for tier in self.tiers],
            "host": self.host,
            "scope": self.scope,
            "kind": request.kind.value,
            "families": list(request.families),
            "count": request.count,
            "address": None if address is None else format_address(family, address),
            "mac": None if mac is None else format_mac(mac),
            "owner": request.owner,
            "key": request.key,
            "attributes": dict(request.attributes),
        }
        given = {name: value for name, value in every.items() if value}
        return given if self.narrow(request).claims else given | {"claims": False}


def make_group(
    labels: LabelsIn | None = None,
    *,
    subnets: SubnetsIn | None = None,
    host: str | None = None,
    claims: bool = True,
    scope: str = "default",
) -> Group:
    """Make a group of what a caller wrote; see :meth:`borough.engine.ipam.Ipam.allocate`.

    :raises FixInput: (or a subclass) for anything that cannot be meant.
    """
    made = _parse(labels=labels, subnets=subnets, host=host, claims=claims, scope=scope)
    return Group(made.labels, made.tiers, made.host, made.scope)


def make_request(
    *,
    families: Iterable[int] | int | None = None,
    count: int = 1,
    address: str | None = None,
    mac: str | None = None,
    kind: str | None = None,
    owner: str = "",
    key: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Request:
    """Make a request of what a caller wrote; see :meth:`borough.engine.ipam.Ipam.allocate`.

    :raises FixInput: (or a subclass) for anything that cannot be meant.
    """
    return _parse(
        families=families,
        count=count,
        address=address,
        mac=mac,
        kind=kind,
        owner=owner,
        key=key,
        attributes=attributes,
    )


def _parse(**given: Any) -> Request:
    nothing: dict[str, Any] = {
        "labels": None,
        "subnets": None,
        "host": None,
        "families": None,
        "count": 1,
        "address": None,
        "mac": None,
        "kind": None,
        "claims": True,
        "owner": "",
        "key": None,
        "scope": "default",
        "attributes": None,
    }
    return parse_request(**nothing | given)


def format_mac(mac: int) -> str:
    """A MAC address with colons."""
    return mac.to_bytes(6, "big").hex(":")
