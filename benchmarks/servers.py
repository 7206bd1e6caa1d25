"""Allocations per second on PostgreSQL and MariaDB, beside the bare transaction on the same server.

    python benchmarks/servers.py [--quick] [--only postgresql|mariadb]

One run alternates, in slices under a second, between two transactions:

(a) The bare transaction: BEGIN, UPDATE of one block by its key, INSERT of one event and one allocation,
COMMIT; on PostgreSQL also as one statement. It uses the same driver, tables with the columns, indexes and
foreign keys of Borough's, and one block for each client.
(b) Ours: the library's public call.

Every client is a process. The servers are private and durable: every commit waits for the disk.

Two tables for each server: 0 to 1,000,000 addresses taken in one /8, and groups of 1 to 4,096 subnets of
which all but the last are full.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import borough
from borough import Ipam
from borough.engine.request import COUNT_LIMIT
from tests.servers import MariadbServer, PostgresqlServer, Server

L = {"network": "n"}
TAKEN = [0, 50_000, 1_000_000]
GROUPS = [1, 16, 256, 4_096]
CONNECTIONS = [1, 8, 16]
SLICES, SECONDS, WARM = 5, 0.6, 250

UPDATE = "UPDATE bare_block SET bitmap = %s, free = %s, version = version + 1 WHERE id = %s"
EVENT = (
    "INSERT INTO bare_event (at, act, subject, subnet, owner, host, sequence, detail) "
    "VALUES (%s, 'allocated', %s, 'last', 'bench', '', NULL, '')"
)
ALLOCATION = (
    "INSERT INTO bare_allocation (sequence, scope_id, address, subnet_id, owner, host, at) "
    "VALUES (%s, 1, %s, 1, 'bench', '', %s)"
)
ONE = (
    "WITH block AS (UPDATE bare_block SET bitmap = %(n)s, free = 5, version = version + 1 "
    "WHERE id = %(block)s), event AS (INSERT INTO bare_event (at, act, subject, subnet, owner, host, "
    "sequence, detail) VALUES (%(n)s, 'allocated', '10.0.0.1', 'last', 'bench', '', NULL, '') "
    "RETURNING id) INSERT INTO bare_allocation (sequence, scope_id, address, subnet_id, owner, host, at) "
    "SELECT id, 1, %(address)s, 1, 'bench', '', %(n)s FROM event RETURNING sequence"
)

Act = Callable[[], object]


def addresses(number: int, cell: int) -> Iterator[tuple[int, bytes]]:
    """Numbers and addresses of one client in one cell, ascending; no other client has them."""
    first = (cell * 32 + number) << 18
    for n in range(1, 1 << 18):
        yield n, (first + n).to_bytes(4, "big")


def on_postgresql(url: str, number: int, cell: int) -> dict[str, Act]:
    import psycopg
    from psycopg.types.numeric import Int8Dumper

    connection = psycopg.connect(url, autocommit=True)
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.prepare_threshold = 0
    run = connection.cursor(binary=True)
    own = addresses(number, cell)

    def bare() -> None:
        n, address = next(own)
        run.execute("BEGIN")
        run.execute(UPDATE, (n, 5, number))
        run.execute(EVENT + " RETURNING id", (n, "10.0.0.1"))
        (sequence,) = run.fetchone() or (0,)
        run.execute(ALLOCATION, (sequence, address, n))
        run.execute("COMMIT")

    def one() -> None:
        n, address = next(own)
        run.execute(ONE, {"n": n, "block": number, "address": address})
        run.fetchone()

    return {"bare": bare, "bare in one": one}


def on_mariadb(url: str, number: int, cell: int) -> dict[str, Act]:
    import pymysql
    import sqlalchemy as sa

    found = sa.make_url(url)
    connection = pymysql.connect(
        host=found.host,
        port=found.port or 3306,
        user=found.username,
        database=found.database,
        autocommit=True,
    )
    run = connection.cursor()
    own = addresses(number, cell)

    def bare() -> None:
        n, address = next(own)
        run.execute("START TRANSACTION")
        run.execute(UPDATE, (n, 5, number))
        run.execute(EVENT, (n, "10.0.0.1"))
        run.execute(ALLOCATION, (run.lastrowid, address, n))
        run.execute("COMMIT")

    return {"bare": bare}


def client(url: str, number: int, cell: int, barrier: Any, results: Any) -> None:
    """Run one client: in each slice all clients run the same transaction."""
    ipam = borough.open(url, timeout=60)
    acts = (on_postgresql if url.startswith("postgresql") else on_mariadb)(url, number, cell)
    acts["ours"] = lambda: ipam.allocate(labels=L, owner="bench")
    for act in acts.values():
        for _ in range(WARM):
            act()
    retries = ipam.store.retries
    for turn in range(SLICES):
        for name, act in acts.items():
            barrier.wait()
            began, done = time.perf_counter(), 0
            while time.perf_counter() - began < SECONDS:
                act()
                done += 1
            results.put((name, turn, done / (time.perf_counter() - began), done))
    results.put(("retries", 0, 0.0, ipam.store.retries - retries))
    ipam.close()


def measure(url: str, connections: int, cell: int) -> dict[str, float]:
    """Allocations per second of each kind of transaction, and our retries per 1,000."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(connections), spawn.Queue()
    processes = [
        spawn.Process(target=client, args=(url, number + 1, cell, barrier, results))
        for number in range(connections)
    ]
    for process in processes:
        process.start()
    ways = 3 if url.startswith("postgresql") else 2
    found = [results.get(timeout=300) for _ in range(connections * (SLICES * ways + 1))]
    for process in processes:
        process.join()
        assert process.exitcode == 0, "a client failed"
    rates: dict[str, list[float]] = {}
    for name in {name for name, *_ in found} - {"retries"}:
        rates[name] = [
            sum(rate for way, at, rate, _ in found if (way, at) == (name, turn))
            for turn in range(SLICES)
        ]
    ours = sum(done for name, _, _, done in found if name == "ours")
    retries = sum(done for name, _, _, done in found if name == "retries")
    figures = {name: statistics.median(each) for name, each in rates.items()}
    return {**figures, "retries": retries * 1000 / ours}


def add_bare_tables(server: Server, url: str) -> None:
    """Add copies of Borough's tables, with foreign keys and a block for each client."""
    database = url.rpartition("/")[2]
    postgresql = isinstance(server, PostgresqlServer)

    def run(statement: str) -> None:
        server.run(statement, database)  # type: ignore[call-arg]

    for table in ("block", "event", "allocation"):
        run(
            f"CREATE TABLE bare_{table} (LIKE borough_{table} INCLUDING ALL)"
            if postgresql
            else f"CREATE TABLE bare_{table} LIKE borough_{table}"
        )
    run("ALTER TABLE bare_allocation ADD FOREIGN KEY (scope_id) REFERENCES borough_scope (id)")
    run("ALTER TABLE bare_allocation ADD FOREIGN KEY (subnet_id) REFERENCES borough_subnet (id)")
    for number in range(1, max(CONNECTIONS) + 1):
        base = f"decode('{number:08x}', 'hex')" if postgresql else f"x'{number:08x}'"
        run(
            "INSERT INTO bare_block (id, subnet_id, cohort_id, base, length, bitmap, free, is_open, "
            f"holder, is_held, region_length, version) VALUES ({number}, 1, 1, {base}, 26, 0, 64, 1, "
            "'', 0, 0, 0)"
        )


def fill(ipam: Ipam, number: int) -> None:
    """Take addresses in bulk."""
    while number:
        some = min(number, COUNT_LIMIT // 8)
        ipam.allocate(labels=L, count=some, owner="fill")
        number -= some


def by_taken(server: Server, taken: list[int]) -> Iterator[tuple[str, str]]:
    """(cell, URL) of one /8 that fills up."""
    url = server.fresh()
    with borough.open(url, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/8", labels=L)
        add_bare_tables(server, url)
        have = 0
        for number in taken:
            fill(ipam, number - have)
            have = number
            yield f"{number:,} taken", url


def by_group(server: Server, groups: list[int]) -> Iterator[tuple[str, str]]:
    """(cell, URL) of groups of full /28 subnets and one empty /10."""
    for size in groups:
        url = server.fresh()
        with borough.open(url, create=True) as ipam:
            small = [
                {
                    "name": f"s{n}",
                    "cidr": f"10.{n >> 12}.{n >> 4 & 255}.{n % 16 * 16}/28",
                    "labels": L,
                }
                for n in range(size - 1)
            ]
            ipam.apply(
                {"subnets": [*small, {"name": "last", "cidr": "10.128.0.0/10", "labels": L}]}
            )
            if small:
                fill(ipam, 14 * len(small))
        add_bare_tables(server, url)
        yield f"{size:,} subnets", url


def report(title: str, cells: Iterator[tuple[str, str]], connections: list[int]) -> None:
    """Measure and print one table."""
    print(f"\n{title}\n")
    print(
        "| cell | connections | bare /s | bare in one /s | ours /s | ours ÷ bare | retries per 1,000 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    eight: list[tuple[float, float]] = []
    numbers = count()
    for cell, url in cells:
        for number in connections:
            found = measure(url, number, next(numbers))
            ratio = found["ours"] / found["bare"]
            one = f"{found['bare in one']:,.0f}" if "bare in one" in found else ""
            print(
                f"| {cell} | {number} | {found['bare']:,.0f} | {one} | {found['ours']:,.0f} "
                f"| {ratio:.2f} | {found['retries']:.1f} |",
                flush=True,
            )
            if number == 8:
                eight.append((found["ours"], ratio))
    rates, ratios = zip(*eight, strict=True)
    print(f"\nat 8 connections: largest ÷ smallest rate {max(rates) / min(rates):.2f}", end="")
    print(f", largest ÷ smallest ratio {max(ratios) / min(ratios):.2f}")


def servers() -> Iterator[tuple[str, Callable[[], Server]]]:
    yield (
        "postgresql",
        lambda: PostgresqlServer({"fsync": "on", "shared_buffers": "'1GB'", "max_wal_size": "4GB"}),
    )
    yield (
        "mariadb",
        lambda: MariadbServer(
            {
                "innodb_flush_log_at_trx_commit": "1",
                "innodb_buffer_pool_size": "1G",
                "innodb_log_file_size": "1G",
            }
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the largest cells")
    parser.add_argument("--only", choices=["postgresql", "mariadb"])
    options = parser.parse_args()
    keep = 2 if options.quick else 4
    connections = [1, 8] if options.quick else CONNECTIONS
    for name, start in servers():
        if options.only in (None, name):
            server = start()
            try:
                report(f"{name}: taken addresses", by_taken(server, TAKEN[:keep]), connections)
                report(f"{name}: subnets", by_group(server, GROUPS[:keep]), connections)
            finally:
                server.remove()


if __name__ == "__main__":
    main()
