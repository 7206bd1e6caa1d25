"""The actor of events, and tokens, on every store."""

from __future__ import annotations

from datetime import datetime

import pytest

from borough import Ipam
from borough.domain.declared.tokens import Permission
from borough.domain.encode import utc
from borough.errors import FixInput, UnknownObject
from borough.store.actor import acting
from tests.conftest import Clock

L = {"network": "n"}


def test_events_name_the_actor(ipam: Ipam, request: pytest.FixtureRequest) -> None:
    """For every way to allocate: first, again, by name, several at once; and for releases."""
    if "http" in request.node.name:
        pytest.skip("there it is the token's name: tests/api/test_scoped.py")
    with acting("someone"):
        ipam.add_subnet("10.0.0.0/24", labels=L)
        for host in (None, "h", None, "h"):
            ipam.allocate(labels=L, host=host)
        address = ipam.allocate(labels=L, address="10.0.0.99").address
        ipam.allocate(labels=L, count=3)
        ipam.release(address)
    assert {each.actor for each in ipam.events()} == {"someone"}
    last = ipam.newest_event()
    assert last == max(each.id for each in ipam.events())
    ipam.allocate(labels=L)
    assert {each.actor for each in ipam.events(after=last)} == {""}


def test_tokens_are_kept(ipam: Ipam, clock: Clock) -> None:
    """With all of their fields, and without the secret."""
    assert ipam.tokens() == []
    later = clock.now + 5_000_123
    made, secret = ipam.create_token("b", permission="allocate", labels={"network": ["x", "y"]})
    ipam.create_token("a", expires=utc(later))
    assert [each.name for each in ipam.tokens()] == ["a", "b"]
    first, second = ipam.tokens()
    assert (first.permission, first.labels, first.expires) == (Permission.READ, {}, utc(later))
    assert (second.permission, second.labels) == (Permission.ALLOCATE, {"network": ["x", "y"]})
    assert second == made
    assert made.public in secret
    assert secret.rpartition("_")[2] not in str(made)
    assert ipam.revoke_token("b") == made
    with pytest.raises(UnknownObject):
        ipam.revoke_token("b")
    assert [each.name for each in ipam.tokens()] == ["a"]
    told = [(each.act, each.subject, each.detail) for each in ipam.events()]
    assert told == [
        ("token", "b", "create: may allocate within network=x|y"),
        ("token", "a", "create: may read"),
        ("token", "b", "revoke"),
    ]


def test_an_invalid_token_changes_nothing(ipam: Ipam, clock: Clock) -> None:
    """A name in use, an unknown right, an end in the past."""
    ipam.create_token("a")
    for name, settings in (
        ("a", {}),
        ("", {}),
        ("x" * 256, {}),
        ("b", {"permission": "everything"}),
        ("b", {"expires": utc(clock.now)}),
        ("b", {"expires": datetime(2099, 1, 1)}),  # noqa: DTZ001  (in no time zone)
        ("b", {"expires": datetime.fromisoformat("9999-12-31T23:59:59-01:00")}),
        ("b", {"labels": {"host": "h"}}),
        ("b", {"permission": "administer", "labels": {"network": "n"}}),
    ):
        with pytest.raises(FixInput):
            ipam.create_token(name, **settings)
    assert len(ipam.tokens()) == 1
