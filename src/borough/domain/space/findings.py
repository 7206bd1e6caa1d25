"""Contradictions of the stored state, and the stored values that they are found in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction.

    :ivar code: what kind it is, part of the public interface.
    :ivar subnet: name of the subnet, empty when there is none.
    :ivar subject: the address, prefix, address range or cohort.
    :ivar message: one sentence for a person.
    :ivar repaired: whether it is gone.
    """

    code: str
    subnet: str
    subject: str
    message: str
    repaired: bool = False


class Times(NamedTuple):
    """The latest times that are stored, in microseconds since the epoch.

    :ivar rests: by subnet id, when its longest cool-down ends.
    :ivar leases: by subnet id, when the lease that is renewed last was renewed, by its end.
    :ivar idle_marks: by subnet id, its latest mark of a region or block as idle.
    :ivar key: when the newest idempotency key was bound; None for no key.
    """

    rests: dict[int, int]
    leases: dict[int, int]
    idle_marks: dict[int, int]
    key: int | None


class StoredCohort(NamedTuple):
    """A cohort as a store keeps it.

    :ivar text: the text that is stored for it.
    :ivar key: the canonical text of what it means; None when it cannot be read.
    :ivar findable: whether a search for its canonical text finds it.
    """

    id: int
    text: str
    key: str | None
    findable: bool
