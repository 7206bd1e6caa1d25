"""Blocks, usage, routes, events, audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, field

from borough.api.schema.base import (
    PAGE,
    Input,
    Label,
    Limit,
    MaybeText,
    Number,
    Paged,
    Text,
)
from borough.domain.space.events import Event
from borough.engine.queries import RouteForm
from borough.engine.search import LISTED
from borough.engine.views import BlockView, Route


class BlockQuery(Paged):
    """A filter of blocks."""

    host: MaybeText | None = None
    subnet: Text | None = None


@dataclass(frozen=True)
class BlockPage:
    """Blocks by subnet and address."""

    blocks: Sequence[BlockView]
    next: str | None


class MapQuery(Input):
    """A filter of the blocks of a scope.

    :ivar subnet: only blocks of these subnets; again for more.
    """

    scope: Text = "default"
    subnet: list[MaybeText] = field(default_factory=list)


class SearchFilter(Input):
    """Something to find.

    :ivar text: any part of a name, a label, a note or an attribute; an address, a prefix or the beginning
        of an IPv4 address; a MAC address.
    :ivar after: `next` of the page before.
    :ivar limit: most lines of each kind.
    """

    text: Text
    after: Number = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = LISTED


class UsageQuery(Input):
    """Subnets by their labels, in all scopes or one.

    :ivar host: instead, the subnets that a request with these labels on this host may use, in its order of
        preference.
    """

    label: list[Label] = field(default_factory=list)
    host: MaybeText | None = None
    scope: Text | None = None


class RouteQuery(Input):
    """A filter of routes.

    :ivar form: `strict`: a prefix covers only addresses and claims of its host; `lpm`: it may cover
        anything in the subnets, with longer prefixes of other hosts as exceptions.
    """

    host: MaybeText | None = None
    form: RouteForm = "strict"
    scope: Text | None = None


@dataclass(frozen=True)
class Routes:
    """The fewest prefixes that hosts must advertise for their addresses and claims."""

    routes: Sequence[Route]


class EventQuery(Input):
    """A filter of events, in pages: `after` is the last id of the page before; 0 begins with the oldest.

    :ivar label: only events of subnets that had this label at the time; again for more.
    """

    after: Number = 0
    label: list[Label] = field(default_factory=list)
    limit: Limit = PAGE


class HistoryFilter(Input):
    """A question to the audit trail, in pages: `before` is the last id of the page before.

    :ivar what: an address, a prefix, or the name of an owner or a host.
    :ivar subnet: only events in this subnet, and its own changes.
    :ivar actor: only events by this token.
    :ivar act: only events of this kind, such as `released`.
    :ivar since: only events of this time or later, RFC 3339; `until`: before it.
    :ivar label: only events of subnets that had this label at the time; again for more.
    :ivar after: only events with a larger id.
    """

    what: Text | None = None
    owner: Text | None = None
    host: Text | None = None
    subnet: Text | None = None
    scope: Text | None = None
    actor: Text | None = None
    act: Text | None = None
    since: Text | None = None
    until: Text | None = None
    label: list[Label] = field(default_factory=list)
    after: Number = 0
    before: Number | None = None
    limit: Limit = PAGE


@dataclass(frozen=True)
class HistoryPage:
    """Events, the newest first."""

    events: Sequence[Event]
    next: int | None


@dataclass(frozen=True)
class EventPage:
    """Events, the oldest first."""

    events: Sequence[Event]
    next: int | None


@dataclass(frozen=True)
class Newest:
    """The id of the newest event; 0 when there is none."""

    id: int


class Audit(Input):
    """Options of an audit.

    :ivar repair: repair the findings.
    """

    repair: bool = False
