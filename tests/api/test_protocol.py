"""Bounds on one connection, and the attributes of the server library that they rely on."""

from __future__ import annotations

import contextlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

import borough
from borough.api import protocol
from borough.api.protocol import HEAD_LIMIT, PIPELINED, BoundedProtocol
from borough.api.settings import ServiceSettings
from tests.api.serving import Served, wait_until
from tests.api.test_abuse import Wire, wires
from tests.conftest import EXAMPLES

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served(borough.open("memory:", create=True), ServiceSettings(body_time=5))
    yield made
    made.close()


@pytest.fixture
def wire(served: Served) -> Iterator[Callable[[], Wire]]:
    with wires(served) as new:
        yield new
    wait_until(lambda: served.connections == 0)
    assert BoundedProtocol.unfinished == 0


def sent_until_cut(line: Wire, piece: bytes, most: int) -> int:
    """Bytes that a service takes before it cuts the connection."""
    sent = 0
    try:
        while sent < most:
            line.send(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def all_answers(line: Wire, count: int) -> int:
    """Read until there are so many answers, or the connection ends."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while data.count(b"HTTP/1.1 200") < count and (part := line.socket.recv(65536)):
            data += part
    return data.count(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        pytest.param(b"0\r\n", b"x: " + b"y" * 1000 + b"\r\n", id="trailers"),
        pytest.param(b"0\r\n", b"x:y\r\n" * 200, id="short trailers"),
        pytest.param(b"0\r\nx: ", b"y" * 1000, id="one trailer without end"),
        pytest.param(b"0\r\n", b"y" * 1000, id="a trailer's name without end"),
        pytest.param(b"5;", b"y" * 1000, id="a chunk's extension without end"),
        pytest.param(b"0" * 10, b"0" * 1000, id="a chunk's size without end"),
    ],
)
@pytest.mark.parametrize("path", [b"/healthz", b"/v1/explain"])
def test_bytes_after_a_chunk_are_bounded(
    wire: Callable[[], Wire], path: bytes, begun: bytes, piece: bytes
) -> None:
    """The connection ends after about the size of a head, instead of 800 MB in memory."""
    line = wire()
    line.send(CHUNKED.replace(b"/healthz", path) + b"1\r\nx\r\n" + begun)
    # The sockets' own buffers take some megabytes more than the service.
    assert sent_until_cut(line, piece, 64 << 20) < 32 << 20


def test_fields_are_counted_over_head_and_trailers(wire: Callable[[], Wire]) -> None:
    line = wire()
    fields = b"x: y\r\n" * (protocol.FIELD_LIMIT - 5)
    line.send(GET[:-2] + fields + b"\r\n")
    assert line.answer()[0] == 200
    line.send(GET[:-2] + fields + b"x: y\r\n" * 10 + b"\r\n")
    assert line.answer()[0] == 431
    assert line.is_closed()


def test_a_long_target_is_refused(wire: Callable[[], Wire]) -> None:
    line = wire()
    line.send(b"GET /?" + b"x" * HEAD_LIMIT + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert line.answer()[0] == 431
    assert line.is_closed()


def test_a_body_may_come_in_many_small_chunks(wire: Callable[[], Wire]) -> None:
    """The bytes around chunks are no head: each piece of a body begins the count anew."""
    line = wire()
    body = b"1;ext\r\n \r\n" * 20_000 + b"0\r\nx: y\r\n\r\n"
    head = b"Content-Type: application/json\r\n\r\n"
    line.send(CHUNKED.replace(b"/healthz", b"/v1/explain")[:-2] + head + body)
    assert line.answer()[0] == 400
    line.send(GET)
    assert line.answer()[0] == 200


def test_pipelined_requests_are_bounded(wire: Callable[[], Wire]) -> None:
    """Ten thousand requests in one piece would fill the memory with unread answers."""
    line = wire()
    line.send(GET * PIPELINED)
    assert all_answers(line, PIPELINED) == PIPELINED
    line = wire()
    line.send(GET * 5000)
    assert all_answers(line, 5000) <= PIPELINED + 1


def test_unfinished_heads_of_all_connections_are_bounded(
    served: Served, wire: Callable[[], Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound a small head is still accepted, and a whole request is answered."""
    monkeypatch.setattr(protocol, "UNFINISHED_LIMIT", 100_000)
    lines = [wire() for _ in range(10)]
    for line in lines:
        line.send(b"GET / HTTP/1.1\r\nX: " + b"y" * 30_000)
    wait_until(lambda: served.connections <= 4)
    assert BoundedProtocol.unfinished <= 4 * 40_000
    line = wire()
    line.send(GET)
    assert line.answer()[0] == 200


#: Attributes of the server library that the subclass reads, calls or overrides.
RELIED_ON = {
    "connection_made", "connection_lost", "data_received", "on_message_begin", "on_url", "on_header",
    "on_headers_complete", "on_body", "on_message_complete", "send_400_response",
    "transport", "loop", "scope", "pipeline", "cycle",
}  # fmt: skip


def test_the_subclass_relies_on_these_attributes_only() -> None:
    """Each exists in the release that is installed; pyproject.toml bounds the releases."""
    ours = {"unfinished", *BoundedProtocol.__annotations__}
    ours |= {name for name in vars(BoundedProtocol) if not hasattr(HttpToolsProtocol, name)}
    called = re.findall(r"(?:self|super\(\))\.(\w+)", inspect.getsource(BoundedProtocol))
    overridden = {name for name in vars(BoundedProtocol) if not name.startswith("_")}
    assert (overridden | set(called)) - ours == RELIED_ON
    theirs = inspect.getsource(HttpToolsProtocol)
    for name in RELIED_ON:
        assert re.search(rf"def {name}\(|self\.{name}\b.* = ", theirs), name
    assert "self.response_complete = False" in inspect.getsource(RequestResponseCycle)
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"]
    for name in ("uvicorn", "httptools"):
        (bound,) = [
            each for each in project["optional-dependencies"]["serve"] if each.startswith(name)
        ]
        assert ",<" in bound
