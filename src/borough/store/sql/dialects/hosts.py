"""A list of servers in one URL, tried in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from borough.errors import FixInput
from borough.store.sql.failures import Gone

_PARTS: Final = re.compile(
    r"(?P<head>[^:/?#]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*)(?P<tail>.*)", re.S
)


class Address(NamedTuple):
    """The address of a server.

    :ivar port: None for the default.
    """

    host: str
    port: int | None


def split(url: str) -> tuple[str, tuple[Address, ...]]:
    """Split the hosts of a URL such as ``postgresql://user@one:5432,two:5432/name``.

    :return: the URL with the first host only, and all hosts.
    :raises FixInput: a port is not a number.
    """
    found = _PARTS.fullmatch(url)
    if not found or not found["hosts"]:
        return url, ()
    texts = found["hosts"].split(",")
    return found["head"] + texts[0] + found["tail"], tuple(_parse(text) for text in texts)


def without_password(url: str) -> str:
    """A database URL with its password masked, even if it is invalid."""
    return re.sub(r"(://[^:/?#@]*:)[^/?#]*@", r"\1***@", url, count=1)


def _parse(text: str) -> Address:
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in text:
        host, _, port = text.rpartition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and int(port) < 65536)):
        raise FixInput(
            "the hosts of the database URL cannot be read; write host or host:port, with commas between"
        )
    return Address(host, int(port) if port else None)


def connector(
    hosts: Sequence[Address],
    connect: Callable[[Address], Any],
    translate: Callable[[Exception], Exception],
) -> Callable[[], Any]:
    """A function that opens a connection to the first host that answers.

    :param connect: opens a connection to one host.
    """

    def attempt() -> Any:
        for host in hosts[:-1]:
            try:
                return connect(host)
            except Exception as error:
                # A wrong password is wrong on the next host too; only an unreachable host is skipped.
                if not isinstance(translate(error), Gone):
                    raise
        return connect(hosts[-1])

    return attempt
