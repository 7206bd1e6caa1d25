"""Database URLs that list several hosts."""

from __future__ import annotations

import pytest

from borough.errors import FixInput
from borough.store.sql.dialects.hosts import Address, connector, split, without_password
from borough.store.sql.failures import Gone
from borough.store.sql.open import resolve


@pytest.mark.parametrize(
    ("url", "first", "hosts"),
    [
        ("sqlite:///f.db", "sqlite:///f.db", []),
        ("sqlite:////a/b@c,d.db", "sqlite:////a/b@c,d.db", []),
        ("postgresql://h/d", "postgresql://h/d", [("h", None)]),
        ("postgresql://h:/d", "postgresql://h:/d", [("h", None)]),
        ("postgresql://u:p@a:1,b:2/d?x=1", "postgresql://u:p@a:1/d?x=1", [("a", 1), ("b", 2)]),
        ("mysql://u@a,b,c/d", "mysql://u@a/d", [("a", None), ("b", None), ("c", None)]),
        ("mysql://[::1]:33,[fe80::2]/d", "mysql://[::1]:33/d", [("::1", 33), ("fe80::2", None)]),
    ],
)
def test_hosts_are_taken_apart(url: str, first: str, hosts: list[tuple[str, int | None]]) -> None:
    assert split(url) == (first, tuple(Address(*each) for each in hosts))


@pytest.mark.parametrize("hosts", ["a:x", "a,", ",b", "a:99999", ":5"])
def test_hosts_that_cannot_be_meant_are_refused(hosts: str) -> None:
    with pytest.raises(FixInput):
        resolve(f"postgresql://u:secret@{hosts}/d")


def test_the_first_host_that_answers_is_used() -> None:
    asked: list[str] = []

    def connect(address: Address) -> str:
        asked.append(address.host)
        if address.host != "c":
            raise ConnectionError
        return "connected"

    hosts = [Address(name, None) for name in "abcd"]
    assert connector(hosts, connect, lambda _: Gone("x"))() == "connected"
    assert asked == ["a", "b", "c"]


def test_a_refusal_is_not_passed_by() -> None:
    """A wrong password is as wrong everywhere, and each try may lock the account."""

    def connect(_address: Address) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        connector([Address("a", None), Address("b", None)], connect, lambda error: error)()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://me:s@a,b/d", "mysql://me:***@a,b/d"),
        ("mysql://me:p@ss@a/d", "mysql://me:***@a/d"),
        ("mysql://me@a/d", "mysql://me@a/d"),
        ("sqlite:///b.db", "sqlite:///b.db"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
