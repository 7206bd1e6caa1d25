"""The NetBox driver, on exchanges recorded from a real NetBox, and on a real one.

``NETBOX_VENV=DIR ./test -m netbox`` starts a NetBox, runs the conformance kit on it, and
records the exchanges again (``tests/driver/netbox_exchanges.json``).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from borough.driver import load_driver, make_group, make_request
from borough.driver.shim import Shim
from borough.drivers.netbox import NetboxDriver
from borough.drivers.netbox.client import Client
from borough.errors import (
    AddressInUse,
    DriverFault,
    DriverUnavailable,
    Exhausted,
    InvalidSettings,
)
from tests.driver.test_conformance import run_kit
from tests.servers.netbox import NetboxServer
from tests.servers.shared import must_have

RECORDED = Path(__file__).parent / "netbox_exchanges.json"

Exchange = dict[str, Any]


class Recorder(httpx.BaseTransport):
    """Forwards requests, and records the exchanges."""

    def __init__(self) -> None:
        self.said: list[Exchange] = []
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._real.handle_request(request)
        answer.read()
        self.said.append(
            exchange(request) | {"status": answer.status_code, "answer": trimmed(request, answer)}
        )
        return answer


def exchange(request: httpx.Request) -> Exchange:
    body = json.loads(request.content) if request.content else None
    return {"method": request.method, "path": request.url.raw_path.decode(), "body": body}


def trimmed(request: httpx.Request, answer: httpx.Response) -> Any:
    """The text of an answer, without the address of the machine."""
    said = answer.text.replace(request.url.netloc.decode(), "netbox")
    return json.loads(said) if said else None


class Replay(httpx.BaseTransport):
    """Answers as NetBox did, to the same requests in the same order."""

    def __init__(self, said: list[Exchange]) -> None:
        self._said = iter(said)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        expected = next(self._said)
        asked = exchange(request)
        assert asked == {name: expected[name] for name in asked}
        content = b"" if expected["answer"] is None else json.dumps(expected["answer"]).encode()
        return httpx.Response(expected["status"], content=content)

    def assert_done(self) -> None:
        assert next(self._said, None) is None, "NetBox was asked less than when it was recorded"


TOPOLOGY: dict[str, Any] = {
    "scopes": ["red"],
    "subnets": [
        {
            "name": "a",
            "cidr": "198.18.0.0/29",
            "gateway": "198.18.0.1",
            "labels": {"network": "n"},
        },
        {
            "name": "b",
            "cidr": "198.18.1.0/24",
            "ranges": ["198.18.1.10-198.18.1.11"],
            "labels": {"network": "n"},
        },
        {"name": "six", "cidr": "2001:db8::/64", "labels": {"network": "n"}},
        {"name": "red", "cidr": "198.18.0.0/29", "scope": "red", "labels": {"network": "n"}},
    ],
}


def scenario(driver: Shim) -> None:
    """The work of an operator during a day."""
    group = make_group({"network": "n"})
    driver.apply(TOPOLOGY)
    first = driver.allocate(group, make_request(owner="web", attributes={"dns_name": "w.example"}))
    assert first.address == "198.18.0.2"
    both = driver.allocate(
        group, make_request(families=[4, 6], mac="00:00:00:00:00:01", owner="db", key="k")
    )
    assert [each.address for each in both.allocations] == [
        "198.18.0.3",
        "2001:db8::200:ff:fe00:1",
    ]
    gateway = driver.allocate(group, make_request(kind="gateway", owner="router"))
    assert gateway.address == "198.18.0.1"
    named = driver.allocate(group, make_request(address="198.18.1.200"))
    assert named.allocations[0].subnet == "b"
    # Three addresses are free in a, and two in the range of b.
    assert len(driver.allocate(group, make_request(count=5, owner="many")).allocations) == 5
    with pytest.raises(Exhausted):
        driver.allocate(group, make_request())
    red = driver.allocate(make_group({"network": "n"}, scope="red"), make_request())
    assert red.address == "198.18.0.1"
    assert [each.address for each in driver.release(owner="router")] == ["198.18.0.1"]
    again = driver.allocate(group, make_request(kind="gateway"))
    driver.release([again.address, named.address])
    for owner in ("web", "db", "many"):
        driver.release(owner=owner)
    driver.release(red.address, scope="red")
    driver.apply({})
    assert driver.ledger.orphans() == []


@pytest.fixture
def _tokens_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr("borough.driver.take.make_token", lambda: f"token-{next(numbers)}")


@pytest.mark.usefixtures("_tokens_in_order")
def test_a_recorded_day() -> None:
    """Every request is the recorded one, and every answer is that of NetBox."""
    replay = Replay(json.loads(RECORDED.read_text()))
    client = Client("http://netbox", "nbt_x.y", transport=replay)
    with Shim.wrap(NetboxDriver(client, create=True), name="netbox") as driver:
        scenario(driver)
    replay.assert_done()


# --- A real NetBox -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[NetboxServer]:
    made = must_have(NetboxServer)
    yield made
    made.remove()


@pytest.mark.netbox
@pytest.mark.usefixtures("_tokens_in_order")
@pytest.mark.timeout(3600)
def test_a_day_on_a_real_netbox(server: NetboxServer) -> None:
    """The exchanges are recorded for the test above."""
    recorder = Recorder()
    client = Client(server.url, server.token, timeout=60, transport=recorder)
    with Shim.wrap(NetboxDriver(client, create=True), name="netbox") as driver:
        scenario(driver)
    RECORDED.write_text(json.dumps(recorder.said, indent=1, sort_keys=True) + "\n")


@pytest.mark.netbox
@pytest.mark.timeout(3600)
def test_a_real_netbox_conforms(
    server: NetboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole kit; it takes minutes, for NetBox is slow with each address."""
    monkeypatch.setenv("NETBOX_TOKEN", server.token)
    settings = tmp_path / "netbox.yaml"
    settings.write_text(f"url: {server.url}\ntoken_env: NETBOX_TOKEN\ncreate: true\ntimeout: 60\n")
    code, seen, said = run_kit("netbox", "--driver-config", str(settings), "-o", "timeout=600")
    assert (code, seen.failed) == (0, set()), said


# --- Faults of NetBox ----------------------------------------------------------------------------

Answers = Callable[[httpx.Request], httpx.Response]


def driver_on(answer: Answers) -> Shim:
    """A driver whose NetBox has a prefix; a test gives the other answers."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/ipam/prefixes/":
            return httpx.Response(200, json={"results": [{"id": 1}]})
        return answer(request)

    client = Client("http://netbox", "t", transport=httpx.MockTransport(handle))
    driver = Shim.wrap(NetboxDriver(client), name="netbox", sleep=lambda _seconds: None)
    driver.apply({"subnets": [{"name": "s", "cidr": "198.18.0.0/24"}]})
    return driver


def ask(driver: Shim, **request: Any) -> str:
    return driver.allocate(make_group(), make_request(**request)).address


def test_a_server_error_is_tried_again() -> None:
    """The first answer is lost, and its address is found by its token."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        if request.method == "POST":
            return httpx.Response(502)
        assert "description__isw" in str(request.url)
        return httpx.Response(200, json={"results": [{"id": 9, "address": "198.18.0.7/24"}]})

    assert ask(driver_on(answer)) == "198.18.0.7"
    assert seen == ["POST", "GET"]


def test_no_connection_is_tried_again_then_reported() -> None:
    """The error has the outcome that nothing was done."""
    tries: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request.method)
        raise httpx.ConnectError("refused")

    with pytest.raises(DriverUnavailable) as refused:
        ask(driver_on(answer))
    assert tries == ["POST"] * 3
    assert refused.value.detail == {"outcome": "not_done", "driver": "netbox", "subnet": "s"}


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (403, {"detail": "Invalid token"}, DriverFault, "check the token"),
        (400, {"status": ["wrong"]}, DriverFault, "400"),
        (409, {"detail": "Insufficient resources"}, Exhausted, "no free IPv4"),
        (429, {}, DriverUnavailable, "too much to do"),
        (418, {}, DriverFault, "418"),
    ],
)
def test_errors_differ_by_status(status: int, body: Any, error: type[Exception], says: str) -> None:
    """A full prefix, a refused login and an overloaded server raise different errors."""
    driver = driver_on(lambda _request: httpx.Response(status, json=body))
    with pytest.raises(error, match=says):
        ask(driver)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"id": 3, "address": 7}'])
def test_a_malformed_answer_is_a_fault_and_leaves_nothing(content: bytes) -> None:
    """The address is found by its token and released."""
    removed: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, content=content)
        if request.method == "DELETE":
            removed.append(request.url.path)
            return httpx.Response(204)
        entry = {"id": 9, "address": "198.18.0.7/24", "description": "borough:x"}
        return httpx.Response(200, json={"results": [entry]})

    driver = driver_on(answer)
    with pytest.raises(DriverFault, match="driver netbox, subnet s: NetBox answered"):
        ask(driver)
    assert removed == ["/api/ipam/ip-addresses/9/"]
    assert driver.ledger.orphans() == []


def test_the_second_of_two_entries_of_one_address_is_removed() -> None:
    """NetBox reads before it writes; the first entry keeps the address."""
    removed: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, json={"id": 9, "address": "198.18.0.7/24"})
        if request.method == "DELETE":
            removed.append(request.url.path)
            return httpx.Response(204)
        entries = [{"id": 9, "address": "198.18.0.7/24"}, {"id": 8, "address": "198.18.0.7/24"}]
        return httpx.Response(200, json={"results": entries})

    with pytest.raises(AddressInUse):
        ask(driver_on(answer), address="198.18.0.7")
    assert removed == ["/api/ipam/ip-addresses/9/"]


def test_an_entry_of_another_program_is_not_removed() -> None:
    """An entry without the mark of the driver stays, and the address becomes an orphan."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method != "DELETE"
        entry = {"id": 9, "address": "198.18.0.7/24", "description": "printer"}
        if request.method == "POST":
            return httpx.Response(201, json=entry)
        return httpx.Response(200, json={"results": [entry]})

    driver = driver_on(answer)
    driver.release(ask(driver))
    (orphan,) = driver.ledger.orphans()
    assert orphan.address == "198.18.0.7"
    assert "another program may have" in orphan.reason


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "url"),
        ({"url": "netbox.example"}, "url"),
        ({"url": "http://n"}, "token"),
        ({"url": "http://n", "token": "secret"}, "token"),
        ({"url": "http://n", "token_env": "NO_SUCH_VARIABLE"}, "token_env"),
        ({"url": "http://n", "token_file": "/nowhere"}, "token_file"),
        ({"url": "http://n", "timeout": "long"}, "timeout"),
        ({"url": "http://n", "vrfs": {"red": 1}}, "vrfs"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], wrong: str) -> None:
    """An error never contains a secret."""
    with pytest.raises(InvalidSettings) as refused:
        load_driver("netbox", settings)
    assert refused.value.detail["setting"] == wrong
    assert "secret" not in refused.value.message
