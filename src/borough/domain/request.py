"""A request for addresses, parsed and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from borough.domain.declared.dimensions import HOST, Labels
from borough.domain.net.addresses import Family


class Kind(StrEnum):
    """The kind of address that a request asks for (rule 6)."""

    ANY = "any"
    NEXT = "next"
    SPECIFIC = "specific"
    EUI64 = "eui64"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Request:
    """One request for addresses, parsed and checked.

    :ivar labels: requested values by dimension; of the host dimension too, when a named host claims.
    :ivar tiers: subnet names instead of labels; equals share a tier (rule 2).
    :ivar families: ``count`` addresses of each; empty: the family that the group has, IPv4 first.
    :ivar count: addresses per family.
    :ivar address: for :attr:`Kind.SPECIFIC`, the address.
    :ivar mac: for :attr:`Kind.EUI64`, the MAC address.
    :ivar sticky: true when the owner gets what it has or what is reserved for it.
    :ivar shared: true when other owners may share the address.
    :ivar lease: seconds after which the addresses are released by themselves; 0 for never.
    :ivar key: idempotency key, empty for none.
    :ivar explain: true when the answer carries its explanation.
    :ivar wait: ``routed`` to answer when the addresses are routed; empty to answer at once.
    """

    scope: str = "default"
    labels: Labels = field(default_factory=dict)
    tiers: tuple[tuple[str, ...], ...] | None = None
    host: str = ""
    kind: Kind = Kind.ANY
    families: tuple[Family, ...] = ()
    count: int = 1
    address: int | None = None
    mac: int | None = None
    owner: str = ""
    key: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    sticky: bool = False
    shared: bool = False
    lease: int = 0
    explain: bool = False
    wait: str = ""

    @property
    def claims(self) -> bool:
        """False when the request names a host that claims no space for it."""
        return not self.host or HOST in self.labels

    def fingerprint(self) -> str:
        """Text that is equal for equal requests (rule 7); it excludes ``key``, ``explain`` and ``wait``."""
        asked = {name: getattr(self, name) for name in self.__slots__}
        del asked["key"], asked["explain"], asked["wait"]
        return json.dumps(asked, default=sorted, sort_keys=True, separators=(",", ":"))
