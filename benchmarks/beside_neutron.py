"""Neutron's reference driver beside Borough's in one run: cost, and addresses per second.

    python benchmarks/beside_neutron.py [--quick] [--whole] [--only postgresql|mariadb] [--parts PARTS]

It needs an environment with Neutron (``./test-neutron`` makes one in ``.venv-neutron``). Each driver has one
database on one private server, durable as in production. Both are called through Neutron's interface, one
transaction an address. Statements are those that SQLAlchemy sends, without BEGIN and COMMIT.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import sqlalchemy as sa
from neutron.ipam import requests as ipam_req
from neutron.ipam.drivers.neutrondb_ipam import db_models
from neutron_lib.db import api as db_api
from oslo_utils import uuidutils

from tests.neutron.api import Refused, running
from tests.neutron.cloud import Cloud
from tests.servers import MariadbServer, PostgresqlServer, Server

DRIVERS = ("internal", "borough")
TAKEN = (0, 1_000, 10_000, 50_000)
GROUPS = (1, 4, 16, 64)
CREATORS = 16
CIDR = "192.168.0.0/20"
#: Addresses that are taken before the creators begin: the reference driver reads all of them each time.
BEFORE = (0, 2_000)
#: Addresses of a /20 that are left free, so that no creator finds it full.
SPARE = 250
TURNS = 4


class Cost(NamedTuple):
    """Statements of one allocation, and its milliseconds with the commit."""

    statements: float
    milliseconds: float


class Case:
    """One row of a table for one driver."""

    def __init__(self, cloud: Cloud, ids: Sequence[str]) -> None:
        self.cloud, self.ids = cloud, ids
        self.times: list[float] = []
        self.counts: list[int] = []

    def run(self, seconds: float) -> None:
        """Allocate for some seconds, at least twice."""
        sent = [0]

        def note(*_: Any) -> None:
            sent[0] += 1

        self.cloud.use()
        self.cloud.allocate(self.ids)
        sa.event.listen(self.cloud.engine, "before_cursor_execute", note)
        end, turn = time.perf_counter() + seconds, 0
        while turn < 2 or time.perf_counter() < end:
            before, start = sent[0], time.perf_counter()
            self.cloud.allocate(self.ids)
            self.times.append(time.perf_counter() - start)
            self.counts.append(sent[0] - before)
            turn += 1
        sa.event.remove(self.cloud.engine, "before_cursor_execute", note)

    @property
    def cost(self) -> Cost:
        """The medians of all allocations."""
        return Cost(statistics.median(self.counts), 1000 * statistics.median(self.times))


def compare(title: str, label: str, cases: dict[str, dict[str, Case]], seconds: float) -> None:
    """Run all cases in turns, so that other load of the machine affects all of them; print a table."""
    for _ in range(TURNS):
        for row in cases.values():
            for case in row.values():
                case.run(seconds / TURNS)
    rows = [
        (name, {driver: case.cost for driver, case in row.items()}) for name, row in cases.items()
    ]
    table(title, label, rows)


def fill(cloud: Cloud, subnet: str, cidr: str, count: int) -> None:
    """Take the lowest addresses of a subnet by the fastest way of each driver."""
    if not count:
        return
    cloud.use()
    if cloud.driver == "borough":
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            pool = cloud.pool(context).get_subnet(subnet)
            for start in range(0, count, 4096):
                pool.bulk_allocate(ipam_req.BulkAddressRequest(min(4096, count - start)))
        return
    import ipaddress

    first = int(ipaddress.ip_network(cidr)[2])
    theirs = db_models.IpamSubnet.__table__
    with cloud.engine.begin() as connection:
        id = connection.scalar(sa.select(theirs.c.id).where(theirs.c.neutron_subnet_id == subnet))
        rows = [
            {
                "ip_address": str(ipaddress.ip_address(first + at)),
                "ipam_subnet_id": id,
                "status": "ALLOCATED",
            }
            for at in range(count)
        ]
        connection.execute(sa.insert(db_models.IpamAllocation.__table__), rows)


def table(title: str, label: str, rows: Sequence[tuple[str, dict[str, Cost]]]) -> None:
    print(f"\n{title}\n")
    print(f"| {label} | internal: statements | ms | borough: statements | ms | times faster |")
    print("|---:|---:|---:|---:|---:|---:|")
    for name, costs in rows:
        theirs, ours = costs["internal"], costs["borough"]
        print(
            f"| {name} | {theirs.statements:.0f} | {theirs.milliseconds:.1f} | {ours.statements:.0f} "
            f"| {ours.milliseconds:.1f} | {theirs.milliseconds / ours.milliseconds:.1f} |"
        )
    times = [costs["borough"].milliseconds for _, costs in rows]
    print(f"\nborough, slowest ÷ fastest row: {max(times) / min(times):.2f}", flush=True)


def taken(clouds: dict[str, Cloud], seconds: float) -> None:
    """Measure cost by number of addresses taken."""
    cases: dict[str, dict[str, Case]] = {}
    for at, count in enumerate(TAKEN):
        cidr = f"10.{at}.0.0/16"
        for driver, cloud in clouds.items():
            cloud.use()
            subnet = cloud.subnet(cidr)
            fill(cloud, subnet, cidr, count)
            cases.setdefault(f"{count:,}", {})[driver] = Case(cloud, [subnet])
    compare("One allocation in a /16, by addresses taken", "taken", cases, seconds)


def groups(clouds: dict[str, Cloud], seconds: float) -> None:
    """Measure cost by number of candidate subnets."""
    cases: dict[str, dict[str, Case]] = {}
    for count in GROUPS:
        for driver, cloud in clouds.items():
            cloud.use()
            network = cloud.network()
            ids = [cloud.subnet(f"172.16.{at}.0/29", network=network) for at in range(count - 1)]
            for at, id in enumerate(ids):
                fill(cloud, id, f"172.16.{at}.0/29", 5)
            ids.append(cloud.subnet("172.20.0.0/16", network=network))
            cases.setdefault(str(count), {})[driver] = Case(cloud, ids)
    title = "One allocation from a group, by subnets in it, all but the last full"
    compare(title, "subnets", cases, seconds)


def _create(
    url: str,
    driver: str,
    subnet: str,
    start: Any,
    seconds: float,
    most: int,
    out: Any,
    number: int,
    hosts: bool,
) -> None:
    cloud = Cloud(url, driver, create=False)
    attempts = [0]

    @db_api.retry_db_errors  # type: ignore[untyped-decorator]
    def one() -> None:
        attempts[0] += 1
        port = {"id": uuidutils.generate_uuid(), "device_owner": "compute:nova"}
        if hosts:
            port["binding:host_id"] = f"node-{number}"
        cloud.allocate([subnet], port=port)

    done = failed = 0
    one()
    attempts[0] = 0
    start.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end and done < most:
        try:
            one()
            done += 1
        except Exception:
            failed += 1
    out.put((done, attempts[0] - done - failed, failed))


def creators(
    server: Server, urls: dict[str, str], clouds: dict[str, Cloud], seconds: float
) -> None:
    """Measure many processes that take addresses of one /20 at one time."""
    print(f"\n{CREATORS} processes on one /20\n")
    print("| taken before | driver | addresses/s | retries | failures | times faster |")
    print("|---:|---|---:|---:|---:|---:|")
    fork = multiprocessing.get_context("fork")
    rates: dict[tuple[int, str], float] = {}
    for before, (name, driver, hosts) in product(
        BEFORE,
        (
            ("internal", "internal", False),
            ("borough", "borough", False),
            ("borough, a host each", "borough", True),
        ),
    ):
        clouds[driver].use()
        subnet = clouds[driver].subnet(CIDR)
        fill(clouds[driver], subnet, CIDR, before)
        most = (2**12 - SPARE - before) // CREATORS
        start, out = fork.Barrier(CREATORS + 1), fork.Queue()
        workers = [
            fork.Process(
                target=_create,
                args=(urls[driver], driver, subnet, start, seconds, most, out, at, hosts),
            )
            for at in range(CREATORS)
        ]
        for worker in workers:
            worker.start()
        start.wait()
        begun = time.monotonic()
        found = [out.get() for _ in workers]
        spent = time.monotonic() - begun
        for worker in workers:
            worker.join()
        done, retries, failed = (sum(column) for column in zip(*found, strict=True))
        rates[before, name] = done / spent
        faster = rates[before, name] / rates[before, "internal"]
        print(
            f"| {before:,} | {name} | {done / spent:.0f} | {retries} | {failed} | {faster:.1f} |",
            flush=True,
        )


def ports(urls: dict[str, Callable[[], str]], seconds: float) -> None:
    """Measure whole ports through a running Neutron."""
    print(f"\nWhole ports through Neutron's API, 2 processes, {CREATORS} clients, one /20\n")
    print("| taken before | driver | ports/s | failures | times faster |")
    print("|---:|---|---:|---:|---:|")
    rates: dict[tuple[int, str], float] = {}
    for before, driver in product(BEFORE, DRIVERS):
        cloud = Cloud(urls[driver](), driver)
        with (
            tempfile.TemporaryDirectory() as folder,
            running(Path(folder), [cloud.url] * 2, driver) as neutron,
        ):
            network = neutron.make("network", name="n")["id"]
            subnet = neutron.make("subnet", network_id=network, ip_version=4, cidr=CIDR)["id"]
            fill(cloud, subnet, CIDR, before)
            done, failed = [0] * CREATORS, [0] * CREATORS
            end = time.monotonic() + seconds

            def client(at: int, end: float = end, done: Any = done, failed: Any = failed) -> None:
                while time.monotonic() < end:
                    try:
                        neutron.make("port", network_id=network)  # noqa: B023  (it ends before the loop goes on)
                        done[at] += 1
                    except Refused:
                        failed[at] += 1

            begun = time.monotonic()
            threads = [threading.Thread(target=client, args=(at,)) for at in range(CREATORS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rates[before, driver] = sum(done) / (time.monotonic() - begun)
            faster = rates[before, driver] / rates[before, "internal"]
            print(
                f"| {before:,} | {driver} | {rates[before, driver]:.1f} | {sum(failed)} | {faster:.1f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter turns")
    parser.add_argument("--only", choices=("postgresql", "mariadb"))
    parser.add_argument("--parts", default="taken,groups,creators,ports")
    parser.add_argument(
        "--whole", action="store_true", help="run creators until the /20 is full (minutes each)"
    )
    options = parser.parse_args()
    makers: dict[str, Callable[[dict[str, str]], Server]] = {
        "postgresql": PostgresqlServer,
        "mariadb": MariadbServer,
    }
    seconds = 1.0 if options.quick else 5.0
    for kind, maker in makers.items():
        if options.only not in (None, kind):
            continue
        print(f"\n## {kind}")
        server = maker({})
        try:
            urls = {driver: server.fresh() for driver in DRIVERS}
            clouds = {driver: Cloud(url, driver) for driver, url in urls.items()}
            parts = options.parts.split(",")
            if "taken" in parts:
                taken(clouds, seconds)
            if "groups" in parts:
                groups(clouds, seconds)
            if "creators" in parts:
                creators(server, urls, clouds, 3600.0 if options.whole else 4 * seconds)
            if "ports" in parts:
                ports(dict.fromkeys(DRIVERS, server.fresh), 6 * seconds)
        finally:
            server.remove()


if __name__ == "__main__":
    main()
