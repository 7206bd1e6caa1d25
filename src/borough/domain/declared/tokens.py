"""Tokens of the service and their permissions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from borough.domain.declared.dimensions import Labels


class Permission(StrEnum):
    """A permission of a token; each includes those before it."""

    READ = "read"
    ALLOCATE = "allocate"
    ADMINISTER = "administer"

    def covers(self, other: Permission) -> bool:
        """True when this permission includes another one."""
        order = list(Permission)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Token:
    """One token as stored, without its secret.

    :ivar name: the caller; events record it.
    :ivar public: the part of its text that is no secret, and by which it is found.
    :ivar digest: SHA-256 of the secret part, in hexadecimal.
    :ivar labels: the labels that it is confined to; empty for no limit.
    :ivar host: the only host whose routes it may read and acknowledge; empty for all that it permits.
    :ivar created: microseconds since the epoch.
    :ivar expires: microseconds since the epoch, None for never.
    """

    name: str
    public: str
    digest: str
    permission: Permission
    labels: Labels = field(default_factory=dict)
    host: str = ""
    created: int = 0
    expires: int | None = None
