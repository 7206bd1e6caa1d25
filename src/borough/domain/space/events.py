"""Lines of the audit trail: as they are written, and as they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from borough.domain.net.addresses import Family
from borough.domain.space.plan import Act

#: Longest name of an owner, in characters.
OWNER_LIMIT: Final = 255

#: Longest old or new value in an event, in characters.
VALUE_LIMIT: Final = 200

#: Longest text of an event, in characters.
DETAIL_LIMIT: Final = 2_000


def shorten(text: str, limit: int) -> str:
    """A text of at most some characters; a cut is marked."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event to write; the store adds its id and its actor.

    :ivar at: microseconds since the epoch.
    :ivar cohort_id: the cohort of the subnet, as the store finds it.
    :ivar address: family and number of the subject, or of its first address; None for other subjects.
    """

    at: int
    act: Act
    subject: str
    subnet: str = ""
    owner: str = ""
    host: str = ""
    sequence: int | None = None
    detail: str = ""
    cohort_id: int | None = None
    scope: str = ""
    address: tuple[Family, int] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail.

    :ivar subject: an address, a prefix or the name of an object.
    :ivar actor: the name of a token; empty for the library itself.
    :ivar scope: the scope of the subject; empty for an object that is in none.
    """

    id: int
    at: datetime
    act: str
    subject: str
    subnet: str
    owner: str
    host: str
    sequence: int | None
    detail: str
    actor: str
    scope: str = ""
    # The cohort of its subnet at the time, for the check of a confined token; None without a subnet.
    # The number is private to the store, so no answer contains it.
    cohort_id: int | None = field(default=None, compare=False, repr=False)
    # For the filters of the in-memory store.
    address: tuple[Family, int] | None = field(default=None, compare=False, repr=False)
