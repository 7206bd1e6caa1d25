"""A campaign: clients, injected faults, and the checker at the end."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Final

import borough
from tests.nemesis import dump
from tests.nemesis.admin import ADMIN, STOP, administer
from tests.nemesis.calls import Config
from tests.nemesis.checker import InjectedFault, Verdict, check
from tests.nemesis.client import work
from tests.nemesis.history import Call, read_all
from tests.nemesis.targets import Fault, ServiceTarget, Target

#: Client processes, without the one that declares.
CLIENTS: Final = 10

#: Operations between two faults, after each kind was injected once.
BETWEEN: Final = 5000

#: The error of a full disk.
CODES: Final = {"disk full": "disk_full"}

#: Seconds in which all processes end after the last call.
END: Final = 180.0

#: Seconds in which a campaign must make progress.
STALLED: Final = 150.0


#: Clients have many short lives, so they are forked from a process that has done their imports.
FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.nemesis.admin", "tests.nemesis.client"])


@dataclass
class Process:
    """A client process, started again when it is killed."""

    work: Callable[[Config], None]
    config: Config
    life: ForkServerProcess | None = None

    def start(self) -> None:
        """Start its next life."""
        self.life = FORKS.Process(target=self.work, args=(self.config,), daemon=True)
        self.life.start()

    def kill(self) -> None:
        """Kill it at any point of its work."""
        assert self.life is not None
        self.life.kill()
        self.life.join()

    @property
    def is_running(self) -> bool:
        """True while it runs."""
        return self.life is not None and self.life.is_alive()

    def check(self) -> None:
        """Fail when it ended in another way than by its quota or a kill: it catches every error of a call."""
        if self.life is not None and self.life.exitcode not in (None, 0):
            log = Path(self.config.folder, f"client-{self.config.client}.log").read_text()
            raise AssertionError(f"client {self.config.client} ended: {log[-3000:]}")


@dataclass
class Report:
    """The result of a campaign."""

    kind: str
    seed: int
    calls: int
    seconds: float
    faults: Counter[str]
    verdict: Verdict
    planned: Sequence[str] = ()
    outcomes: Counter[str] = field(default_factory=Counter)
    without: Sequence[str] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.kind}: {self.calls} operations in {self.seconds:.0f} s "
            f"({self.calls / self.seconds:.0f}/s), seed {self.seed}",
            "  faults: " + ", ".join(f"{name} {count}" for name, count in self.faults.items()),
            "  outcomes: " + ", ".join(f"{n} {count}" for n, count in self.outcomes.most_common()),
            "  checked: " + ", ".join(f"{n} {count}" for n, count in self.verdict.checked.items()),
        ]
        lines += [f"  without {each}" for each in self.without]
        found = "no violation" if self.verdict.is_clean else f"VIOLATIONS\n{self.verdict}"
        return "\n".join([*lines, f"  {found}"])


class Campaign:
    """Clients and their faults on one target."""

    def __init__(self, target: Target, folder: Path, *, seed: int, operations: int) -> None:
        self._target, self._folder = target, folder
        self._operations = operations
        self._chance = Random(f"{seed}-faults")
        self._seed = seed
        self.injected: list[InjectedFault] = []
        self.planned: list[str] = []
        self._offsets: Counter[Path] = Counter()
        self._lines = 0
        quota = -(-operations // CLIENTS)
        self._clients = [self._client(number, quota) for number in range(1, CLIENTS + 1)]
        self._admin = self._client(ADMIN, 0)

    def _client(self, number: int, quota: int) -> Process:
        config = Config(
            number,
            self._target.client_url(number),
            str(self._folder),
            self._seed,
            quota,
            clients=CLIENTS,
            clocks_jump=self._target.clocks_jump,
        )
        return Process(administer if number == ADMIN else work, config)

    def run(self) -> None:
        """Run it to its end; all faults are over then."""
        faults = {**self._target.faults(), "client killed": self._kill_client}
        self.planned = list(faults)
        plan = self._plan(list(faults))
        processes = [self._admin, *self._clients]
        try:
            self._admin.start()
            self._wait((self._folder / "declared").exists)
            for client in self._clients:
                client.start()
            for number, name in enumerate(plan, 1):
                self._progress(number * self._operations // (len(plan) + 1))
                self._inflict(name, faults[name])
            self._progress(self._operations)
            self._wait(lambda: not any(each.is_running for each in self._clients), END)
            (self._folder / STOP).touch()
            self._wait(lambda: not self._admin.is_running, END)
            for each in processes:
                each.check()
        finally:
            for each in processes:
                if each.is_running:
                    each.kill()

    def _plan(self, names: list[str]) -> list[str]:
        """Rounds of all faults, each in a random order."""
        plan: list[str] = []
        while not plan or len(plan) < self._operations // BETWEEN:
            self._chance.shuffle(names)
            plan += names
        return plan

    def _inflict(self, name: str, fault: Fault) -> None:
        began = time.monotonic_ns()
        fault(self._chance)
        self.injected.append(InjectedFault(name, began, time.monotonic_ns(), CODES.get(name, "")))
        with (self._folder / "faults.jsonl").open("a") as file:
            file.write(json.dumps(asdict(self.injected[-1])) + "\n")

    def _kill_client(self, chance: Random) -> None:
        """Kill some clients, sometimes also the one that declares; their next lives begin at once."""
        some = chance.sample(self._clients, chance.randrange(1, 4))
        if chance.random() < 0.5:
            some.append(self._admin)
        for each in some:
            each.check()
            if each.is_running:
                each.kill()
                each.start()

    def _calls(self) -> int:
        """Number of calls in the journals of all lives of the clients."""
        for path in self._folder.glob("client-*.jsonl"):
            if path.name.startswith(f"client-{ADMIN}-"):
                continue
            with path.open("rb") as file:
                file.seek(self._offsets[path])
                new = file.read()
            self._offsets[path] += len(new)
            self._lines += new.count(b"\n")
        return self._lines // 2

    def _progress(self, calls: int) -> None:
        """Wait until a number of calls have been made, or all clients have ended."""
        deadline, before = time.monotonic() + STALLED, -1
        while True:
            made = self._calls()
            for each in self._clients:
                each.check()
            if made >= calls or not any(each.is_running for each in self._clients):
                return
            if made > before:
                deadline, before = time.monotonic() + STALLED, made
            assert time.monotonic() < deadline, f"no progress after {made} calls"
            time.sleep(0.1)

    def _wait(self, true: Callable[[], bool], timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not true():
            self._admin.check()
            assert time.monotonic() < deadline, "the campaign does not end"
            time.sleep(0.05)


def audit(url: str) -> list[str]:
    """Run an audit in another process; return its findings."""
    done = subprocess.run(
        [sys.executable, "-m", "borough", "--json", "--db", url, "audit"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if not done.stdout.strip():
        return [f"the audit failed: {done.stderr[-2000:]}"]
    answer = json.loads(done.stdout)
    if "findings" not in answer:
        return [str(answer)]
    return [f"{each['code']} {each['subnet']}: {each['message']}" for each in answer["findings"]]


def conduct(kind: str, target: Target, folder: Path, *, seed: int, operations: int) -> Report:
    """Make a database, run a campaign on it, and check the result."""
    borough.open(target.url, create=True).close()
    if isinstance(target, ServiceTarget):
        target.service.start()
    campaign = Campaign(target, folder, seed=seed, operations=operations)
    began = time.monotonic()
    campaign.run()
    seconds = time.monotonic() - began
    calls = read_all(folder)
    findings = [*audit(target.url), *target.differences()]
    seen = dump.read(target.url, findings)
    verdict = check(
        calls, seen, campaign.injected, slack=target.slack, clocks_jump=target.clocks_jump
    )
    return Report(
        kind,
        seed,
        len(calls),
        seconds,
        Counter(each.kind for each in campaign.injected),
        verdict,
        campaign.planned,
        _outcomes(calls),
        target.without,
    )


def _outcomes(calls: Sequence[Call]) -> Counter[str]:
    return Counter("done" if call.is_done else call.code or "no answer" for call in calls)
