"""The remote driver: on a real service, and behind a proxy that fails."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import borough
from borough.driver import load_driver, make_group, make_request
from borough.drivers.remote import RemoteDriver
from borough.errors import (
    Exhausted,
    InvalidSettings,
    NeedsOperator,
    RetryLater,
    TokenRefused,
    Unavailable,
)
from tests.api.serving import Served
from tests.api.test_serve import Process
from tests.driver.test_conformance import run_kit

PODS = {"network": "pods"}


# --- A real service -------------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """`borough serve`, with tokens."""
    url = f"sqlite:///{tmp_path}/ipam.db"
    with borough.open(url, create=True) as ipam:
        _, secret = ipam.create_token("driver", permission="administer")
    (tmp_path / "token").write_text(secret + "\n")
    made = Process(url, "--tokens", log=tmp_path / "serve.log")
    yield made
    made.remove()


@pytest.mark.usefixtures("_no_nested_workers")
def test_the_remote_driver_passes_in_full(process: Process, tmp_path: Path) -> None:
    """Nothing is skipped, as with `native`."""
    settings = tmp_path / "remote.yaml"
    settings.write_text(f"url: {process.url}\ntoken_file: {tmp_path}/token\n")
    code, seen, said = run_kit("remote", "--driver-config", str(settings))
    assert (code, seen.failed, seen.skipped) == (0, set(), []), said
    assert seen.passed > 50


@pytest.fixture
def _no_nested_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner run is no worker of pytest-xdist."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)


# --- A proxy that fails ----------------------------------------------------------------------------


class Proxy:
    """A proxy between the driver and the service, with a mode for each request.

    ``pass``; ``lose``: the service carries it out, and the connection ends before the answer; ``cut``: in
    the middle of the answer; ``late``: after the timeout of the driver; ``bad``: 502 without the service;
    ``done``: 502 after the service has carried it out; ``close``: as ``lose``, and the proxy closes.

    :ivar plan: modes of the next requests; ``then`` is that of the others.
    :ivar seen: requests so far, by method and path.
    """

    def __init__(self, served: Served) -> None:
        self.plan: list[str] = []
        self.then = "pass"
        self.seen: list[str] = []
        self._over = threading.Event()
        self._lines: list[socket.socket] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                proxy._lines.append(self.connection)

            def do_POST(self) -> None:
                proxy.seen.append(f"{self.command} {self.path}")
                mode = proxy.plan.pop(0) if proxy.plan else proxy.then
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, answer = 502, b"<h1>Bad gateway</h1>"
                if mode != "bad":
                    status, answer = proxy.forward(served.port, self, body)
                if mode == "close":
                    proxy.stop()
                if mode == "late":
                    proxy._over.wait(5)
                if mode in ("lose", "close", "late"):
                    self.close_connection = True
                    return
                if mode == "done":
                    status, answer = 502, b"<h1>Bad gateway</h1>"
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if mode == "cut":
                    self.close_connection = True
                    answer = answer[: len(answer) // 2]
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST  # noqa: N815  (the names are the library's)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @staticmethod
    def forward(port: int, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            line.request(request.command, request.path, body or None, dict(request.headers))
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def served() -> Iterator[Served]:
    with borough.open("memory:") as ipam:
        made = Served(ipam)
        yield made
        made.close()


@pytest.fixture
def proxy(served: Served) -> Iterator[Proxy]:
    made = Proxy(served)
    yield made
    made.stop()


Make = Callable[..., RemoteDriver]


@pytest.fixture
def paused() -> list[float]:
    return []


@pytest.fixture
def make(proxy: Proxy, paused: list[float]) -> Iterator[Make]:
    made: list[RemoteDriver] = []

    def build(
        *cidrs: str, timeout: float = 20, sleep: Callable[[float], None] = paused.append
    ) -> RemoteDriver:
        ipam = borough.connect(proxy.url, timeout=timeout)
        driver = RemoteDriver(ipam, timeout=timeout, sleep=sleep)
        made.append(driver)
        subnets = [
            {"name": f"s{at}", "cidr": cidr, "labels": PODS} for at, cidr in enumerate(cidrs)
        ]
        driver.apply({"subnets": subnets})
        proxy.seen.clear()
        return driver

    yield build
    for each in made:
        each.close()


def ask(driver: RemoteDriver, **request: Any) -> str:
    return driver.allocate(make_group(PODS), make_request(**request)).address


def held(served: Served) -> list[str]:
    return [each.address for each in served.ipam.allocations()]


ALLOCATE = "POST /v1/allocations"


@pytest.mark.parametrize("count", [1, 8, 40])
def test_one_request_for_any_group(count: int, make: Make, proxy: Proxy, served: Served) -> None:
    """One is enough even when all subnets but one are full."""
    driver = make(*(f"10.0.{at}.0/32" for at in range(count)))
    for _ in range(count - 1):
        served.ipam.allocate(labels=PODS)
    ask(driver)
    assert (proxy.seen, driver.round_trips) == ([ALLOCATE], 1)
    with pytest.raises(Exhausted):
        ask(driver)
    assert (proxy.seen, driver.round_trips) == ([ALLOCATE] * 2, 2)


def test_a_host_that_claims_nothing(make: Make, served: Served) -> None:
    """A group without claims makes a request without claims."""
    driver = make("10.0.0.0/24")
    for claims in (True, False):
        driver.allocate(make_group(PODS, host="node-1", claims=claims), make_request())
    found = [(each.host, each.block) for each in served.ipam.allocations()]
    assert found == [("node-1", "10.0.0.0/28"), ("node-1", None)]


@pytest.mark.parametrize("key", [None, "mine"])
@pytest.mark.parametrize(
    "plan", [["lose"], ["lose", "lose"], ["cut"], ["done"], ["bad"], ["lose", "done", "bad"]]
)
def test_a_request_is_repeated_after_a_lost_answer(
    plan: list[str], key: str | None, make: Make, proxy: Proxy, served: Served
) -> None:
    """It gets the same address: one is allocated, not one for each attempt."""
    driver = make("10.0.0.0/29")
    proxy.plan = list(plan)
    answer = driver.allocate(make_group(PODS), make_request(owner="web", key=key))
    assert held(served) == [answer.address]
    assert proxy.seen == [ALLOCATE] * (len(plan) + 1)
    # To a caller without a key it is the first answer.
    assert answer.replayed == (key is not None and plan != ["bad"])


def test_a_request_is_repeated_after_a_late_answer(
    make: Make, proxy: Proxy, served: Served
) -> None:
    """The slow service has allocated one address."""
    driver = make("10.0.0.0/29", timeout=0.5)
    proxy.plan = ["late"]
    assert [ask(driver)] == held(served)
    assert len(proxy.seen) == 2


def test_retries_are_bounded_and_pause(
    make: Make, proxy: Proxy, served: Served, paused: list[float]
) -> None:
    """Then the error has an unknown outcome, and the key by which the caller gets it."""
    driver = make("10.0.0.0/29")
    proxy.then = "done"
    with pytest.raises(RetryLater) as refused:
        ask(driver, owner="web")
    assert len(proxy.seen) == driver.round_trips == 3
    first, second = paused
    assert 0.05 <= first <= 0.1 <= second <= 0.2
    detail = refused.value.detail
    assert (detail["outcome"], detail["driver"]) == ("unknown", "remote")
    proxy.then = "pass"
    assert [ask(driver, owner="web", key=detail["key"])] == held(served)


def test_the_timeout_covers_all_attempts(make: Make, proxy: Proxy, served: Served) -> None:
    """After it there is no further attempt; it includes the repetition by the client."""
    driver = make("10.0.0.0/29", timeout=0.2)
    proxy.then = "late"
    begun = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        ask(driver)
    assert driver.round_trips == 1
    assert time.monotonic() - begun < 5
    assert refused.value.detail["outcome"] == "unknown"
    assert len(held(served)) == 1


def test_a_closed_port(make: Make, proxy: Proxy, paused: list[float]) -> None:
    """The error has the outcome that nothing was done."""
    driver = make("10.0.0.0/29")
    proxy.stop()
    with pytest.raises(Unavailable) as refused:
        ask(driver)
    assert refused.value.detail == {"outcome": "not_done", "driver": "remote"}
    assert (driver.round_trips, len(paused)) == (3, 2)


def test_a_service_that_closes_after_the_first_attempt(
    make: Make, proxy: Proxy, served: Served
) -> None:
    """The refused attempts do not undo the first one."""
    driver = make("10.0.0.0/29")
    proxy.plan = ["close"]
    with pytest.raises(Unavailable) as refused:
        ask(driver)
    assert len(held(served)) == 1
    assert refused.value.detail["outcome"] == "unknown"
    assert "key" in refused.value.detail


def test_a_service_that_comes_back(make: Make, proxy: Proxy, served: Served) -> None:
    """It answers again after a restart."""
    driver = make("10.0.0.0/29", sleep=lambda _seconds: setattr(proxy, "then", "pass"))
    proxy.then = "bad"
    assert [ask(driver)] == held(served)
    assert driver.round_trips == 2


def test_a_release_whose_answer_is_lost_is_not_sent_again(
    make: Make, proxy: Proxy, served: Served
) -> None:
    """The address may have a new owner."""
    driver = make("10.0.0.0/29")
    address = ask(driver)
    proxy.seen.clear()
    proxy.plan = ["lose"]
    with pytest.raises(Unavailable) as refused:
        driver.release(address)
    assert len(proxy.seen) == 1
    assert refused.value.detail["outcome"] == "unknown"
    assert "key" not in refused.value.detail
    assert held(served) == []


def test_a_permanent_error_is_not_tried_again(make: Make, proxy: Proxy) -> None:
    """A full group, and the release of a free address."""
    driver = make("10.0.0.0/32")
    ask(driver)
    for call in (lambda: ask(driver), lambda: driver.release("10.9.9.9")):
        proxy.seen.clear()
        with pytest.raises(borough.BoroughError):
            call()
        assert len(proxy.seen) == 1


# --- Settings -------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused_at_once(process: Process, monkeypatch: Any) -> None:
    """The error does not contain it."""
    monkeypatch.setenv("BOROUGH_TOKEN", "not-this-one")
    settings = {"url": process.url, "token_env": "BOROUGH_TOKEN"}
    with load_driver("remote", settings) as driver, pytest.raises(TokenRefused) as refused:
        driver.allocate(make_group(), make_request())
    assert isinstance(refused.value, NeedsOperator)
    assert driver.round_trips == 1
    assert "not-this-one" not in str(refused.value.detail)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "'url' of driver remote is missing"),
        ({"url": "ipam.example"}, "driver remote: the URL of a service is like"),
        ({"url": "http://a:secret@ipam.example"}, "no user, password"),
        (
            {"url": "http://ipam.example", "token": "secret"},
            "'token' of driver remote is not known",
        ),
        ({"url": "http://ipam.example", "token_env": "NOT_SET"}, "'token_env' .* holds nothing"),
        (
            {"url": "http://ipam.example", "token_file": "/no/such"},
            "'token_file' .* cannot be read",
        ),
        ({"url": "http://ipam.example", "token_env": "A", "token_file": "b"}, "comes from either"),
        ({"url": "http://ipam.example", "timeout": 0}, "'timeout' .* must be from 0.1 to 600"),
        ({"url": "http://ipam.example", "attempts": 0}, "'attempts' .* must be from 1 to 100"),
        ({"url": "http://ipam.example", "ledger": "memory:"}, "'ledger' .* is not known"),
    ],
)
def test_invalid_settings(settings: dict[str, Any], says: str) -> None:
    """They are refused before a request is sent, without a secret in the error."""
    with pytest.raises(InvalidSettings, match=says) as refused:
        load_driver("remote", settings)
    assert "secret" not in refused.value.message.replace("token", "")
