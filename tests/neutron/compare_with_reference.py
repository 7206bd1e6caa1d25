"""Run Neutron's own unit tests with a driver of Borough, and compare with the reference driver.

    python -m tests.neutron.compare_with_reference          # the part that continuous integration runs
    python -m tests.neutron.compare_with_reference --all    # everything; an hour on two cores
    python -m tests.neutron.compare_with_reference MODULE…  # some modules, or single tests

Every test that passes with the reference driver must pass with the driver of Borough. ``excused.txt`` and
``excused_remote.txt`` list the exceptions, each with its reason. The comparison fails too when no test asked
the driver for an address.
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
#: All modules whose tests ask an IPAM driver.
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
#: The modules that continuous integration runs.
SUBSET = (
    _UNIT + "ipam.test_subnet_alloc",
    _UNIT + "ipam.drivers.neutrondb_ipam.test_driver",
    _UNIT + "db.test_ipam_pluggable_backend",
    _UNIT + "db.test_ipam_backend_mixin",
    _UNIT + "extensions.test_subnet_service_types",
)

#: Most runs, with the reference driver, of a test that fails with the driver of Borough.
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
        self._end(test, "failed", _explanation(error, details, self, test))

    def addError(self, test: Any, error: Any = None, details: Any = None) -> None:  # noqa: N802
        self._end(test, "failed", _explanation(error, details, self, test))

    def addSkip(self, test: Any, reason: str = "", details: Any = None) -> None:  # noqa: N802
        self._end(test, "skipped", str(reason))

    def addExpectedFailure(self, test: Any, error: Any = None, details: Any = None) -> None:  # noqa: N802
        self._end(test, "passed")

    def addUnexpectedSuccess(self, test: Any, details: Any = None) -> None:  # noqa: N802
        self._end(test, "failed", "unexpected success")


def _explanation(error: Any, details: Any, result: unittest.TestResult, test: Any) -> str:
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
    from tests.neutron import fixtures

    fixtures.set_up(driver)
    tests = sorted(_load(names), key=lambda test: test.id())
    own = [test for at, test in enumerate(tests) if at % shards == shard]
    with target.open("w") as sink:
        result = _Result(sink)
        for test in own:
            test.run(result)
        sink.write(json.dumps(["calls", dict(fixtures.calls)]) + "\n")


class Outcomes:
    """The outcomes of all tests with one driver.

    :ivar by_test: ``passed``, ``failed`` or ``skipped``, by the id of a test.
    :ivar calls: number of calls of each method of the driver of Borough.
    """

    def __init__(self) -> None:
        self.by_test: dict[str, str] = {}
        self.details: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.seconds = 0.0

    @property
    def counts(self) -> Counter[str]:
        """Number of tests with each outcome."""
        return Counter(self.by_test.values())


def run_tests(driver: str, names: list[str], jobs: int) -> Outcomes:
    """Run the tests with a driver, in several processes."""
    found = Outcomes()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        targets = [Path(folder) / f"{shard}.jsonl" for shard in range(jobs)]
        running = []
        for shard, target in enumerate(targets):
            words = ["--work", driver, str(shard), str(jobs), str(target)]
            command = [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "tests.neutron.compare_with_reference",
                *words,
                *names,
            ]
            log = (target.with_suffix(".log")).open("wb")
            running.append(subprocess.Popen(command, stdout=log, stderr=log))
        for process, target in zip(running, targets, strict=True):
            if process.wait():
                log_text = target.with_suffix(".log").read_text(errors="replace")
                raise SystemExit(f"a worker failed:\n{log_text[-4000:]}")
            for line in target.read_text().splitlines():
                name, outcome, *more = json.loads(line)
                if name == "calls":
                    found.calls.update(outcome)
                else:
                    found.by_test[name] = outcome
                    found.details[name] = more[0]
    found.seconds = time.monotonic() - start
    return found


def excused(driver: str) -> dict[str, str]:
    """The reasons of the tests that may fail, by id or by the start of an id."""
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


def failing_with_internal(failed: list[str], excuses: dict[str, str], jobs: int) -> set[str]:
    """The failed tests that fail with the reference driver too, in at least one of several runs.

    Some tests of Neutron's models race two threads on purpose, and fail at times with every driver.
    """
    found: set[str] = set()
    for _ in range(RUNS):
        left = [name for name in failed if name not in found and not name.startswith((*excuses,))]
        if not left:
            break
        outcomes = run_tests("internal", left, jobs).by_test
        found |= {name for name in left if outcomes.get(name) == "failed"}
    return found


def show(driver: str, found: Outcomes) -> None:
    """Print counts."""
    counts = found.counts
    print(
        f"{driver}: {counts['passed']} passed, {counts['skipped']} skipped, "
        f"{counts['failed']} failed in {found.seconds:.0f} s"
    )
    if driver != "internal":
        for name, count in sorted(found.calls.items()):
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
    parser.add_argument("--details", help="a file for the texts of the failures")
    options = parser.parse_args()
    names = options.names or list(ALL if options.all else SUBSET)
    ours = run_tests(options.driver, names, options.jobs)
    show(options.driver, ours)
    failed = sorted(name for name, outcome in ours.by_test.items() if outcome == "failed")
    if options.details:
        texts = itertools.chain.from_iterable((name, ours.details[name]) for name in failed)
        Path(options.details).write_text("\n".join(texts))
    if options.driver == "internal":
        return 0
    excuses = excused(options.driver)
    theirs = set() if options.alone else failing_with_internal(failed, excuses, options.jobs)
    bad = 0
    for name in failed:
        reason = next((excuses[each] for each in excuses if name.startswith(each)), "")
        if name in theirs:
            print(f"  fails with internal as well: {name}")
        elif reason:
            print(f"  excused: {name}: {reason}")
        else:
            bad += 1
            print(f"  FAILED: {name}")
    if not ours.calls["BoroughSubnetGroup.allocate"] and options.driver != "borough_shim":
        print("no test asked the driver for an address")
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        _, _, driver, shard, shards, target, *names = sys.argv
        work(driver, names, int(shard), int(shards), Path(target))
        sys.exit(0)
    sys.exit(main())
