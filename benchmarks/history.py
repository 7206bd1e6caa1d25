"""Times of questions to the audit trail among millions of events.

    python benchmarks/history.py URL [--events 10000000]

The database of the URL must be empty. It is filled with events by its own means: each address of 10.0.0.0/8
in turn, 5,000 hosts, owners of twenty addresses each, two tokens of which one acts in one event of a million.
Each question is asked for a page of 100, eleven times with other values. The median and the slowest are
printed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

import borough
from borough.domain.net.addresses import format_address

HOSTS: Final = 5_000
SCALE: Final = 10_000
BASE: Final = 10 << 24
START: Final = datetime(2026, 1, 1, tzinfo=UTC)

_COLUMNS: Final = (
    "at, act, subject, subnet, owner, host, sequence, detail, actor, cohort_id, scope, address"
)

#: One row for a number n, in the words of each server.
_ROW: Final = {
    "postgresql": """
        {start} + n * 1000000, CASE n % 2 WHEN 0 THEN 'allocated' ELSE 'released' END,
        host('10.0.0.0'::inet + n % 16777216), 's' || n % 16777216 / 65536, 'owner-' || n / 20,
        'h' || n % {hosts}, n, '',
        CASE n % 1000000 WHEN 77 THEN 'rare' ELSE 'often' END, 1, 'default',
        decode(lpad(to_hex(167772160 + n % 16777216), 8, '0'), 'hex')
        FROM generate_series({first}::bigint, {last}::bigint) AS n""",
    "mysql": """
        {start} + seq * 1000000, IF(seq % 2, 'released', 'allocated'),
        INET_NTOA(167772160 + seq % 16777216), CONCAT('s', seq % 16777216 DIV 65536),
        CONCAT('owner-', seq DIV 20),
        CONCAT('h', seq % {hosts}), seq, '',
        IF(seq % 1000000 = 77, 'rare', 'often'), 1, 'default',
        UNHEX(LPAD(HEX(167772160 + seq % 16777216), 8, '0'))
        FROM seq_{first}_to_{last}""",
}


def _rows(first: int, last: int) -> Iterator[tuple[Any, ...]]:
    start = int(START.timestamp()) * 1_000_000
    for n in range(first, last + 1):
        place = n % (1 << 24)
        yield (
            start + n * 1_000_000,
            "released" if n % 2 else "allocated",
            format_address(4, BASE + place),
            f"s{place >> 16}",
            f"owner-{n // 20}",
            f"h{n % HOSTS}",
            n,
            "",
            "rare" if n % 1_000_000 == 77 else "often",
            1,
            "default",
            (BASE + place).to_bytes(4, "big"),
        )


def fill(url: str, count: int) -> None:
    """Add events, a hundredth at a time."""
    there = sa.engine.make_url(url)
    if there.get_backend_name() == "mysql":
        there = there.set(drivername="mysql+pymysql")
    engine = sa.create_engine(there)
    piece = max(count // 100, 1)
    with engine.connect() as connection:
        for first in range(1, count + 1, piece):
            last = min(first + piece - 1, count)
            into = f"INSERT INTO borough_event ({_COLUMNS})"
            row = _ROW.get(engine.dialect.name)
            if row is None:
                marks = ", ".join("?" * len(_COLUMNS.split(",")))
                raw: Any = connection.connection.driver_connection
                raw.executemany(f"{into} VALUES ({marks})", _rows(first, last))
                raw.commit()
                continue
            start = int(START.timestamp()) * 1_000_000
            made = row.format(first=first, last=last, start=start, hosts=HOSTS)
            connection.exec_driver_sql(f"{into} SELECT {made}".replace("%", "%%"))
            connection.commit()
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE borough_event")
            connection.commit()
    engine.dispose()


def questions(count: int) -> dict[str, Callable[[int], dict[str, Any]]]:
    """The parameters of each question, for a random number."""

    def near(n: int) -> dict[str, Any]:
        at = START + timedelta(seconds=n)
        return {"since": at, "until": at + timedelta(hours=1)}

    return {
        "address": lambda n: {"what": format_address(4, BASE + n % (1 << 24))},
        "prefix /28": lambda n: {
            "what": f"{format_address(4, BASE + (n % (1 << 24)) // 16 * 16)}/28"
        },
        "prefix /16": lambda n: {
            "what": f"{format_address(4, BASE + (n % (1 << 24) >> 16 << 16))}/16"
        },
        "prefix /8": lambda _: {"what": "10.0.0.0/8"},
        "owner": lambda n: {"owner": f"owner-{n // 20}"},
        "host": lambda n: {"host": f"h{n % HOSTS}"},
        "owner or host": lambda n: {"what": f"h{n % HOSTS}"},
        "subnet": lambda n: {"subnet": f"s{n % min(count, 1 << 24) >> 16}"},
        "scope": lambda _: {"scope": "default"},
        "no such scope": lambda n: {"scope": f"none-{n}"},
        "token": lambda _: {"actor": "often"},
        "seldom token": lambda _: {"actor": "rare"},
        "act": lambda _: {"act": "released"},
        "seldom act": lambda _: {"act": "topology"},
        "hour": near,
        "host in an hour": lambda n: {**near(n), "host": f"h{n % HOSTS}"},
        "label": lambda _: {"labels": {"network": "n"}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    count = options.events
    with borough.open(options.url, create=True) as ipam:
        if ipam.newest_event() < count:
            places = [
                {"name": f"s{at}", "cidr": f"10.{at}.0.0/16", "labels": {"network": "n"}}
                for at in range(256)
            ]
            ipam.apply({"subnets": places})
            began = time.perf_counter()
            fill(options.url, count)
            print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
        print("| question | events | median ms | slowest ms |\n|---|---:|---:|---:|")
        chance = random.Random(1)
        for name, ask in questions(count).items():
            times, found = [], 0
            for _ in range(11):
                wanted = ask(chance.randrange(1, count))
                began = time.perf_counter()
                found = len(ipam.history(**wanted, limit=100))
                times.append(1000 * (time.perf_counter() - began))
            print(
                f"| {name} | {found} | {statistics.median(times):.1f} | {max(times):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
