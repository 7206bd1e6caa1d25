"""``audit`` on a real file: each contradiction written by hand is found by name, and repaired."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import borough
from borough import BoroughError, Ipam
from borough.domain.encode import plain
from borough.engine.upkeep import audit as audit_module
from borough.engine.upkeep.audit import Finding
from borough.errors import Corrupt, Exhausted, Unavailable
from borough.store.port import Unit
from tests.conftest import Clock

PODS = {"network": "pods"}


class Database:
    """The database file, changed without the engine."""

    def __init__(self, path: Path) -> None:
        # Foreign keys are not checked here, as by a restored dump or a table edited by hand.
        self._connection = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        self._connection.close()

    def run(self, text: str, *values: Any) -> list[Any]:
        cursor = self._connection.execute(text, values)
        assert text.lstrip().upper().startswith("SELECT") or cursor.rowcount > 0, text
        return cursor.fetchall()

    def one(self, text: str, *values: Any) -> Any:
        return self.run(text, *values)[0]

    def subnet(self, name: str) -> int:
        id: int = self.one("SELECT id FROM borough_subnet WHERE name = ?", name)[0]
        return id

    def cohort(self, name: str) -> int:
        text = "SELECT cohort_id FROM borough_subnet WHERE name = ?"
        id: int = self.one(text, name)[0]
        return id

    def block(self, address: str) -> tuple[int, str]:
        """(id, prefix) of the block that an address lies in."""
        wanted = ipaddress.ip_address(address)
        for id, base, length in self.run("SELECT id, base, length FROM borough_block"):
            network = ipaddress.ip_network((base, length))
            if wanted in network:
                return id, str(network)
        raise LookupError(address)

    def flip(self, address: str) -> str:
        """Change the bit of an address, and keep the counts in step with it."""
        id, prefix = self.block(address)
        network = ipaddress.ip_network(prefix)
        bit = 1 << int(ipaddress.ip_address(address)) - int(network.network_address)
        bitmap = self.one("SELECT bitmap FROM borough_block WHERE id = ?", id)[0] % (1 << 64) ^ bit
        free = network.num_addresses - bitmap.bit_count()
        self.run(
            "UPDATE borough_block SET bitmap = ?, free = ?, is_open = ? WHERE id = ?",
            bitmap - (1 << 64) if bitmap >> 63 else bitmap,
            free,
            int(free > 0),
            id,
        )
        return address

    def copy(self, table: str, id: int, **changes: Any) -> None:
        """Add a row like another one."""
        cursor = self._connection.execute(f"SELECT * FROM {table} WHERE id = ?", (id,))
        names = [column[0] for column in cursor.description]
        values = {**dict(zip(names, cursor.fetchone(), strict=True)), **changes}
        del values["id"]
        marks = ", ".join("?" * len(values))
        self.run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", *values.values())

    def dump(self) -> list[str]:
        return list(self._connection.iterdump())


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@pytest.fixture
def ipam(tmp_path: Path, clock: Clock) -> Iterator[Ipam]:
    """Two subnets of one cohort, one of another, an IPv6 one, with allocations in all of them."""
    with borough.open(f"sqlite:///{tmp_path}/ipam.db", create=True, clock=clock) as ipam:
        ipam.add_subnet("10.0.0.0/24", name="a", labels=PODS, gateway="10.0.0.1")
        ipam.add_subnet("10.0.1.0/24", name="b", labels=PODS, ranges=["10.0.1.10-10.0.1.250"])
        ipam.add_subnet("10.0.2.0/24", name="c", labels={"network": "other"}, cooldown=600)
        ipam.add_subnet("2001:db8::/64", name="six", labels=PODS)
        ipam.allocate(labels=PODS, host="node-1", owner="one", count=90, families=4)
        ipam.allocate(labels=PODS, host="node-2", owner="two", count=3, families=[4, 6])
        for address in ("10.0.0.201", "10.0.0.202", "10.0.1.100", "10.0.1.251", "10.0.1.5"):
            ipam.allocate(labels=PODS, address=address)
        ipam.allocate(labels=PODS, kind="gateway", families=4, owner="router")
        ipam.allocate(labels={"network": "other"}, owner="past", count=3)
        ipam.release(owner="past")
        ipam.allocate(labels={"network": "other"}, address="10.0.2.77")
        assert ipam.audit() == []
        yield ipam


@pytest.fixture
def database(ipam: Ipam, tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ipam.db")
    yield database
    database.close()


Expected = set[tuple[str, str, str]]


# --- Space ------------------------------------------------------------------------------------


def a_bit_without_an_allocation(database: Database) -> Expected:
    return {("bit_without_allocation", "a", database.flip("10.0.0.203"))}


def a_held_address_that_is_offered(database: Database) -> Expected:
    return {("allocation_without_bit", "a", database.flip("10.0.0.5"))}


def a_cooling_address_that_is_offered(database: Database) -> Expected:
    return {("allocation_without_bit", "c", database.flip("10.0.2.1"))}


def a_held_address_in_unused_space(database: Database) -> Expected:
    database.run(
        "UPDATE borough_allocation SET address = ? WHERE address = ?",
        packed("10.0.2.200"),
        packed("10.0.2.77"),
    )
    return {
        ("allocation_without_bit", "c", "10.0.2.200"),
        ("bit_without_allocation", "c", "10.0.2.77"),
    }


def the_gateway_offered(database: Database) -> Expected:
    return {("reserved_bit_free", "a", database.flip("10.0.0.1"))}


def the_network_address_offered(database: Database) -> Expected:
    return {("reserved_bit_free", "six", database.flip("2001:db8::"))}


def an_address_outside_the_ranges_offered(database: Database) -> Expected:
    return {("reserved_bit_free", "b", database.flip("10.0.1.3"))}


def a_wrong_count(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.201")
    database.run("UPDATE borough_block SET free = free + 1 WHERE id = ?", id)
    return {("wrong_free_count", "a", prefix)}


def an_open_block_filed_as_full(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.201")
    database.run("UPDATE borough_block SET is_open = 0 WHERE id = ?", id)
    return {("wrong_free_count", "a", prefix)}


def a_full_block_filed_as_open(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.2")
    database.run("UPDATE borough_block SET is_open = 1 WHERE id = ? AND free = 0", id)
    return {("wrong_free_count", "a", prefix)}


def a_bit_beyond_the_end(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.201")
    database.run("UPDATE borough_block SET bitmap = bitmap | (1 << 40) WHERE id = ?", id)
    return {("wrong_free_count", "a", prefix)}


def a_block_outside_its_subnet(database: Database) -> Expected:
    id, _ = database.block("10.0.0.201")
    database.copy("borough_block", id, base=packed("10.9.0.0"))
    return {("block_outside_subnet", "a", "10.9.0.0/28")}


def a_block_moved_out_of_its_subnet(database: Database) -> Expected:
    id, prefix = database.block("10.0.2.77")
    database.run("UPDATE borough_block SET base = ? WHERE id = ?", packed("10.9.0.0"), id)
    length = prefix.partition("/")[2]
    return {
        ("block_outside_subnet", "c", f"10.9.0.0/{length}"),
        ("untracked_space", "c", prefix),
        ("allocation_without_bit", "c", "10.0.2.77"),
    }


def a_misaligned_run(database: Database) -> Expected:
    _insert_run(database, "b", "10.0.1.131", 30)
    return {("block_outside_subnet", "b", "10.0.1.131/30")}


def a_run_of_no_length(database: Database) -> Expected:
    _insert_run(database, "b", "10.0.1.131", 40)
    return {("block_outside_subnet", "b", "10.0.1.131/40")}


def a_run_over_blocks(database: Database) -> Expected:
    _insert_run(database, "a", "10.0.0.200", 29)
    _, prefix = database.block("10.0.0.201")
    return {("overlapping_space", "a", prefix)}


def a_run_over_a_whole_subnet(database: Database) -> Expected:
    _insert_run(database, "a", "10.0.0.0", 24)
    return {("overlapping_space", "a", "10.0.0.0/24")}


def a_lost_run(database: Database) -> Expected:
    found = database.one(
        "SELECT id, base, length FROM borough_free_range WHERE subnet_id = ? ORDER BY length LIMIT 1",
        database.subnet("six"),
    )
    database.run("DELETE FROM borough_free_range WHERE id = ?", found[0])
    return {("untracked_space", "six", str(ipaddress.ip_network((found[1], found[2]))))}


def a_lost_block(database: Database) -> Expected:
    id, prefix = database.block("10.0.2.77")
    database.run("DELETE FROM borough_block WHERE id = ?", id)
    return {
        ("untracked_space", "c", prefix),
        ("allocation_without_bit", "c", "10.0.2.77"),
    }


def a_run_filed_by_another_size(database: Database) -> Expected:
    id, base, length = database.one(
        "SELECT id, base, length FROM borough_free_range WHERE subnet_id = ?", database.subnet("a")
    )
    database.run("UPDATE borough_free_range SET host_bits = host_bits + 1 WHERE id = ?", id)
    return {("misfiled", "a", str(ipaddress.ip_network((base, length))))}


def a_claimed_block_filed_as_unclaimed(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.70")
    database.run("UPDATE borough_block SET is_held = 0 WHERE id = ?", id)
    return {("misfiled", "a", prefix)}


def a_block_in_another_cohort(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.201")
    database.run("UPDATE borough_block SET cohort_id = ? WHERE id = ?", database.cohort("c"), id)
    return {("wrong_cohort", "a", prefix)}


def a_run_in_a_cohort_that_is_gone(database: Database) -> Expected:
    id, base, length = database.one(
        "SELECT id, base, length FROM borough_free_range WHERE subnet_id = ?", database.subnet("a")
    )
    database.run("UPDATE borough_free_range SET cohort_id = 999 WHERE id = ?", id)
    return {("wrong_cohort", "a", str(ipaddress.ip_network((base, length))))}


# --- Claims -----------------------------------------------------------------------------------


def a_region_smaller_than_its_block(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.2")
    database.run("UPDATE borough_block SET region_length = 30 WHERE id = ?", id)
    return {("broken_region", "a", prefix)}


def a_region_larger_than_its_subnet(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.2")
    database.run("UPDATE borough_block SET region_length = 20 WHERE id = ?", id)
    return {("broken_region", "a", prefix)}


def a_claim_without_a_region(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.2")
    database.run("UPDATE borough_block SET region_length = 0 WHERE id = ?", id)
    return {("broken_region", "a", prefix)}


def a_region_without_a_claim(database: Database) -> Expected:
    id, prefix = database.block("10.0.0.201")
    database.run("UPDATE borough_block SET region_length = 27 WHERE id = ?", id)
    return {("broken_region", "a", prefix)}


def a_neighbour_claimed_by_another_host(database: Database) -> Expected:
    id, _ = database.block("10.0.0.70")
    database.run(
        "UPDATE borough_block SET holder = 'host=node-9', is_held = 1, region_length = length WHERE id = ?",
        id,
    )
    return {("broken_region", "a", "10.0.0.0/25")}


def a_neighbour_that_is_given_up(database: Database) -> Expected:
    id, _ = database.block("10.0.0.70")
    database.run(
        "UPDATE borough_block SET holder = '', is_held = 0, region_length = 0 WHERE id = ?", id
    )
    return {("broken_region", "a", "10.0.0.0/25"), ("misfiled", "a", "10.0.0.64/26")}


def a_block_used_beyond_its_reach(database: Database) -> Expected:
    id, _ = database.block("10.0.0.70")
    database.run("UPDATE borough_block SET high_water = 1 WHERE id = ?", id)
    return {("wrong_reach", "a", "10.0.0.64/26")}


def a_block_whose_turn_is_another(database: Database) -> Expected:
    id, _ = database.block("10.0.0.70")
    database.run("UPDATE borough_block SET takeover_rank = takeover_rank + 1 WHERE id = ?", id)
    return {("misfiled", "a", "10.0.0.64/26")}


# --- The catalogue ----------------------------------------------------------------------------


def _insert_cohort(database: Database, text: str, digest: str | None = None) -> int:
    database.run(
        "INSERT INTO borough_cohort (description, digest) VALUES (?, ?)",
        text,
        digest or hashlib.sha256(text.encode()).hexdigest(),
    )
    id: int = database.one("SELECT max(id) FROM borough_cohort")[0]
    return id


def _insert_run(database: Database, subnet: str, base: str, length: int) -> None:
    database.run(
        "INSERT INTO borough_free_range (subnet_id, cohort_id, base, length, host_bits) "
        "VALUES (?, ?, ?, ?, ?)",
        database.subnet(subnet),
        database.cohort(subnet),
        packed(base),
        length,
        32 - length,
    )


def _move(database: Database, subnet: str, cohort: int) -> None:
    """Point a subnet and its space at a cohort."""
    id = database.subnet(subnet)
    database.run("UPDATE borough_subnet SET cohort_id = ? WHERE id = ?", cohort, id)
    for table in ("borough_block", "borough_free_range"):
        database.run(f"UPDATE {table} SET cohort_id = ? WHERE subnet_id = ?", cohort, id)


def _spaced(database: Database, subnet: str) -> tuple[int, str, str]:
    id = database.cohort(subnet)
    text = database.one("SELECT description FROM borough_cohort WHERE id = ?", id)[0]
    return id, text, json.dumps(json.loads(text))


def a_cohort_stored_twice(database: Database) -> Expected:
    _, _, text = _spaced(database, "a")
    _move(database, "b", _insert_cohort(database, text))
    return {("duplicate_cohort", "", text)}


def a_cohort_stored_twice_and_blocks_left_behind(database: Database) -> Expected:
    _, _, text = _spaced(database, "a")
    cohort = _insert_cohort(database, text)
    id = database.subnet("c")
    pieces = [
        str(ipaddress.ip_network((base, length)))
        for table in ("borough_block", "borough_free_range")
        for base, length in database.run(
            f"SELECT base, length FROM {table} WHERE subnet_id = ?", id
        )
    ]
    database.run("UPDATE borough_subnet SET cohort_id = ? WHERE id = ?", cohort, id)
    return {
        ("duplicate_cohort", "", text),
        ("subnet_in_wrong_cohort", "c", "10.0.2.0/24"),
        *(("wrong_cohort", "c", piece) for piece in pieces),
    }


def a_cohort_in_other_spelling(database: Database) -> Expected:
    id, _, text = _spaced(database, "a")
    database.run("UPDATE borough_cohort SET description = ? WHERE id = ?", text, id)
    return {("duplicate_cohort", "", text)}


def a_cohort_that_no_search_finds(database: Database) -> Expected:
    id, text, _ = _spaced(database, "a")
    database.run("UPDATE borough_cohort SET digest = 'other' WHERE id = ?", id)
    return {("duplicate_cohort", "", text)}


def an_unused_cohort_in_other_spelling(database: Database) -> Expected:
    _, _, text = _spaced(database, "a")
    _insert_cohort(database, text)
    return {("duplicate_cohort", "", text)}


def a_subnet_in_another_cohort(database: Database) -> Expected:
    _move(database, "b", database.cohort("c"))
    return {("subnet_in_wrong_cohort", "b", "10.0.1.0/24")}


def a_subnet_in_a_cohort_that_is_gone(database: Database) -> Expected:
    _move(database, "b", 999)
    return {("subnet_in_wrong_cohort", "b", "10.0.1.0/24")}


def a_weight_that_the_cohort_does_not_know(database: Database) -> Expected:
    database.run("UPDATE borough_subnet SET weight = 7 WHERE name = 'b'")
    return {("subnet_in_wrong_cohort", "b", "10.0.1.0/24")}


def an_allocation_of_another_subnet(database: Database) -> Expected:
    database.run(
        "UPDATE borough_allocation SET subnet_id = ? WHERE address = ?",
        database.subnet("c"),
        packed("10.0.0.201"),
    )
    return {("allocation_outside_subnet", "c", "10.0.0.201")}


def an_allocation_of_no_subnet(database: Database) -> Expected:
    database.run(
        "UPDATE borough_allocation SET subnet_id = 999 WHERE address = ?", packed("10.0.0.201")
    )
    return {("unknown_subnet", "", "10.0.0.201")}


def space_of_no_subnet(database: Database) -> Expected:
    run = database.one("SELECT id FROM borough_free_range WHERE length = 28")[0]
    block, _ = database.block("10.0.0.201")
    database.copy("borough_free_range", run, subnet_id=999, base=packed("10.0.0.0"))
    database.copy("borough_block", block, subnet_id=998)
    return {("unknown_subnet", "", "10.0.0.0/28"), ("unknown_subnet", "", "10.0.0.192/28")}


PLANTS: list[Callable[[Database], Expected]] = [
    a_bit_without_an_allocation,
    a_held_address_that_is_offered,
    a_cooling_address_that_is_offered,
    a_held_address_in_unused_space,
    the_gateway_offered,
    the_network_address_offered,
    an_address_outside_the_ranges_offered,
    a_wrong_count,
    an_open_block_filed_as_full,
    a_full_block_filed_as_open,
    a_bit_beyond_the_end,
    a_block_outside_its_subnet,
    a_block_moved_out_of_its_subnet,
    a_misaligned_run,
    a_run_of_no_length,
    a_run_over_blocks,
    a_run_over_a_whole_subnet,
    a_lost_run,
    a_lost_block,
    a_run_filed_by_another_size,
    a_claimed_block_filed_as_unclaimed,
    a_block_in_another_cohort,
    a_run_in_a_cohort_that_is_gone,
    a_region_smaller_than_its_block,
    a_region_larger_than_its_subnet,
    a_claim_without_a_region,
    a_region_without_a_claim,
    a_neighbour_claimed_by_another_host,
    a_neighbour_that_is_given_up,
    a_block_used_beyond_its_reach,
    a_block_whose_turn_is_another,
    a_cohort_stored_twice,
    a_cohort_stored_twice_and_blocks_left_behind,
    a_cohort_in_other_spelling,
    a_cohort_that_no_search_finds,
    an_unused_cohort_in_other_spelling,
    a_subnet_in_another_cohort,
    a_subnet_in_a_cohort_that_is_gone,
    a_weight_that_the_cohort_does_not_know,
    an_allocation_of_another_subnet,
    an_allocation_of_no_subnet,
    space_of_no_subnet,
]


def named(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return sorted((each.code, each.subnet, each.subject) for each in findings)


def held(database: Database) -> list[Any]:
    """Every allocation, without the subnet of its row."""
    return database.run(
        "SELECT sequence, scope_id, hex(address), owner, host, attributes, at, until "
        "FROM borough_allocation ORDER BY sequence"
    )


def use_up(ipam: Ipam) -> None:
    """Every address that counts as free can be allocated, and no other one."""
    for labels, family in ((PODS, 4), ({"network": "other"}, 4)):
        lines = [each for each in ipam.usage(labels=labels) if each.family == family]
        free = sum(line.free for line in lines)
        assert free == sum(line.size for line in lines) - sum(_usable_held(ipam, lines))
        assert len(ipam.allocate(labels=labels, count=free, families=family).allocations) == free
        with pytest.raises(Exhausted):
            ipam.allocate(labels=labels, families=family)
    ipam.allocate(labels=PODS, host="node-1", families=6, count=100)
    ipam.allocate(labels=PODS, families=6, count=100)


def _usable_held(ipam: Ipam, lines: list[Any]) -> list[int]:
    outside = {"10.0.0.1", "10.0.1.5", "10.0.1.251"}
    return [
        sum(each.address not in outside for each in ipam.allocations(subnet=line.name))
        for line in lines
    ]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_contradiction_is_named_and_repaired(
    ipam: Ipam, database: Database, plant: Callable[[Database], Expected]
) -> None:
    expected = sorted(plant(database))
    before, allocations = database.dump(), held(database)

    found = ipam.audit()
    assert named(found) == expected
    assert not any(each.repaired for each in found)
    assert all(each.subject in each.message or each.code == "duplicate_cohort" for each in found)
    assert database.dump() == before

    mended = ipam.audit(repair=True)
    assert named(mended) == expected
    assert all(each.repaired for each in mended)
    assert held(database) == allocations
    events = [each for each in ipam.events() if each.act == "repaired"]
    assert sorted((e.detail.split(":")[0], e.subnet, e.subject) for e in events) == expected

    assert ipam.audit() == []
    assert ipam.audit(repair=True) == []
    use_up(ipam)
    assert ipam.audit() == []


def test_everything_at_once(ipam: Ipam, database: Database) -> None:
    """Contradictions of all kinds together are all repaired."""
    allocations = held(database)
    for plant in (
        a_bit_without_an_allocation,
        a_held_address_that_is_offered,
        the_network_address_offered,
        a_neighbour_claimed_by_another_host,
        a_lost_run,
        a_run_over_a_whole_subnet,
        a_misaligned_run,
        a_lost_block,
        an_allocation_of_another_subnet,
        space_of_no_subnet,
        a_weight_that_the_cohort_does_not_know,
        a_cohort_in_other_spelling,
    ):
        plant(database)
    found = ipam.audit()
    assert len({each.code for each in found}) >= 9
    mended = ipam.audit(repair=True)
    assert set(named(found)) <= set(named(mended))
    assert all(each.repaired for each in mended)
    assert held(database) == allocations
    assert ipam.audit() == []
    use_up(ipam)
    assert ipam.audit() == []


def test_claims_survive_a_repair(ipam: Ipam, database: Database) -> None:
    routes = plain(ipam.routes())
    blocks = plain(ipam.blocks(host="node-1"))
    database.flip("10.0.0.5")
    database.flip("10.0.0.203")
    a_run_over_blocks(database)
    a_region_larger_than_its_subnet(database)
    ipam.audit(repair=True)
    assert plain(ipam.routes()) == routes
    assert plain(ipam.blocks(host="node-1")) == blocks


def test_a_claim_wider_than_the_usable_space_survives(tmp_path: Path, clock: Clock) -> None:
    """Unused space that was joined over a hole is larger than any piece of a fresh subnet."""
    path = tmp_path / "wide.db"
    with borough.open(f"sqlite:///{path}", create=True, clock=clock) as ipam:
        ipam.add_subnet("10.0.0.0/24", name="a", labels=PODS, ranges=["10.0.0.1-10.0.0.100"])
        ipam.add_subnet("10.0.1.0/24", name="b", labels=PODS)
        ipam.allocate(labels=PODS, host="node-1", address="10.0.0.1")
        ipam.release("10.0.0.1")
        ipam.allocate(labels=PODS, host="node-1", count=2, owner="first")
        ipam.release(owner="first")
        ipam.allocate(labels=PODS, host="node-1", count=150, owner="many")
        assert ipam.audit() == []
        database = Database(path)
        database.run("UPDATE borough_block SET free = free + 1")
        database.close()
        routes = plain(ipam.routes())
        assert all(each.repaired for each in ipam.audit(repair=True))
        assert ipam.audit() == []
        assert len(ipam.routes()) <= len(routes)


def test_a_cohort_that_cannot_be_read(ipam: Ipam, database: Database, tmp_path: Path) -> None:
    """It stops everything but the audit, which reports it first."""
    database.run("UPDATE borough_cohort SET description = 'x' WHERE id = ?", database.cohort("a"))
    database.flip("10.0.0.203")
    with borough.open(f"sqlite:///{tmp_path}/ipam.db") as other:
        with pytest.raises(Corrupt, match="audit"):
            other.allocate(labels=PODS)
        assert named(other.audit()) == [("duplicate_cohort", "", "x")]
        mended = other.audit(repair=True)
        assert named(mended) == [
            ("bit_without_allocation", "a", "10.0.0.203"),
            ("duplicate_cohort", "", "x"),
        ]
        assert all(each.repaired for each in mended)
        assert other.audit() == []
        use_up(other)


def test_an_allocation_that_no_subnet_covers_is_only_reported(
    ipam: Ipam, database: Database
) -> None:
    """Its subnet is unknown; when a subnet covers it, it is filed there."""
    for address, to in (("10.0.0.201", "10.7.0.5"), ("10.0.2.77", "10.7.0.6")):
        database.run(
            "UPDATE borough_allocation SET address = ? WHERE address = ?",
            packed(to),
            packed(address),
        )
    database.run(
        "UPDATE borough_allocation SET subnet_id = 999 WHERE address = ?", packed("10.7.0.6")
    )
    allocations = held(database)
    expected = [
        ("allocation_outside_subnet", "a", "10.7.0.5"),
        ("bit_without_allocation", "a", "10.0.0.201"),
        ("bit_without_allocation", "c", "10.0.2.77"),
        ("unknown_subnet", "", "10.7.0.6"),
    ]
    assert named(ipam.audit()) == expected
    mended = ipam.audit(repair=True)
    assert named(mended) == expected
    assert [each.repaired for each in sorted(mended, key=lambda e: e.code)] == [
        False,
        True,
        True,
        False,
    ]
    assert held(database) == allocations
    left = ipam.audit()
    assert named(left) == [expected[0], expected[3]]
    assert all("10.7.0." in each.message and "add" in each.message for each in left)

    ipam.add_subnet("10.7.0.0/24", name="d", labels=PODS)
    assert all(each.repaired for each in ipam.audit(repair=True))
    assert ipam.audit() == []
    assert held(database) == allocations
    assert ipam.show("10.7.0.5").subnet == ipam.show("10.7.0.6").subnet == "d"
    use_up(ipam)


def test_overlapping_subnets_are_only_reported(ipam: Ipam, database: Database) -> None:
    """Only a person can decide between the two, and no allocation is changed."""
    database.run("UPDATE borough_subnet SET base = ? WHERE name = 'b'", packed("10.0.0.128"))
    database.run("UPDATE borough_subnet SET length = 25 WHERE name = 'b'")
    found = [each for each in ipam.audit() if each.code == "overlapping_subnets"]
    assert named(found) == [("overlapping_subnets", "b", "10.0.0.128/25")]
    allocations = database.run("SELECT sequence, subnet_id FROM borough_allocation")
    ipam.audit(repair=True)
    assert database.run("SELECT sequence, subnet_id FROM borough_allocation") == allocations


def test_progress_and_json(ipam: Ipam, database: Database) -> None:
    database.flip("10.0.0.203")
    steps: list[tuple[int, int]] = []
    found = ipam.audit(progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert plain(found) == [
        {
            "code": "bit_without_allocation",
            "subnet": "a",
            "subject": "10.0.0.203",
            "message": found[0].message,
            "repaired": False,
        }
    ]


def step(ipam: Ipam, dice: random.Random, clock: Clock) -> None:
    """One random operation."""
    labels = dice.choice([PODS, PODS, {"network": "other"}, {}])
    host = dice.choice([None, "node-1", "node-2", "node-3"])
    owner = f"o{dice.randrange(20)}"
    clock.advance(dice.randrange(200))
    match dice.randrange(12):
        case 0 | 1:
            ipam.release(owner=owner)
        case 2:
            ipam.release(host=host or "node-1")
        case 3:
            held = ipam.allocations()
            if held:
                ipam.release(dice.choice(held).address)
        case 4:
            ipam.allocate(address=f"10.0.{dice.randrange(3)}.{dice.randrange(256)}", labels=labels)
        case 5:
            ipam.allocate(labels=labels, mac=f"00:16:3e:00:00:{dice.randrange(99):02}")
        case 6:
            ipam.allocate(labels=labels, kind="next", host=host, owner=owner)
        case 7:
            count = dice.randrange(2, 90)
            ipam.allocate(labels=labels, host=host, owner=owner, count=count)
        case 8 if not dice.randrange(5):
            ipam.remove_subnet("extra")
        case 9 if not dice.randrange(5):
            ipam.add_subnet("10.0.3.0/26", name="extra", labels=PODS, cooldown=100)
        case _:
            ipam.allocate(labels=labels, host=host, owner=owner)


@pytest.mark.parametrize("seed", range(6))
def test_a_healthy_database_has_no_finding(ipam: Ipam, clock: Clock, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(400):
        # Full groups and released addresses are normal.
        with suppress(BoroughError):
            step(ipam, dice, clock)
        if number % 100 == 99:
            assert ipam.audit() == []


def test_a_healthy_database_has_no_finding_while_others_write(
    ipam: Ipam, tmp_path: Path, clock: Clock
) -> None:
    """Every unit reads one state, so a half-done change is never reported."""
    done = threading.Event()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        dice = random.Random(seed)
        try:
            with borough.open(f"sqlite:///{tmp_path}/ipam.db", clock=clock) as own:
                while not done.is_set():
                    try:
                        step(own, dice, clock)
                    except BoroughError:
                        continue
        except BaseException as failure:
            failures.append(failure)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    try:
        findings = [ipam.audit(repair=number % 2 == 1) for number in range(30)]
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert failures == []
    assert findings == [[]] * 30


def test_repair_while_others_write(
    ipam: Ipam, database: Database, tmp_path: Path, clock: Clock
) -> None:
    """A repair reads its subnet again: concurrent allocations are not lost."""
    given: list[str] = []

    def write() -> None:
        with borough.open(f"sqlite:///{tmp_path}/ipam.db", clock=clock) as own:
            given.extend(own.allocate(labels=PODS, families=4).address for _ in range(40))

    database.flip("10.0.0.203")
    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(10):
        ipam.audit(repair=True)
    writer.join()
    assert len(set(given)) == 40
    assert {each.address for each in ipam.allocations()} >= set(given)
    assert ipam.audit() == []
    use_up(ipam)


def test_an_error_reports_earlier_repairs(
    ipam: Ipam, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair is many transactions; those before the error stay."""
    database.run("UPDATE borough_block SET free = free - 1 WHERE free > 1")
    count = len(ipam.audit())
    mend = audit_module._Repair.__call__
    mended: list[Finding] = []

    def fails(self: audit_module._Repair, unit: Unit) -> list[Finding]:
        if mended:
            raise Unavailable("gone", outcome="not_done")
        mended.extend(mend(self, unit))
        return [*mended]

    monkeypatch.setattr(audit_module._Repair, "__call__", fails)
    with pytest.raises(Unavailable) as caught:
        ipam.audit(repair=True)
    assert caught.value.detail["outcome"] == "partial"
    assert caught.value.detail["done"] == {"findings": plain(mended)}
    assert 0 < len(mended) < count
    assert len(ipam.audit()) == count - len(mended)
