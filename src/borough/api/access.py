"""The caller of a request, and the address space that it sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from borough.api.scoped import ScopedIpam
from borough.domain.declared.dimensions import Labels
from borough.domain.declared.tokens import Permission, Token
from borough.engine.ipam import Ipam

#: The address space that a caller sees.
View = Ipam | ScopedIpam


@dataclass(frozen=True)
class Identity:
    """The caller of a request.

    :ivar name: name of the token; empty in a service without tokens.
    :ivar labels: labels that confine the caller; empty for no limit.
    :ivar token: None in a service without tokens.
    """

    name: str = ""
    permission: Permission = Permission.ADMINISTER
    labels: Labels = field(default_factory=dict)
    token: Token | None = None

    @property
    def host(self) -> str:
        """The only host whose routes the caller may read and acknowledge; empty for no such limit."""
        return self.token.host if self.token else ""

    @property
    def reads_all(self) -> bool:
        """True when the caller may read everything."""
        return not (self.labels or self.host) and self.permission.covers(Permission.READ)
