"""Health, callers, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import field

from borough.api.schema.base import (
    Input,
    Labels,
    MaybeText,
    Text,
)
from borough.domain.declared.tokens import Permission
from borough.domain.space.findings import Finding
from borough.engine.views import TokenView
from borough.errors import FixInput


@dataclass(frozen=True)
class Health:
    """Health of the service.

    :ivar status: `ok`.
    """

    status: str


@dataclass(frozen=True)
class Readiness(Health):
    """Readiness of this worker for requests.

    :ivar warnings: faults that do not prevent answers, and that the operator should correct.
    """

    warnings: Sequence[Finding]


@dataclass(frozen=True)
class Caller:
    """The caller of the request.

    :ivar name: name of the token; empty in a service without tokens.
    :ivar permission: `read`, `allocate` or `administer`.
    :ivar labels: labels that confine the token; empty for no limit.
    :ivar release: release of Borough.
    """

    name: str
    permission: str
    labels: dict[str, list[str]]
    release: str


def gather(pairs: Iterable[str]) -> dict[str, list[str]]:
    """Labels written as ``dimension=value``, by dimension."""
    made: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        made.setdefault(name, []).append(value)
    return made


def values_by_name(pairs: Iterable[str]) -> dict[str, str]:
    """Values written as ``name=value``, by name.

    :raises FixInput: a name is given twice.
    """
    made: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name in made:
            raise FixInput(f"{name!r} is given twice", field=name)
        made[name] = value
    return made


@dataclass(frozen=True)
class Tokens:
    """All tokens by name."""

    tokens: Sequence[TokenView]


@dataclass(frozen=True)
class OneToken:
    """One token."""

    token: TokenView


@dataclass(frozen=True)
class CreatedToken:
    """A new token.

    :ivar secret: its text, to send as `Authorization: Bearer …`.
    """

    token: TokenView
    secret: str


class NewToken(Input):
    """A token to create.

    :ivar labels: confine it to the subnets with these labels; only of dimensions whose fallback is none.
    :ivar host: permit only to read and acknowledge the routes of this host; empty for no such limit.
    :ivar expires: time of its end, as RFC 3339 text; null for never.
    """

    name: Text
    permission: Permission = Permission.READ
    labels: Labels = field(default_factory=dict)
    host: MaybeText = ""
    expires: Text | None = None


def read_time(text: str) -> datetime:
    """A time in RFC 3339 text.

    :raises FixInput: it is not a time, or has no time zone.
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(text)
    except ValueError:
        raise FixInput(f"{text!r} is not a time such as 2030-01-31T12:00:00Z") from None
    return at
