"""Whatever a decision asks of address space, a database answers as a look at every row does.

The rows are random: small and larger tables, groups of several cohorts that run dry. Statistics of the tables
are absent, fresh or stale in turn, because a database may read the same rows in another way for each of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

import borough
from borough import Ipam
from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, enclosing
from borough.domain.policy.take import TakeRequest
from borough.domain.request import Request
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Plan, Space
from borough.domain.space.rungs import Hold, Rung
from borough.store.memory.space import MemorySpace
from borough.store.memory.tables import Tables
from borough.store.sql.giving import NO_BOUNDS, Hints, Word, takeable
from borough.store.sql.offers import locking
from borough.store.sql.probes import ids_of
from borough.store.sql.store import SqlStore
from borough.store.sql.unit.unit import SqlUnit
from tests.conftest import STORES, each_store

#: Spaces of each store, and questions of each kind to a space.
SPACES: Final = int(os.environ.get("BOROUGH_SPACES", "40"))
QUESTIONS: Final = 40

RACKS: Final = [f"r{number}" for number in range(4)]
HOLDERS: Final = ["host=h1", "host=h2", "host=h3"]
CLAIMANTS: Final = ["", "host=h1", "host=h9"]
ALL: Final = 1 << 30

Piece = Block | FreeRange


class Size(NamedTuple):
    """The number of pieces that a subnet falls into.

    :ivar depth: how often it is halved at most.
    :ivar kept: the share of pieces that are there; the rest is outside the ranges.
    :ivar full: the share of blocks without a free address.
    """

    depth: int
    kept: float
    full: float


SIZES: Final = [Size(0, 0.3, 0.6), Size(0, 0.4, 0.3), Size(1, 0.3, 0.6), Size(6, 0.9, 0.8)]


# --- Random rows ------------------------------------------------------------------------------------


def open_group(url: str) -> Ipam:
    """Two subnets of each family in each rack; a rack's subnets of one family are a cohort."""
    ipam = borough.open(url, create=True)
    subnets = [
        {"name": f"{family}-{rack}-{number}", "cidr": cidr, "labels": {"rack": rack}}
        for at, rack in enumerate(RACKS)
        for number in range(2)
        for family, cidr in (
            (4, f"10.0.{2 * at + number}.0/24"),
            (6, f"2001:db8:0:{2 * at + number}::/120"),
        )
    ]
    ipam.apply({"dimensions": {"rack": {"fallback": "any"}}, "subnets": subnets})
    return ipam


def tiles(dice: random.Random, prefix: Prefix, depth: int) -> Iterator[Prefix]:
    """A random tiling."""
    if depth and dice.random() < 0.8:
        for half in prefix.halves():
            yield from tiles(dice, half, depth - 1)
    else:
        yield prefix


def piece(
    dice: random.Random, subnet: Subnet, cohort_id: int, prefix: Prefix, full: float
) -> Piece:
    """Unused space, or a block that anybody may hold."""
    if dice.random() < 0.1:
        return FreeRange(0, subnet.id, cohort_id, prefix)
    prefix = Prefix(prefix.family, prefix.base, max(prefix.length, WIDTH[prefix.family] - 6))
    every = (1 << prefix.size) - 1
    bitmap = every if dice.random() < full else dice.randrange(every)
    holder = dice.choice(["", *HOLDERS])
    region = dice.randint(prefix.length - 2, prefix.length) if holder else 0
    high_water = dice.randint(0, prefix.size)
    return Block(0, subnet.id, cohort_id, prefix, bitmap, holder, region, high_water=high_water)


def fill(dice: random.Random, store: SqlStore, size: Size) -> Tables:
    """Replace all rows by random ones; return them, with their keys."""

    def clear(unit: Any) -> None:
        gone = Plan(free_ranges_removed=unit.free_ranges(), blocks_removed=unit.blocks())
        gone.removed = unit.allocations(Filter())
        unit.commit(gone, 1)

    def add(unit: Any) -> None:
        plan = Plan()
        for subnet in unit.catalogue.subnets.values():
            for prefix in tiles(dice, subnet.prefix, size.depth):
                if dice.random() < size.kept:
                    made = piece(
                        dice, subnet, unit.catalogue.cohort_of[subnet.id], prefix, size.full
                    )
                    (
                        plan.free_ranges_added if isinstance(made, FreeRange) else plan.blocks_added
                    ).append(made)  # type: ignore[arg-type]
        unit.commit(plan, 1)

    def read(unit: Any) -> Tables:
        return Tables(
            blocks={each.id: each for each in unit.blocks()},
            free_ranges={each.id: each for each in unit.free_ranges()},
        )

    store.transact(clear)
    store.transact(add)
    return store.transact(read, write=False)


# --- Statistics -------------------------------------------------------------------------------------

_TABLES: Final = ("borough_block", "borough_free_range", "borough_cohort", "borough_subnet")


def execute(store: SqlStore, text: str) -> None:
    """Run a statement beside the store."""
    with store._engine.begin() as connection:
        connection.exec_driver_sql(text)


def leave_statistics_alone(store: SqlStore, kind: str) -> None:
    """Let statistics be what they are until they are asked for."""
    settings = {"mariadb": "STATS_AUTO_RECALC = 0", "postgresql": "SET (autovacuum_enabled = off)"}
    if kind in settings:
        for table in _TABLES:
            execute(store, f"ALTER TABLE {table} {settings[kind]}")


def analyse(store: SqlStore, kind: str) -> None:
    """Bring statistics up to date."""
    for table in _TABLES:
        execute(store, f"ANALYZE {'TABLE' if kind == 'mariadb' else ''} {table}")


# --- Random questions -------------------------------------------------------------------------------


class Question(NamedTuple):
    """A question of a request to a space: see :meth:`borough.domain.space.plan.Space.offers`.

    :ivar wanted: how many pieces.
    :ivar spread: whether unused space comes first on its rung.
    """

    rungs: tuple[Rung, ...]
    claimant: str
    wanted: int
    lowest: bool
    spread: bool


def draw(dice: random.Random, catalogue: Catalogue) -> Question:
    """Rungs over any cohorts, or over any subnets. Without a claimant no block is one's own."""
    family: Family = dice.choice((4, 6))
    claimant = dice.choice(CLAIMANTS)
    holds = [hold for hold in Hold if claimant or hold is not Hold.OWN]
    subnets = [each.id for each in catalogue.subnets.values() if each.family == family]
    by_cohort = dice.random() < 0.7
    ids = sorted({catalogue.cohort_of[id] for id in subnets}) if by_cohort else subnets
    rungs = tuple(
        rung_over(
            dice.sample(ids, dice.randint(1, len(ids))), family, dice.choice(holds), by_cohort
        )
        for _ in range(dice.randint(1, 3))
    )
    wanted = dice.choice([1, 1, 1, 1, 3, 20])
    return Question(rungs, claimant, wanted, dice.random() < 0.3, dice.random() < 0.3)


def rung_over(ids: Sequence[int], family: Family, hold: Hold, by_cohort: bool) -> Rung:
    """Cohorts, or subnets named outright."""
    if by_cohort:
        return Rung(family, hold, cohorts=tuple(ids))
    return Rung(family, hold, subnets=tuple(ids))


def best(truth: Space, asked: Question) -> list[tuple[int, Piece]]:
    """All that the rungs offer, in order."""
    offers = truth.offers(asked.rungs, asked.claimant, ALL, lowest=asked.lowest)
    found = [(offer.rung, offer.piece) for offer in offers]
    if asked.spread and not asked.lowest:
        # Sorting is stable: unused space comes first on its rung, and all else stays as it is.
        found.sort(key=lambda each: (each[0], isinstance(each[1], Block)))
    return found


def probe(asked: Question, unit: SqlUnit, truth: Space) -> str:
    """The probe of a ladder; a difference as text."""
    unit._spread = asked.spread
    offers = unit.offers(asked.rungs, asked.claimant, asked.wanted, lowest=asked.lowest)
    found = [(offer.rung, offer.piece) for offer in offers]
    wanted = best(truth, asked)[: asked.wanted]
    return "" if found == wanted else f"{asked}:\n  {found}\n  {wanted}"


def probe_with_a_lock(asked: Question, unit: SqlUnit, truth: Space) -> str:
    """One rung of one id, read inside a transaction that began before."""
    first = asked.rungs[0]
    column, (id, *_) = ids_of(first)
    rung = rung_over((id,), first.family, first.hold, bool(first.cohorts))
    asked = asked._replace(rungs=(rung,))
    parts = locking(rung.hold, column, bool(asked.claimant), asked.lowest, asked.spread, True)
    rows = [
        row for part in parts for row in unit._runner.rows(part, r0_0=id, claimant=asked.claimant)
    ]
    # By part, preference and base.
    rows.sort(key=lambda row: (row[1], row[2], row[7]))
    found = [(row[3], row[4]) for row in rows][:1]
    wanted = [(int(isinstance(each, FreeRange)), each.id) for _, each in best(truth, asked)][:1]
    return "" if found == wanted else f"locked {asked}:\n  {found}\n  {wanted}"


def look(dice: random.Random, rung: Rung, unit: SqlUnit, truth: Space) -> str:
    """Every other question that a decision asks of a space."""
    holder = dice.choice([*HOLDERS, "host=h9"])
    subnet = unit.catalogue.subnets[dice.choice(list(unit.catalogue.subnets))]
    (prefix, *_) = tiles(dice, subnet.prefix, 3)
    bits = WIDTH[subnet.family]
    address = subnet.prefix.base + dice.randrange(256)
    pieces = [enclosing(subnet.family, address, bits - host) for host in (2, 4, 6, 8)]
    asked: dict[str, tuple[Any, ...]] = {
        "holdings": (rung, holder),
        "held_in": (unit.catalogue.cohort_of[subnet.id], holder),
        "blocks_in": (subnet.id, prefix),
        "free_ranges_in": (subnet.id, prefix, bits - 3),
        "free_ranges_at": (subnet.id, pieces),
        "piece_at": (subnet.id, address),
    }
    for name, arguments in asked.items():
        found, wanted = (getattr(space, name)(*arguments) for space in (unit, truth))
        if found != wanted:
            return f"{name}{arguments}:\n  {found}\n  {wanted}"
    return ""


def take(dice: random.Random, asked: Question, store: SqlStore, tables: Tables) -> str:
    """One address by the statement that gives it, where a database has one."""
    giver = store._dialect.giver
    if giver is None:
        return ""
    catalogue = store.transact(lambda unit: unit.catalogue, write=False)
    asked = asked._replace(spread=False)
    order = TakeRequest(
        catalogue,
        asked.rungs,
        None,
        object(),
        asked.claimant,
        asked.lowest,
        Request(owner="o"),
        1,
        "",
    )
    with store._links.use() as link:
        hints = Hints()
        hints.prepared = link.hints.prepared
        run = store._runner_on(link.cursor)
        outcome = giver.give(run, order, hints, NO_BOUNDS, wait=dice.random() < 0.5)
    wanted = [
        (block.id, block.lowest(1)[0])
        for rung, block in best(MemorySpace(tables, catalogue), asked)[:1]
        if isinstance(block, Block) and rung in takeable(order)
    ]
    found = []
    if outcome.taken:
        block = outcome.taken.block
        tables.blocks[block.id] = block
        found = [(block.id, outcome.taken.address)]
    assert outcome.word is (Word.GIVEN if found else Word.DECIDE)
    return "" if found == wanted else f"take {asked}: {found} {wanted}"


# --- The test ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", each_store("memory"))
def test_a_database_answers_as_a_look_at_every_row(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each space is asked the same questions, so that a statement is made once."""
    dice = random.Random(f"{kind} {SPACES}")
    wrong: list[str] = []
    asked = 0
    with open_group(STORES[kind](tmp_path, 0)) as ipam:
        store = ipam.store
        assert isinstance(store, SqlStore)
        leave_statistics_alone(store, kind)
        catalogue = store.transact(lambda unit: unit.catalogue, write=False)
        questions = [draw(dice, catalogue) for _ in range(QUESTIONS)]
        for number in range(SPACES):
            tables = fill(dice, store, SIZES[number % len(SIZES)])
            # Absent at first, then those of a table of another size, or of this one.
            if number % 7 == 6:
                analyse(store, kind)

            def ask(unit: Any, tables: Tables = tables) -> list[str]:
                truth = MemorySpace(tables, unit.catalogue)
                answers = []
                for each in questions:
                    answers.append(probe(each, unit, truth))
                    answers.append(probe_with_a_lock(each, unit, truth))
                    answers.append(look(dice, each.rungs[0], unit, truth))
                return answers

            answers = store.transact(ask)
            answers += [take(dice, each, store, tables) for each in questions]
            asked += len(answers)
            wrong += filter(None, answers)
    record_property("asked", asked)
    assert not wrong, f"{len(wrong)} of {asked} answers are wrong:\n" + "\n".join(wrong[:5])
