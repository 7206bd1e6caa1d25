"""The service itself: health, callers, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

from msgspec import field

from borough.api.schema.base import (
    Input,
    Labels,
    Output,
    Text,
)
from borough.domain import token as token_record
from borough.domain.inspect import Finding
from borough.domain.token import Need
from borough.engine.views import iso
from borough.errors import FixInput


class Health(Output):
    """How the service is.

    :ivar status: `ok`, or what is wrong.
    """

    status: str


class Readiness(Health):
    """Readiness of this worker for requests.

    :ivar warnings: what does not keep it from answering, but should be mended.
    """

    warnings: Sequence[Finding]


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
