"""The kinds of declared changes. Every act meets each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from borough import Ipam
from tests.interleaving.places import VARIANTS, Place, Scene, Topology

Edit = Callable[[Topology, Scene], None]
Call = Callable[[Ipam, Scene, str], Any]


@dataclass(frozen=True)
class Change:
    """One declared change.

    :ivar call: makes the change; its last argument is the host of the act.
    :ivar after: the topology in force afterwards, for a change that applies one.
    :ivar units: the number of units of work that write. Each is stopped in a meeting of its own.
    :ivar removes: whether the change succeeds only in a place without held addresses.
    :ivar mends: whether a row is damaged before.
    """

    name: str
    call: Call
    after: Callable[[Scene, str], Topology] | None = None
    units: int = 1
    removes: bool = False
    mends: bool = False

    def is_tried_in(self, place: Place) -> bool:
        """Tell whether the change is tried in a place."""
        return self.removes or not place.is_bare


def _subnets(topology: Topology, scene: Scene) -> Iterator[dict[str, Any]]:
    return (each for each in topology["subnets"] if each["name"] in scene.place.changed)


def _edited(scene: Scene, edit: Edit) -> Topology:
    topology = scene.topology()
    edit(topology, scene)
    return topology


def _applies(name: str, edit: Edit, *, removes: bool = False) -> Change:
    return Change(
        name,
        lambda ipam, scene, _host: ipam.apply(_edited(scene, edit)),
        lambda scene, _host: _edited(scene, edit),
        removes=removes,
    )


def _sets(**settings: Any) -> Edit:
    def edit(topology: Topology, scene: Scene) -> None:
        for subnet in _subnets(topology, scene):
            subnet.update(settings)

    return edit


def _ranges(kind: str) -> Edit:
    def edit(topology: Topology, scene: Scene) -> None:
        for subnet in _subnets(topology, scene):
            subnet["ranges"] = VARIANTS[subnet["name"]].ranges[kind]

    return edit


def _shorten(topology: Topology, scene: Scene) -> None:
    for subnet in _subnets(topology, scene):
        subnet["cidr"] = VARIANTS[subnet["name"]].shorter


def _lengthen(topology: Topology, scene: Scene) -> None:
    for subnet in _subnets(topology, scene):
        variant = VARIANTS[subnet["name"]]
        is_bare = scene.place.is_bare
        subnet["cidr"], subnet["ranges"] = variant.longest if is_bare else variant.longer


def _move_gateway(topology: Topology, scene: Scene) -> None:
    for subnet in _subnets(topology, scene):
        subnet["gateway"] = VARIANTS[subnet["name"]].gateway


def _change_cooldown(topology: Topology, scene: Scene) -> None:
    for subnet in _subnets(topology, scene):
        subnet["cooldown"] = 0 if subnet.get("cooldown") else 300


def _remove(topology: Topology, scene: Scene) -> None:
    gone = list(_subnets(topology, scene))
    topology["subnets"] = [each for each in topology["subnets"] if each not in gone]


def _rename(topology: Topology, scene: Scene) -> None:
    for subnet in _subnets(topology, scene):
        subnet["name"] += "-new"


def _exclude(topology: Topology, scene: Scene) -> None:
    for subnet in _subnets(topology, scene):
        subnet["exclude"] = VARIANTS[subnet["name"]].excluded


def _split(topology: Topology, scene: Scene) -> None:
    """Divide a subnet: the lower half has no name of before, the upper half keeps the name."""
    for subnet in list(_subnets(topology, scene)):
        lower, upper = VARIANTS[subnet["name"]].halves
        del subnet["ranges"]
        gateway = subnet.pop("gateway", None)
        name = f"{subnet['name']}-lower"
        topology["subnets"].append({**subnet, "name": name, "cidr": lower, "gateway": gateway})
        if gateway is None:
            del topology["subnets"][-1]["gateway"]
        subnet["cidr"] = upper


def _join(topology: Topology, scene: Scene) -> None:
    """Replace the subnet by one twice as large, of another name."""
    for subnet in _subnets(topology, scene):
        subnet["cidr"] = VARIANTS[subnet["name"]].shorter
        subnet["name"] += "-whole"


def _to_scope(topology: Topology, scene: Scene) -> None:
    topology["scopes"] = ["other"]
    for subnet in _subnets(topology, scene):
        subnet["scope"] = "other"


def _edit_pool(topology: Topology, _scene: Scene) -> None:
    topology["pools"] = [
        {**pool, "prefixes": ["10.21.0.0/24"], "minimum_length": 27} for pool in topology["pools"]
    ]


def _divide_racks(topology: Topology, _scene: Scene) -> None:
    topology["dimensions"] = {**topology["dimensions"], "rack": {"fallback": "none"}}


def _relabelled(scene: Scene, host: str) -> Topology:
    topology = scene.topology()
    topology["hosts"] = {**topology["hosts"], host: {"rack": "r2", "claims": {"cap": 8}}}
    return topology


def _one(topology: Topology, scene: Scene) -> None:
    """A hole in the ranges and a gateway of the first subnet only."""
    subnet = next(_subnets(topology, scene))
    variant = VARIANTS[subnet["name"]]
    subnet |= {"ranges": variant.ranges["hole"], "gateway": variant.gateway}


def _change_one(ipam: Ipam, scene: Scene, _host: str) -> None:
    changed = next(_subnets(_edited(scene, _one), scene))
    ipam.change_subnet(changed["name"], ranges=changed["ranges"], gateway=changed["gateway"])


def _again(name: str, edit: Edit) -> Change:
    """Remove subnets, then add them again in a second unit of work."""

    def call(ipam: Ipam, scene: Scene, _host: str) -> None:
        ipam.apply(_edited(scene, _remove))
        ipam.apply(_edited(scene, edit))

    return Change(name, call, lambda scene, _host: _edited(scene, edit), units=2, removes=True)


CHANGES: Final = [
    _applies("ranges-wider", _ranges("wider")),
    _applies("ranges-narrower", _ranges("narrower")),
    _applies("ranges-hole", _ranges("hole")),
    _applies("prefix-shorter", _shorten),
    _applies("prefix-longer", _lengthen, removes=True),
    _applies("gateway", _move_gateway),
    _applies("labels", _sets(labels={"network": "m"})),
    _applies("weight", _sets(weight=-10)),
    _applies("cooldown", _change_cooldown),
    _applies("claims", _sets(claims={"cap": 4, "borrow": False})),
    _applies("closed", _sets(closed=True)),
    _applies("ranges-none", _sets(ranges=[])),
    _applies("excluded", _exclude),
    _applies("split", _split),
    _applies("joined", _join),
    _applies("scope", _to_scope),
    _applies("removed", _remove, removes=True),
    _again("added-again", lambda _topology, _scene: None),
    _again("added-by-another-name", _rename),
    _applies("renamed", _rename),
    _applies("pool", _edit_pool),
    _applies("fallback", _divide_racks),
    Change(
        "host-relabelled",
        lambda ipam, _, host: ipam.change_host(host, labels={"rack": "r2"}, claims={"cap": 8}),
        _relabelled,
    ),
    Change("one-subnet", _change_one, lambda scene, _host: _edited(scene, _one)),
    Change("host-renamed", lambda ipam, _, host: ipam.rename_host(host, f"{host}-new")),
    Change("host-drained", lambda ipam, _, host: ipam.drain(host)),
    Change("host-removed", lambda ipam, _, host: ipam.remove_host(host)),
    Change(
        "host-emptied",
        lambda ipam, _, host: ipam.remove_host(host, release=True),
    ),
    Change("repair", lambda ipam, _scene, _host: ipam.audit(repair=True), mends=True),
    Change("audit", lambda ipam, _scene, _host: ipam.audit(repair=True)),
]
