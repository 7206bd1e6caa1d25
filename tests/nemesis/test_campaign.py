"""Campaigns: a short one of each kind in continuous integration, and the long ones on demand.

``./test -m nemesis`` runs all; see docs/reliability.md.
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
from tests.nemesis.grounds import ground
from tests.servers.shared import must_have

pytestmark = [pytest.mark.server, pytest.mark.nemesis, pytest.mark.xdist_group("nemesis")]

#: Operations of a campaign on each kind of database.
OPERATIONS: Final = int(os.environ.get("BOROUGH_NEMESIS", "300000"))

#: Operations of a short one, about half a minute each.
SHORT: Final = 8000

SEED: Final = int(os.environ.get("BOROUGH_SEED", "0")) or time.time_ns() % 1_000_000

KINDS: Final = ("sqlite", "postgresql", "mariadb", "http", "galera")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the histories, kept when something was found."""
    made = Path(tempfile.mkdtemp(prefix="borough-nemesis-"))
    yield made
    if not (made / "keep").exists():
        shutil.rmtree(made)


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[Report], None]:
    """Show the summary whether or not output is captured."""

    def say(made: Report) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{made}\n")

    return say


def run(kind: str, folder: Path, operations: int, report: Callable[[Report], None]) -> None:
    """A campaign that must find nothing, and must have looked."""
    (folder / "keep").touch()
    here = must_have(lambda: ground(kind, folder))
    try:
        made = conduct(kind, here, folder, seed=SEED, operations=operations)
    finally:
        here.close()
    report(made)
    assert made.verdict.is_clean, f"histories in {folder}\n{made.verdict}"
    assert set(made.faults) == set(made.planned), "a kind of fault never had its turn"
    looked_at = made.verdict.judged
    # A slow machine runs few networks dry in a short campaign: one kind of refusal is enough.
    assert looked_at["false exhaustion"] + looked_at["false conflict"], "no refusal was looked at"
    for promise in ("key", "boundary", "audit"):
        assert looked_at[promise], f"{promise} was never looked at"
    (folder / "keep").unlink()


def each(*kinds: str) -> list[object]:
    """Parameters; what a cluster is asked runs with the other tests of a cluster."""
    marks = {"galera": [pytest.mark.galera]}
    return [pytest.param(kind, marks=marks.get(kind, [])) for kind in kinds]


@pytest.mark.quick
@pytest.mark.parametrize("kind", each(*KINDS))
def test_short(kind: str, folder: Path, report: Callable[[Report], None]) -> None:
    """Each fault has its turn at least once."""
    run(kind, folder, SHORT, report)


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("kind", KINDS)
def test_long(kind: str, folder: Path, report: Callable[[Report], None]) -> None:
    """Hundreds of thousands of operations; BOROUGH_NEMESIS says how many."""
    run(kind, folder, OPERATIONS, report)
