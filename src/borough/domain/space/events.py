"""Lines of the audit trail: as they are written, and as they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from borough.domain.space.plan import Act


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event to write; the store adds its id and who did it.

    :ivar at: microseconds since the epoch.
    :ivar cohort_id: the cohort of the subnet, as the store finds it.
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


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail.

    :ivar subject: an address, a prefix or the name of an object.
    :ivar actor: who did it: the name of a token; empty for the library itself.
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
    # Decides who may see the event: the cohort of its subnet at the time, None where there is no subnet. The
    # number is the store's own and means nothing elsewhere, so that no answer tells it.
    cohort_id: int | None = field(default=None, compare=False, repr=False)
