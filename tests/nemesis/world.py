"""The address space of a campaign, and its changes: plain topologies, made without the engine.

Each network has a /12. One is often exhausted, one never. Others have segments, types, tiers, two
families, cool-downs, or subnets that clients carve.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any, Final

Topology = dict[str, Any]

#: Lengths of the subnets that clients carve from the pool.
CARVED_LENGTHS: Final = (27, 28, 29)

SEGMENTS: Final = ("s1", "s2", "s3")
TIERS: Final = ("gold", "silver", "bronze")

#: Hosts that are renamed and removed; the labels that they imply attract and never exclude.
ROAMING: Final = ("roam1", "roam2", "roam3")

#: Hosts that imply a segment, which changes.
HOPPING: Final = ("hop1", "hop2")


def _subnet(name: str, cidr: str, network: str, **more: Any) -> dict[str, Any]:
    labels = {"network": network, **more.pop("labels", {})}
    return {"name": name, "cidr": cidr, "labels": labels, **more}


#: Subnets that are added and removed.
OPTIONAL: Final = (
    _subnet("tight-x", "10.0.8.0/28", "tight"),
    _subnet("tight-y", "10.0.9.0/29", "tight"),
    _subnet("routed-x", "10.32.8.0/28", "routed", labels={"segment": "s1"}),
    _subnet("dual-x", "10.80.8.0/28", "dual"),
)


def initial() -> Topology:
    """The first topology."""
    return {
        "name": "campaign",
        "dimensions": {
            "network": {"fallback": "none"},
            "segment": {"fallback": "none"},
            "service_type": {"fallback": "unlabelled"},
            "tier": {"fallback": "any"},
            "rack": {"fallback": "any"},
            "host": {"fallback": "any", "claims": True},
        },
        "pools": [
            {
                "name": "pool",
                "prefixes": ["10.96.0.0/20"],
                "minimum_length": 26,
                "maximum_length": 30,
                "default_length": 28,
            }
        ],
        "subnets": [
            _subnet("tight-a", "10.0.0.0/28", "tight"),
            _subnet("tight-b", "10.0.1.0/28", "tight", labels={"rack": "r1"}),
            _subnet("tight-c", "10.0.2.0/27", "tight"),
            _subnet("tight-d", "10.0.3.0/27", "tight", labels={"rack": "r2"}),
            _subnet("roomy-a", "10.16.0.0/16", "roomy"),
            _subnet("roomy-b", "10.17.0.0/18", "roomy", labels={"rack": "r1"}),
            _subnet("routed-1", "10.32.0.0/24", "routed", labels={"segment": "s1"}),
            _subnet("routed-2", "10.32.1.0/24", "routed", labels={"segment": "s2"}),
            _subnet("routed-3", "10.32.2.0/28", "routed", labels={"segment": "s3"}),
            _subnet("routed-m", "10.32.4.0/26", "routed", labels={"segment": "s1"}),
            _subnet("typed-none", "10.48.0.0/23", "typed"),
            _subnet("typed-a", "10.48.4.0/28", "typed", labels={"service_type": "a"}),
            _subnet("typed-m", "10.48.5.0/27", "typed", labels={"service_type": "b"}),
            _subnet("tiered-g", "10.64.0.0/27", "tiered", labels={"tier": "gold"}),
            _subnet("tiered-s", "10.64.1.0/26", "tiered", labels={"tier": "silver"}),
            _subnet("tiered-n", "10.64.2.0/25", "tiered"),
            _subnet("dual-4", "10.80.0.0/26", "dual"),
            _subnet("dual-6", "fd00:1::/64", "dual"),
            _subnet("rest-6", "fd00:2::/64", "rest", cooldown=5),
        ],
        "hosts": {
            **{name: {"rack": "r1"} for name in ROAMING},
            **{name: {"segment": "s1"} for name in HOPPING},
        },
    }


#: Ranges that a subnet may have.
RANGES: Final[dict[str, tuple[list[str], ...]]] = {
    "tight-c": ([], ["10.0.2.4-10.0.2.20"], ["10.0.2.1-10.0.2.9", "10.0.2.16-10.0.2.30"]),
    "tight-d": ([], ["10.0.3.1-10.0.3.7"], ["10.0.3.2-10.0.3.14"]),
    "roomy-a": ([], ["10.16.0.2-10.16.200.7"], ["10.16.0.2-10.16.200.8"]),
    "routed-1": ([], ["10.32.0.10-10.32.0.200"], ["10.32.0.10-10.32.0.201"]),
    "typed-none": ([], ["10.48.0.100-10.48.1.99"]),
    "dual-4": ([], ["10.80.0.8-10.80.0.60"], ["10.80.0.9-10.80.0.61"]),
}

#: Other prefixes that a subnet may have.
PREFIXES: Final = {
    "tight-d": ("10.0.3.0/27", "10.0.3.0/28"),
    "roomy-b": ("10.17.0.0/18", "10.17.0.0/17"),
    "tiered-s": ("10.64.1.0/26", "10.64.1.0/27"),
}

GATEWAYS: Final = {
    "tight-c": (None, "10.0.2.5", "10.0.2.19"),
    "tight-d": (None, "10.0.3.3"),
    "typed-none": (None, "10.48.0.120"),
}


def change(chance: Random, topology: Topology) -> Topology:
    """A topology with one or two changes."""
    made = copy.deepcopy(topology)
    for _ in range(chance.choice((1, 1, 1, 2))):
        chance.choice(_CHANGES)(chance, made)
    return made


def _named(topology: Topology, name: str) -> dict[str, Any]:
    """An entry by its first name."""
    found: dict[str, Any] = next(
        each for each in topology["subnets"] if each["name"].removesuffix("-2nd") == name
    )
    return found


def _ranges(chance: Random, made: Topology) -> None:
    name = chance.choice(sorted(RANGES))
    entry, ranges = _named(made, name), chance.choice(RANGES[name])
    entry.pop("ranges", None)
    if ranges and entry["cidr"].endswith(("/27", "/26", "/24", "/23", "/16")):
        entry["ranges"] = ranges


def _prefix(chance: Random, made: Topology) -> None:
    name = chance.choice(sorted(PREFIXES))
    entry = _named(made, name)
    entry["cidr"] = chance.choice(PREFIXES[name])
    entry.pop("ranges", None)


def _gateway(chance: Random, made: Topology) -> None:
    name = chance.choice(sorted(GATEWAYS))
    entry, gateway = _named(made, name), chance.choice(GATEWAYS[name])
    entry.pop("gateway", None)
    if gateway:
        entry["gateway"] = gateway


def _labels(chance: Random, made: Topology) -> None:
    name, dimension, values = chance.choice(
        (
            ("routed-m", "segment", SEGMENTS),
            ("typed-m", "service_type", ("a", "b", "")),
            ("tiered-s", "tier", ("silver", "gold", "")),
            ("tiered-g", "tier", TIERS),
            ("tight-b", "rack", ("r1", "r2", "")),
        )
    )
    entry, value = _named(made, name), chance.choice(values)
    entry["labels"].pop(dimension, None)
    if value:
        entry["labels"][dimension] = value


def _weight(chance: Random, made: Topology) -> None:
    chance.choice(made["subnets"])["weight"] = chance.randrange(-3, 4)


def _cooldown(chance: Random, made: Topology) -> None:
    _named(made, "rest-6")["cooldown"] = chance.choice((0, 1, 60, 240))


def _optional(chance: Random, made: Topology) -> None:
    """Add a subnet, or remove it when it exists."""
    entry = chance.choice(OPTIONAL)
    if entry in made["subnets"]:
        made["subnets"].remove(entry)
    elif all(each["name"] != entry["name"] for each in made["subnets"]):
        made["subnets"].append(copy.deepcopy(entry))


def _rename(chance: Random, made: Topology) -> None:
    entry = _named(made, chance.choice(("tight-a", "tight-b", "roomy-b", "tiered-n")))
    first = entry["name"].removesuffix("-2nd")
    entry["name"] = first if entry["name"] != first else f"{first}-2nd"


def _hosts(chance: Random, made: Topology) -> None:
    name = chance.choice((*ROAMING, *HOPPING))
    if name in HOPPING:
        made["hosts"][name] = {"segment": chance.choice(SEGMENTS)}
    else:
        made["hosts"][name] = {"rack": chance.choice(("r1", "r2", "r3"))}


def _fallback(chance: Random, made: Topology) -> None:
    made["dimensions"]["tier"] = {"fallback": chance.choice(("none", "unlabelled", "any"))}


_CHANGES: Final[tuple[Callable[[Random, Topology], None], ...]] = (
    _ranges,
    _ranges,
    _ranges,
    _prefix,
    _gateway,
    _labels,
    _labels,
    _weight,
    _cooldown,
    _optional,
    _optional,
    _rename,
    _hosts,
    _fallback,
)
