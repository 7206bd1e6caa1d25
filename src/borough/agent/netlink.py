"""The routes of one protocol number in a routing table of the kernel, by rtnetlink(7).

A batch is one write to the kernel, which answers each message with an error number or zero. So the outcome
of every route is known. Numbers are those of ``linux/rtnetlink.h``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, enclosing

#: The protocol number of all routes of the agent.
PROTOCOL: Final = 211

#: The metric of all routes of the agent, so that a route of any other program to the same prefix wins. FRR
#: takes the upper eight bits for a distance, which must stay zero: kernel routes then win over those of BGP.
METRIC: Final = 0xFFFFFF

#: The number of the table ``main``.
MAIN: Final = 254

_FAMILIES: Final[Mapping[int, Family]] = {socket.AF_INET: 4, socket.AF_INET6: 6}
_NUMBERS: Final = {4: socket.AF_INET, 6: socket.AF_INET6}

_NEW, _REMOVE, _GET = 24, 25, 26
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_DESTINATION, _PRIORITY, _TABLE = 1, 6, 15
_UNIVERSE, _NOWHERE, _BLACKHOLE = 0, 255, 6

_HEADER: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")

#: Messages of one write. The kernel answers each while it reads, into a buffer of bounded size.
_AT_A_TIME: Final = 256

#: Seconds to wait for an answer of the kernel.
_TIMEOUT: Final = 10.0

#: Size of the receive buffer, in bytes.
_BUFFER: Final = 1 << 20


@dataclass(frozen=True)
class KernelRoute:
    """A route in the table.

    :ivar protocol: number of the program that has written it.
    """

    prefix: Prefix
    protocol: int
    metric: int
    kind: int

    @property
    def is_own(self) -> bool:
        """True for a route as the agent writes it."""
        return (self.protocol, self.metric, self.kind) == (PROTOCOL, METRIC, _BLACKHOLE)


class RouteTable:
    """A routing table of the kernel, in the network namespace of this process.

    Routes to single addresses may have a table of their own. In the main table the route of the host to
    its workload would hide them from routing daemons.

    :raises OSError: the kernel refuses or does not answer.
    """

    def __init__(self, table: int = MAIN, single_table: int = MAIN) -> None:
        self._table = table
        self._single_table = single_table
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.settimeout(_TIMEOUT)
            self._socket.bind((0, 0))
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def routes(self) -> list[KernelRoute]:
        """All routes of the table, of both families."""
        found = []
        for number in _FAMILIES:
            sent = self._next()
            body = _ROUTE.pack(number, 0, 0, 0, 0, 0, 0, 0, 0)
            self._socket.send(_message(_GET, _REQUEST | _DUMP, sent, body))
            for kind, sequence, data in self._answers():
                if sequence != sent:
                    continue  # of an earlier request that was given up
                if kind == _DONE:
                    break
                if kind == _ERROR:
                    raise _failure(data)
                route = self._route(data) if kind == _NEW else None
                if route is not None:
                    found.append(route)
        return found

    def change(self, batch: Sequence[tuple[Prefix, bool]]) -> dict[Prefix, OSError]:
        """Add and remove routes of the agent, in order.

        :param batch: each prefix with True to add a route, False to remove it.
        :return: the errors. A route that is there already, or is gone already, is none.
        """
        failed: dict[Prefix, OSError] = {}
        for at in range(0, len(batch), _AT_A_TIME):
            pending: dict[int, tuple[Prefix, bool]] = {}
            data = []
            for prefix, is_added in batch[at : at + _AT_A_TIME]:
                sent = self._next()
                pending[sent] = prefix, is_added
                flags = _REQUEST | _ACK | (_CREATE | _EXCLUSIVE if is_added else 0)
                data.append(
                    _message(_NEW if is_added else _REMOVE, flags, sent, self._body(prefix))
                )
            self._socket.send(b"".join(data))
            for kind, sequence, answer in self._answers():
                if kind == _ERROR and sequence in pending:
                    prefix, is_added = pending.pop(sequence)
                    error = _failure(answer)
                    if error.errno not in (0, errno.EEXIST if is_added else errno.ESRCH):
                        failed[prefix] = error
                if not pending:
                    break
        return failed

    def _next(self) -> int:
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        return self._sequence

    def _table_of(self, prefix: Prefix) -> int:
        return self._single_table if prefix.length == WIDTH[prefix.family] else self._table

    def _body(self, prefix: Prefix) -> bytes:
        width, table = WIDTH[prefix.family], self._table_of(prefix)
        return b"".join(
            (
                _ROUTE.pack(
                    _NUMBERS[prefix.family],
                    prefix.length,
                    0,
                    0,
                    table if table < 256 else 0,
                    PROTOCOL,
                    _UNIVERSE,
                    _BLACKHOLE,
                    0,
                ),
                _attribute(_DESTINATION, prefix.base.to_bytes(width // 8, "big")),
                _attribute(_PRIORITY, struct.pack("=I", METRIC)),
                _attribute(_TABLE, struct.pack("=I", table)),
            )
        )

    def _route(self, data: bytes) -> KernelRoute | None:
        """A route of the table; None for one of another table."""
        number, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(data)
        attributes = _attributes(data[_ROUTE.size :])
        if _TABLE in attributes:
            (table,) = struct.unpack("=I", attributes[_TABLE])
        if number not in _FAMILIES:
            return None
        (metric,) = struct.unpack("=I", attributes.get(_PRIORITY, bytes(4)))
        base = int.from_bytes(attributes.get(_DESTINATION, b""), "big")
        prefix = enclosing(_FAMILIES[number], base, length)
        if table != self._table_of(prefix):
            return None
        return KernelRoute(prefix, protocol, metric, kind)

    def _answers(self) -> Iterator[tuple[int, int, bytes]]:
        """The messages of the kernel: kind, sequence and body."""
        while True:
            data = self._socket.recv(_BUFFER)
            at = 0
            while at + _HEADER.size <= len(data):
                size, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
                yield kind, sequence, data[at + _HEADER.size : at + size]
                at += max(_aligned(size), _HEADER.size)


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(_aligned(size) - size)


def _attributes(data: bytes) -> dict[int, bytes]:
    made = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        made[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + size]
        at += max(_aligned(size), _ATTRIBUTE.size)
    return made


def _failure(answer: bytes) -> OSError:
    """The error of an answer, with number 0 for success."""
    (number,) = struct.unpack_from("=i", answer)
    return OSError(-number, os.strerror(-number))
