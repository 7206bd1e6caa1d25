"""The pairs of an act and a change, in both orders, on one database."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from borough import Ipam
from tests.conftest import Clock
from tests.interleaving.acts import ACTS, Act
from tests.interleaving.changes import Change
from tests.interleaving.checks import Meeting
from tests.interleaving.gate import Gate, meet, open_gated, outcome_of
from tests.interleaving.places import PLACES, Place, Scene, Tables, build


@dataclass(frozen=True)
class Pair:
    """An act and a change in a place.

    :ivar stops: ``act`` or ``change``, the one that is stopped.
    :ivar after: units of work, or takes, of the stopped one that pass before.
    """

    act: Act
    change: Change
    place: Place
    stops: str
    after: int = 0

    def __str__(self) -> str:
        at = f" at write {self.after + 1}" if self.after else ""
        return (
            f"{self.act.name} x {self.change.name} in {self.place.name}, {self.stops} stopped{at}"
        )

    def is_one_of(self, every: int) -> bool:
        """Tell whether the pair belongs to a fixed selection of one pair in ``every``."""
        return zlib.crc32(str(self).encode()) % every == 0


def pairs(change: Change) -> Iterator[Pair]:
    """The pairs of a change."""
    for act in ACTS:
        for place in act.places:
            if change.is_tried_in(place) or place is act.places[0]:
                for after in range(act.stops):
                    yield Pair(act, change, place, "act", after)
                # Where something is held, the first unit of several is refused.
                for after in range(change.units if place.is_bare else 1):
                    yield Pair(act, change, place, "change", after)


class Ground:
    """A database that two processes have open, and its places."""

    def __init__(
        self,
        urls: tuple[str, str],
        engine: sa.Engine,
        *,
        is_waiting: Callable[[], bool] | None,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """Build every place.

        :param urls: the database as each of the two processes reaches it.
        :param engine: for changes of rows that bypass Borough.
        :param is_waiting: tells whether a transaction waits for a lock; None where writers take turns,
            so that one call runs after the other.
        :param settle: waits until all nodes have applied every commit.
        """
        self._clock = Clock()
        self._settle = settle
        self._is_waiting = is_waiting
        self._tables = Tables(engine)
        self._engine = engine
        opened = [open_gated(url, self._clock) for url in urls]
        self._processes: list[tuple[Ipam, Gate]] = opened
        empty = self._tables.read()
        self._scenes: dict[str, Scene] = {}
        for place in PLACES:
            self._scenes[place.name] = build(self._tables, empty, opened[0][0], self._clock, place)

    def close(self) -> None:
        """Close the database."""
        for ipam, _ in self._processes:
            ipam.close()
        self._engine.dispose()

    def play(self, pair: Pair) -> list[str]:
        """Let a pair meet; return the faults found afterwards."""
        scene = self._scenes[pair.place.name]
        self._tables.put_back(scene.rows)
        if pair.change.mends:
            self._tables.damage()
        self._clock.now = scene.now
        self._settle()
        for ipam, _ in self._processes:
            pair.place.warms(ipam)
            self._settle()
        (first, gate), (second, _) = self._processes
        declared, held = first.catalogue(), first.allocations()
        calls = self._calls(pair, scene)
        if pair.stops == "change":
            calls = calls[::-1]
        found = self._meet(lambda: calls[0](first), lambda: calls[1](second), gate, pair.after)
        did, changed = found if pair.stops == "act" else found[::-1]
        self._settle()
        states = (declared, second.catalogue())
        meeting = Meeting(scene, pair.act, pair.change, held, did, changed, states)
        return [*meeting.faults(second)]

    @staticmethod
    def _calls(pair: Pair, scene: Scene) -> list[Callable[[Ipam], Any]]:
        return [
            lambda ipam: pair.act.call(ipam, scene),
            lambda ipam: pair.change.call(ipam, scene, pair.act.host),
        ]

    def _meet(
        self, one: Callable[[], Any], other: Callable[[], Any], gate: Gate, after: int
    ) -> Any:
        if self._is_waiting is None:
            return outcome_of(one), outcome_of(other)
        return meet(one, other, gate, self._is_waiting, after=after)


def wrong(ground: Ground, change: Change, every: int) -> list[str]:
    """Play the pairs of a change; return the failed ones with their faults.

    :param every: play one pair in so many.
    """
    found = []
    for pair in pairs(change):
        if pair.is_one_of(every):
            faults = ground.play(pair)
            if faults:
                found.append(f"{pair}: {'; '.join(faults)}")
    return found
