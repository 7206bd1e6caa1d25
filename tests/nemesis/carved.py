"""Subnets that clients carve from pools and remove, beside those of topologies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.nemesis.history import NEVER, Call
from tests.nemesis.states import Request, State, States, Subnet

#: The dimension that separates carved subnets from all other requests.
NETWORK: Final = "network"


@dataclass
class _Life:
    """A carved subnet, with times like those of a holding."""

    subnet: Subnet
    possible_from: int
    certain_from: int
    certain_to: int = NEVER
    possible_to: int = NEVER


class Carved:
    """Carved subnets by time, in addition to the declared states."""

    def __init__(self, calls: Sequence[Call], states: States) -> None:
        """Read the calls that carve and remove subnets."""
        self._states = states
        by_name: dict[str, _Life] = {}
        for call in calls:
            if call.act == "carve" and call.is_done:
                entry = {"name": call.args["name"], "labels": call.args["labels"], **call.answer}
                by_name[entry["name"]] = _Life(Subnet.of(entry), call.began, call.ended)
        for call in calls:
            life = by_name.get(call.args["name"]) if call.act == "uncarve" else None
            if life is None:
                continue
            if call.is_done or call.is_unknown:
                life.certain_to = min(life.certain_to, call.began)
            if call.is_done or call.code == "unknown_object":
                life.possible_to = min(life.possible_to, call.ended)
        self._lives = sorted(by_name.values(), key=lambda life: life.possible_from)
        self._since = [life.possible_from for life in self._lives]

    def __len__(self) -> int:
        return len(self._lives)

    def during(self, began: int, ended: int, request: Request) -> Sequence[State]:
        """Every state that may have been in force, with the carved subnets of the request's network.

        With subnets that existed for a part of the time, each state is there twice: with and without them.
        """
        states = self._states.during(began, ended)
        networks = dict(request.named).get(NETWORK, frozenset())
        live = [
            life
            for life in self._lives[: bisect_right(self._since, ended)]
            if life.possible_to >= began and life.subnet.labels[NETWORK] & networks
        ]
        if not live:
            return states
        sure = [each for each in live if each.certain_from <= began and ended <= each.certain_to]
        made = []
        for some in (live, sure) if len(sure) < len(live) else (live,):
            extra = {each.subnet.name: each.subnet for each in some}
            made += [
                replace(state, subnets={**state.subnets, **extra}, _admitted={}) for state in states
            ]
        return made

    def overlaps(self) -> Iterator[str]:
        """Pairs with common addresses at one time."""
        for index, left in enumerate(self._lives):
            for right in self._lives[index + 1 :]:
                together = (
                    left.certain_from < right.certain_to and right.certain_from < left.certain_to
                )
                if together and (
                    left.subnet.first <= right.subnet.last
                    and right.subnet.first <= left.subnet.last
                ):
                    yield f"{left.subnet.name} and {right.subnet.name} overlap"
