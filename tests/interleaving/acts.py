"""The calls around addresses. Every declared change meets each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from borough import Ipam
from tests.interleaving.places import (
    BARE,
    COOLING,
    GROUP,
    LEASED,
    LEASED_REST,
    LENT,
    RESERVED,
    RESTED,
    ROOMY,
    TAKEN,
    Place,
    Scene,
)

Call = Callable[[Ipam, Scene], Any]


@dataclass(frozen=True)
class Act:
    """One call.

    :ivar places: where it is tried.
    :ivar host: the host that changes of hosts are about.
    :ivar wanted: the labels that an address given must have.
    :ivar is_ranged: whether an address given must lie in the ranges.
    :ivar stops: the statements at which it is stopped: a take, and the write of a decision.
    """

    name: str
    call: Call
    places: tuple[Place, ...] = (ROOMY,)
    host: str = "h1"
    wanted: Mapping[str, str] = field(default_factory=dict)
    is_ranged: bool = False
    stops: int = 1


def _gives(
    name: str,
    *places: Place,
    host: str = "",
    is_ranged: bool = True,
    is_decided: bool = False,
    address: Callable[[Scene], str] | None = None,
    owner: str = "",
    **request: Any,
) -> list[Act]:
    """An allocation by the shortest way, and in a unit of work, which an explanation needs."""

    def call(ipam: Ipam, scene: Scene, **more: Any) -> Any:
        asked: dict[str, Any] = {**request, **more}
        if address:
            asked["address"] = address(scene)
        return ipam.allocate(labels=GROUP, host=host or None, owner=owner or f"by-{name}", **asked)

    plain = Act(name, call, places or (ROOMY, BARE), host or "h1", GROUP, is_ranged)
    told = replace(
        plain, name=f"{name}-told", call=lambda ipam, scene: call(ipam, scene, explain=True)
    )
    return [replace(plain, stops=2 if is_decided else 1), told]


def _release(ipam: Ipam, scene: Scene, owner: str, *, now: bool = False) -> Any:
    held = scene.of(owner)
    return ipam.release(held.address, sequence=held.sequence, now=now)


def _reassign(ipam: Ipam, scene: Scene) -> Any:
    held = scene.of("moving")
    return ipam.reassign(held.address, "h6", sequence=held.sequence)


def _reserve_held(ipam: Ipam, scene: Scene) -> Any:
    return ipam.reserve(scene.of("plain").address, owner="plain")


def _reserve_cooling(ipam: Ipam, scene: Scene) -> Any:
    return ipam.reserve(scene.of("rested").address, owner="later")


def _edit(ipam: Ipam, scene: Scene) -> Any:
    held = scene.of("moving")
    return ipam.edit(held.address, owner="edited", note="a", sequence=held.sequence)


def _reserve_over(ipam: Ipam, scene: Scene) -> Any:
    return ipam.reserve(scene.of("over").address, owner="later")


def _renew(ipam: Ipam, scene: Scene) -> Any:
    held = scene.of("alive")
    return ipam.renew(held.address, sequence=held.sequence, lease=7200)


def _import(ipam: Ipam, _: Scene) -> Any:
    """Addresses in two blocks, and one outside the ranges."""
    return ipam.import_allocations(
        [{"address": f"10.9.0.{at}", "owner": "imported"} for at in (91, 92, 150, 211)]
    )


ACTS: Final = [
    *_gives("any", is_decided=True),
    *_gives("keyed", key="a-key"),
    *_gives("next", kind="next"),
    *_gives("inside", address=lambda _: "10.9.0.90", is_ranged=False, is_decided=True),
    *_gives("outside", address=lambda _: "10.9.0.210", is_ranged=False, is_decided=True),
    *_gives("below", address=lambda _: "10.9.0.7", is_ranged=False),
    *_gives("eui64", mac="00:16:3e:00:00:01", families=6, is_ranged=False),
    *_gives("gateway", kind="gateway", families=4, is_ranged=False),
    *_gives("bulk", count=12),
    *_gives("dual", families=[4, 6]),
    *_gives("claim", host="h9", is_decided=True),
    *_gives("growth", ROOMY, host="h1", is_decided=True),
    *_gives("takeover", TAKEN, host="h2", is_decided=True),
    *_gives("loan", LENT, host="h2"),
    *_gives("rested", COOLING, RESTED),
    *_gives(
        "rested-by-name",
        COOLING,
        RESTED,
        address=lambda scene: str(scene.of("rested").address),
        is_ranged=False,
    ),
    *_gives(
        "reserved-by-name",
        RESERVED,
        address=lambda _: "10.9.0.30",
        is_ranged=False,
        owner="later",
    ),
    *_gives(
        "reserved-outside",
        RESERVED,
        address=lambda _: "10.9.0.5",
        is_ranged=False,
        owner="later",
    ),
    *_gives("sticky-new", sticky=True, is_ranged=False),
    *_gives("sticky-held", ROOMY, sticky=True, owner="plain", is_ranged=False),
    *_gives("sticky-reserved", RESERVED, sticky=True, owner="kept", is_ranged=False),
    *_gives("lease", lease=60),
    *_gives("lease-over", LEASED, LEASED_REST),
    *_gives(
        "lease-over-by-name",
        LEASED,
        LEASED_REST,
        address=lambda scene: str(scene.of("over").address),
        is_ranged=False,
    ),
    *_gives("lease-over-sticky", LEASED, sticky=True, owner="set", lease=60, is_ranged=False),
    Act("renew", _renew, (LEASED, LEASED_REST)),
    Act("renew-key", lambda ipam, _: ipam.renew(key="alive"), (LEASED,)),
    Act("release-leased", lambda ipam, scene: _release(ipam, scene, "alive"), (LEASED_REST,)),
    Act("reserve-over", _reserve_over, (LEASED,)),
    Act("reclaim-leased", lambda ipam, _: ipam.reclaim(), (LEASED, LEASED_REST)),
    *_gives("shared", shared=True),
    *_gives(
        "share", LEASED, LEASED_REST, address=lambda _: "10.9.0.60", shared=True, is_ranged=False
    ),
    *_gives("share-alone", LEASED, address=lambda _: "10.9.0.6", shared=True, is_ranged=False),
    Act("unshare", lambda ipam, _: ipam.release("10.9.0.60", owner="vip"), (LEASED, LEASED_REST)),
    Act("unshare-last", lambda ipam, _: ipam.release(owner="alone"), (LEASED, LEASED_REST)),
    Act("unshare-owner", lambda ipam, _: ipam.release(owner="vip2"), (LEASED,)),
    Act("reserve", lambda ipam, _: ipam.reserve("10.9.0.6-10.9.0.14"), (RESERVED, BARE)),
    Act("reserve-held", _reserve_held, (RESERVED,)),
    Act("reserve-cooling", _reserve_cooling, (RESERVED,)),
    Act("release-reserved", lambda ipam, _: ipam.release("10.9.0.32"), (RESERVED,)),
    Act("cancel", lambda ipam, _: ipam.cancel("10.9.0.30"), (RESERVED,)),
    Act("cancel-owner", lambda ipam, _: ipam.cancel(owner="later", now=True), (RESERVED,)),
    Act("import", _import, (ROOMY, BARE)),
    Act("release", lambda ipam, scene: _release(ipam, scene, "plain")),
    Act("release-outside", lambda ipam, scene: _release(ipam, scene, "outside")),
    Act("release-claimed", lambda ipam, scene: _release(ipam, scene, "grown")),
    Act("release-owner", lambda ipam, _: ipam.release(owner="web")),
    Act("release-host", lambda ipam, _: ipam.release(host="h3"), host="h3"),
    Act("release-to-rest", lambda ipam, scene: _release(ipam, scene, "kept"), (COOLING,)),
    Act("release-now", lambda ipam, scene: _release(ipam, scene, "kept", now=True), (COOLING,)),
    Act("end-of-rest", lambda ipam, scene: _release(ipam, scene, "rested", now=True), (COOLING,)),
    Act("reassign", _reassign, host="h5"),
    Act("edit", _edit, host="h5"),
    Act("reclaim", lambda ipam, _: ipam.reclaim(), (ROOMY, BARE), host="h4"),
    Act("reclaim-rested", lambda ipam, _: ipam.reclaim(), (COOLING, RESTED)),
    Act("carve", lambda ipam, _: ipam.allocate_subnet("links", prefix_length=28, name="carved")),
    Act(
        "carve-keyed",
        lambda ipam, _: ipam.allocate_subnet("links", prefix_length=28, name="carved", key="k"),
    ),
]
