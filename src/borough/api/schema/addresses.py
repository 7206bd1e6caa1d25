"""Requests for addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from borough.api.schema.base import (
    PAGE,
    Attribute,
    Attributes,
    Input,
    Labels,
    Limit,
    MaybeText,
    Number,
    Paged,
    Text,
)
from borough.engine.address_lines import AddressLine
from borough.engine.imports import PIECE
from borough.engine.request import COUNT_LIMIT, NOTE_LIMIT
from borough.engine.views import Allocation


class Selector(Input):
    """The group and the kind of the addresses of a request.

    :ivar labels: the group: one value or several by dimension; any of several matches.
    :ivar subnets: instead of labels, subnets in order of preference; equal ones in a list.
    :ivar host: the host where the addresses will live; it implies its labels.
    :ivar families: 4, 6 or both; when left out, the family that the group has, IPv4 first.
    :ivar count: addresses of each family.
    :ivar address: exactly this address.
    :ivar mac: a MAC address, for an IPv6 address by EUI-64.
    :ivar kind: `any` by default; `next` for the lowest free address, `gateway` for that of the subnet.
    :ivar claims: true when the host claims space for them.
    :ivar scope: the address space.
    """

    labels: Labels = field(default_factory=dict)
    subnets: list[Text | list[Text]] | None = None
    host: MaybeText | None = None
    families: list[Literal[4, 6]] | None = None
    count: Annotated[int, Meta(ge=1, le=COUNT_LIMIT)] = 1
    address: Text | None = None
    mac: Text | None = None
    kind: Literal["any", "next", "specific", "eui64", "gateway"] | None = None
    claims: bool = True
    scope: Text = "default"


class AllocationRequest(Selector):
    """A request for addresses, of which all are allocated or none.

    :ivar owner: the caller's name for the holder of the addresses.
    :ivar attributes: JSON values to store with the addresses.
    :ivar note: one line of text to store with the addresses.
    :ivar sticky: answer with what the owner has in the group, else with what is reserved for it, else with a
        new address; a release leaves a reservation.
    :ivar shared: let other owners share the address; by name, become one of the owners of an address that is
        shared already.
    :ivar lease: release the addresses by themselves after so long, unless they are renewed: seconds, or text
        such as `5m`; 0 for never.
    :ivar explain: put the explanation into the answer.
    :ivar wait: `routed` to answer when the agents of the hosts have acknowledged the routes, at most after
        ten seconds.
    """

    owner: MaybeText = ""
    attributes: Attributes = field(default_factory=dict)
    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] = ""
    sticky: bool = False
    shared: bool = False
    lease: Annotated[int, Meta(ge=0)] | Text = 0
    explain: bool = False
    wait: Literal["routed"] | None = None


class ImportedEntry(Input):
    """An address that is in use already."""

    address: Text
    owner: MaybeText = ""
    host: MaybeText = ""
    scope: Text = "default"
    attributes: Attributes | None = None
    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] = ""


class Import(Input):
    """Addresses to import.

    :ivar dry_run: only find out what would be added.
    """

    allocations: Annotated[list[ImportedEntry], Meta(max_length=PIECE)]
    dry_run: bool = False


class Release(Input):
    """The addresses to release: those named, or all of an owner, or all on a host.

    With addresses, owner, host and sequence are conditions on the present allocation.

    :ivar scope: of the addresses, `default` when left out; of an owner or a host, all scopes.
    :ivar now: without a cool-down; addresses that cool down already are free at once.
    """

    addresses: list[Text] = field(default_factory=list)
    owner: MaybeText = ""
    host: MaybeText = ""
    sequence: Number | None = None
    scope: Text | None = None
    now: bool = False


class Renew(Input):
    """The leases to renew: that of an address, or those of all that an idempotency key was given.

    :ivar key: the idempotency key of the allocation; with an address, a condition.
    :ivar sequence: only while the address has this sequence number.
    :ivar lease: the new duration from now on: seconds, or text such as `5m`; null for that of the lease.
    :ivar scope: that of the address.
    """

    address: Text | None = None
    key: MaybeText | None = None
    sequence: Number | None = None
    lease: Annotated[int, Meta(ge=1)] | Text | None = None
    scope: Text = "default"


class Reserve(Input):
    """The addresses to reserve.

    :ivar addresses: each an address, `first-last` or a prefix.
    :ivar owner: only this owner gets them; empty for nobody.
    :ivar attributes: JSON values to store with the addresses.
    :ivar note: one line of text to store with the addresses.
    """

    addresses: list[Text]
    owner: MaybeText = ""
    scope: Text = "default"
    attributes: Attributes = field(default_factory=dict)
    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] = ""


class Cancel(Input):
    """The reservations to cancel: those of some addresses, or all of an owner.

    :ivar addresses: each an address, `first-last` or a prefix; owner is then a condition.
    :ivar scope: of the addresses, `default` when left out; of an owner, all scopes.
    :ivar now: without a cool-down.
    """

    addresses: list[Text] = field(default_factory=list)
    owner: MaybeText = ""
    scope: Text | None = None
    now: bool = False


class Condition(Input):
    """Conditions on the present allocation of an address.

    :ivar now: without a cool-down; an address that cools down already is free at once.
    """

    owner: MaybeText = ""
    host: MaybeText = ""
    sequence: Number | None = None
    now: bool = False


class Place(Input):
    """One address of a scope."""

    scope: Text
    address: Text


class Edit(Input):
    """New values of a held address; null leaves a value as it is, and empty text removes it.

    :ivar attributes: values by name; null removes one, and others stay.
    :ivar sequence: only while it has this sequence number.
    """

    owner: MaybeText | None = None
    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] | None = None
    attributes: Attributes | None = None
    sequence: Number | None = None


class Transfer(Input):
    """A piece of the addresses of an owner, for another owner.

    :ivar scope: only those of one scope.
    :ivar after: `next` of the piece before.
    """

    owner: Text
    to: Text
    scope: Text | None = None
    after: Number = 0


class AllocationQuery(Input):
    """A filter of allocations, in pages: `after` is the last sequence number of the page before.

    :ivar state: only addresses in this state.
    :ivar prefix: only addresses of this prefix, in the default scope when none is named.
    :ivar owner_prefix: only allocations whose owner begins with this text.
    :ivar attribute: only allocations with this attribute; a value that is no text is named by its JSON.
    """

    scope: Text | None = None
    owner: MaybeText | None = None
    host: MaybeText | None = None
    state: Literal["allocated", "cooling", "reserved"] | None = None
    subnet: Text | None = None
    prefix: Text | None = None
    owner_prefix: Text | None = None
    attribute: list[Attribute] = field(default_factory=list)
    after: Number = 0
    limit: Limit = PAGE


class LineFilter(Paged, kw_only=True):
    """The addresses of which subnet.

    :ivar after: only addresses behind this one; `next` of the page before.
    """

    subnet: Text


@dataclass(frozen=True)
class AddressPage:
    """Addresses of a subnet in order.

    :ivar next: `after` of the next page; null at the end.
    """

    addresses: Sequence[AddressLine]
    next: str | None


class ExportQuery(Input):
    """Allocated addresses to export, in pages as those of a list.

    :ivar format: the format of another program.
    :ivar zone: the DNS zone of names.
    """

    format: Literal["csv", "jsonl", "dns", "hosts", "kea", "dnsmasq", "ansible"] = "csv"
    zone: MaybeText = ""
    scope: Text | None = None
    owner: Text | None = None
    host: Text | None = None
    subnet: Text | None = None
    after: Number = 0
    limit: Limit = PAGE


@dataclass(frozen=True)
class ExportPage:
    """Lines of text. Every page of `kea` or `ansible` is a document of its own.

    :ivar next: `after` of the next page; null at the end.
    """

    lines: Sequence[str]
    next: int | None


class Living(Input):
    """A list of living owners, and what the check before missed.

    :ivar owners: all owners that live.
    :ivar missing: `missing` of the check before, by sequence number; empty for the first one.
    :ivar grace: least time between the two checks: seconds, or text such as `1h`.
    :ivar owner_prefix: only owners whose name begins so.
    :ivar dry_run: only find out what would be released.
    """

    owners: list[Text]
    missing: dict[str, Text] = field(default_factory=dict)
    grace: Annotated[int, Meta(ge=0)] | Text = "1h"
    owner_prefix: Text | None = None
    scope: Text | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class OwnersCheck:
    """Outcome of a check.

    :ivar released: allocations that were released, or would be.
    :ivar waiting: allocations whose owner is missing, but not yet for the grace period.
    :ivar missing: what the next check has to be given, by sequence number.
    """

    released: Sequence[Allocation]
    waiting: Sequence[Allocation]
    missing: dict[str, datetime]


@dataclass(frozen=True)
class AllocationPage:
    """Allocations by sequence number, cooling ones included.

    :ivar next: `after` of the next page; null at the end.
    """

    allocations: Sequence[Allocation]
    next: int | None
