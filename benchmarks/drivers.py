"""Round trips and milliseconds of one address from a group in which all subnets but the last are full.

    python benchmarks/drivers.py [--quick]

It needs an environment with Neutron (``./test-neutron`` makes one in ``.venv-neutron``). The columns: (a) a
classic driver with calls of 5 ms, through the shim; (b) Borough's engine, on SQLite and on a private
PostgreSQL server; (c) Neutron's reference driver on SQLite, through the shim. A round trip is a call of the
system; on PostgreSQL it is a statement that the server has counted. (c) also counts the SQL statements.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import sqlalchemy as sa

from borough.driver import GroupDriver, load_driver, make_group, make_request
from borough.driver.shim import Shim
from borough.drivers.native import NativeDriver
from tests.driver.classic import ClassicDriver, System
from tests.servers import PostgresqlServer

SIZES = [1, 4, 16, 64]
LATENCY = 0.005
ROUNDS = 40
WARM = 5


class Cell(NamedTuple):
    """One line of one column, for one allocation.

    :ivar statements: SQL statements; None for a system without SQL.
    """

    trips: float
    statements: float | None
    milliseconds: float


Counter = Callable[[], int]


def fill(driver: GroupDriver, size: int) -> None:
    """Declare full subnets of one address each, and a last one with free addresses."""
    full = [
        {"name": f"s{number}", "cidr": f"10.0.{number}.0/32", "labels": {"network": "n"}}
        for number in range(size - 1)
    ]
    last = {"name": "last", "cidr": "10.1.0.0/24", "labels": {"network": "n"}}
    driver.apply({"subnets": [*full, last]})
    for subnet in full:
        driver.allocate(make_group(subnets=[str(subnet["name"])]), make_request(owner="full"))


def measure(
    driver: GroupDriver, size: int, rounds: int, trips: Counter, sql: Counter | None
) -> Cell:
    fill(driver, size)
    group, request = make_group({"network": "n"}), make_request(owner="bench")
    times: list[float] = []
    made = sent = 0
    for number in range(WARM + rounds):
        before, sent_before = trips(), sql() if sql else 0
        began = time.perf_counter()
        answer = driver.allocate(group, request)
        took = time.perf_counter() - began
        assert answer.allocations[0].subnet == "last"
        if number >= WARM:
            times.append(took)
            made += trips() - before
            sent += (sql() if sql else 0) - sent_before
        driver.release(answer.address)
    milliseconds = statistics.median(times) * 1000
    return Cell(made / rounds, sent / rounds if sql else None, milliseconds)


def classic(size: int, rounds: int) -> Cell:
    """(a): every allocation of the system takes 5 ms."""
    system = System()
    system.before = lambda call, *_: time.sleep(LATENCY) if call == "allocate" else None
    with Shim.wrap(ClassicDriver(system), name="classic") as driver:
        return measure(driver, size, rounds, lambda: driver.round_trips, None)


def native_sqlite(size: int, rounds: int) -> Cell:
    """(b) on SQLite, durable."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/native.db"
        with load_driver("native", {"database": url, "create": True}) as driver:
            return measure(driver, size, rounds, lambda: driver.round_trips, None)


def native_postgresql(server: PostgresqlServer) -> Callable[[int, int], Cell]:
    """(b) on PostgreSQL: the server counts the statements."""

    def run(size: int, rounds: int) -> Cell:
        url = server.fresh()
        database = url.rpartition("/")[2]
        server.watch(database)
        with load_driver("native", {"database": url, "create": True}) as driver:
            assert isinstance(driver, NativeDriver)
            return measure(driver, size, rounds, lambda: server.sent(database), None)

    return run


@contextlib.contextmanager
def counted(engine: sa.Engine) -> Iterator[Counter]:
    """Count the statements that an engine sends."""
    sent = [0]

    def count(*_: Any) -> None:
        sent[0] += 1

    sa.event.listen(engine, "before_cursor_execute", count)
    yield lambda: sent[0]
    sa.event.remove(engine, "before_cursor_execute", count)


def neutron(folder: str) -> Callable[[int, int], Cell]:
    """(c): one database for all sizes, because a process has one configuration of Neutron."""
    settings = {"database": f"sqlite:///{folder}/neutron.db", "create": True}

    def run(size: int, rounds: int) -> Cell:
        from neutron_lib.db import api

        with load_driver("tests.driver.neutron_driver:NeutronDriver", settings) as driver:
            engine = api.get_context_manager().writer.get_engine()
            with counted(engine) as sql:
                cell = measure(driver, size, rounds, lambda: driver.round_trips, sql)
            for owner in ("full", "bench"):
                driver.release(owner=owner)
            driver.apply({})
            return cell

    return run


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="few rounds")
    # Neutron logs an error for each request of a subnet that it does not have yet.
    logging.disable(logging.ERROR)
    rounds = 5 if arguments.parse_args().quick else ROUNDS
    server = PostgresqlServer({"fsync": "on"})
    with tempfile.TemporaryDirectory() as folder:
        columns = {
            "classic, 5 ms a call": classic,
            "native, SQLite": native_sqlite,
            "native, PostgreSQL": native_postgresql(server),
            "Neutron's reference driver": neutron(folder),
        }
        print("| subnets | " + " | ".join(f"{name}: trips | ms" for name in columns) + " |")
        print("|---:|" + "---:|---:|" * len(columns))
        for size in SIZES:
            cells = [run(size, rounds) for run in columns.values()]
            print(f"| {size} | " + " | ".join(map(shown, cells)) + " |", flush=True)
    server.remove()


def shown(cell: Cell) -> str:
    sql = "" if cell.statements is None else f" ({cell.statements:.0f} statements)"
    return f"{cell.trips:.2f}{sql} | {cell.milliseconds:,.2f}"


if __name__ == "__main__":
    main()
