"""`borough serve` as a process: start, outages, end."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import borough
from borough import BoroughError
from borough.client.ipam import connect
from borough.errors import RetryLater
from tests.api.serving import wait_until
from tests.conftest import EXAMPLES
from tests.processes import workers_of
from tests.servers.postgresql import PostgresqlServer
from tests.servers.shared import must_have

L = {"network": "pods"}


class Process:
    """One run of ``borough serve``."""

    def __init__(self, url: str, *options: str, log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "borough",
                    "--db",
                    url,
                    "serve",
                    "--port",
                    "0",
                    *options,
                ],
                stderr=file,
                env={**os.environ, "BOROUGH_SERVER": ""},
                start_new_session=True,
            )
        wait_until(lambda: self.said("Serving on") or self.process.poll() is not None, 60)
        found = re.search(r"Serving on (https?)://[^:]+:([0-9]+)/", self.text)
        assert found, self.text
        self.port = int(found[2])
        self.url = f"{found[1]}://127.0.0.1:{self.port}"
        if found[1] == "http":
            wait_until(self.answers, 60)

    @property
    def text(self) -> str:
        return self.log.read_text()

    def said(self, words: str) -> bool:
        return words in self.text

    def answers(self) -> bool:
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """The processes that take requests."""
        return workers_of(self.process.pid)

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)

    def remove(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Process] = []

    def begin(url: str, *options: str) -> Process:
        made.append(Process(url, *options, log=tmp_path / f"log-{len(made)}"))
        return made[-1]

    yield begin
    for each in made:
        each.remove()


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path}/served.db"
    with borough.open(made, create=True) as ipam:
        ipam.apply(EXAMPLES / "container-hosts.yaml")
    return made


def refused(url: str, *options: str) -> tuple[int, str]:
    found = subprocess.run(
        [sys.executable, "-m", "borough", "--db", url, "serve", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "500"},
        timeout=60,
        check=False,
    )
    return found.returncode, found.stderr


@pytest.mark.slow
def test_listening_beyond_loopback_requires_tokens(url: str, tmp_path: Path) -> None:
    """The error names the missing option; a port in use is an error without a traceback."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "db.example"):
        code, said = refused(url, "--host", host)
        assert (code, "--tokens" in said) == (2, True), said
    code, said = refused(url, "--tokens")
    assert (code, "borough token create" in said) == (1, True)
    code, said = refused(url, "--tls-certificate", "c.pem")
    assert (code, "key" in said) == (2, True)
    code, said = refused("memory:", "--workers", "2")
    assert (code, "memory" in said) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused(url, "--port", str(taken.getsockname()[1]))
        assert (code, "cannot listen" in said) == (1, True)
        assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_acknowledged_answer_is_lost(start: Start, url: str, workers: str) -> None:
    """The service stops under load with an event stream open, and keeps all that it acknowledged."""
    process = start(url, "--workers", workers)
    acknowledged: list[str] = []
    unexpected: list[BaseException] = []
    stopped = threading.Event()

    def work(number: int) -> None:
        with connect(process.url) as client:
            for turn in range(10_000):
                try:
                    answer = client.allocate(labels=L, owner=f"{number}-{turn}")
                except RetryLater:
                    return
                except BoroughError as error:
                    unexpected.append(error)
                    return
                acknowledged.append(answer.address)
                if len(acknowledged) > 60:
                    stopped.set()

    stream = http.client.HTTPConnection("127.0.0.1", process.port, timeout=30)
    stream.request("GET", "/v1/events", headers={"Accept": "text/event-stream"})
    events = stream.getresponse()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    assert stopped.wait(60)
    assert process.stop() == 0
    for each in threads:
        each.join(60)
    events.read()
    stream.close()
    assert unexpected == []
    assert "Traceback" not in process.text
    with borough.open(url) as ipam:
        held = {each.address for each in ipam.allocations()}
        assert ipam.audit() == []
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= held
    # Requests under way were finished and answered: every allocation is known to a caller.
    assert len(held - set(acknowledged)) <= 4


@pytest.mark.slow
def test_processes_share_counters_and_are_replaced(start: Start, url: str) -> None:
    """Metrics are summed over all processes; a killed process is replaced."""
    process = start(url, "--workers", "2", "--access-log")
    for _ in range(30):
        # A connection each: the system spreads them over the processes.
        with connect(process.url) as client:
            client.allocate(labels=L)
    for _ in range(6):
        # Any process answers with all numbers.
        assert 'requests_total{code="ok",operation="allocate"} 30.0' in process.get("/metrics")[1]
    before = process.workers()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: len(process.workers()) == 2 and before[0] not in process.workers(), 60)
    wait_until(process.answers, 60)
    with connect(process.url) as client:
        assert len(client.allocations()) == 30
    assert process.stop(signal.SIGINT) == 0
    lines = [json.loads(line) for line in process.text.splitlines()[1:] if line.startswith("{")]
    facts = [line for line in lines if line.get("operation") == "allocate"]
    assert len(facts) == 30
    assert set(facts[0]) >= {"status", "code", "milliseconds", "caller", "at", "level"}


@pytest.mark.slow
def test_reclaim_goes_on_after_any_process_dies(start: Start, url: str) -> None:
    """Reclaim goes on when any process is killed, and the service still ends in order."""
    process = start(url, "--workers", "2", "--reclaim-every", "0.1")

    def reclaimed() -> float:
        found = re.search(
            r'borough_reclaims_total\{code="ok"\} ([0-9.]+)', process.get("/metrics")[1]
        )
        return float(found[1]) if found else 0.0

    def reached(count: float) -> bool:
        return reclaimed() >= count

    wait_until(partial(reached, 2), 60)

    def replaced(pid: int) -> bool:
        return len(process.workers()) == 2 and pid not in process.workers()

    for pid in process.workers():
        os.kill(pid, signal.SIGKILL)
        wait_until(partial(replaced, pid), 60)
        wait_until(process.answers, 60)
        enough = reclaimed() + 2
        wait_until(partial(reached, enough), 60)
    assert process.stop() == 0
    assert "Traceback" not in process.text


@pytest.mark.slow
def test_tls_and_no_token_in_the_log(start: Start, url: str, tmp_path: Path) -> None:
    """Nothing is sent in clear, and no secret is logged."""
    openssl = shutil.which("openssl")
    if openssl is None:
        assert not os.environ.get("CI"), "install openssl"
        pytest.skip("openssl is not installed")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=t", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "k.pem", "-out", "c.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    with borough.open(url) as ipam:
        _, secret = ipam.create_token("node", permission="allocate")
    tls = ["--tls-certificate", f"{tmp_path}/c.pem", "--tls-key", f"{tmp_path}/k.pem"]
    process = start(url, "--tokens", "--access-log", *tls)
    context = ssl.create_default_context(cafile=f"{tmp_path}/c.pem")

    def ask(token: str) -> int:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", process.port, timeout=20, context=context
        )
        head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/allocations", json.dumps({"labels": L}), head)
        status = connection.getresponse().status
        connection.close()
        return status

    wait_until(lambda: process.said("startup complete"), 60)
    assert ask(secret) == 201
    assert ask(secret[:-1] + ("a" if secret[-1] != "a" else "b")) == 401
    assert ask("x" * 1000) == 401
    with borough.open(url) as ipam:
        ipam.revoke_token("node")
    wait_until(lambda: ask(secret) == 401)
    with connect(process.url) as client, pytest.raises(RetryLater):
        # This machine does not trust the certificate.
        client.hosts()
    process.stop()
    for part in (secret, secret.rpartition("_")[2], "Bearer"):
        assert part not in process.text
    assert '"caller": "node"' in process.text


@pytest.mark.slow
@pytest.mark.server
def test_service_survives_an_outage_of_its_database(start: Start) -> None:
    """Answers are 503 during the outage, and the process lives on."""
    server = must_have(PostgresqlServer)
    try:
        url = server.fresh()
        with borough.open(url, create=True) as ipam:
            ipam.apply(EXAMPLES / "container-hosts.yaml")
        process = start(url, "--timeout", "1")
        with connect(process.url) as client:
            client.allocate(labels=L, owner="before")
            assert process.get("/readyz")[0] == 200
            server.stop()
            assert process.get("/healthz")[0] == 200
            assert process.get("/readyz")[0] == 503
            for attempt in (lambda: client.allocate(labels=L), client.hosts):
                with pytest.raises(RetryLater) as gone:
                    attempt()
                assert gone.value.code == "unavailable"
            assert "borough_database_up 0.0" in process.get("/metrics")[1]
            server.start()
            wait_until(lambda: process.get("/readyz")[0] == 200)
            client.allocate(labels=L, owner="after")
            assert {each.owner for each in client.allocations()} == {"before", "after"}
        assert process.stop() == 0
    finally:
        server.remove()
