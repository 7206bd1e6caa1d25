"""What a system behind a driver may hold for nobody."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Microseconds for which somebody may be busy giving an address back.
GRACE: Final = 60_000_000


class Orphan(NamedTuple):
    """What a system behind a driver may hold for nobody, until it has been given back.

    :ivar token: its key: what the system was told to remember the address by.
    :ivar at: when it was left, in microseconds since the epoch.
    :ivar address: in text; empty when the answer was lost that would have told it.
    :ivar owner: whom it was meant for.
    :ivar reason: one sentence for a person; empty while somebody is giving it back.
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
        """True when it was left a moment ago. Left by a clock that was ahead of its time, it was not.

        :param now: microseconds since the epoch.
        """
        return abs(now - self.at) <= GRACE

    def is_due(self, now: int) -> bool:
        """Whether it is nobody's work in progress: it has failed, or its process must be dead by now.

        :param now: microseconds since the epoch.
        """
        return bool(self.reason) or not self.may_be_under_way(now)
