"""The address spaces in which acts and changes meet. Each is built once and restored for every pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from borough import Ipam
from borough.store.sql import schema
from tests.conftest import Clock

Rows = dict[str, list[dict[str, Any]]]
Topology = dict[str, Any]

GROUP: Final = {"network": "n"}

_HOSTS: Final = {f"h{number}": {"rack": "r1"} for number in range(1, 10)}
_DIMENSIONS: Final = {
    "rack": {"fallback": "any"},
    "host": {"fallback": "any", "claims": {"block": 4}},
}
_POOL: Final = {
    "name": "links",
    "prefixes": ["10.20.0.0/24"],
    "minimum_length": 26,
    "maximum_length": 30,
    "default_length": 28,
}


@dataclass(frozen=True)
class Variant:
    """Other settings of one subnet.

    :ivar longer: a longer prefix that keeps every held address, and its ranges.
    :ivar longest: a longer prefix that cuts the ranges, for a place without held addresses.
    """

    ranges: Mapping[str, list[str]]
    shorter: str
    longer: tuple[str, list[str]]
    longest: tuple[str, list[str]]
    gateway: str
    halves: tuple[str, str]
    excluded: list[str]


#: The settings that changes give to each subnet.
VARIANTS: Final = {
    "s": Variant(
        {
            "wider": ["10.9.0.2-10.9.0.220"],
            "narrower": ["10.9.0.10-10.9.0.100"],
            "hole": ["10.9.0.10-10.9.0.17", "10.9.0.28-10.9.0.119"],
        },
        "10.9.0.0/23",
        ("10.9.0.0/25", ["10.9.0.10-10.9.0.119"]),
        ("10.9.0.0/26", ["10.9.0.10-10.9.0.63"]),
        "10.9.0.20",
        ("10.9.0.0/25", "10.9.0.128/25"),
        ["10.9.0.18/31", "10.9.0.40-10.9.0.50"],
    ),
    "s6": Variant(
        {
            "wider": ["2001:db8:9::2-2001:db8:9::1:ffff"],
            "narrower": ["2001:db8:9::10-2001:db8:9::1f"],
            "hole": ["2001:db8:9::10-2001:db8:9::11", "2001:db8:9::16-2001:db8:9::ffff"],
        },
        "2001:db8:9::/63",
        ("2001:db8:9::/65", ["2001:db8:9::10-2001:db8:9::ffff"]),
        ("2001:db8:9::/124", ["2001:db8:9::2-2001:db8:9::f"]),
        "2001:db8:9::14",
        ("2001:db8:9::/65", "2001:db8:9:0:8000::/65"),
        ["2001:db8:9::12/127"],
    ),
    "t": Variant(
        {
            "wider": ["10.9.1.1-10.9.1.20"],
            "narrower": ["10.9.1.1-10.9.1.12"],
            "hole": ["10.9.1.1-10.9.1.5", "10.9.1.8-10.9.1.14"],
        },
        "10.9.1.0/26",
        ("10.9.1.0/28", ["10.9.1.1-10.9.1.14"]),
        ("10.9.1.0/29", ["10.9.1.1-10.9.1.6"]),
        "10.9.1.13",
        ("10.9.1.0/28", "10.9.1.16/28"),
        ["10.9.1.6-10.9.1.7"],
    ),
}


def _wide(cooldown: int = 0) -> Topology:
    """An IPv4 and an IPv6 subnet of one group, and a second IPv4 subnet of lower weight."""
    return {
        "dimensions": _DIMENSIONS,
        "pools": [_POOL],
        "subnets": [
            {
                "name": "s",
                "cidr": "10.9.0.0/24",
                "gateway": "10.9.0.1",
                "ranges": ["10.9.0.10-10.9.0.119"],
                "labels": {**GROUP, "rack": "r1"},
                "weight": 10,
                "cooldown": cooldown,
            },
            {
                "name": "s6",
                "cidr": "2001:db8:9::/64",
                "gateway": "2001:db8:9::1",
                "ranges": ["2001:db8:9::10-2001:db8:9::ffff"],
                "labels": GROUP,
            },
            {"name": "twin", "cidr": "10.9.8.0/28", "labels": GROUP},
        ],
        "hosts": _HOSTS,
    }


def _small() -> Topology:
    return {
        "dimensions": _DIMENSIONS,
        "pools": [_POOL],
        "subnets": [
            {
                "name": "t",
                "cidr": "10.9.1.0/27",
                "ranges": ["10.9.1.1-10.9.1.14"],
                "labels": {**GROUP, "rack": "r1"},
            }
        ],
        "hosts": _HOSTS,
    }


@dataclass(frozen=True)
class Place:
    """A topology with its claims and allocations.

    :ivar changed: the names of the subnets that changes apply to.
    :ivar warms: lets a process read and use the space before the pair meets.
    :ivar is_bare: whether no address is held, so that subnets can be removed.
    """

    name: str
    topology: Callable[[], Topology]
    fill: Callable[[Ipam, Clock], None]
    changed: tuple[str, ...]
    warms: Callable[[Ipam], None]
    is_bare: bool = False


def _take(ipam: Ipam, owner: str, **request: Any) -> list[str]:
    answer = ipam.allocate(labels=GROUP, owner=owner, **request)
    return [each.address for each in answer.allocations]


def _leave_idle(ipam: Ipam, clock: Clock) -> None:
    """Leave a claim that the last pass of reclaim has marked and the next one returns."""
    _take(ipam, "idle", host="h4")
    ipam.release(owner="idle")
    ipam.reclaim()
    clock.advance(16 * 60)


def _fill_roomy(ipam: Ipam, clock: Clock) -> None:
    _take(ipam, "plain", count=4)
    _take(ipam, "outside", address="10.9.0.5")
    for _ in range(4):
        _take(ipam, "grown", host="h1")
    _take(ipam, "of-h3", host="h3", count=2)
    _take(ipam, "moving", host="h5")
    _take(ipam, "web", families=[4, 6])
    _leave_idle(ipam, clock)


def _fill_cooling(ipam: Ipam, clock: Clock) -> None:
    _take(ipam, "kept", count=2)
    _take(ipam, "rested", count=3)
    _take(ipam, "rested", host="h1")
    ipam.release(owner="rested")
    clock.advance(120)


def _fill_rested(ipam: Ipam, clock: Clock) -> None:
    _fill_cooling(ipam, clock)
    ipam.release(owner="kept")
    clock.advance(120)


def _fill_reserved(ipam: Ipam, clock: Clock) -> None:
    """Reserved and held by one owner, inside and outside the ranges."""
    _take(ipam, "plain", count=2)
    ipam.reserve(["10.9.0.5", "10.9.0.30-10.9.0.32"], owner="later")
    _take(ipam, "later", address="10.9.0.32", host="h1")
    ipam.reserve("10.9.0.40", owner="kept")
    _take(ipam, "rested", host="h1")
    ipam.release(owner="rested")
    clock.advance(30)


def _fill_leased(ipam: Ipam, clock: Clock) -> None:
    """Leases that are over, inside and outside the ranges, sticky and claimed; and one that is not.

    And addresses shared by two owners and by one.
    """
    _take(ipam, "plain", count=2)
    _take(ipam, "over", count=2, lease=60)
    _take(ipam, "over", address="10.9.0.5", lease=60)
    _take(ipam, "over", host="h1", lease=60)
    _take(ipam, "set", sticky=True, lease=60)
    for address, owners in (("10.9.0.60", ("vip", "vip2")), ("10.9.0.6", ("alone",))):
        for owner in owners:
            _take(ipam, owner, address=address, shared=True)
    _take(ipam, "alive", count=2, key="alive", lease=3600)
    clock.advance(90)


def _claim_all(ipam: Ipam, kept: Callable[[int], bool]) -> None:
    given = [_take(ipam, "all", host="h1")[0] for _ in range(14)]
    for address in given:
        if not kept(int(address.rpartition(".")[2])):
            ipam.release(address)


def _fill_taken(ipam: Ipam, _clock: Clock) -> None:
    _claim_all(ipam, lambda number: number < 3)


def _fill_lent(ipam: Ipam, _clock: Clock) -> None:
    _claim_all(ipam, lambda number: number % 4 in (1, 2))


def _use(ipam: Ipam) -> None:
    _take(ipam, "warm")
    _take(ipam, "warm", host="h7")


def _use_and_leave(ipam: Ipam) -> None:
    _take(ipam, "warm")
    _take(ipam, "warm", host="h7")
    ipam.release(owner="warm")
    ipam.drain("h7")


def _look(ipam: Ipam) -> None:
    ipam.explain(labels=GROUP, host="h2")
    ipam.usage()


_WIDE: Final = ("s", "s6")
ROOMY: Final = Place("roomy", _wide, _fill_roomy, _WIDE, _use)
BARE: Final = Place("bare", _wide, _leave_idle, _WIDE, _use_and_leave, is_bare=True)
COOLING: Final = Place("cooling", lambda: _wide(60), _fill_cooling, _WIDE, _look)
#: Every address cools, and its cool-down is over.
RESTED: Final = Place("rested", lambda: _wide(60), _fill_rested, _WIDE, _look, is_bare=True)
#: An owner has reservations, one of them in use.
RESERVED: Final = Place("reserved", lambda: _wide(60), _fill_reserved, _WIDE, _look)
#: Leases are over and nobody has ended them; of subnets without a cool-down, and with one.
LEASED: Final = Place("leased", _wide, _fill_leased, _WIDE, _look)
LEASED_REST: Final = Place("leased-rest", lambda: _wide(60), _fill_leased, _WIDE, _look)
#: One host has claimed all space and uses a small part of it.
TAKEN: Final = Place("taken", _small, _fill_taken, ("t",), _look)
#: One host has claimed all space, and others can only borrow single addresses.
LENT: Final = Place("lent", _small, _fill_lent, ("t",), _look)

PLACES: Final = (ROOMY, BARE, COOLING, RESTED, RESERVED, LEASED, LEASED_REST, TAKEN, LENT)


class Tables:
    """All rows of a database, read and restored by statements of its own."""

    #: Step of the catalogue's version at each restore. A process must not find a version that it has
    #: cached for another state.
    _STEP: Final = 1000

    def __init__(self, engine: sa.Engine, more: Sequence[sa.Table] = ()) -> None:
        """Work on a database.

        :param more: tables of others, each before the tables that refer to it.
        """
        self._engine = engine
        self._tables = [*more, *schema.metadata.sorted_tables]
        self._version = self._STEP

    def read(self) -> Rows:
        """All rows, by table."""
        with self._engine.connect() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
                for table in self._tables
            }

    def put_back(self, rows: Rows) -> None:
        """Restore the tables to these rows."""
        self._version += self._STEP
        with self._engine.begin() as connection:
            for table in reversed(self._tables):
                connection.execute(table.delete())
            for table in self._tables:
                if rows[table.name]:
                    connection.execute(table.insert(), rows[table.name])
            connection.execute(schema.meta.update().values(catalogue_version=self._version))

    def damage(self) -> None:
        """Mark a free address as taken in its block."""
        block = schema.block.c
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(block.id, block.bitmap, block.length, block.base, block.free)
                .where(block.is_open == 1)
                .order_by(block.base)
                .limit(1)
            ).one()
            size = 1 << len(row.base) * 8 - row.length
            bitmap = row.bitmap % (1 << 64)
            bitmap |= 1 << max(bit for bit in range(size) if not bitmap >> bit & 1)
            connection.execute(
                schema.block.update()
                .where(block.id == row.id)
                .values(
                    bitmap=bitmap - (bitmap >> 63 << 64),
                    free=row.free - 1,
                    is_open=int(row.free > 1),
                )
            )


@dataclass
class Scene:
    """A place as it stands in a database.

    :ivar rows: all rows of it.
    :ivar now: the time of the clock.
    """

    place: Place
    rows: Rows
    now: int
    allocations: list[Any] = field(default_factory=list)

    def of(self, owner: str) -> Any:
        """The first allocation of an owner."""
        return next(each for each in self.allocations if owner in (each.sharers or (each.owner,)))

    def topology(self) -> Topology:
        """A copy of the topology, for a change to edit."""
        return deepcopy(self.place.topology())


def build(tables: Tables, empty: Rows, ipam: Ipam, clock: Clock, place: Place) -> Scene:
    """Build a place in a database."""
    tables.put_back(empty)
    ipam.apply(place.topology())
    place.fill(ipam, clock)
    assert ipam.audit() == [], place.name
    return Scene(place, tables.read(), clock.now, ipam.allocations())
