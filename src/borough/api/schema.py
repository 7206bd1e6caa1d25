"""What requests and answers hold: the structs that parse the ones and write the others.

The OpenAPI description is made from these same structs. What they cannot say (that an address is one,
that a label is known) is checked by the library, as for any other caller. Where the library's own
record is what the service answers, there is no struct for it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from msgspec import Meta, Struct, field

from borough.domain import dimension, model, pool
from borough.domain import token as token_record
from borough.domain.dimension import Fallback
from borough.domain.explain import Explanation
from borough.domain.inspect import Finding
from borough.domain.token import Need
from borough.domain.topology import Changes
from borough.engine import views
from borough.engine.request import COUNT_LIMIT
from borough.engine.settings import WEIGHT_LIMIT
from borough.engine.views import BlockView, Route, SubnetView, Usage, iso, total
from borough.errors import FixInput
from borough.store import port

#: Most lines of one page.
PAGE_LIMIT: Final = 100_000

#: Lines of a page when the caller does not say.
PAGE: Final = 1000

#: Largest number that an event or a sequence can have.
LARGEST: Final = (1 << 62) - 1

Text = Annotated[str, Meta(min_length=1, max_length=255)]
MaybeText = Annotated[str, Meta(max_length=255)]
Number = Annotated[int, Meta(ge=0, le=LARGEST)]
Limit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT)]
Label = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9_-]{0,63}=.",
        max_length=320,
        description="`dimension=value`; again for more",
    ),
]
Labels = dict[str, str | list[str]]
Attributes = dict[str, Any]


class Input(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a caller may send; nothing else is accepted."""


class Output(Struct):
    """What the service answers."""


# --- Addresses -----------------------------------------------------------------------------------


class Selector(Input):
    """Which addresses a request is for.

    :ivar labels: the group: a value or several by dimension, any of which matches.
    :ivar subnets: instead of labels, subnets in order of preference; equals in a list.
    :ivar host: where the addresses will live; it implies the labels of the host.
    :ivar families: 4, 6 or both; when left out, the one that the group has, IPv4 first.
    :ivar count: addresses of each family.
    :ivar address: this very address.
    :ivar mac: a MAC address, for an IPv6 address by EUI-64.
    """

    labels: Labels = field(default_factory=dict)
    subnets: list[Text | list[Text]] | None = None
    host: MaybeText | None = None
    families: list[Literal[4, 6]] | None = None
    count: Annotated[int, Meta(ge=1, le=COUNT_LIMIT)] = 1
    address: Text | None = None
    mac: Text | None = None
    kind: Literal["any", "next", "specific", "eui64", "gateway"] | None = None
    scope: Text = "default"

    def asked(self) -> dict[str, Any]:
        """The arguments of :meth:`borough.engine.ipam.Ipam.explain`."""
        return {name: getattr(self, name) for name in Selector.__struct_fields__}


class AllocationRequest(Selector):
    """A request for addresses: all that is asked for or none.

    :ivar owner: the caller's name for what holds the addresses.
    :ivar attributes: anything to keep with the addresses.
    :ivar explain: put the explanation into the answer.
    """

    owner: MaybeText = ""
    attributes: Attributes = field(default_factory=dict)
    explain: bool = False

    def asked(self) -> dict[str, Any]:
        """The arguments of :meth:`borough.engine.ipam.Ipam.allocate`."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class Allocation(Output):
    """One address held by an owner.

    :ivar prefix_length: that of its subnet.
    :ivar block: the prefix that its host has claimed around it.
    :ivar borrowed: whether it lies in a block that somebody else has claimed.
    :ivar sequence: name it when releasing, so that a late release cannot hit the next holder.
    :ivar state: `allocated` or `cooling`.
    :ivar cooling_until: when a cooling address is free again.
    """

    address: str
    family: int
    prefix_length: int
    subnet: str
    scope: str
    gateway: str | None
    host: str
    owner: str
    block: str | None
    borrowed: bool
    sequence: int
    state: str
    attributes: Mapping[str, Any]
    allocated_at: str
    cooling_until: str | None

    @classmethod
    def of(cls, view: views.Allocation) -> Self:
        """From the library's record."""
        return cls(*(getattr(view, name) for name in cls.__struct_fields__))


class Allocated(Output):
    """What a request got.

    :ivar replayed: whether it was given before, to the same idempotency key.
    """

    allocations: list[Allocation]
    replayed: bool
    explanation: Explanation | None = None

    @classmethod
    def of(cls, answer: views.Answer) -> Self:
        """From the library's record."""
        given = [Allocation.of(each) for each in answer.allocations]
        return cls(given, answer.replayed, answer.explanation)


class Released(Output):
    """Addresses that were taken back, as they were."""

    released: list[Allocation]

    @classmethod
    def of(cls, released: Iterable[views.Allocation]) -> Self:
        """From the library's records."""
        return cls([Allocation.of(each) for each in released])


class Release(Input):
    """Which addresses to take back: those named, or all of an owner, or all on a host.

    With addresses, owner, host and sequence are conditions on the present holder.
    """

    addresses: list[Text] = field(default_factory=list)
    owner: MaybeText = ""
    host: MaybeText = ""
    sequence: Number | None = None
    scope: Text = "default"


class Holder(Input):
    """Whose addresses."""

    owner: MaybeText = ""
    host: MaybeText = ""
    scope: Text = "default"


class Condition(Input):
    """What must be true of the present holder of an address."""

    owner: MaybeText = ""
    host: MaybeText = ""
    sequence: Number | None = None


class Place(Input):
    """One address of a scope."""

    scope: Text
    address: Text


class AllocationQuery(Input):
    """Which allocations; those with a larger sequence number than `after`, to page through.

    :ivar prefix: only addresses of this prefix, of the default scope when none is named.
    :ivar owner_prefix: only those whose owner begins so.
    """

    scope: Text | None = None
    owner: MaybeText | None = None
    host: MaybeText | None = None
    subnet: Text | None = None
    prefix: Text | None = None
    owner_prefix: Text | None = None
    after: Number = 0
    limit: Limit = PAGE


class AllocationPage(Output):
    """Allocations by sequence number, cooling ones included.

    :ivar next: `after` of the next page; null at the end.
    """

    allocations: list[Allocation]
    next: int | None


# --- Declared objects ------------------------------------------------------------------------------


class TopologyQuery(Input):
    """How to apply a topology.

    :ivar name: apply it under this name instead of its own.
    :ivar dry_run: only find out what would change.
    """

    name: Text | None = None
    dry_run: bool = False


class FieldChange(Output):
    """One field that changes, in text."""

    field: str
    old: str
    new: str


class Change(Output):
    """One line of a diff.

    :ivar prefix: of a subnet or pool.
    """

    action: Literal["add", "change", "remove"]
    kind: Literal["dimension", "scope", "pool", "subnet", "host"]
    name: str
    fields: list[FieldChange]
    prefix: str


class Summary(Output):
    """How many objects."""

    added: int
    changed: int
    removed: int


class Applied(Output):
    """What changed, or would."""

    changes: list[Change]
    summary: Summary
    dry_run: bool

    @classmethod
    def of(cls, changes: Changes, *, dry_run: bool) -> Self:
        """From the library's record."""
        lines = [
            Change(
                each.action,
                each.kind,
                each.name,
                [FieldChange(*words) for words in each.fields],
                each.prefix,
            )
            for each in changes.changes
        ]
        count = [sum(each.action == word for each in lines) for word in ("add", "change", "remove")]
        return cls(lines, Summary(*count), dry_run)


class NewSubnet(Input):
    """A subnet to add by its prefix, or to carve from a pool.

    :ivar cidr: its prefix; with a pool, the exact one to carve.
    :ivar pool: the pool to carve it from.
    :ivar prefix_length: the length to carve; when left out, the default of the pool.
    :ivar name: when left out, it is called by its prefix.
    :ivar ranges: `first-last`; when left out, all usable addresses.
    :ivar cooldown: seconds, or text such as `5m`.
    """

    cidr: Text | None = None
    pool: Text | None = None
    prefix_length: Annotated[int, Meta(ge=0, le=128)] | None = None
    name: Text | None = None
    labels: Labels = field(default_factory=dict)
    project: MaybeText = ""
    scope: Text | None = None
    gateway: Text | None = None
    ranges: list[Text] = field(default_factory=list)
    weight: Annotated[int, Meta(ge=-WEIGHT_LIMIT, le=WEIGHT_LIMIT)] = 0
    cooldown: Annotated[int, Meta(ge=0)] | Text = 0
    attributes: Attributes = field(default_factory=dict)


class OneSubnet(Output):
    """One subnet."""

    subnet: SubnetView


class Named(Input):
    """An object by its name."""

    name: Text


class Paged(Input):
    """A page of a list.

    :ivar after: `next` of the page before.
    """

    after: Annotated[str, Meta(max_length=1000)] = ""
    limit: Limit = PAGE


class SubnetQuery(Paged):
    """Which subnets: those that carry all these labels; of several values any matches."""

    label: list[Label] = field(default_factory=list)
    scope: Text | None = None


class SubnetPage(Output):
    """Subnets by scope and address."""

    subnets: Sequence[SubnetView]
    next: str | None


class Host(Output):
    """A declared host, and the labels that naming it implies."""

    name: str
    labels: dict[str, list[str]]
    source: str

    @classmethod
    def of(cls, host: model.Host) -> Self:
        """From the library's record."""
        labels = {name: sorted(values) for name, values in sorted(host.labels.items())}
        return cls(host.name, labels, host.source)


class HostPage(Output):
    """Hosts by name."""

    hosts: list[Host]
    next: str | None


class Dimension(Output):
    """One way to group subnets.

    :ivar rank: its place in the order of importance.
    :ivar claims: whether its values claim blocks.
    """

    name: str
    fallback: Fallback
    rank: int
    claims: bool

    @classmethod
    def of(cls, each: dimension.Dimension) -> Self:
        """From the library's record."""
        return cls(each.name, each.fallback, each.rank, each.claims)


class Dimensions(Output):
    """All dimensions in order of importance."""

    dimensions: list[Dimension]


class Pool(Output):
    """A pool and how full it is, in addresses.

    :ivar quota_used: units of /32 or /64 by project.
    """

    name: str
    size: int
    used: int
    free: int
    largest_free_length: int | None
    subnets: int
    quota_used: dict[str, float]

    @classmethod
    def of(cls, name: str, usage: pool.PoolUsage) -> Self:
        """From the library's record."""
        return cls(name, *(getattr(usage, each) for each in cls.__struct_fields__[1:]))


class Pools(Output):
    """All pools by name."""

    pools: list[Pool]


# --- Reading -----------------------------------------------------------------------------------------


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
    """Whose routes."""

    host: MaybeText | None = None


class Routes(Output):
    """The fewest prefixes that hosts must advertise for exactly what they have."""

    routes: Sequence[Route]


class EventQuery(Input):
    """Events with a larger id than `after`, to page through."""

    after: Number = 0
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


# --- The service itself ------------------------------------------------------------------------------


class Health(Output):
    """How the service is.

    :ivar status: `ok`, or what is wrong.
    """

    status: str


class Caller(Output):
    """Who asks, and what he may do.

    :ivar name: of the token; empty where the service asks for none.
    :ivar may: `read`, `allocate` or `administer`.
    :ivar labels: what the token is confined to; empty for everything.
    :ivar release: of Borough.
    """

    name: str
    may: str
    labels: dict[str, list[str]]
    release: str


def gather(pairs: Iterable[str]) -> dict[str, list[str]]:
    """Labels written as ``dimension=value``, by dimension."""
    made: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        made.setdefault(name, []).append(value)
    return made


# --- Tokens ------------------------------------------------------------------------------------------


class Token(Output):
    """A token, as it is stored: nothing of it lets anybody in.

    :ivar name: who it stands for.
    :ivar public: the part of its text by which it is found.
    :ivar may: `read`, `allocate` or `administer`, each including those before it.
    :ivar labels: what it is confined to; empty for everything.
    :ivar expires: when it ends; null for never.
    """

    name: str
    public: str
    may: Need
    labels: dict[str, list[str]]
    created: str
    expires: str | None

    @classmethod
    def of(cls, token: token_record.Token) -> Self:
        """From the library's record."""
        return cls(
            token.name,
            token.public,
            token.may,
            {name: sorted(values) for name, values in sorted(token.labels.items())},
            iso(token.created),
            None if token.expires is None else iso(token.expires),
        )


class Tokens(Output):
    """All tokens by name."""

    tokens: list[Token]


class OneToken(Output):
    """One token."""

    token: Token


class CreatedToken(Output):
    """A new token.

    :ivar secret: its text: what to send as `Authorization: Bearer …`.
    """

    token: Token
    secret: str


class NewToken(Input):
    """A token to make.

    :ivar labels: confine it to the subnets with these labels; only of dimensions whose fallback is none.
    :ivar expires: when it ends, as RFC 3339 text; null for never.
    """

    name: Text
    may: Need = Need.READ
    labels: Labels = field(default_factory=dict)
    expires: Text | None = None


def read_time(text: str) -> int:
    """RFC 3339 text as microseconds since the epoch.

    :raises FixInput: it is none, or says no time zone.
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(text)
    except ValueError:
        raise FixInput(f"{text!r} is no time such as 2030-01-31T12:00:00Z") from None
    return round(at.timestamp() * 1_000_000)
