"""How address space stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from msgspec import field

from borough.api.schema.base import (
    PAGE,
    Input,
    Label,
    Limit,
    MaybeText,
    Number,
    Output,
    Paged,
    Text,
)
from borough.domain.inspect import Finding
from borough.engine.queries import RouteForm
from borough.engine.views import BlockView, Route, Usage, iso, total
from borough.store import port


class BlockQuery(Paged):
    """Which blocks."""

    host: MaybeText | None = None
    subnet: Text | None = None


class BlockPage(Output):
    """Blocks by subnet and address."""

    blocks: Sequence[BlockView]
    next: str | None


class MapQuery(Input):
    """Which blocks of a scope.

    :ivar subnet: only those of these subnets; again for more.
    """

    scope: Text = "default"
    subnet: list[MaybeText] = field(default_factory=list)


class UsageQuery(Input):
    """The subnets of a group; without labels and host all of the scope."""

    label: list[Label] = field(default_factory=list)
    host: MaybeText | None = None
    scope: Text = "default"


class Total(Output):
    """The sum over the subnets of one family."""

    family: int
    size: int
    allocated: int
    cooling: int
    free: int
    claimed_free: int


class GroupUsage(Output):
    """How full the subnets of a group are, in the order in which the group uses them."""

    subnets: Sequence[Usage]
    totals: list[Total]

    @classmethod
    def of(cls, lines: Sequence[Usage]) -> Self:
        """From the library's records."""
        sums = [
            total("", family, [line for line in lines if line.family == family])
            for family in sorted({line.family for line in lines})
        ]
        names = Total.__struct_fields__
        return cls(lines, [Total(*(getattr(each, name) for name in names)) for each in sums])


class RouteQuery(Input):
    """Whose routes.

    :ivar form: `strict`: a prefix covers only what its host holds or has claimed; `lpm`: it may cover
        anything in the subnets, with longer prefixes of other hosts as exceptions.
    """

    host: MaybeText | None = None
    form: RouteForm = "strict"
    scope: Text | None = None


class Routes(Output):
    """The fewest prefixes that hosts must advertise for exactly what they have."""

    routes: Sequence[Route]


class EventQuery(Input):
    """Events with a larger id than `after`, to page through; 0 for the oldest that is kept.

    :ivar label: only events of subnets that had this label at the time; again for more.
    """

    after: Number = 0
    label: list[Label] = field(default_factory=list)
    limit: Limit = PAGE


class Event(Output):
    """One line of the audit trail.

    :ivar subject: an address, a prefix or the name of an object.
    :ivar actor: who did it: the name of a token; empty for the library itself.
    """

    id: int
    at: str
    act: str
    subject: str
    subnet: str
    owner: str
    host: str
    sequence: int | None
    detail: str
    actor: str

    @classmethod
    def of(cls, event: port.Event) -> Self:
        """From the library's record."""
        rest = (getattr(event, name) for name in cls.__struct_fields__[3:])
        return cls(event.id, iso(event.at), event.act.value, *rest)


class EventPage(Output):
    """Events, the oldest first."""

    events: list[Event]
    next: int | None


class Newest(Output):
    """The id of the newest event; 0 when there is none."""

    id: int


class Audit(Input):
    """Whether to mend what is found."""

    repair: bool = False


class Audited(Output):
    """Where the stored state contradicts itself.

    :ivar clean: whether nothing is wrong any more.
    """

    clean: bool
    findings: Sequence[Finding]
    repaired: int
    left: int

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Self:
        """From the library's records."""
        left = sum(not each.repaired for each in findings)
        return cls(not left, findings, len(findings) - left, left)
