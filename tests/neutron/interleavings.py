"""Acts of ports and changes of subnets, interleaved in Neutron's transactions; see ``tests/interleaving``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import netaddr
import sqlalchemy as sa
from neutron.db import models_v2
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api

from borough import Ipam
from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.addresses import parse_address
from borough.neutron.session.backend import Backend
from borough.store.open import open_store
from tests.interleaving.gate import Gate, GatedCursor, Outcome, meet
from tests.interleaving.places import Rows, Tables
from tests.neutron.cloud import PROJECT, Cloud

T = TypeVar("T")

#: The tables of Neutron that a change of a subnet writes.
_THEIRS: Final = (models_v2.Subnet.__table__, models_v2.IPAllocationPool.__table__)

#: The subnets by family, and their allocation pools by the last part of an address, in hexadecimal.
PREFIX: Final = {4: "10.9.0.", 6: "2001:db8:9::"}
CIDR: Final = {4: "10.9.0.0/24", 6: "2001:db8:9::/64"}
POOLS: Final = {
    "as-before": [("10", "77")],
    "wider": [("2", "c8")],
    "narrower": [("10", "20")],
    "hole": [("10", "11"), ("14", "77")],
    "none": [],
}


def at(family: int, last: str) -> str:
    """An address of a subnet, by its last part in hexadecimal."""
    return PREFIX[family] + (str(int(last, 16)) if family == 4 else last)


@dataclass
class Scene:
    """One network in Neutron.

    :ivar ids: its two subnets, by family.
    :ivar rows: all rows of the database before an interleaving.
    """

    cloud: Cloud
    network: str = ""
    ids: dict[int, str] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)

    def transact(self, work: Callable[[Any], T]) -> T:
        """Run something in a transaction of Neutron, with Neutron's own retries."""

        @db_api.retry_db_errors
        def attempt() -> T:
            context = self.cloud.context
            with db_api.CONTEXT_WRITER.using(context):
                # Neutron reads before it asks for an address: on MariaDB that takes the snapshot.
                context.session.execute(sa.text("SELECT count(*) FROM networks")).all()
                return work(context)

        found: T = attempt()
        return found

    def request(self, family: int, pools: str = "as-before", **more: Any) -> Any:
        """The declaration of one of the subnets."""
        ranges = [
            netaddr.IPRange(at(family, first), at(family, last)) for first, last in POOLS[pools]
        ]
        request = ipam_req.SpecificSubnetRequest(
            PROJECT,
            self.ids[family],
            more.get("cidr", CIDR[family]),
            gateway_ip=more.get("gateway", at(family, "1")),
            allocation_pools=ranges,
        )
        request.network_id = self.network
        request.labels = more.get("labels")
        return request


@dataclass(frozen=True)
class Act:
    """A call for a port.

    :ivar is_ranged: true when an allocated address lies in the allocation pools.
    :ivar is_decided: true when the act avoids the single-statement allocation.
    """

    name: str
    call: Callable[[Scene, Any], list[str]]
    family: int = 4
    is_ranged: bool = False
    releases: bool = False
    is_decided: bool = False


def _allocates(request: Callable[[Scene], Any] | None, family: int, host: str = "") -> Any:
    def call(scene: Scene, context: Any) -> list[str]:
        port = {"id": "by-act", "device_owner": "compute:nova", "binding:host_id": host}
        made = request(scene) if request else None
        return [scene.cloud.allocate_in(context, [scene.ids[family]], made, port)[0]]

    return call


def _bulk(scene: Scene, context: Any) -> list[str]:
    subnet = scene.cloud.pool(context).get_subnet(scene.ids[4])
    return list(subnet.bulk_allocate(ipam_req.BulkAddressRequest(12)))


def _named(family: int, last: str) -> Callable[[Scene], Any]:
    return lambda _scene: ipam_req.SpecificAddressRequest(at(family, last))


def _releases(family: int, last: str) -> Any:
    def call(scene: Scene, context: Any) -> list[str]:
        scene.cloud.pool(context).get_subnet(scene.ids[family]).deallocate(at(family, last))
        return [at(family, last)]

    return call


def _eui64(_scene: Scene) -> Any:
    return ipam_req.AutomaticAddressRequest(prefix=CIDR[6], mac="00:16:3e:00:00:01")


_PLAIN: Final = [
    Act("any", _allocates(None, 4), is_ranged=True),
    Act("claim", _allocates(None, 4, "node-9"), is_ranged=True),
    Act("next", _allocates(lambda _: ipam_req.PreferNextAddressRequest(), 4), is_ranged=True),
    Act("inside", _allocates(_named(4, "5a"), 4)),
    Act("outside", _allocates(_named(4, "d2"), 4)),
    Act("bulk", _bulk, is_ranged=True),
    Act("any6", _allocates(None, 6), 6, is_ranged=True),
    Act("outside6", _allocates(_named(6, "d2"), 6), 6),
    Act("eui64", _allocates(_eui64, 6), 6),
]
ACTS: Final = [
    *_PLAIN,
    # The same decided in several statements.
    *(
        Act(f"{act.name}-decided", act.call, act.family, act.is_ranged, is_decided=True)
        for act in _PLAIN
    ),
    Act("release", _releases(4, "10"), releases=True),
    Act("release-claimed", _releases(4, "50"), releases=True),
    Act("release-outside", _releases(4, "d0"), releases=True),
    Act("release6", _releases(6, "10"), 6, releases=True),
    Act("release-outside6", _releases(6, "d0"), 6, releases=True),
]


Step = Callable[[Scene, Any, int], None]


@dataclass(frozen=True)
class Change:
    """A change of a subnet.

    :ivar steps: each runs in a transaction of its own.
    :ivar drops: true when it drops every address of the subnet.
    :ivar families: the subnets that it applies to.
    """

    name: str
    steps: tuple[Step, ...]
    drops: bool = False
    families: tuple[int, ...] = (4, 6)


def _update(name: str, pools: str = "as-before", **more: Any) -> Change:
    def step(scene: Scene, context: Any, family: int) -> None:
        scene.cloud.pool(context).update_subnet(scene.request(family, pools, **more))

    return Change(name, (step,))


def _move_gateway(scene: Scene, context: Any, family: int) -> None:
    request = scene.request(family, gateway=at(family, "5a"))
    scene.cloud.pool(context).update_subnet(request)


def _delegate(scene: Scene, context: Any, family: int) -> None:
    request = scene.request(family, "none", cidr="2001:db8:a::/64", gateway="2001:db8:a::1")
    scene.cloud.pool(context).update_subnet(request)


def _remove(scene: Scene, context: Any, family: int) -> None:
    id = scene.ids[family]
    for table, column in zip(reversed(_THEIRS), ("subnet_id", "id"), strict=True):
        context.session.execute(sa.delete(table).where(table.c[column] == id))
    scene.cloud.pool(context).remove_subnet(id)


def _add(scene: Scene, context: Any, family: int) -> None:
    id = scene.ids[family]
    for table, column in zip(_THEIRS, ("id", "subnet_id"), strict=True):
        rows = [row for row in scene.rows[table.name] if row[column] == id]
        context.session.execute(sa.insert(table), rows)
    scene.cloud.pool(context).allocate_subnet(scene.request(family))


CHANGES: Final = [
    _update("pools-wider", "wider"),
    _update("pools-narrower", "narrower"),
    _update("pools-hole", "hole"),
    _update("pools-none", "none"),
    Change("gateway", (_move_gateway,)),
    _update("service-types", labels={"service_type": frozenset(("compute:nova",))}),
    Change("delegated", (_delegate,), drops=True, families=(6,)),
    Change("removed", (_remove,), drops=True),
    Change("added-again", (_remove, _add), drops=True),
]


class SharedDatabase:
    """A database of Neutron that two of its processes use."""

    def __init__(self, cloud: Cloud, url: str, is_waiting: Callable[[], bool]) -> None:
        """Make the subnets.

        :param url: the URL of the database for Borough.
        """
        self._is_waiting = is_waiting
        self._tables = Tables(cloud.engine, _THEIRS)
        self._scene = Scene(cloud, cloud.network())
        self._auditor = Ipam(open_store(url))
        self._workers = [Backend(cloud.engine), Backend(cloud.engine)]
        self._givers = [each.dialect.giver for each in self._workers]
        self._gate = Gate()
        dialect = self._workers[0].dialect
        plain = dialect.cursor
        setattr(dialect, "cursor", lambda connection: GatedCursor(plain(connection), self._gate))  # noqa: B010
        for family in (4, 6):
            self._scene.ids[family] = cloud.subnet(CIDR[family], network=self._scene.network)

    def backend_of(self, _connection: sa.Connection) -> Backend:
        """The backend of a thread: the main thread acts as one process, every other thread as the second."""
        return self._workers[threading.current_thread() is not threading.main_thread()]

    def fill(self) -> None:
        """Allocate some addresses, inside the pools and outside."""
        for family in self._scene.ids:
            self._scene.transact(partial(self._fill, family))
        self._scene.rows = self._tables.read()
        assert self._auditor.audit() == []

    def _fill(self, family: int, context: Any) -> None:
        cloud, id = self._scene.cloud, self._scene.ids[family]
        cloud.pool(context).update_subnet(self._scene.request(family))
        claimant = {"id": "claimed", "device_owner": "compute:nova", "binding:host_id": "node-1"}
        for last, port in (("10", None), ("11", None), ("50", claimant), ("d0", None)):
            named = ipam_req.SpecificAddressRequest(at(family, last))
            cloud.allocate_in(context, [id], named, port)

    def close(self) -> None:
        """Close the connections outside Neutron."""
        self._auditor.close()

    def interleave(self, act: Act, change: Change, stops: str) -> list[str]:
        """Interleave an act with a change; return the faults found afterwards."""
        self._tables.put_back(self._scene.rows)
        for worker, giver in zip(self._workers, self._givers, strict=True):
            worker.dialect.giver = None if act.is_decided else giver
            for id in self._scene.ids.values():
                worker.forget(id)
        self._warm()
        thread = threading.Thread(target=self._warm)
        thread.start()
        thread.join()
        before = self._declared()
        held = self._held()
        calls: list[Callable[[], Any]] = [
            lambda: self._scene.transact(lambda context: act.call(self._scene, context)),
            lambda: self._make(change, act.family),
        ]
        if stops == "change":
            calls.reverse()
        found = meet(calls[0], calls[1], self._gate, self._is_waiting)
        did, changed = found if stops == "act" else found[::-1]
        after = self._declared()
        return [
            *self._refusals(did, changed),
            *self._kept(act, change, did, changed, held),
            *self._inside(act, did, (before, after)),
            *(f"audit: {each.code} {each.subject}" for each in self._auditor.audit()),
        ]

    def _make(self, change: Change, family: int) -> str:
        for step in change.steps:
            self._scene.transact(partial(self._step, step, family))
        return "done"

    def _step(self, step: Step, family: int, context: Any) -> None:
        step(self._scene, context, family)

    def _warm(self) -> None:
        scene = self._scene
        for id in scene.ids.values():
            scene.cloud.allocate([id], port={"id": "warm", "device_owner": "compute:nova"})

    def _declared(self) -> Catalogue:
        # Changes by Neutron leave the version of the catalogue as it is, so that a cached one is stale.
        return self._auditor.store.transact(lambda unit: unit.reload(), write=False)

    def _held(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Owner and sequence number of every address held, by subnet and address."""
        return {
            (each.subnet, each.address): (each.owner, each.sequence)
            for each in self._auditor.allocations()
        }

    @staticmethod
    def _refusals(did: Outcome, changed: Outcome) -> Iterator[str]:
        for name, outcome in (("act", did), ("change", changed)):
            if outcome.error is not None and not isinstance(outcome.error, n_exc.NeutronException):
                yield f"{name}: {type(outcome.error).__name__}: {str(outcome.error)[:300]}"

    def _kept(
        self, act: Act, change: Change, did: Outcome, changed: Outcome, before: Any
    ) -> Iterator[str]:
        """Every acknowledged address is held, and no released one is."""
        subnet, held = self._scene.ids[act.family], self._held()
        dropped = change.drops and changed.error is None
        expected = {
            place: what for place, what in before.items() if not dropped or place[0] != subnet
        }
        answered = [(subnet, address) for address in did.answer or ()]
        if act.releases:
            for place in answered:
                expected.pop(place, None)
        for place, what in expected.items():
            if held.get(place) != what:
                yield f"{place[1]} is not held as it was"
        for place in answered:
            if act.releases and place in held:
                yield f"{place[1]} was released and is held"
            elif not act.releases and place not in held and not dropped:
                yield f"{place[1]} was allocated and is not held"
        known = {*expected, *(() if act.releases else answered)}
        for place in held.keys() - known:
            yield f"{place[1]} is held and was never answered"

    def _inside(self, act: Act, did: Outcome, states: tuple[Catalogue, Catalogue]) -> Iterator[str]:
        """The state before or the state after admits every allocated address."""
        if act.releases:
            return
        for text in did.answer or ():
            _, address = parse_address(text)
            known = [state.by_name.get(self._scene.ids[act.family]) for state in states]
            if not any(
                subnet is not None
                and subnet.prefix.holds(address)
                and (not act.is_ranged or subnet.is_usable(address))
                for subnet in known
            ):
                yield f"{text} crosses a boundary"
