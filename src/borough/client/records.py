"""From what the service answers to the library's records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from borough.domain import topology
from borough.domain.dimension import Claiming, Dimension, Fallback, make_labels
from borough.domain.explain import Explanation
from borough.domain.model import Host
from borough.domain.pool import PoolUsage
from borough.domain.space import Act
from borough.domain.token import Need, Token
from borough.engine.moves import Renamed, Vacated
from borough.engine.views import Allocation, Answer, Claim, Released
from borough.store.port import Event

T = TypeVar("T")

Json = Mapping[str, Any]


def plain(kind: type[T], data: Any) -> T:
    """A record whose JSON form has the fields that it has; what a newer service adds is left out."""
    return msgspec.convert(data, kind)


def micros(text: str) -> int:
    """RFC 3339 text as microseconds since the epoch, exactly."""
    at = datetime.fromisoformat(text)
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


def allocation(data: Json) -> Allocation:
    """An allocation."""
    until = data["cooling_until"]
    return plain(
        Allocation,
        {
            **data,
            "at": micros(data["allocated_at"]),
            "until": None if until is None else micros(until),
        },
    )


def answer(data: Json) -> Answer:
    """What a request got."""
    story = data.get("explanation")
    return Answer(
        tuple(allocation(each) for each in data["allocations"]),
        data["replayed"],
        None if story is None else plain(Explanation, story),
    )


def vacated(data: Json) -> Vacated:
    """What became of a host that was drained or removed."""
    return Vacated(
        data["host"],
        _claims(data),
        tuple(allocation(each) for each in data["remaining"]),
        Released(map(allocation, data["released"]), data["total"]),
        data["source"],
    )


def renamed(data: Json) -> Renamed:
    """What became of a host that got another name."""
    moved = tuple(allocation(each) for each in data["moved"])
    return Renamed(data["old"], data["new"], _claims(data), moved, data["source"])


def _claims(data: Json) -> tuple[Claim, ...]:
    return tuple(plain(Claim, each) for each in data["claims"])


def changes(data: Json) -> topology.Changes:
    """A diff: its lines, and not what a store would have to write for it."""
    return topology.Changes(
        tuple(
            topology.Change(
                each["action"],
                each["kind"],
                each["name"],
                tuple((line["field"], line["old"], line["new"]) for line in each["fields"]),
                each["prefix"],
            )
            for each in data["changes"]
        )
    )


def host(data: Json) -> Host:
    """A host; its id is the service's own business."""
    labels = make_labels(data["labels"])
    return Host(0, data["name"], labels, data["source"], dict(data["claims"]))


def dimension(data: Json) -> Dimension:
    """A dimension."""
    return Dimension(
        data["name"],
        Fallback(data["fallback"]),
        data["rank"],
        data["claims"],
        Claiming().with_settings(data["claiming"]),
    )


def pool(data: Json) -> tuple[str, PoolUsage]:
    """A pool and how full it is."""
    return data["name"], plain(PoolUsage, data)


def event(data: Json) -> Event:
    """A line of the audit trail."""
    return Event(
        data["id"],
        micros(data["at"]),
        Act(data["act"]),
        data["subject"],
        data["subnet"],
        data["owner"],
        data["host"],
        data["sequence"],
        data["detail"],
        data["actor"],
    )


def token(data: Json) -> Token:
    """A token; its digest stays where it is."""
    expires = data["expires"]
    return Token(
        data["name"],
        data["public"],
        "",
        Need(data["may"]),
        make_labels(data["labels"]),
        micros(data["created"]),
        None if expires is None else micros(expires),
    )
