"""Statements, milliseconds and rate of an allocation and a release on SQLite, by size of the address space.

    python benchmarks/flatness.py [--quick]

Two tables: (1) 0 to 1,000,000 addresses taken in one /8; (2) groups of 1 to 4,096 subnets, of which all but
the last are full. Each cell alternates with a bare ``UPDATE`` + ``INSERT`` + ``COMMIT`` on the same file. The
figures are medians and ratios; absolute times depend on the machine.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import borough
from borough import Ipam
from borough.engine.request import COUNT_LIMIT
from borough.store.sql.store import SqlStore

TAKEN = [0, 1_000, 50_000, 1_000_000]
GROUPS = [1, 16, 256, 4_096]
ROUNDS, BATCH = 12, 50


class Bare:
    """The bare transaction: change a row, add a row, commit.

    Its allocation table has the columns, indexes and foreign keys of Borough's.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        run = self._connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA foreign_keys=ON")
        run("CREATE TABLE IF NOT EXISTS bare_block (id INTEGER PRIMARY KEY, bitmap INTEGER)")
        (definition,) = run(
            "SELECT sql FROM sqlite_master WHERE name = 'borough_allocation'"
        ).fetchone()
        if not run("SELECT 1 FROM sqlite_master WHERE name = 'bare_allocation'").fetchone():
            run(definition.replace("borough_allocation", "bare_allocation"))
            run("CREATE INDEX bare_owner ON bare_allocation (owner) WHERE owner <> ''")
        run("INSERT OR IGNORE INTO bare_block VALUES (1, 0)")
        self._next = run("SELECT count(*) FROM bare_allocation").fetchone()[0]

    def __call__(self) -> None:
        run = self._connection.execute
        self._next += 1
        run("BEGIN IMMEDIATE")
        run("UPDATE bare_block SET bitmap = ? WHERE id = 1", (self._next,))
        run(
            "INSERT INTO bare_allocation (sequence, scope_id, address, subnet_id, owner, host, at)"
            " VALUES (?, 1, ?, 1, 'bench', '', ?)",
            (self._next, self._next.to_bytes(4, "big"), self._next),
        )
        run("COMMIT")

    def close(self) -> None:
        self._connection.close()


def timed(act: Callable[[], object]) -> float:
    """Median milliseconds of the calls of one batch."""
    samples = []
    for _ in range(BATCH):
        began = time.perf_counter()
        act()
        samples.append(time.perf_counter() - began)
    return statistics.median(samples) * 1000


def measure(ipam: Ipam, path: Path, labels: dict[str, str]) -> tuple[int, float, float, float]:
    """(statements, milliseconds of an allocation, of a release, of the bare transaction)."""
    store = ipam.store
    assert isinstance(store, SqlStore)
    bare = Bare(path)
    allocated: list[str] = []

    def allocate() -> None:
        allocated.append(ipam.allocate(labels=labels, owner="bench").address)

    def release() -> None:
        ipam.release(allocated.pop())

    # Until the write-ahead log has its full size, every commit also extends the file.
    for _ in range(6):
        timed(bare)
        timed(allocate)
    counts, ours, releases, bares = [], [], [], []
    for _ in range(ROUNDS):
        bares.append(timed(bare))
        before = store.statements
        allocate()
        counts.append(store.statements - before)
        ours.append(timed(allocate))
        releases.append(timed(release))
        release()
    bare.close()
    median = statistics.median
    return int(median(counts)), median(ours), median(releases), median(bares)


def fill(ipam: Ipam, labels: dict[str, str], count: int) -> None:
    """Take ``count`` addresses in bulk."""
    while count:
        some = min(count, COUNT_LIMIT // 8)
        ipam.allocate(labels=labels, count=some, owner="fill")
        count -= some


def by_taken(folder: Path, taken: list[int]) -> list[list[str]]:
    """Cells of one /8 that fills up."""
    path = folder / "taken.db"
    rows = []
    with borough.open(f"sqlite:///{path}", create=True) as ipam:
        ipam.add_subnet("10.0.0.0/8", labels={"network": "n"})
        have = 0
        for count in taken:
            fill(ipam, {"network": "n"}, count - have)
            have = count
            rows.append([f"{count:,}", *show(measure(ipam, path, {"network": "n"}))])
    return rows


def by_group(folder: Path, groups: list[int]) -> list[list[str]]:
    """Cells of groups of full /28 subnets and one empty /20."""
    rows = []
    for size in groups:
        path = folder / f"group-{size}.db"
        with borough.open(f"sqlite:///{path}", create=True) as ipam:
            small = [
                {
                    "name": f"s{number}",
                    "cidr": f"10.{number >> 12}.{number >> 4 & 255}.{(number & 15) * 16}/28",
                    "labels": {"network": "n"},
                }
                for number in range(size - 1)
            ]
            last = {"name": "last", "cidr": "10.255.0.0/20", "labels": {"network": "n"}}
            ipam.apply({"subnets": [*small, last]})
            if size > 1:
                fill(ipam, {"network": "n"}, 14 * (size - 1))
            rows.append([f"{size:,}", *show(measure(ipam, path, {"network": "n"}))])
    return rows


def show(figures: tuple[int, float, float, float]) -> list[str]:
    count, ours, release, bare = figures
    return [str(count), f"{ours:.3f}", f"{release:.3f}", f"{bare:.3f}", f"{bare / ours:.2f}"]


def table(title: str, first: str, rows: list[list[str]]) -> None:
    head = [first, "statements", "allocate ms", "release ms", "bare ms", "rate ÷ bare rate"]
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---:|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    times = [float(row[2]) for row in rows]
    shares = [float(row[2]) / float(row[4]) for row in rows]
    print(f"\nlargest ÷ smallest cell: {times[-1] / times[0]:.2f}", end="")
    print(f"; each divided by its own bare transaction: {shares[-1] / shares[0]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the largest cells")
    options = parser.parse_args()
    keep = 3 if options.quick else 4
    with tempfile.TemporaryDirectory() as folder:
        table("Taken addresses, one /8", "taken", by_taken(Path(folder), TAKEN[:keep]))
        table(
            "Subnets in the group, all but one full",
            "subnets",
            by_group(Path(folder), GROUPS[:keep]),
        )


if __name__ == "__main__":
    main()
