"""The cost of an allocation on a database server, in statements that reach it.

Counted by the server itself, brackets of transactions included; a statement is a round trip. The engine's
own count must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.domain.space.plan import Act
from borough.errors import AddressInUse
from borough.store.sql.dialects import mariadb_write
from borough.store.sql.store import SqlStore
from tests.servers.base import Server
from tests.servers.shared import shared_server

pytestmark = pytest.mark.server

L = {"network": "n"}
SERVERS = ["postgresql", "mariadb"]


class Meter:
    """Counts the statements of calls on one database."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = server.fresh()
        self._database = self.url.rpartition("/")[2]
        borough.open(self.url, create=True).close()
        server.watch(self._database)
        self.ipam = borough.open(self.url)
        # Some servers count the question as well.
        self._own = -self._read() + self._read()

    def _read(self) -> int:
        return self._server.sent(self._database)

    def __call__(self, act: Callable[[], Any]) -> int:
        store = self.ipam.store
        assert isinstance(store, SqlStore)
        ours = store.statements
        before = self._read()
        act()
        sent = self._read() - before - self._own
        assert sent == store.statements - ours
        return sent

    def each(self, acts: Iterable[Callable[[], Any]]) -> list[int]:
        """The statements of each call. The server counts their sum, because to ask it takes long."""
        store, costs = self.ipam.store, []
        assert isinstance(store, SqlStore)

        def run() -> None:
            for act in acts:
                before = store.statements
                act()
                costs.append(store.statements - before)

        assert self(run) == sum(costs)
        return costs


@pytest.fixture(params=SERVERS)
def meter(request: pytest.FixtureRequest) -> Iterator[Meter]:
    """A fresh database on each kind of server."""
    made = Meter(shared_server(request.param))
    yield made
    made.ipam.close()


def group(ipam: Ipam, size: int) -> None:
    """A group of /28 subnets, all but the last full; the last is a /16."""
    small = [
        {"name": f"s{n}", "cidr": f"10.{n >> 12}.{n >> 4 & 255}.{n % 16 * 16}/28", "labels": L}
        for n in range(size - 1)
    ]
    last = {"name": "last", "cidr": "10.200.0.0/16", "labels": L}
    six = {"name": "six", "cidr": "2001:db8::/64", "labels": L}
    ipam.apply({"subnets": [*small, last, six]})
    if small:
        ipam.allocate(labels=L, families=4, count=14 * len(small), owner="fill")


REQUESTS: dict[str, dict[str, Any]] = {
    "any": {},
    "next": {"kind": "next"},
    "for an owner, with attributes": {"owner": "web-1", "attributes": {"x": "y"}, "note": "z"},
    "IPv6": {"families": 6},
    "on a host": {"host": "h1"},
    "on a host, the lowest": {"host": "h1", "kind": "next"},
}


@pytest.mark.parametrize("size", [1, 16, 512])
@pytest.mark.parametrize("name", REQUESTS)
def test_an_address_of_an_open_block_is_one_round_trip(meter: Meter, name: str, size: int) -> None:
    """For every kind of request, and any number of subnets."""
    group(meter.ipam, size)
    request = {"labels": L, **REQUESTS[name]}
    for _ in range(3):
        # A connection prepares each of its statements once.
        meter.ipam.allocate(**request)
    for turn in range(5):
        assert meter(lambda: meter.ipam.allocate(**request)) == 1, turn


def history(ipam: Ipam) -> Iterator[Callable[[], Any]]:
    """Single addresses that open blocks, claim and grow regions of hosts, and hit known addresses."""
    for turn in range(150):
        yield partial(ipam.allocate, labels=L, families=4)
        yield partial(ipam.allocate, labels=L, host=f"h{turn % 5}", key=f"k{turn}")
        yield partial(ipam.allocate, labels=L, families=6, kind="next")
        if turn % 10 == 0:
            yield partial(ipam.allocate, labels=L, mac=f"00:16:3e:00:00:{turn:02x}")
            yield partial(ipam.allocate, labels=L, address=f"10.200.99.{turn + 1}")


#: Round trips of an address that needs a decision: the take, which reads the facts, and the write.
#: A connection prepares a take once.
DECIDED = 2
FIRST = 3


def test_any_single_address_is_at_most_three_round_trips(meter: Meter) -> None:
    """New blocks, first claims, regions that grow, named and computed addresses."""
    group(meter.ipam, 16)
    meter.ipam.allocate(labels=L)
    costs = meter.each(history(meter.ipam))
    assert max(costs) <= FIRST
    assert sum(costs) <= 1.15 * len(costs)
    assert len({block.holder for block in meter.ipam.blocks() if block.holder}) == 5
    assert meter.ipam.store.retries == 0
    assert meter.ipam.audit() == []


def test_taking_over_and_borrowing_are_two_round_trips(meter: Meter) -> None:
    """A full fabric: halves of others' regions, then single addresses, to the last one."""
    meter.ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": L}]})
    meter.ipam.allocate(labels=L, host="h0")
    for at in range(1, 8):
        meter.ipam.allocate(labels=L, host=f"h{at}", count=at)
    free = meter.ipam.usage(labels=L)[0].free
    costs = meter.each([partial(meter.ipam.allocate, labels=L, host="h0")] * free)
    assert not meter.ipam.usage(labels=L)[0].free
    acts = [event.act for event in meter.ipam.events()]
    assert acts.count(Act.BORROWED) >= 5
    assert any(block.borrowed for block in meter.ipam.blocks())
    assert max(costs) <= DECIDED
    assert meter.ipam.audit() == []


def test_a_named_address_of_an_open_block_is_one_round_trip(meter: Meter) -> None:
    """Also with a key, and in the block of a host."""
    group(meter.ipam, 1)
    claimed = meter.ipam.allocate(labels=L, host="h1")
    meter.ipam.allocate(labels=L, address="10.200.99.1")
    base = int(claimed.address.rpartition(".")[2])
    for name in ("10.200.99.2", f"10.200.0.{base + 3}"):
        meter.ipam.allocate(labels=L, address=f"{name}")
    for turn in range(4, 8):
        assert meter(partial(meter.ipam.allocate, labels=L, address=f"10.200.99.{turn}")) == 1
        name = f"10.200.0.{base + turn}"
        assert meter(partial(meter.ipam.allocate, labels=L, address=name)) == 1
    assert meter.ipam.audit() == []


@pytest.mark.parametrize("taken", ["10.200.0.5", "10.200.0.1"])
def test_a_named_address_that_is_in_use_is_refused(meter: Meter, taken: str) -> None:
    """Of an open block, or outside of blocks, where only the constraint on addresses shows it."""
    subnet = {"name": "s", "cidr": "10.200.0.0/16", "gateway": "10.200.0.1", "labels": L}
    meter.ipam.apply({"subnets": [subnet]})
    meter.ipam.allocate(labels=L, address=taken, owner="web")
    with pytest.raises(AddressInUse, match="held by web"):
        meter.ipam.allocate(labels=L, address=taken)
    assert meter.ipam.audit() == []


def test_a_claim_of_another_process_is_seen(meter: Meter) -> None:
    """Two processes serve the same hosts in turns: each host has one region, and costs stay low."""
    group(meter.ipam, 1)
    other = borough.open(meter.url)
    given = []
    meter.ipam.allocate(labels=L)
    for turn in range(40):
        host = f"h{turn}"
        given.append(other.allocate(labels=L, host=host).address)
        assert meter(partial(meter.ipam.allocate, labels=L, host=host, owner="theirs")) <= FIRST
        meter.ipam.allocate(labels=L, host=f"own-{turn}", owner="own")
    given += [each.address for each in meter.ipam.allocations() if each.owner]
    assert len(given) == len(set(given)) == 120
    regions = [route.host for route in meter.ipam.routes()]
    assert len(regions) == len(set(regions)) == 80
    assert meter.ipam.audit() == []
    other.close()


def test_a_block_that_another_process_has_filled_costs_one_more(meter: Meter) -> None:
    """The hint of the connection is wrong: the take searches, and the decision is written."""
    meter.ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": L}]})
    other = borough.open(meter.url)
    for _ in range(3):
        meter.ipam.allocate(labels=L)
    for _ in range(59):
        other.allocate(labels=L)
    assert meter(partial(meter.ipam.allocate, labels=L)) <= FIRST
    assert meter.ipam.audit() == []
    other.close()


def test_an_idempotency_key_costs_no_round_trip(meter: Meter) -> None:
    """The statement that allocates also binds the key."""
    group(meter.ipam, 1)
    for turn in range(3):
        meter.ipam.allocate(labels=L, key=f"warm-{turn}")
    for turn in range(3):
        key = f"k{turn}"
        assert meter(partial(meter.ipam.allocate, labels=L, key=key)) == 1


def test_cool_downs_cost_no_round_trip(meter: Meter) -> None:
    """The statement that allocates also checks for ended cool-downs."""
    subnet = {"name": "s", "cidr": "10.0.0.0/24", "labels": L, "cooldown": "1h"}
    meter.ipam.apply({"subnets": [subnet]})
    meter.ipam.release(meter.ipam.allocate(labels=L).address)
    for _ in range(3):
        meter.ipam.allocate(labels=L)
    assert meter(lambda: meter.ipam.allocate(labels=L)) == 1


@pytest.mark.parametrize("families", [[4], [4, 6]])
def test_bulk_and_dual_stack_cost_the_same_whatever_their_number(
    meter: Meter, families: list[int]
) -> None:
    """A transaction of a constant number of statements."""
    group(meter.ipam, 16)
    costs = {}
    for count in (64, 256, 1024):
        meter.ipam.allocate(labels=L, families=families, count=count)
        ask = partial(meter.ipam.allocate, labels=L, families=families, count=count)
        costs[count] = meter(ask)
    assert len(set(costs.values())) == 1, costs
    assert max(costs.values()) <= 12, costs
    assert meter(lambda: meter.ipam.allocate(labels=L, families=families)) <= 12


def test_the_meter_counts_every_statement(meter: Meter) -> None:
    """A meter that counts nothing would pass all of the above."""
    group(meter.ipam, 1)
    with_transaction = meter(lambda: meter.ipam.allocate(labels=L, count=3))
    assert with_transaction >= 5


def test_events_of_one_change_are_counted(meter: Meter) -> None:
    """Each is a statement on MariaDB: no driver joins queries."""
    subnets = [{"name": f"s{n}", "cidr": f"10.0.{n}.0/24"} for n in range(4)]
    # The set-up of a connection is not counted.
    meter.ipam.apply({})
    meter(lambda: meter.ipam.apply({"subnets": subnets}))


def test_a_plan_too_large_for_one_call_is_a_unit_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """MariaDB bounds a statement, and the plan of a takeover may change many blocks."""
    monkeypatch.setattr(mariadb_write, "_PIECE", 300)
    meter = Meter(shared_server("mariadb"))
    group(meter.ipam, 1)
    meter.ipam.allocate(labels=L)
    assert meter(partial(meter.ipam.allocate, labels=L, host="h1", key="k")) > FIRST
    (held,) = meter.ipam.allocations(host="h1")
    assert meter.ipam.allocate(labels=L, host="h1", key="k").address == held.address
    assert meter.ipam.audit() == []
    meter.ipam.close()
