"""A token that is confined to labels tries to cross the line, on every endpoint."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

import borough
from borough import Ipam
from borough.api.app import OPERATIONS
from borough.api.scoped import ScopedIpam, VisibleSubnets
from borough.api.settings import ServiceSettings
from borough.client.ipam import RemoteIpam, connect
from borough.domain.declared.dimensions import make_labels
from borough.domain.declared.tokens import Permission
from borough.engine import ipam as engine_ipam
from borough.engine import queries
from borough.errors import (
    AddressOutsideGroup,
    BoroughError,
    FixInput,
    KeyReused,
    NoMatchingSubnet,
    NotAllocated,
    NotPermitted,
    UnknownDimension,
    UnknownObject,
)
from tests.api.serving import Served

TOPOLOGY: dict[str, Any] = {
    "dimensions": {"tenant": {"fallback": "none"}, "rack": {"fallback": "any"}},
    "scopes": ["blue"],
    "pools": [{"name": "secret-pool", "prefixes": ["10.9.0.0/16"], "default_length": 24}],
    "subnets": [
        {"name": "ours", "cidr": "10.1.0.0/24", "labels": {"tenant": "red"}},
        {"name": "ours-6", "cidr": "2001:db8:1::/64", "labels": {"tenant": "red"}},
        {"name": "secret-b", "cidr": "10.2.0.0/24", "labels": {"tenant": "secret-green"}},
        {"name": "secret-open", "cidr": "10.3.0.0/24"},
        {
            "name": "secret-blue",
            "cidr": "10.1.0.0/24",
            "scope": "blue",
            "labels": {"tenant": "secret-green"},
        },
    ],
    "hosts": {
        "red-host": {"tenant": "red"},
        "secret-host": {"tenant": "secret-green"},
        "free": {},
        "other-host": {"tenant": "secret-green", "rack": "secret-rack"},
    },
}

#: Nothing that a confined caller is told may hold one of these.
SECRETS = ("secret-", "10.2.0.", "10.3.0.", "10.9.")


class World:
    """A service with two tenants; what both hold is held by owners and on hosts of the same names."""

    def __init__(self) -> None:
        self.ipam: Ipam = borough.open("memory:", create=True)
        self.ipam.apply(TOPOLOGY)
        self.ours = self.give({"tenant": "red"})
        self.theirs = self.give({"tenant": "secret-green"})
        _, admin = self.ipam.create_token("admin", may="administer")
        _, red = self.ipam.create_token("red", may="allocate", labels={"tenant": "red"})
        _, reader = self.ipam.create_token("reader", may="read", labels={"tenant": "red"})
        self.served = Served(self.ipam, ServiceSettings(requires_token=True))
        self.token = red
        self.admin = connect(self.served.url, admin)
        self.red = connect(self.served.url, red)
        self.reader = connect(self.served.url, reader)

    def give(self, labels: dict[str, str]) -> str:
        return self.ipam.allocate(
            labels=labels,
            host="shared-host",
            owner="shared-owner",
            attributes={"by": "secret-app"} if "secret-green" in labels.values() else {},
        ).address

    def raw(
        self, method: str, target: str, body: object = None, token: str = ""
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=20)
        head = {"Authorization": f"Bearer {token or self.token}"}
        data = None
        if body is not None:
            data, head["Content-Type"] = json.dumps(body), "application/json"
        connection.request(method, target, data, head)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.served.close()


#: What a confined caller tries, by operation: method, target, body, and the statuses that are right.
ATTACKS: dict[str, list[tuple[str, Any, set[int]]]] = {
    "allocate": [
        ("/v1/allocations", {"labels": {"tenant": "secret-green"}}, {403}),
        ("/v1/allocations", {"labels": {"tenant": ["red", "secret-green"]}}, {403}),
        ("/v1/allocations", {"subnets": ["hidden"]}, {404}),
        ("/v1/allocations", {"subnets": ["ours", "secret-b"]}, {404}),
        ("/v1/allocations", {"subnets": [["ours", "secret-open"]]}, {404}),
        ("/v1/allocations", {"address": "10.2.0.77"}, {422}),
        ("/v1/allocations", {"address": "10.3.0.77"}, {422}),
        ("/v1/allocations", {"scope": "blue"}, {409}),
        ("/v1/allocations", {"scope": "blu"}, {404}),
        ("/v1/allocations", {"labels": {"network": "secre"}}, {409}),
        ("/v1/allocations", {"host": "secret-host", "count": 300}, {409}),
        ("/v1/allocations", {"count": 300, "explain": True}, {409}),
    ],
    "explain": [
        ("/v1/explain", {"labels": {"tenant": "secret-green"}}, {403}),
        ("/v1/explain", {"subnets": ["secret-b"]}, {404}),
        ("/v1/explain", {}, {200}),
        ("/v1/explain", {"scope": "blue"}, {200}),
        ("/v1/explain", {"address": "10.2.0.1"}, {422}),
    ],
    "allocations": [
        ("/v1/allocations", None, {200}),
        ("/v1/allocations?owner=shared-owner", None, {200}),
        ("/v1/allocations?host=shared-host&scope=default", None, {200}),
        ("/v1/allocations?scope=blue", None, {200}),
        ("/v1/allocations?subnet=secret-b", None, {404}),
        ("/v1/allocations?prefix=10.2.0.0/24", None, {200}),
        ("/v1/allocations?prefix=0.0.0.0/0&scope=blue", None, {200}),
        ("/v1/allocations?owner_prefix=shared", None, {200}),
    ],
    "show": [("/v1/allocations/default/10.2.0.1", None, {404})],
    "release_address": [
        ("/v1/allocations/default/10.2.0.1", None, {404}),
        ("/v1/allocations/default/10.2.0.1?owner=shared-owner", None, {404}),
    ],
    "release": [
        ("/v1/releases", {"addresses": ["10.2.0.1"]}, {404}),
        ("/v1/releases", {"addresses": ["10.2.0.1"], "now": True}, {404}),
        ("/v1/releases", {"addresses": ["10.1.0.1", "10.2.0.1"]}, {404}),
        ("/v1/releases", {"addresses": ["10.1.0.1"], "scope": "blue"}, {404}),
        ("/v1/releases", {"owner": "secret-nobody"}, {200}),
        ("/v1/releases", {"owner": "shared-owner", "scope": "blue"}, {200}),
    ],
    "apply": [("/v1/topology", {"subnets": []}, {403}), ("/v1/topology?dry_run=true", {}, {403})],
    "subnets": [
        ("/v1/subnets", None, {200}),
        ("/v1/subnets?label=tenant%3Dsecret-green", None, {200}),
        ("/v1/subnets?scope=blue", None, {200}),
    ],
    "add_subnet": [
        ("/v1/subnets", {"cidr": "10.50.0.0/24", "labels": {"tenant": "red"}}, {403}),
        ("/v1/subnets", {"pool": "secret-pool"}, {403}),
    ],
    "subnet": [("/v1/subnets/secret-b", None, {404})],
    "remove_subnet": [("/v1/subnets/ours", None, {403}), ("/v1/subnets/secret-b", None, {403})],
    "hosts": [("/v1/hosts", None, {200})],
    "dimensions": [("/v1/dimensions", None, {200})],
    "pools": [("/v1/pools", None, {200})],
    "free_prefixes": [("/v1/free-prefixes?pool=secret-pool", None, {403})],
    "whoami": [("/v1/whoami", None, {200})],
    "blocks": [
        ("/v1/blocks", None, {200}),
        ("/v1/blocks?host=shared-host", None, {200}),
        ("/v1/blocks?subnet=secret-b", None, {404}),
    ],
    "space_map": [
        ("/v1/map", None, {200}),
        ("/v1/map?scope=blue", None, {200}),
        ("/v1/map?scope=blu", None, {404}),
        ("/v1/map?subnet=secret-b&subnet=ours", None, {200}),
    ],
    "usage": [
        ("/v1/usage", None, {200}),
        ("/v1/usage?scope=blue", None, {200}),
        ("/v1/usage?label=tenant%3Dsecret-green", None, {403}),
        ("/v1/usage?host=shared-host", None, {200}),
    ],
    "routes": [("/v1/routes", None, {200}), ("/v1/routes?host=shared-host", None, {200})],
    "events": [("/v1/events", None, {200}), ("/v1/events?after=1", None, {200})],
    "newest_event": [("/v1/events/newest", None, {200})],
    "prune_events": [("/v1/events/prune", {"through": 1}, {403})],
    "audit": [("/v1/audit", {}, {403}), ("/v1/audit", {"repair": True}, {403})],
    "tokens": [("/v1/tokens", None, {403})],
    "create_token": [("/v1/tokens", {"name": "mine", "may": "administer"}, {403})],
    "revoke_token": [("/v1/tokens/admin", None, {403})],
    # What a host claims, and who else uses it, is not one tenant's: not even his own host is his to move.
    "drain": [
        ("/v1/hosts/secret-host/drain", None, {403}),
        ("/v1/hosts/shared-host/drain", None, {403}),
        ("/v1/hosts/red-host/drain", None, {403}),
    ],
    "remove_host": [
        ("/v1/hosts/shared-host", None, {403}),
        ("/v1/hosts/secret-host?release=true", None, {403}),
        ("/v1/hosts/red-host?release=true", None, {403}),
    ],
    "rename_host": [
        ("/v1/hosts/shared-host/rename", {"name": "red-host"}, {403}),
        ("/v1/hosts/red-host/rename", {"name": "secret-host"}, {403}),
    ],
    "reassign": [
        ("/v1/allocations/default/10.2.0.1/reassign", {"host": "red-host"}, {403}),
        ("/v1/allocations/default/10.2.0.99/reassign", {"host": "red-host"}, {403}),
        (
            "/v1/allocations/default/10.1.0.1/reassign",
            {"host": "secret-host", "force": True},
            {403},
        ),
        ("/v1/allocations/default/10.1.0.1/reassign", {"host": "red-host"}, {403}),
    ],
    "reclaim": [("/v1/reclaim", None, {403})],
    "defragment": [
        ("/v1/defragment", None, {403}),
        ("/v1/defragment?host=shared-host", None, {403}),
        ("/v1/defragment?scope=blue", None, {403}),
    ],
}

EACH = {each.name: each for each in OPERATIONS}


def test_every_endpoint_is_attacked() -> None:
    """A new one needs its attacks."""
    assert set(ATTACKS) == set(EACH)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_told_or_done_across_the_line(world: World, name: str) -> None:
    """The right status, no word of what is hidden, and the other tenant's addresses stay."""
    before = world.ipam.allocations(subnet="secret-b")
    for target, body, statuses in ATTACKS[name]:
        status, text = world.raw(EACH[name].method, target, body)
        assert status in statuses, (target, body, text)
        asked = json.dumps([target, body])
        for secret in SECRETS:
            assert secret not in text or secret in asked, (target, body, text)
    assert world.ipam.allocations(subnet="secret-b") == before
    assert world.ipam.show(world.ours).owner == "shared-owner"


def test_what_is_asked_back_does_not_tell_more_than_was_asked(world: World) -> None:
    """A name that exists and is hidden is answered like one that does not exist."""

    def told(method: str, target: str, body: Any, name: str) -> tuple[int, str]:
        status, text = world.raw(method, target.replace("NAME", name), _named(body, name))
        return status, text.replace(name, "NAME")

    for method, target, body in (
        ("GET", "/v1/subnets/NAME", None),
        ("GET", "/v1/allocations?subnet=NAME", None),
        ("GET", "/v1/blocks?subnet=NAME", None),
        ("POST", "/v1/explain", {"subnets": ["NAME"]}),
        ("POST", "/v1/allocations", {"subnets": ["NAME"]}),
    ):
        assert told(method, target, body, "secret-b") == told(method, target, body, "no-such-x")
    for there, nowhere in (("10.2.0.1", "10.99.0.1"), ("10.2.0.200", "10.3.0.1")):
        assert told("GET", "/v1/allocations/default/NAME", None, there) == told(
            "GET", "/v1/allocations/default/NAME", None, nowhere
        )
        wanted = {"address": "NAME"}
        assert told("POST", "/v1/allocations", wanted, there) == told(
            "POST", "/v1/allocations", wanted, nowhere
        )


def _named(body: Any, name: str) -> Any:
    return None if body is None else json.loads(json.dumps(body).replace("NAME", name))


def test_inside_the_fence_everything_works() -> None:
    """Without naming the fence at all."""
    world = World()
    red = world.red
    try:
        answer = red.allocate(owner="mine", host="red-host", families=[4, 6], explain=True)
        assert [each.subnet for each in answer.allocations] == ["ours", "ours-6"]
        assert red.allocate(labels={"tenant": "red"}).allocations[0].subnet == "ours"
        assert red.allocate(subnets=["ours"], address="10.1.0.99").address == "10.1.0.99"
        assert {each.subnet for each in red.allocations()} == {"ours", "ours-6"}
        assert len(red.allocations(limit=1)) == 1
        assert [each.name for each in red.subnets()] == ["ours", "ours-6"]
        assert [each.name for each in red.hosts()] == ["red-host"]
        assert [each.name for each in red.usage()] == ["ours", "ours-6"]
        assert {each.subnet for each in red.blocks()} == {"ours", "ours-6"}
        assert {each.host for each in red.routes()} == {"shared-host", "red-host"}
        assert all(each.subnet in ("ours", "ours-6") for each in red.events())
        assert red.pools() == []
        # By owner and by host: only what is inside, and the other tenant keeps his.
        assert [each.address for each in red.release(owner="shared-owner")] == [world.ours]
        world.give({"tenant": "red"})
        assert len(red.release(host="shared-host")) == 1
        assert world.ipam.show(world.theirs).owner == "shared-owner"
    finally:
        world.served.close()


def test_a_large_release_inside_the_fence_is_in_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer lists some and counts all, as without a fence; what lies outside is passed by."""
    monkeypatch.setattr(engine_ipam, "RELEASED_LISTED", 4)
    monkeypatch.setattr(queries, "_PAGE", 3)
    for _ in range(8):
        world.give({"tenant": "red"})
        world.give({"tenant": "secret-green"})
    released = world.red.release(owner="shared-owner")
    assert (len(released), released.total) == (4, 9)
    assert world.red.release(host="shared-host").total == 0
    assert len(world.ipam.allocations(owner="shared-owner")) == 9


#: What is refused to a confined token, whoever calls it: arguments that are good otherwise.
REFUSED: dict[str, tuple[Any, ...]] = {
    "apply": ({},),
    "add_subnet": ("10.50.0.0/24",),
    "allocate_subnet": ("secret-pool",),
    "remove_subnet": ("ours",),
    "drain": ("red-host",),
    "remove_host": ("red-host",),
    "rename_host": ("red-host", "another"),
    "reassign": ("10.1.0.1", "red-host"),
    "reclaim": (),
    "defragment": (),
    "create_token": ("mine",),
    "revoke_token": ("admin",),
    "tokens": (),
    "audit": (),
    "risks": (),
    "prune_events": (1,),
}


def test_every_method_is_implemented_or_refused(world: World) -> None:
    """The class has all methods of the library, and those that it refuses are for administrators."""
    scoped = ScopedIpam(world.ipam, make_labels({"tenant": "red"}), VisibleSubnets())
    for name, arguments in REFUSED.items():
        with pytest.raises(NotPermitted, match="confined to labels"):
            getattr(scoped, name)(*arguments)
        assert name not in EACH or EACH[name].need is Permission.ADMINISTER
    refused = vars(ScopedIpam)["_apply"]
    hidden = {name for name, method in vars(ScopedIpam).items() if method is refused}
    assert hidden == {f"_{name}" for name in REFUSED} - {"_allocate_subnet"}


def test_one_scope_does_not_include_the_next(world: World) -> None:
    """Reading is not allocating, and allocating is not administering."""
    assert world.reader.subnets()
    for attempt in (
        lambda ipam: ipam.allocate(),
        lambda ipam: ipam.release(world.ours),
        lambda ipam: ipam.release(owner="shared-owner"),
        lambda ipam: ipam.apply(TOPOLOGY),
        lambda ipam: ipam.tokens(),
    ):
        with pytest.raises(NotPermitted):
            attempt(world.reader)
    with pytest.raises(NotPermitted):
        world.red.audit()
    assert world.admin.audit() == []


def test_upkeep_is_for_administrators() -> None:
    """One that may allocate, and is confined to nothing, may not either."""
    world = World()
    try:
        _, secret = world.ipam.create_token("whole", may="allocate")
        for name in ("drain", "remove_host", "rename_host", "reassign", "reclaim", "defragment"):
            for target, body, _ in ATTACKS[name]:
                status, text = world.raw(EACH[name].method, target, body, secret)
                assert (status, json.loads(text)["code"]) == (403, "not_permitted"), target
        assert world.admin.reassign(world.theirs, "free", force=True).host == "free"
    finally:
        world.served.close()


def test_a_key_of_one_tenant_says_nothing_to_another(world: World) -> None:
    """Each has keys of his own, and hears of them by his own words."""
    theirs = world.admin.allocate(labels={"tenant": "secret-green"}, key="same-key")
    ours = world.red.allocate(key="same-key", owner="a")
    assert ours.address != theirs.address
    assert world.red.allocate(key="same-key", owner="a").replayed
    with pytest.raises(KeyReused) as refused:
        world.red.allocate(key="same-key", owner="b")
    assert refused.value.detail == {"key": "same-key"}
    assert "'same-key'" in refused.value.message


def test_events_say_who(world: World) -> None:
    """The name of the token, and nobody for the library itself."""
    address = world.red.allocate(owner="who").address
    (event,) = [each for each in world.ipam.events(limit=10_000) if each.subject == address]
    assert event.actor == "red"
    assert world.ipam.events()[0].actor == ""


def test_a_fence_is_of_hard_dimensions(world: World) -> None:
    """A soft one attracts and keeps nobody in; and one that becomes soft lets nobody in any more."""
    for dimension in ("rack", "host", "service_type"):
        with pytest.raises(FixInput, match="fallback"):
            world.ipam.create_token("soft", labels={dimension: "x"})
    with pytest.raises(UnknownDimension):
        world.ipam.create_token("soft", labels={"colour": "x"})
    with pytest.raises(FixInput, match="administer"):
        world.ipam.create_token("soft", may="administer", labels={"tenant": "red"})


def test_a_dimension_that_became_soft_lets_nobody_in() -> None:
    """What was a fence when the token was made may not be one any more."""
    world = World()
    try:
        softer = {**TOPOLOGY, "dimensions": {**TOPOLOGY["dimensions"]}}
        softer["dimensions"]["tenant"] = {"fallback": "any"}
        world.ipam.apply(softer)
        for attempt in (
            lambda ipam: ipam.allocate(),
            lambda ipam: ipam.subnets(),
            lambda ipam: ipam.routes(),
            lambda ipam: ipam.show(world.ours),
        ):
            with pytest.raises(NotPermitted):
                attempt(world.red)
    finally:
        world.served.close()


def test_errors_name_what_the_caller_may_know(world: World) -> None:
    """The library's own errors, by type."""
    red: RemoteIpam = world.red
    wanted: list[tuple[type[BoroughError], dict[str, Any]]] = [
        (NotPermitted, {"labels": {"tenant": "secret-green"}}),
        (UnknownObject, {"subnets": ["secret-b"]}),
        (AddressOutsideGroup, {"address": "10.2.0.1"}),
        (NoMatchingSubnet, {"scope": "blue"}),
    ]
    for kind, request in wanted:
        with pytest.raises(kind):
            red.allocate(**request)
    with pytest.raises(NotAllocated):
        red.release(world.theirs)


@pytest.mark.parametrize("rack", [{}, {"rack": "r1"}])
def test_labels_of_another_tenants_host_are_not_told(world: World, rack: dict[str, str]) -> None:
    """A request may name any host; what its labels imply counts, and is kept out of every word."""
    request = {"labels": rack, "host": "other-host"}
    for target, more, expected in (
        ("/v1/explain", {}, 200),
        ("/v1/allocations", {"explain": True}, 201),
        ("/v1/allocations", {"count": 300}, 409),
        ("/v1/explain", {"count": 300}, 200),
        ("/v1/explain", {"kind": "gateway", "families": [6]}, 409),
    ):
        status, text = world.raw("POST", target, {**request, **more})
        assert "secret-" not in text, text
        assert status in (expected, 200), text
    told = world.admin.explain(labels={"tenant": "red"}, host="other-host")
    assert "rack=secret-rack (implied by host other-host)" in told.group
    assert "tenant=red" in world.red.explain(host="red-host", owner="o", note="n").group
