"""Tokens of the service: create, revoke and recognise them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Fallback, Labels
from borough.domain.declared.lookup import unknown
from borough.domain.declared.tokens import Permission, Token
from borough.domain.encode import micros
from borough.domain.space.events import EventRow
from borough.domain.space.plan import Act
from borough.domain.text import check_text
from borough.engine.request import NAME_LIMIT, optional_text
from borough.engine.views import TokenView, show_token
from borough.errors import FixInput, UnknownDimension
from borough.store.port import Unit

#: The form of a token: a prefix for scanners of leaked secrets, a public part, the secret.
_FORM: Final = re.compile(r"borough_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")

#: Digest to compare a secret with when there is no such token.
_NO_DIGEST: Final = "0" * 64

#: The last time that can be shown, in microseconds since the epoch.
_LAST: Final = micros(datetime.max.replace(tzinfo=UTC))


def create(
    unit: Unit,
    name: str,
    *,
    permission: str,
    labels: Labels,
    host: str,
    expires: datetime | None,
    now: int,
) -> tuple[TokenView, str]:
    """See :meth:`borough.engine.ipam.Ipam.create_token`."""
    check_text("token name", name, NAME_LIMIT)
    optional_text("host", host)
    if any(each.name == name for each in unit.tokens()):
        raise FixInput(f"there is a token named {name!r} already; revoke it first", name=name)
    ends = None if expires is None else _end(expires, now)
    try:
        allowed = Permission(permission)
    except ValueError:
        known = ", ".join(Permission)
        raise FixInput(
            f"the permission of a token is one of {known}, not {permission!r}",
            permission=str(permission),
        ) from None
    if labels and allowed is Permission.ADMINISTER:
        raise FixInput("a token that may administer cannot be confined to labels")
    if host and (labels or allowed is not Permission.READ):
        raise FixInput("a token of a host reads its routes only: no other permission, no labels")
    check_boundary_labels(unit.catalogue, labels)
    public, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = Token(name, public, _digest(secret), allowed, labels, host, now, ends)
    unit.add_token(token)
    unit.record(EventRow(now, Act.TOKEN, name, detail=f"create: {describe(token)}"))
    return show_token(token), f"borough_{public}_{secret}"


def _end(expires: datetime, now: int) -> int:
    """The end of a token, in microseconds since the epoch.

    :raises FixInput: the time has no time zone, is past, or is later than a ``datetime`` in UTC can be.
    """
    if expires.tzinfo is None:
        raise FixInput("the time when a token ends needs a time zone", expires=str(expires))
    ends = micros(expires)
    if not now < ends <= _LAST:
        raise FixInput("a token ends in the future", expires=ends)
    return ends


def revoke(unit: Unit, name: str, now: int) -> TokenView:
    """See :meth:`borough.engine.ipam.Ipam.revoke_token`."""
    known = {each.name: each for each in unit.tokens()}
    if name not in known:
        raise unknown("token", name, known)
    unit.remove_token(name)
    unit.record(EventRow(now, Act.TOKEN, name, detail="revoke"))
    return show_token(known[name])


def describe(token: Token) -> str:
    """The permission and labels of a token, in words."""
    if token.host:
        return f"may follow the routes of host {token.host}"
    words = [f"{name}={'|'.join(sorted(values))}" for name, values in sorted(token.labels.items())]
    return f"may {token.permission}" + (f" within {' '.join(words)}" if words else "")


def check_boundary_labels(catalogue: Catalogue, dimensions: Iterable[str]) -> None:
    """Check that dimensions can confine a token, that is, are hard.

    :raises UnknownDimension: there is no such dimension.
    :raises FixInput: a dimension is soft: it attracts but is no boundary.
    """
    for name in dimensions:
        dimension = catalogue.by_dimension.get(name)
        if dimension is None:
            raise UnknownDimension(f"there is no dimension {name!r}", dimension=name)
        if dimension.fallback is not Fallback.NONE:
            raise FixInput(
                f"a token cannot be confined to labels of {name}: only a dimension whose fallback "
                "is none keeps a request in",
                dimension=name,
            )


def is_formed(text: str) -> bool:
    """True when a text has the form of a token."""
    return bool(_FORM.fullmatch(text))


def recognise(tokens: Iterable[Token], text: str, now: int) -> Token | None:
    """The token of a text; None when there is none, or it has ended."""
    found = _FORM.fullmatch(text)
    public, secret = found.groups() if found else ("", "")
    token = next((each for each in tokens if each.public == public), None)
    # A comparison in every case, in constant time: its duration reveals nothing.
    same = hmac.compare_digest(_digest(secret), token.digest if token else _NO_DIGEST)
    if token is None or not same or (token.expires is not None and token.expires <= now):
        return None
    return token


def _digest(secret: str) -> str:
    # The secret has 256 random bits: a slow digest would add nothing.
    return hashlib.sha256(secret.encode()).hexdigest()
