"""What a token of the service is: who it stands for, and what it allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from borough.domain.declared.dimensions import Labels


class Permission(StrEnum):
    """What an operation needs, and a token allows; each includes those before it."""

    READ = "read"
    ALLOCATE = "allocate"
    ADMINISTER = "administer"

    def covers(self, other: Permission) -> bool:
        """Whether a token that allows this allows the other."""
        order = list(Permission)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Token:
    """One token, as it is stored: nothing of it lets anybody in.

    :ivar name: who it stands for; events say it.
    :ivar public: the part of its text that may be seen, and by which it is found.
    :ivar digest: SHA-256 of the part that may not, in hexadecimal.
    :ivar labels: what it is confined to; empty for everything.
    :ivar created: microseconds since the epoch.
    :ivar expires: microseconds since the epoch, None for never.
    """

    name: str
    public: str
    digest: str
    may: Permission
    labels: Labels = field(default_factory=dict)
    created: int = 0
    expires: int | None = None
