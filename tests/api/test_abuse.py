"""Careless, broken and hostile callers: the right status, bounded memory, and the service lives on."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import borough
from borough.api import protocol
from borough.api.request_log import OUTCOMES
from borough.api.settings import ServiceSettings
from borough.client.ipam import connect
from tests.api.serving import Served, wait_until
from tests.conftest import EXAMPLES

SETTINGS = ServiceSettings(body_limit=100_000, body_time=0.3, send_time=0.5)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    ipam = borough.open("memory:", create=True)
    ipam.apply(EXAMPLES / "container-hosts.yaml")
    made = Served(ipam, SETTINGS)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def alive(served: Served) -> Iterator[None]:
    """After each test the service still answers."""
    yield
    with connect(served.url) as client:
        assert client.subnets()


class Wire:
    """One connection, byte by byte."""

    def __init__(self, served: Served) -> None:
        self.socket = socket.create_connection(("127.0.0.1", served.port), timeout=20)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, body: bytes, path: str = "/v1/allocations", head: str = "") -> None:
        self.send(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def answer(self) -> tuple[int, dict[str, Any]]:
        """The status and the problem document."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.socket.recv(65536)
            if not part:
                return 0, {}
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        while len(body) < length:
            body += self.socket.recv(65536)
        status = int(head.split()[1])
        assert status < 400 or b"application/problem+json" in head
        return status, json.loads(body)

    def is_closed(self) -> bool:
        return self.socket.recv(1) == b""


@contextmanager
def wires(served: Served) -> Iterator[Callable[[], Wire]]:
    """Open connections to a service, and close them in the end."""
    made: list[Wire] = []

    def new() -> Wire:
        made.append(Wire(served))
        return made[-1]

    yield new
    for each in made:
        each.socket.close()


@pytest.fixture
def wire(served: Served) -> Iterator[Callable[[], Wire]]:
    with wires(served) as new:
        yield new


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"owner": "\xff"}', "UTF-8"),
        (b'{"owner": "\\ud800"}', "JSON"),
        (b"null", "Expected"),
        (b"[]", "Expected"),
        (b'{"count": 0}', "count"),
        (b'{"count": 1e400}', "count"),
        (b'{"count": NaN}', "JSON"),
        (b'{"count": 10000000000000000000000000000}', "count"),
        (b'{"families": [5]}', "families"),
        (b'{"families": [true]}', "families"),
        (b'{"colour": "red"}', "colour"),
        (b'{"owner": null}', "owner"),
        (b'{"attributes": []}', "attributes"),
        (b'{"labels": {"network": 1}}', "labels"),
        (b'{"owner": "a", "owner": "b"}', "'owner' is given twice"),
        (b'{"attributes": {"x": [{"a": 1, "\\u0061": 2}]}}', "'a' is given twice"),
        (b"[" * 50_000, "Expected"),
        (b'{"attributes":' * 6_000, "nested"),
        (b'{"attributes": {"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}}", "nested"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_body_that_cannot_be_read(wire: Callable[[], Wire], body: bytes, said: str) -> None:
    """400, and the connection goes on."""
    line = wire()
    line.post(body)
    status, problem = line.answer()
    assert (status, problem["code"]) == (400, "invalid_input"), problem
    assert said in problem["detail"] or "not JSON" in problem["detail"]
    line.post(b'{"labels": {"network": "pods"}}', "/v1/explain")
    assert line.answer()[0] == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("", 415),
    ],
)
def test_only_json_is_accepted(wire: Callable[[], Wire], head: str, status: int) -> None:
    """A page of another site cannot make a browser send JSON without a preflight request."""
    line = wire()
    line.send(
        f"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: 2\r\n\r\n{{}}"
        "".encode()
    )
    assert line.answer()[0] == status


@pytest.mark.parametrize(
    "said",
    [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://localhost:81",
        "Sec-Fetch-Site: same-origin\r\nOrigin: http://evil.example",
    ],
)
@pytest.mark.parametrize(
    "line",
    ["POST /v1/hosts/h1/drain", "POST /v1/reclaim", "DELETE /v1/hosts/h1", "GET /v1/subnets"],
)
def test_pages_of_other_sites_are_refused(wire: Callable[[], Wire], line: str, said: str) -> None:
    """A page of another site, open in a browser on this machine, could drain its hosts."""
    made = wire()
    made.send(
        f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: 0\r\n{said}\r\n\r\n".encode()
    )
    status, problem = made.answer()
    assert (status, problem["code"]) == (403, "not_permitted")


@pytest.mark.parametrize(
    "said", ["Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost", "X: y"]
)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_write_without_a_body_is_json_too(
    wire: Callable[[], Wire], said: str, body: bytes
) -> None:
    """A browser sends a POST of text to any site, but asks before one of JSON."""
    for kind, expected in (
        ("Content-Type: application/json", 200),
        ("Content-Type: text/plain", 415),
        ("Content-Type: application/x-www-form-urlencoded", 415),
        ("X: y", 415),
    ):
        for path in ("/v1/hosts/node-1/drain", "/v1/reclaim"):
            made = wire()
            made.send(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n{said}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            assert made.answer()[0] == expected, (path, kind)


def test_a_write_that_takes_no_body_takes_no_other_body(wire: Callable[[], Wire]) -> None:
    for body in (b"[]", b'{"a": 1}', b"x", b"null"):
        line = wire()
        line.post(body, "/v1/reclaim")
        assert line.answer()[0] == 400


def test_host_names_of_other_sites_are_refused(wire: Callable[[], Wire]) -> None:
    """The name of another site may resolve to this machine."""
    for host in (
        "evil.example",
        "evil.example:80",
        "",
        "127.0.0.1.evil.example",
        "localhost:80:80",
    ):
        line = wire()
        line.send(f"GET /v1/subnets HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert line.answer()[0] == 421, host
    for host in ("localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST:8080"):
        line = wire()
        line.send(f"GET /v1/subnets HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert line.answer()[0] == 200, host


def test_a_body_that_is_too_large(wire: Callable[[], Wire]) -> None:
    """Its declared size counts, and its real one."""
    line = wire()
    line.send(
        b"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 9999999999\r\n\r\n"
    )
    assert line.answer()[0] == 413
    line = wire()
    line.send(
        b"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(3):
        line.send(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
    assert line.answer()[0] == 413


def test_memory_stays_bounded(wire: Callable[[], Wire]) -> None:
    """Fifty bodies of 100 MB are announced, and one is sent."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = wire()
    line.send(
        b"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100000000\r\n\r\n"
    )
    piece = b" " * 1_000_000
    try:
        for _ in range(100):
            line.send(piece)
    except OSError:
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_body_that_does_not_come(wire: Callable[[], Wire]) -> None:
    """The answer is 408, and the connection is closed."""
    line = wire()
    line.send(
        b"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 30\r\n\r\n{"labels":'
    )
    assert line.answer()[0] == 408
    assert line.is_closed()


def test_a_head_that_does_not_end(
    wire: Callable[[], Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent connection, an unfinished head, and a head that is too large."""
    monkeypatch.setattr(protocol, "HEAD_TIME", 0.2)
    for begun in (b"", b"GET /v1/subnets HTTP/1.1\r\nHost: lo"):
        line = wire()
        line.send(begun)
        assert line.answer()[0] == 408
        assert line.is_closed()
    # The second request of a connection is watched like the first.
    line = wire()
    line.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert line.answer()[0] == 200
    line.send(b"GET /heal")
    assert line.answer()[0] == 408
    monkeypatch.undo()
    line = wire()
    line.send(b"GET /v1/subnets HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000)
    assert line.answer()[0] == 431


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_bytes_that_are_not_http(wire: Callable[[], Wire], data: bytes) -> None:
    """The answer is 400, and the connection is closed."""
    line = wire()
    line.send(data)
    assert line.answer()[0] == 400
    assert line.is_closed()


def test_a_caller_that_disconnects_early(wire: Callable[[], Wire]) -> None:
    """The service does not wait for the rest."""
    for _ in range(20):
        line = wire()
        line.send(
            b"POST /v1/allocations HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        line.socket.close()


def test_a_caller_that_does_not_read(served: Served) -> None:
    """An unread answer is dropped after a timeout, with its memory."""
    served.ipam.allocate(labels={"network": "pods"}, count=3000, attributes={"text": "x" * 500})
    given_up = OUTCOMES.labels("allocations", "gone")._value
    before = given_up.get()
    lines = []
    for _ in range(5):
        line = Wire(served)
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.send(b"GET /v1/allocations?limit=3000 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        lines.append(line)
    wait_until(lambda: given_up.get() >= before + 5)
    wait_until(lambda: served.connections == 0)
    for line in lines:
        line.socket.close()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/allocations?limit=0", 400),
        ("/v1/allocations?limit=5001", 400),
        ("/v1/allocations?limit=1&limit=2", 400),
        ("/v1/allocations?limit=+1", 400),
        ("/v1/allocations?limit=%D9%A1", 400),
        ("/v1/allocations?after=-1", 400),
        ("/v1/allocations?colour=red", 400),
        ("/v1/allocations?owner=%ff", 400),
        ("/v1/allocations?" + "a=b&" * 1000, 400),
        ("/v1/subnets?label=network", 400),
        ("/v1/subnets?label=Network=x", 400),
        ("/v1/subnets?after=nonsense", 422),
        ("/v1/subnets?after=W1tdXQ", 422),
        ("/v1/events?after=99999999999999999999", 400),
        ("/v1/allocations/default/nonsense", 422),
        ("/v1/allocations/nowhere/10.64.0.1", 404),
        ("/v1/dimensions?x=1", 400),
        ("/v1/nothing", 404),
        ("/../../etc/passwd", 404),
        ("/web/../../../../etc/passwd", 404),
        ("/web/%2e%2e/%2e%2e/errors.py", 404),
    ],
)
def test_invalid_targets_are_refused(wire: Callable[[], Wire], target: str, status: int) -> None:
    """400 for a target that cannot be read, 422 for invalid values, 404 for a missing object."""
    line = wire()
    line.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    data = line.socket.recv(65536)
    assert int(data.split()[1]) == status, data


def test_other_methods_are_refused(wire: Callable[[], Wire]) -> None:
    """The answer is 405 with the methods, also to a preflight request."""
    for method in ("OPTIONS", "PATCH", "PUT", "TRACE"):
        line = wire()
        line.send(
            f"{method} /v1/allocations HTTP/1.1\r\nHost: localhost\r\nOrigin: http://e\r\n"
            "Access-Control-Request-Method: POST\r\n\r\n".encode()
        )
        data = line.socket.recv(65536).lower()
        assert data.split()[1] == b"405"
        assert b"allow: get, head, post" in data
        assert b"access-control" not in data


def test_a_name_may_hold_slashes(served: Served) -> None:
    """A scope is one segment of a path, with any characters."""
    scope, host = "VRF 1/2 %2F ü", "rack/1/drain"
    served.ipam.apply(
        {
            "name": "slash",
            "scopes": [scope],
            "subnets": [{"name": "a/b", "cidr": "10.9.0.0/24", "scope": scope}],
        }
    )
    with connect(served.url) as client:
        given = client.allocate(subnets=["a/b"], scope=scope, host=host)
        assert client.show(given.address, scope=scope).host == host
        assert client.subnet("a/b").scope == scope
        assert client.drain(host).host == host
        assert client.reassign(given.address, "x/y", scope=scope).host == "x/y"
        assert client.release(given.address, scope=scope)


def test_a_path_that_is_not_text(wire: Callable[[], Wire]) -> None:
    line = wire()
    line.send(b"GET /v1/subnets/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert line.answer()[0] == 400
