"""Who asks, and what he may do."""

from __future__ import annotations

from dataclasses import dataclass, field

from borough.api.scoped import ScopedIpam
from borough.domain.declared.dimensions import Labels
from borough.domain.declared.tokens import Permission, Token
from borough.engine.ipam import Ipam

#: The address space as a caller may see it.
View = Ipam | ScopedIpam


@dataclass(frozen=True)
class Identity:
    """Who asks.

    :ivar name: of the token; empty where the service asks for none.
    :ivar labels: what he is confined to; empty for everything.
    :ivar token: what was shown; None where the service asks for none.
    """

    name: str = ""
    may: Permission = Permission.ADMINISTER
    labels: Labels = field(default_factory=dict)
    token: Token | None = None
