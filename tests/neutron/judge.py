"""Runs Neutron's own unit tests with Borough's driver, beside the reference driver, and compares.

    python -m tests.neutron.judge                       # what continuous integration runs
    python -m tests.neutron.judge --all                 # everything; takes an hour on two cores
    python -m tests.neutron.judge MODULE…               # some modules, or single tests

Every test that passes with the reference driver must pass with ours. What is excused is listed in
``excused.txt`` and ``excused_remote.txt``, each with its reason. It fails also when our driver was not asked
for anything.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

_UNIT = "neutron.tests.unit."
#: All that an IPAM driver can be judged by.
ALL = (
    _UNIT + "ipam.test_requests",
    _UNIT + "ipam.test_subnet_alloc",
    _UNIT + "ipam.test_utils",
    _UNIT + "ipam.drivers.neutrondb_ipam.test_driver",
    _UNIT + "ipam.drivers.neutrondb_ipam.test_db_api",
    _UNIT + "db.test_ipam_pluggable_backend",
    _UNIT + "db.test_ipam_backend_mixin",
    "neutron.tests.common.test_db_base_plugin_v2",
    _UNIT + "extensions.test_segment",
    _UNIT + "extensions.test_subnet_service_types",
    _UNIT + "extensions.test_l3",
    _UNIT + "extensions.test_l3_ext_gw_mode",
    _UNIT + "db.test_l3_extra_gws_db",
    _UNIT + "plugins.ml2.test_plugin",
)
#: What fits into continuous integration.
SUBSET = (
    _UNIT + "ipam.test_subnet_alloc",
    _UNIT + "ipam.drivers.neutrondb_ipam.test_driver",
    _UNIT + "db.test_ipam_pluggable_backend",
    _UNIT + "db.test_ipam_backend_mixin",
    _UNIT + "extensions.test_subnet_service_types",
)

#: How often a test that fails with ours is run with the reference driver, until it fails there too.
RUNS = 12


class _Result(unittest.TestResult):
    """The outcome of every test, by its id."""

    def __init__(self, sink: Any) -> None:
        super().__init__()
        self._sink = sink
        self._ended: set[str] = set()

    def _end(self, test: Any, outcome: str, detail: str = "") -> None:
        # A test whose clean-up fails as well ends twice; the first end counts.
        if test.id() not in self._ended:
            self._ended.add(test.id())
            self._sink.write(json.dumps([test.id(), outcome, detail]) + "\n")
            self._sink.flush()

    def addSuccess(self, test: Any) -> None:  # noqa: N802  (unittest's name)
        self._end(test, "passed")

    def addFailure(self, test: Any, error: Any, details: Any = None) -> None:  # noqa: N802
        self._end(test, "failed", _told(error, details, self, test))

    def addError(self, test: Any, error: Any = None, details: Any = None) -> None:  # noqa: N802
        self._end(test, "failed", _told(error, details, self, test))

    def addSkip(self, test: Any, reason: str = "", details: Any = None) -> None:  # noqa: N802
        self._end(test, "skipped", str(reason))

    def addExpectedFailure(self, test: Any, error: Any = None, details: Any = None) -> None:  # noqa: N802
        self._end(test, "passed")

    def addUnexpectedSuccess(self, test: Any, details: Any = None) -> None:  # noqa: N802
        self._end(test, "failed", "unexpected success")


def _told(error: Any, details: Any, result: unittest.TestResult, test: Any) -> str:
    if error is not None:
        return result._exc_info_to_string(error, test)[-4000:]  # type: ignore[attr-defined,no-any-return]
    parts = [each.as_text() for name, each in (details or {}).items() if "traceback" in name]
    return "\n".join(parts)[-4000:]


def _load(names: list[str]) -> list[unittest.TestCase]:
    def flat(suite: Any) -> Any:
        for each in suite:
            if isinstance(each, unittest.TestSuite):
                yield from flat(each)
            else:
                yield each

    loader = unittest.TestLoader()
    tests = list(flat(loader.loadTestsFromNames(names)))
    if loader.errors:
        raise SystemExit("\n".join(map(str, loader.errors)))
    return tests


def work(driver: str, names: list[str], shard: int, shards: int, target: Path) -> None:
    """Run a share of the tests in this process."""
    os.environ["OS_DEFAULT__IPAM_DRIVER"] = driver
    from tests.neutron import stage

    stage.set_up(driver)
    tests = sorted(_load(names), key=lambda test: test.id())
    own = [test for at, test in enumerate(tests) if at % shards == shard]
    with target.open("w") as sink:
        result = _Result(sink)
        for test in own:
            test.run(result)
        sink.write(json.dumps(["calls", dict(stage.calls)]) + "\n")


class Verdict:
    """The outcomes of one driver.

    :ivar calls: how often each method of our driver was called.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.details: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.seconds = 0.0

    @property
    def counts(self) -> Counter[str]:
        """How many tests ended how."""
        return Counter(self.outcomes.values())


def judge(driver: str, names: list[str], jobs: int) -> Verdict:
    """Run the tests with a driver, in several processes."""
    verdict = Verdict()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        targets = [Path(folder) / f"{shard}.jsonl" for shard in range(jobs)]
        running = []
        for shard, target in enumerate(targets):
            words = ["--work", driver, str(shard), str(jobs), str(target)]
            command = [sys.executable, "-W", "ignore", "-m", "tests.neutron.judge", *words, *names]
            log = (target.with_suffix(".log")).open("wb")
            running.append(subprocess.Popen(command, stdout=log, stderr=log))
        for process, target in zip(running, targets, strict=True):
            if process.wait():
                log_text = target.with_suffix(".log").read_text(errors="replace")
                raise SystemExit(f"a worker failed:\n{log_text[-4000:]}")
            for line in target.read_text().splitlines():
                name, outcome, *more = json.loads(line)
                if name == "calls":
                    verdict.calls.update(outcome)
                else:
                    verdict.outcomes[name] = outcome
                    verdict.details[name] = more[0]
    verdict.seconds = time.monotonic() - start
    return verdict


def excused(driver: str) -> dict[str, str]:
    """Tests that may fail, by id or by the start of it, and why."""
    found = {}
    lines = (HERE / "excused.txt").read_text().splitlines()
    if driver == "borough_remote":
        lines += (HERE / "excused_remote.txt").read_text().splitlines()
    for line in lines:
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            assert reason.strip(), f"{name} has no reason"
            found[name] = reason.strip()
    return found


def failing_with_internal(failed: list[str], forgiven: dict[str, str], jobs: int) -> set[str]:
    """Which of the tests that failed with ours fail with the reference driver too, in one of some runs.

    Some tests of Neutron's models race two threads on purpose, and lose now and then with any driver.
    """
    found: set[str] = set()
    for _ in range(RUNS):
        left = [name for name in failed if name not in found and not name.startswith((*forgiven,))]
        if not left:
            break
        outcomes = judge("internal", left, jobs).outcomes
        found |= {name for name in left if outcomes.get(name) == "failed"}
    return found


def show(driver: str, verdict: Verdict) -> None:
    """Print counts."""
    counts = verdict.counts
    print(
        f"{driver}: {counts['passed']} passed, {counts['skipped']} skipped, "
        f"{counts['failed']} failed in {verdict.seconds:.0f} s"
    )
    if driver != "internal":
        for name, count in sorted(verdict.calls.items()):
            print(f"  {count:6} x {name}")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="modules, classes or tests")
    parser.add_argument("--all", action="store_true", help="everything")
    parser.add_argument(
        "--driver", default="borough", help="borough, borough_remote, borough_shim or internal"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--alone", action="store_true", help="do not compare with internal")
    parser.add_argument("--details", help="a file for what the failures said")
    options = parser.parse_args()
    names = options.names or list(ALL if options.all else SUBSET)
    ours = judge(options.driver, names, options.jobs)
    show(options.driver, ours)
    failed = sorted(name for name, outcome in ours.outcomes.items() if outcome == "failed")
    if options.details:
        texts = itertools.chain.from_iterable((name, ours.details[name]) for name in failed)
        Path(options.details).write_text("\n".join(texts))
    if options.driver == "internal":
        return 0
    forgiven = excused(options.driver)
    theirs = set() if options.alone else failing_with_internal(failed, forgiven, options.jobs)
    bad = 0
    for name in failed:
        reason = next((forgiven[each] for each in forgiven if name.startswith(each)), "")
        if name in theirs:
            print(f"  fails with internal as well: {name}")
        elif reason:
            print(f"  excused: {name}: {reason}")
        else:
            bad += 1
            print(f"  FAILED: {name}")
    if not ours.calls["BoroughSubnetGroup.allocate"] and options.driver != "borough_shim":
        print("the driver was never asked for an address")
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        _, _, driver, shard, shards, target, *names = sys.argv
        work(driver, names, int(shard), int(shards), Path(target))
        sys.exit(0)
    sys.exit(main())
