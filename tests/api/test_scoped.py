"""A token that is confined to labels attacks its boundary on every endpoint."""

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
    KeySpent,
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

#: Texts that no answer to a confined caller may contain.
SECRETS = ("secret-", "10.2.0.", "10.3.0.", "10.9.")


class World:
    """A service with two tenants, whose owners and hosts have the same names."""

    def __init__(self) -> None:
        self.ipam: Ipam = borough.open("memory:", create=True)
        self.ipam.apply(TOPOLOGY)
        self.ours = self.allocate({"tenant": "red"})
        self.theirs = self.allocate({"tenant": "secret-green"})
        _, admin = self.ipam.create_token("admin", permission="administer")
        _, red = self.ipam.create_token("red", permission="allocate", labels={"tenant": "red"})
        _, reader = self.ipam.create_token("reader", permission="read", labels={"tenant": "red"})
        self.served = Served(self.ipam, ServiceSettings(requires_token=True))
        self.token = red
        self.admin = connect(self.served.url, admin)
        self.red = connect(self.served.url, red)
        self.reader = connect(self.served.url, reader)

    def allocate(self, labels: dict[str, str]) -> str:
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


#: Requests of a confined caller by operation: target, body, and the right statuses.
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
        ("/v1/allocations?attribute=by%3Dsecret-app", None, {200}),
    ],
    "export": [
        ("/v1/export", None, {200}),
        ("/v1/export?format=hosts&owner=shared-owner", None, {200}),
        ("/v1/export?format=jsonl&scope=blue", None, {200}),
        ("/v1/export?subnet=secret-b", None, {404}),
    ],
    "reconcile_owners": [
        ("/v1/reconcile", {"owners": ["nobody"], "dry_run": True}, {200}),
        ("/v1/reconcile", {"owners": ["nobody"], "grace": 0}, {200}),
        ("/v1/reconcile", {"owners": []}, {422}),
    ],
    "edit": [
        ("/v1/allocations/default/10.2.0.1", {"owner": "mine"}, {404}),
        ("/v1/allocations/default/10.2.0.99", {"owner": "mine"}, {404}),
        ("/v1/allocations/blue/10.1.0.1", {"note": "mine"}, {404}),
        ("/v1/allocations/default/10.2.0.1", {"note": "mine", "sequence": 1}, {404}),
    ],
    "transfer": [
        ("/v1/transfers", {"owner": "secret-nobody", "to": "mine"}, {200}),
        ("/v1/transfers", {"owner": "shared-owner", "to": "mine", "scope": "blue"}, {200}),
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
    "renew": [
        ("/v1/renewals", {"address": "10.2.0.1"}, {404}),
        ("/v1/renewals", {"address": "10.2.0.99"}, {404}),
        ("/v1/renewals", {"address": "10.1.0.1", "scope": "blue"}, {404}),
        ("/v1/renewals", {"address": "10.2.0.1", "key": "secret-key"}, {404}),
        ("/v1/renewals", {"key": "secret-key"}, {409}),
    ],
    "reserve": [
        ("/v1/reservations", {"addresses": ["10.2.0.77"], "owner": "me"}, {422}),
        ("/v1/reservations", {"addresses": ["10.1.0.254-10.2.0.2"]}, {422}),
        ("/v1/reservations", {"addresses": ["10.1.0.77"], "scope": "blue"}, {422}),
        ("/v1/reservations", {"addresses": ["10.2.0.1"], "owner": "shared-owner"}, {422}),
        ("/v1/reservations", {"addresses": ["10.1.0.77"], "scope": "blu"}, {404}),
    ],
    "cancel": [
        ("/v1/reservations/cancel", {"addresses": ["10.2.0.1"]}, {409}),
        ("/v1/reservations/cancel", {"addresses": ["10.2.0.0/24"]}, {409}),
        ("/v1/reservations/cancel", {"owner": "shared-owner"}, {200}),
    ],
    "import_allocations": [
        ("/v1/imports", {"allocations": [{"address": "10.2.0.1", "owner": "me"}]}, {200}),
        ("/v1/imports", {"allocations": [{"address": "10.2.0.99"}], "dry_run": True}, {200}),
        ("/v1/imports", {"allocations": [{"address": "10.2.0.99"}]}, {200}),
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
    "change_subnet": [
        ("/v1/subnets/ours", {"weight": 1}, {403}),
        ("/v1/subnets/secret-b", {"weight": 1}, {403}),
    ],
    "change_host": [("/v1/hosts/red-host", {"labels": {"rack": "r1"}}, {403})],
    "remove_subnet": [("/v1/subnets/ours", None, {403}), ("/v1/subnets/secret-b", None, {403})],
    "hosts": [("/v1/hosts", None, {200})],
    "undeclared_hosts": [("/v1/undeclared-hosts", None, {200})],
    "dimensions": [("/v1/dimensions", None, {200})],
    "pools": [("/v1/pools", None, {200})],
    "free_prefixes": [("/v1/free-prefixes?pool=secret-pool", None, {404})],
    "whoami": [("/v1/whoami", None, {200})],
    "blocks": [
        ("/v1/blocks", None, {200}),
        ("/v1/blocks?host=shared-host", None, {200}),
        ("/v1/blocks?subnet=secret-b", None, {404}),
    ],
    "replace_subnets": [("/v1/replacements", {"old": ["secret-b"]}, {403})],
    "search": [
        ("/v1/search?text=secret", None, {200}),
        ("/v1/search?text=10.2.0.", None, {200}),
    ],
    "addresses": [
        ("/v1/addresses?subnet=ours", None, {200}),
        ("/v1/addresses?subnet=secret-b", None, {404}),
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
        ("/v1/usage?label=tenant%3Dsecret-green", None, {200}),
        ("/v1/usage?host=shared-host", None, {200}),
    ],
    "routes": [("/v1/routes", None, {200}), ("/v1/routes?host=shared-host", None, {200})],
    "events": [("/v1/events", None, {200}), ("/v1/events?after=1", None, {200})],
    "history": [
        ("/v1/history", None, {200}),
        ("/v1/history?what=shared-owner", None, {200}),
        ("/v1/history?what=10.0.0.0/8", None, {200}),
        ("/v1/history?what=10.2.0.1", None, {200}),
        ("/v1/history?act=topology", None, {200}),
        ("/v1/history?subnet=secret-b", None, {404}),
        ("/v1/history?label=tenant%3Dsecret-green", None, {403}),
    ],
    "host_routes": [
        ("/v1/hosts/secret-host/routes", None, {403}),
        ("/v1/hosts/red-host/routes", None, {403}),
    ],
    "acknowledge": [
        ("/v1/hosts/secret-host/routes/installed", {"installed": []}, {403}),
        ("/v1/hosts/red-host/routes/installed", {"installed": ["10.1.0.0/28"]}, {403}),
    ],
    "agents": [("/v1/agents", None, {403})],
    "newest_event": [("/v1/events/newest", None, {200})],
    "prune_events": [("/v1/events/prune", {"through": 1}, {403})],
    "audit": [("/v1/audit", {}, {403}), ("/v1/audit", {"repair": True}, {403})],
    "tokens": [("/v1/tokens", None, {403})],
    "create_token": [("/v1/tokens", {"name": "mine", "permission": "administer"}, {403})],
    "revoke_token": [("/v1/tokens/admin", None, {403})],
    # Several tenants may share a host and its claims: upkeep of any host is refused.
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


def test_every_endpoint_has_attacks() -> None:
    """A new endpoint needs attacks."""
    assert set(ATTACKS) == set(EACH)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_outside_the_boundary_is_read_or_changed(world: World, name: str) -> None:
    """The status is right, no hidden name is in the answer, and the other tenant's addresses stay."""
    before = world.ipam.allocations(subnet="secret-b")
    for target, body, statuses in ATTACKS[name]:
        status, text = world.raw(EACH[name].method, target, body)
        assert status in statuses, (target, body, text)
        asked = json.dumps([target, body])
        for secret in SECRETS:
            assert secret not in text or secret in asked, (target, body, text)
    assert world.ipam.allocations(subnet="secret-b") == before
    assert world.ipam.show(world.ours).owner == "shared-owner"


def test_hidden_objects_are_answered_like_missing_ones(world: World) -> None:
    """A name that exists and is hidden is answered like one that does not exist."""

    def answer(method: str, target: str, body: Any, name: str) -> tuple[int, str]:
        status, text = world.raw(method, target.replace("NAME", name), _named(body, name))
        return status, text.replace(name, "NAME")

    for method, target, body in (
        ("GET", "/v1/subnets/NAME", None),
        ("GET", "/v1/allocations?subnet=NAME", None),
        ("GET", "/v1/addresses?subnet=NAME", None),
        ("GET", "/v1/blocks?subnet=NAME", None),
        ("POST", "/v1/explain", {"subnets": ["NAME"]}),
        ("POST", "/v1/allocations", {"subnets": ["NAME"]}),
    ):
        assert answer(method, target, body, "secret-b") == answer(method, target, body, "no-such-x")
    for there, nowhere in (("10.2.0.1", "10.99.0.1"), ("10.2.0.200", "10.3.0.1")):
        assert answer("GET", "/v1/allocations/default/NAME", None, there) == answer(
            "GET", "/v1/allocations/default/NAME", None, nowhere
        )
        wanted = {"address": "NAME"}
        assert answer("POST", "/v1/allocations", wanted, there) == answer(
            "POST", "/v1/allocations", wanted, nowhere
        )


def _named(body: Any, name: str) -> Any:
    return None if body is None else json.loads(json.dumps(body).replace("NAME", name))


def test_inside_the_boundary_everything_works() -> None:
    """Requests need not name the boundary."""
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
        assert red.undeclared_hosts() == []
        asked = red.allocate(host="secret-hos", claims=False)
        assert asked.warnings == (), "no hint at hosts of others"
        red.release(asked.address)
        assert [each.name for each in red.usage()] == ["ours", "ours-6"]
        assert {each.subnet for each in red.blocks()} == {"ours", "ours-6"}
        assert {each.host for each in red.routes()} == {"shared-host", "red-host"}
        assert all(each.subnet in ("ours", "ours-6") for each in red.events())
        for found in (red.history(), red.history("shared-owner"), red.history("10.0.0.0/8")):
            assert found
            assert all(each.subnet in ("ours", "ours-6") for each in found)
        assert red.history(limit=1) == red.history()[:1]
        assert red.history(world.theirs) == []
        assert red.pools() == []
        # Releases by owner and by host leave the other tenant's addresses.
        assert [each.address for each in red.release(owner="shared-owner")] == [world.ours]
        world.allocate({"tenant": "red"})
        assert len(red.release(host="shared-host")) == 1
        assert world.ipam.show(world.theirs).owner == "shared-owner"
    finally:
        world.served.close()


def test_a_large_release_inside_the_boundary_is_in_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer lists some addresses and counts all; addresses outside the boundary stay."""
    monkeypatch.setattr(engine_ipam, "RELEASED_LISTED", 4)
    monkeypatch.setattr(queries, "_PAGE", 3)
    for _ in range(8):
        world.allocate({"tenant": "red"})
        world.allocate({"tenant": "secret-green"})
    released = world.red.release(owner="shared-owner")
    assert (len(released), released.total) == (4, 9)
    assert world.red.release(host="shared-host").total == 0
    assert len(world.ipam.allocations(owner="shared-owner")) == 9


#: Methods that are refused to a confined token, with valid arguments.
REFUSED: dict[str, tuple[Any, ...]] = {
    "apply": ({},),
    "add_subnet": ("10.50.0.0/24",),
    "allocate_subnet": ("secret-pool",),
    "change_subnet": ("ours",),
    "change_host": ("red-host",),
    "remove_subnet": ("ours",),
    "replace_subnets": (["ours"],),
    "drain": ("red-host",),
    "remove_host": ("red-host",),
    "rename_host": ("red-host", "another"),
    "reassign": ("10.1.0.1", "red-host"),
    "reclaim": (),
    "defragment": (),
    "host_routes": ("red-host",),
    "acknowledge": ("red-host", ()),
    "agents": (),
    "create_token": ("mine",),
    "revoke_token": ("admin",),
    "tokens": (),
    "audit": (),
    "risks": (),
    "prune_events": (1,),
}

#: Arguments by name.
NAMED: dict[str, dict[str, Any]] = {
    "change_subnet": {"weight": 1},
    "change_host": {"labels": {"rack": "r1"}},
}


def test_a_transfer_leaves_addresses_outside_the_boundary(world: World) -> None:
    """Two tenants have an owner of the same name."""
    world.allocate({"tenant": "red"})
    held = world.ipam.allocations(owner="shared-owner", subnet="ours")
    assert world.red.transfer("shared-owner", "mine").total == len(held)
    assert [each.subnet for each in world.ipam.allocations(owner="mine")] == ["ours"] * len(held)
    assert world.ipam.show(world.theirs).owner == "shared-owner"
    assert world.red.transfer("mine", "shared-owner").total == len(held)


def test_a_key_renews_the_leases_of_its_own_boundary(world: World) -> None:
    """Another tenant may use the same key."""
    theirs = world.ipam.allocate(
        labels={"tenant": "secret-green"}, key="shared-key", lease=60, owner="shared-owner"
    ).allocations[0]
    with pytest.raises(KeySpent):
        world.red.renew(key="shared-key")
    ours = world.red.allocate(key="shared-key", lease=60).allocations[0]
    (renewed,) = world.red.renew(key="shared-key", lease=120).allocations
    assert (renewed.address, renewed.lease) == (ours.address, 120)
    assert world.ipam.show(theirs.address) == theirs
    assert world.red.renew(ours.address, key="shared-key").allocations[0].lease == 120
    world.ipam.release([ours.address, theirs.address])


def test_every_method_is_implemented_or_refused(world: World) -> None:
    """The refused methods are those for administrators, and those for agents of hosts."""
    scoped = ScopedIpam(world.ipam, make_labels({"tenant": "red"}), VisibleSubnets())
    for name, arguments in REFUSED.items():
        with pytest.raises(NotPermitted, match="confined to labels"):
            getattr(scoped, name)(*arguments, **NAMED.get(name, {}))
        is_for_host = name in ("host_routes", "acknowledge", "agents")
        assert name not in EACH or is_for_host or EACH[name].permission is Permission.ADMINISTER
    refused = vars(ScopedIpam)["_apply"]
    hidden = {name for name, method in vars(ScopedIpam).items() if method is refused}
    public = {f"_{name}" for name in REFUSED} - {
        "_allocate_subnet",
        *(f"_{name}" for name in NAMED),
    }
    assert hidden == public | {"_change"}


def test_a_permission_does_not_include_the_next(world: World) -> None:
    """A token that may read cannot allocate, and one that may allocate cannot administer."""
    assert world.reader.subnets()
    for attempt in (
        lambda ipam: ipam.allocate(),
        lambda ipam: ipam.release(world.ours),
        lambda ipam: ipam.release(owner="shared-owner"),
        lambda ipam: ipam.edit(world.ours, owner="mine"),
        lambda ipam: ipam.transfer("shared-owner", "mine"),
        lambda ipam: ipam.renew(world.ours),
        lambda ipam: ipam.apply(TOPOLOGY),
        lambda ipam: ipam.tokens(),
    ):
        with pytest.raises(NotPermitted):
            attempt(world.reader)
    with pytest.raises(NotPermitted):
        world.red.audit()
    assert world.admin.audit() == []


def test_upkeep_is_for_administrators() -> None:
    """A token without labels that may allocate is refused too."""
    world = World()
    try:
        _, secret = world.ipam.create_token("whole", permission="allocate")
        for name in ("drain", "remove_host", "rename_host", "reassign", "reclaim", "defragment"):
            for target, body, _ in ATTACKS[name]:
                status, text = world.raw(EACH[name].method, target, body, secret)
                assert (status, json.loads(text)["code"]) == (403, "not_permitted"), target
        assert world.admin.reassign(world.theirs, "free", force=True).host == "free"
    finally:
        world.served.close()


def test_idempotency_keys_of_tenants_are_separate(world: World) -> None:
    """Tenants may use the same key, and errors show the key as the caller wrote it."""
    theirs = world.admin.allocate(labels={"tenant": "secret-green"}, key="same-key")
    ours = world.red.allocate(key="same-key", owner="a")
    assert ours.address != theirs.address
    assert world.red.allocate(key="same-key", owner="a").replayed
    with pytest.raises(KeyReused) as refused:
        world.red.allocate(key="same-key", owner="b")
    assert refused.value.detail == {"key": "same-key"}
    assert "'same-key'" in refused.value.message


def test_events_record_the_token(world: World) -> None:
    """The actor is the name of the token, and empty for the library itself."""
    address = world.red.allocate(owner="who").address
    # Another test may have released the address.
    event = world.ipam.history(address)[0]
    assert event.actor == "red"
    assert world.ipam.events()[0].actor == ""


def test_a_boundary_needs_hard_dimensions(world: World) -> None:
    """A soft dimension confines no request."""
    for dimension in ("rack", "host", "service_type"):
        with pytest.raises(FixInput, match="fallback"):
            world.ipam.create_token("soft", labels={dimension: "x"})
    with pytest.raises(UnknownDimension):
        world.ipam.create_token("soft", labels={"colour": "x"})
    with pytest.raises(FixInput, match="administer"):
        world.ipam.create_token("soft", permission="administer", labels={"tenant": "red"})


def test_a_token_is_refused_after_its_dimension_became_soft() -> None:
    """A dimension may become soft after the token was created."""
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


def test_errors_leave_out_hidden_objects(world: World) -> None:
    """The types of the errors are those of the library."""
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
def test_labels_of_hidden_hosts_are_left_out(world: World, rack: dict[str, str]) -> None:
    """The labels of any named host apply, and no answer shows them."""
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
    found = world.admin.explain(labels={"tenant": "red"}, host="other-host")
    assert "rack=secret-rack (implied by host other-host)" in found.group
    assert "tenant=red" in world.red.explain(host="red-host", owner="o", note="n").group
