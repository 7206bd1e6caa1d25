"""Random requests of a campaign's clients, as plain arguments."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from tests.nemesis.world import HOPPING, ROAMING, SEGMENTS, TIERS

Args = dict[str, Any]

#: Relative frequency of each network.
_NETWORKS: Final = {
    "tight": 30,
    "roomy": 20,
    "routed": 14,
    "typed": 10,
    "tiered": 8,
    "dual": 8,
    "rest": 5,
    "carved": 5,
}


def private_hosts(client: int) -> tuple[str, ...]:
    """Hosts that no other client uses."""
    return tuple(f"c{client}-h{number}" for number in range(3))


def allocation(chance: Random, client: int, owner: str) -> Args:
    """A request for addresses."""
    (network,) = chance.choices(list(_NETWORKS), list(_NETWORKS.values()))
    args: Args = {"labels": {"network": network}, "owner": owner}
    _KINDS.get(network, _plain)(chance, args)
    if "host" not in args and chance.random() < 0.5:
        args["host"] = chance.choice((*private_hosts(client), *ROAMING))
        if chance.random() < 0.1:
            args["claims"] = False
    if chance.random() < 0.3:
        args["key"] = owner
    return args


def _plain(chance: Random, args: Args) -> None:
    lot = chance.random()
    if lot < 0.25:
        args["kind"] = "next"
    elif lot < 0.33:
        args["count"] = chance.randrange(2, 6)


def _roomy(chance: Random, args: Args) -> None:
    lot = chance.random()
    if lot < 0.25:
        # Some of these are outside the ranges, some are held.
        args["kind"] = "specific"
        args["address"] = f"10.16.{chance.choice((0, 1, 200, 201))}.{chance.randrange(1, 40)}"
    elif lot < 0.3:
        args["count"] = chance.randrange(2, 24)
    elif lot < 0.4:
        del args["labels"]
        args["subnets"] = chance.choice((["roomy-b", "roomy-a"], ["roomy-a"], ["roomy-b-2nd"]))
    else:
        _plain(chance, args)


def _tight(chance: Random, args: Args) -> None:
    if chance.random() < 0.1:
        args["kind"] = "specific"
        args["address"] = f"10.0.{chance.choice((2, 3))}.{chance.randrange(1, 31)}"
    else:
        _plain(chance, args)


def _routed(chance: Random, args: Args) -> None:
    if chance.random() < 0.3:
        # The host implies the segment.
        args["host"] = chance.choice(HOPPING)
    else:
        args["labels"]["segment"] = chance.choice(SEGMENTS)
    _plain(chance, args)


def _typed(chance: Random, args: Args) -> None:
    value = chance.choice(("a", "b", ""))
    if value:
        args["labels"]["service_type"] = value
    _plain(chance, args)


def _tiered(chance: Random, args: Args) -> None:
    value = chance.choice((*TIERS, ""))
    if value:
        args["labels"]["tier"] = value
    _plain(chance, args)


def _dual(chance: Random, args: Args) -> None:
    args["families"] = chance.choice(([4, 6], [4, 6], [4], [6]))
    if chance.random() < 0.2:
        args["count"] = 2


_KINDS: Final = {
    "tight": _tight,
    "roomy": _roomy,
    "routed": _routed,
    "typed": _typed,
    "tiered": _tiered,
    "dual": _dual,
}
