"""Every act meets every declared change on every kind of database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interleaving.changes import CHANGES, Change
from tests.interleaving.matrix import Ground, wrong
from tests.interleaving.servers import galera, single

#: The usual runs play one pair in so many.
_PARTS = {"sqlite": 24, "postgresql": 16, "mariadb": 16, "galera": 128}

_MARKS = {
    "sqlite": [],
    "postgresql": [pytest.mark.server, pytest.mark.xdist_group("matrix-postgresql")],
    "mariadb": [pytest.mark.server, pytest.mark.xdist_group("matrix-mariadb")],
    "galera": [pytest.mark.server, pytest.mark.xdist_group("matrix-galera")],
}


def _cases() -> Iterator[Any]:
    for kind, parts in _PARTS.items():
        usual = [pytest.mark.galera] if kind == "galera" else []
        for every, marks in ((parts, usual), (1, [pytest.mark.matrix])):
            for change in CHANGES:
                name = f"{kind}-{change.name}-{'whole' if every == 1 else 'part'}"
                yield pytest.param(kind, change, every, marks=[*_MARKS[kind], *marks], id=name)


@pytest.fixture(scope="module")
def ground(request: Any) -> Iterator[Ground]:
    """One database for all pairs of a kind."""
    if request.param == "galera":
        with galera() as made:
            yield made
        return
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        single(request.param, Path(folder)) as made,
    ):
        yield made


@pytest.mark.parametrize(("ground", "change", "every"), list(_cases()), indirect=["ground"])
def test_every_act_meets_the_change(ground: Ground, change: Change, every: int) -> None:
    found = wrong(ground, change, every)
    assert not found, "\n".join(["", *found])
