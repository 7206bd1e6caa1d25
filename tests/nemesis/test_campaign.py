"""Campaigns: a short one of each kind in continuous integration, and long ones on demand.

``./test -m nemesis`` runs all of them; see docs/explanation/reliability.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.nemesis.campaign import Report, conduct
from tests.nemesis.targets import make_target
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.nemesis, pytest.mark.xdist_group("nemesis")]

#: Operations of a campaign on each kind of database.
OPERATIONS: Final = int(os.environ.get("BOROUGH_NEMESIS", "300000"))

#: Operations of a short campaign, about half a minute.
SHORT: Final = 8000

SEED: Final = int(os.environ.get("BOROUGH_SEED", "0")) or time.time_ns() % 1_000_000

KINDS: Final = ("sqlite", "postgresql", "mariadb", "http", "galera")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the histories, kept after a violation."""
    made = Path(tempfile.mkdtemp(prefix="borough-nemesis-"))
    yield made
    if not (made / "keep").exists():
        shutil.rmtree(made)


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[Report], None]:
    """Print the summary, even while output is captured."""

    def say(made: Report) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{made}\n")

    return say


def run(kind: str, folder: Path, operations: int, report: Callable[[Report], None]) -> None:
    """Run a campaign: it must find no violation, and must have checked every promise."""
    (folder / "keep").touch()
    target = must_have(lambda: make_target(kind, folder))
    try:
        made = conduct(kind, target, folder, seed=SEED, operations=operations)
    finally:
        target.close()
    report(made)
    assert made.verdict.is_clean, f"histories in {folder}\n{made.verdict}"
    assert set(made.faults) == set(made.planned), "a kind of fault was never injected"
    checked = made.verdict.checked
    # On a slow machine a short campaign exhausts few networks: one kind of refusal is enough.
    assert checked["false exhaustion"] + checked["false conflict"], "no refusal was checked"
    for promise in ("key", "boundary", "audit"):
        assert checked[promise], f"{promise} was never checked"
    (folder / "keep").unlink()


def each(*kinds: str) -> list[object]:
    """Parameters; the kind ``galera`` runs with the other tests of a cluster."""
    marks = {"galera": [pytest.mark.galera]}
    return [pytest.param(kind, marks=marks.get(kind, [])) for kind in kinds]


@pytest.mark.quick
@pytest.mark.parametrize("kind", each(*KINDS))
def test_short(kind: str, folder: Path, report: Callable[[Report], None]) -> None:
    """Each fault is injected at least once."""
    run(kind, folder, SHORT, report)


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("kind", KINDS)
def test_long(kind: str, folder: Path, report: Callable[[Report], None]) -> None:
    """BOROUGH_NEMESIS sets the number of operations."""
    run(kind, folder, OPERATIONS, report)
