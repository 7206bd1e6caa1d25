"""Orphans: addresses that an external system may hold without an allocation."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Microseconds for which a release of an orphan may be in progress.
GRACE: Final = 60_000_000


class Orphan(NamedTuple):
    """An address that the system behind a driver may hold although no allocation has it.

    :ivar token: its key: the mark that the system stores with the address.
    :ivar at: when it was recorded, in microseconds since the epoch.
    :ivar address: in text; empty when the answer that named it was lost.
    :ivar owner: the owner that asked for it.
    :ivar reason: one sentence for a person; empty while a release is in progress.
    """

    token: str
    at: int
    driver: str
    scope: str
    subnet: str
    address: str
    owner: str
    reason: str

    def may_be_under_way(self, now: int) -> bool:
        """True when it was recorded less than :data:`GRACE` before or after ``now``.

        :param now: microseconds since the epoch.
        """
        return abs(now - self.at) <= GRACE

    def is_due(self, now: int) -> bool:
        """True when its release failed, or the process that released it must have ended.

        :param now: microseconds since the epoch.
        """
        return bool(self.reason) or not self.may_be_under_way(now)
