from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.diff import diff
from borough.domain.declared.dimension_diff import order_dimensions
from borough.domain.declared.dimensions import BUILT_IN, Dimension, Fallback
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.topology import Change, Changes, FieldChange, Topology
from borough.domain.net.prefixes import parse_prefix
from borough.engine.topology.document import load_topology
from borough.errors import FixInput, InUse, Overlap, UnknownDimension, UnknownObject
from tests.conftest import EXAMPLES

EMPTY = Catalogue(version=1, dimensions=BUILT_IN, scopes={"default": 1})
RACK = Dimension("rack", Fallback.ANY, 0)


def changed(action: Any, kind: Any, name: str, *fields: tuple[str, str, str]) -> Change:
    """A line of a diff; two are compared without their prefixes."""
    return Change(action, kind, name, tuple(FieldChange(*each) for each in fields), "")


def topology(**fields: Any) -> Topology:
    """A topology as a file that says this would make it."""
    return load_topology(fields)


def subnets(**cidrs: str | dict[str, Any]) -> Topology:
    """A topology with these subnets only."""
    return topology(
        subnets=[
            {"name": name, **({"cidr": given} if isinstance(given, str) else given)}
            for name, given in cidrs.items()
        ]
    )


def after(catalogue: Catalogue, changes: Changes, source: str = "default") -> Catalogue:
    """The catalogue that a store holds once it has written the changes."""
    ids = itertools.count(1 + max([*catalogue.subnets, 0]))
    kept = {
        id: subnet
        for id, subnet in catalogue.subnets.items()
        if subnet not in changes.subnets_removed
    }
    kept |= {new.id: new for _, new in changes.subnets_changed}
    kept |= {id: replace(new, id=id) for id, new in zip(ids, changes.subnets_added, strict=False)}
    pools = dict(catalogue.pools)
    hosts = dict(catalogue.hosts)
    for pool in changes.pools_removed:
        del pools[pool.name]
    for host in changes.hosts_removed:
        del hosts[host.name]
    pools |= {each.name: replace(each, id=7) for each in changes.pools_added}
    pools |= {each.name: each for _, each in changes.pools_changed}
    hosts |= {each.name: replace(each, id=7) for each in changes.hosts_added}
    hosts |= {each.name: each for _, each in changes.hosts_changed}
    scopes = {**catalogue.scopes, **dict.fromkeys(changes.scopes_added, 9)}
    sources = {**catalogue.scope_sources, **dict.fromkeys(changes.scopes_added, source)}
    gone = set(changes.scopes_removed)
    return Catalogue(
        version=catalogue.version + 1,
        dimensions=changes.dimensions,
        dimension_sources=changes.dimension_sources,
        scopes={name: id for name, id in scopes.items() if name not in gone},
        scope_sources={name: each for name, each in sources.items() if name not in gone},
        subnets=kept,
        pools=pools,
        hosts=hosts,
    )


def made_by(*topologies: Topology) -> Catalogue:
    """The declared objects of a fresh database after some topologies."""
    catalogue = EMPTY
    for each in topologies:
        catalogue = after(catalogue, diff(catalogue, each), each.name)
    return catalogue


def with_subnet(**fields: Any) -> Catalogue:
    """A fresh database to which one subnet was added by hand."""
    subnet = Subnet(5, "a", "default", parse_prefix("10.0.0.0/24"))
    return replace(EMPTY, subnets={5: replace(subnet, **fields)})


def names(dimensions: tuple[Dimension, ...]) -> list[str]:
    return [dimension.name for dimension in dimensions]


# --- The order of dimensions ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("", "network segment service_type host"),
        ("network rack host", "network segment service_type rack host"),
        ("host network", "host network segment service_type"),
        ("rack", "network segment service_type rack host"),
        ("network segment service_type host rack", "network segment service_type host rack"),
        ("host segment", "network host segment service_type"),
    ],
)
def test_undeclared_dimensions_stay_behind_the_one_before_them_and_the_last_stays_last(
    declared: str, expected: str
):
    given = [Dimension(name, Fallback.ANY, 0) for name in declared.split()]
    found = order_dimensions(BUILT_IN, given)
    assert [(each.name, each.rank) for each in found] == [
        (name, rank) for rank, name in enumerate(expected.split())
    ]


def test_a_declared_dimension_takes_the_settings_of_the_declaration():
    found = order_dimensions(BUILT_IN, [Dimension("segment", Fallback.ANY, 0)])
    assert found[names(found).index("segment")].fallback is Fallback.ANY


_NAMES = st.permutations(["network", "segment", "service_type", "host", "rack", "zone"])


@given(_NAMES, _NAMES, st.integers(0, 6), st.integers(0, 6))
def test_ordering_keeps_all_and_the_order_of_the_file_and_is_idempotent(
    existing: list[str], declared: list[str], some: int, few: int
):
    known = [Dimension(name, Fallback.ANY, 0) for name in existing[:some]]
    wanted = [Dimension(name, Fallback.ANY, 0) for name in declared[:few]]
    found = order_dimensions(known, wanted)
    assert sorted(names(found)) == sorted({*existing[:some], *declared[:few]})
    assert [name for name in names(found) if name in declared[:few]] == declared[:few]
    assert order_dimensions(found, wanted) == found


# --- What a topology adds, changes and removes ------------------------------------------------


@pytest.mark.parametrize("example", ["container-hosts", "routed-network", "service-subnets"])
def test_a_fresh_database_gets_all_of_an_example(example: str):
    given = load_topology(EXAMPLES / f"{example}.yaml")
    changes = diff(EMPTY, given)
    assert (changes.subnets_added, changes.hosts_added) == (given.subnets, given.hosts)


def test_nothing_changes_is_false():
    assert not diff(EMPTY, Topology())


def test_an_object_no_longer_declared_is_removed():
    catalogue = made_by(subnets(a="10.0.0.0/24", b="10.0.1.0/24"))
    changes = diff(catalogue, subnets(b="10.0.1.0/24"))
    assert changes.changes == (changed("remove", "subnet", "a"),)
    assert changes.subnets_removed == (catalogue.by_name["a"],)


def test_an_empty_topology_removes_all_that_was_declared_under_its_name():
    everything = topology(
        dimensions={"rack": {"fallback": "any"}},
        scopes=["blue"],
        pools=[{"name": "p", "prefixes": ["10.0.0.0/8"], "scope": "blue"}],
        subnets=[{"name": "a", "cidr": "10.0.0.0/24", "labels": {"rack": "r"}}],
        hosts={"h": {"rack": "r"}},
    )
    changes = diff(made_by(everything), Topology())
    assert {(each.action, each.kind, each.name) for each in changes.changes} == {
        ("remove", "dimension", "rack"),
        ("remove", "scope", "blue"),
        ("remove", "pool", "p"),
        ("remove", "subnet", "a"),
        ("remove", "host", "h"),
    }
    left = after(made_by(everything), changes)
    assert replace(left, version=1, dimension_sources={}) == EMPTY


def test_an_object_of_another_topology_stays():
    catalogue = made_by(replace(subnets(a="10.0.0.0/24"), name="x"))
    assert not diff(catalogue, Topology(name="y"))


def test_an_object_added_by_hand_stays():
    assert not diff(with_subnet(), Topology())


def test_an_object_added_by_hand_is_adopted_when_it_is_named():
    changes = diff(with_subnet(pool="p", project="q"), subnets(a="10.0.0.0/24"))
    assert changes.changes == (changed("change", "subnet", "a", ("source", "none", "default")),)
    ((_, new),) = changes.subnets_changed
    assert (new.id, new.pool, new.project) == (5, "p", "q")


def test_a_project_in_the_file_replaces_the_one_before():
    given = subnets(a={"cidr": "10.0.0.0/24", "project": "new"})
    ((_, new),) = diff(with_subnet(project="old"), given).subnets_changed
    assert new.project == "new"


def test_no_project_in_a_subnet_of_its_own_means_none():
    catalogue = made_by(subnets(a={"cidr": "10.0.0.0/24", "project": "old"}))
    ((_, new),) = diff(catalogue, subnets(a="10.0.0.0/24")).subnets_changed
    assert new.project == ""


@pytest.mark.parametrize(
    "kind", [{"hosts": {"a": {}}}, {"pools": [{"name": "a", "prefixes": ["fd00::/48"]}]}]
)
def test_hosts_and_pools_are_adopted_too(kind: dict[str, Any]):
    by_hand = replace(
        EMPTY,
        hosts={"a": Host(3, "a", {})},
        pools={"a": Pool(4, "a", "default", 6, (parse_prefix("fd00::/48"),), 64, 128, 64)},
    )
    (change,) = diff(by_hand, topology(**kind)).changes
    assert change.fields == (FieldChange("source", "none", "default"),)


@pytest.mark.parametrize(
    "declared",
    [
        {"subnets": [{"name": "a", "cidr": "10.0.0.0/24"}]},
        {"pools": [{"name": "a", "prefixes": ["10.0.0.0/8"]}]},
        {"hosts": {"a": {}}},
        {"scopes": ["a"]},
    ],
)
def test_an_object_owned_by_another_topology_is_refused_and_the_owner_named(
    declared: dict[str, Any],
):
    catalogue = made_by(topology(name="owner", **declared))
    with pytest.raises(InUse, match="a belongs to topology 'owner'"):
        diff(catalogue, topology(name="thief", **declared))


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ({"cidr": "10.0.0.0/23"}, ("cidr", "10.0.0.0/24", "10.0.0.0/23")),
        ({"gateway": "10.0.0.1"}, ("gateway", "none", "10.0.0.1")),
        (
            {"ranges": ["10.0.0.7-10.0.0.9", "10.0.0.2-10.0.0.3"]},
            ("ranges", "all", "10.0.0.2-10.0.0.3, 10.0.0.7-10.0.0.9"),
        ),
        (
            {"labels": {"network": ["n", "m"], "segment": 1}},
            ("labels", "none", "network=m|n segment=1"),
        ),
        ({"weight": 3}, ("weight", "0", "3")),
        ({"project": "p"}, ("project", "none", "p")),
        ({"cooldown": "1m"}, ("cooldown", "0", "60")),
        ({"attributes": {"b": [1], "a": None}}, ("attributes", "{}", '{"a": null, "b": [1]}')),
    ],
)
def test_each_setting_of_a_subnet_can_change(setting: dict[str, Any], field: tuple[str, str, str]):
    catalogue = made_by(subnets(a="10.0.0.0/24"))
    changes = diff(catalogue, subnets(a={"cidr": "10.0.0.0/24", **setting}))
    assert changes.changes == (changed("change", "subnet", "a", field),)


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ({"prefixes": ["10.1.0.0/16", "10.0.0.0/16"]}, "prefixes"),
        ({"minimum_length": 20, "default_length": 24}, "minimum_length"),
        ({"maximum_length": 30}, "maximum_length"),
        ({"default_length": 25}, "default_length"),
        ({"quota": 256}, "quota"),
    ],
)
def test_each_setting_of_a_pool_can_change(setting: dict[str, Any], field: str):
    usual = {"name": "p", "prefixes": ["10.0.0.0/16"], "default_length": 24}
    catalogue = made_by(topology(pools=[usual]))
    changes = diff(catalogue, topology(pools=[usual | setting]))
    assert [line.field for each in changes.changes for line in each.fields] == [field]
    ((old, new),) = changes.pools_changed
    assert (old, new.id) == (catalogue.pools["p"], 7)


def test_the_labels_of_a_host_can_change():
    catalogue = made_by(topology(hosts={"h": {"segment": "s1"}}))
    changes = diff(catalogue, topology(hosts={"h": {"segment": "s2"}}))
    assert changes.changes == (
        changed("change", "host", "h", ("labels", "segment=s1", "segment=s2")),
    )


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), (0, False)])
def test_attributes_that_python_holds_equal_can_change(old: Any, new: Any):
    before = subnets(a={"cidr": "10.0.0.0/24", "attributes": {"x": old}})
    later = subnets(a={"cidr": "10.0.0.0/24", "attributes": {"x": new}})
    assert diff(made_by(before), later)


def test_the_same_written_in_another_order_is_no_change():
    prefix = parse_prefix("10.0.0.0/24")
    pool = (parse_prefix("10.1.0.0/16"), parse_prefix("10.2.0.0/16"))
    ranges = ((prefix.base + 1, prefix.base + 3), (prefix.base + 7, prefix.base + 9))
    one = Topology(
        subnets=(Subnet(0, "a", "default", prefix, ranges=ranges),),
        pools=(Pool(0, "p", "default", 4, pool, 8, 32, 24),),
        hosts=(Host(0, "h", {}),),
    )
    other = replace(
        one,
        subnets=(replace(one.subnets[0], ranges=ranges[::-1], labels={"network": frozenset()}),),
        pools=(replace(one.pools[0], prefixes=pool[::-1]),),
        hosts=(Host(0, "h", {"segment": frozenset()}),),
    )
    assert not diff(made_by(one), other)


@pytest.mark.parametrize(
    "moved",
    [{"cidr": "10.0.0.0/24", "scope": "blue"}, {"cidr": "fd00::/64"}],
)
def test_a_subnet_may_move_to_another_scope_or_family(moved: dict[str, Any]):
    catalogue = made_by(subnets(a="10.0.0.0/24"))
    changes = diff(catalogue, replace(subnets(a=moved), scopes=("blue",)))
    assert [(old.id, new.id) for old, new in changes.subnets_changed] == [(1, 1)]


def test_a_subnet_of_another_name_with_the_same_prefix_is_the_same_subnet():
    catalogue = made_by(subnets(a="10.0.0.0/24"))
    changes = diff(catalogue, subnets(b="10.0.0.0/24"))
    assert [each.fields for each in changes.changes] == [(FieldChange("name", "a", "b"),)]
    assert [new.id for _, new in changes.subnets_changed] == [1]
    blue = replace(subnets(b={"cidr": "10.0.0.0/24", "scope": "blue"}), scopes=("blue",))
    assert [each.action for each in diff(catalogue, blue).changes] == ["add", "remove", "add"]


def test_a_duplicate_name_in_a_topology_made_by_hand_is_refused():
    given = subnets(a="10.0.0.0/24")
    with pytest.raises(FixInput, match="a is declared twice"):
        diff(EMPTY, replace(given, subnets=given.subnets * 2))


# --- Overlaps ---------------------------------------------------------------------------------


def test_a_new_subnet_must_not_overlap_one_that_stays():
    with pytest.raises(Overlap, match=r"subnet b \(10.0.0.128/25\) overlaps subnet a"):
        diff(with_subnet(), subnets(b="10.0.0.128/25"))


def test_a_new_subnet_must_not_swallow_one_that_stays():
    with pytest.raises(Overlap) as caught:
        diff(with_subnet(), subnets(b="10.0.0.0/8"))
    assert caught.value.detail["names"] == ["b", "a"]


def test_a_subnet_must_not_grow_over_another_one():
    catalogue = made_by(replace(subnets(a="10.0.0.0/24"), name="x"), subnets(b="10.0.1.0/24"))
    with pytest.raises(Overlap):
        diff(catalogue, subnets(b="10.0.0.0/23"))


def test_a_subnet_that_goes_makes_room():
    catalogue = made_by(subnets(a="10.0.0.0/24"))
    changes = diff(catalogue, subnets(b="10.0.0.0/23"))
    assert [(each.action, each.name) for each in changes.changes] == [("change", "b")]
    changes = diff(catalogue, subnets(b="10.0.0.128/25"))
    assert [(each.action, each.name) for each in changes.changes] == [
        ("remove", "a"),
        ("add", "b"),
    ]


def test_a_subnet_that_moves_makes_room():
    catalogue = made_by(subnets(a="10.0.0.0/24"))
    assert diff(catalogue, subnets(a="10.0.1.0/24", b="10.0.0.0/24"))


def test_subnets_of_two_scopes_may_overlap():
    given = replace(subnets(b={"cidr": "10.0.0.0/24", "scope": "blue"}), scopes=("blue",))
    assert diff(with_subnet(), given)


def test_pools_must_not_overlap_across_topologies():
    catalogue = made_by(topology(name="x", pools=[{"name": "p", "prefixes": ["10.0.0.0/8"]}]))
    with pytest.raises(Overlap, match=r"pool q \(10.1.0.0/16\) overlaps pool p"):
        diff(catalogue, topology(pools=[{"name": "q", "prefixes": ["10.1.0.0/16"]}]))


def test_a_subnet_may_lie_in_a_pool():
    catalogue = made_by(topology(name="x", pools=[{"name": "p", "prefixes": ["10.0.0.0/8"]}]))
    assert diff(catalogue, subnets(a="10.0.0.0/24"))


# --- What is referred to ----------------------------------------------------------------------


def test_a_label_in_no_dimension_is_refused_with_a_hint():
    with pytest.raises(UnknownDimension, match="did you mean 'segment'"):
        diff(EMPTY, subnets(a={"cidr": "10.0.0.0/24", "labels": {"segmnt": "s"}}))


def test_a_host_label_in_no_dimension_is_refused():
    with pytest.raises(UnknownDimension, match="'rack', which h is labelled in"):
        diff(EMPTY, topology(hosts={"h": {"rack": "r"}}))


def test_a_scope_that_is_nowhere_declared_is_refused():
    with pytest.raises(UnknownObject, match="no scope 'blue', which a names"):
        diff(EMPTY, subnets(a={"cidr": "10.0.0.0/24", "scope": "blue"}))


def test_a_scope_of_another_topology_may_be_used():
    catalogue = made_by(Topology(name="x", scopes=("blue",)))
    assert diff(catalogue, subnets(a={"cidr": "10.0.0.0/24", "scope": "blue"}))


def test_the_default_scope_needs_no_declaration():
    assert diff(replace(EMPTY, scopes={}), subnets(a="10.0.0.0/24")).scopes_added == ()


def test_the_default_scope_may_be_declared_by_all():
    given = Topology(scopes=("default",))
    assert not diff(replace(EMPTY, scope_sources={"default": "x"}), given)


def test_the_default_scope_is_never_removed():
    assert not diff(replace(EMPTY, scope_sources={"default": "default"}), Topology())


def test_a_scope_in_use_cannot_be_removed():
    catalogue = made_by(
        Topology(name="x", scopes=("blue",)),
        topology(name="y", subnets=[{"name": "a", "cidr": "10.0.0.0/24", "scope": "blue"}]),
        topology(name="z", pools=[{"name": "p", "prefixes": ["10.0.0.0/8"], "scope": "blue"}]),
    )
    with pytest.raises(InUse) as caught:
        diff(catalogue, Topology(name="x"))
    assert caught.value.detail["used_by"] == ["a", "p"]


@pytest.mark.parametrize(
    "user",
    [
        {"subnets": [{"name": "a", "cidr": "10.0.0.0/24", "labels": {"rack": "r"}}]},
        {"hosts": {"a": {"rack": "r"}}},
    ],
)
def test_a_dimension_in_use_cannot_be_removed(user: dict[str, Any]):
    catalogue = made_by(Topology(name="x", dimensions=(RACK,)), topology(name="y", **user))
    with pytest.raises(InUse) as caught:
        diff(catalogue, Topology(name="x"))
    assert caught.value.detail["used_by"] == ["a"]


def test_a_dimension_goes_with_the_last_that_used_it():
    using = topology(dimensions={"rack": {"fallback": "any"}}, hosts={"h": {"rack": "r"}})
    changes = diff(made_by(using), topology(hosts={"h": {}}))
    assert names(changes.dimensions) == names(BUILT_IN)


def test_a_pool_with_carved_subnets_cannot_be_removed():
    catalogue = made_by(topology(pools=[{"name": "p", "prefixes": ["10.0.0.0/8"]}]))
    carved = replace(catalogue, subnets=with_subnet(pool="p").subnets)
    with pytest.raises(InUse, match="pool p is still used by a"):
        diff(carved, Topology())


def test_a_pool_can_go_together_with_its_adopted_subnets():
    carved = replace(
        made_by(topology(pools=[{"name": "p", "prefixes": ["10.0.0.0/8"]}])),
        subnets=with_subnet(pool="p", source="default").subnets,
    )
    assert diff(carved, Topology()).pools_removed


# --- Dimensions -------------------------------------------------------------------------------


def test_built_in_dimensions_are_never_removed():
    assert diff(EMPTY, Topology()).dimensions == BUILT_IN


def test_a_dimension_belongs_to_the_topology_that_brings_it():
    assert diff(EMPTY, Topology(name="x", dimensions=(RACK,))).dimension_sources["rack"] == "x"


def test_a_built_in_dimension_has_no_owner():
    given = Topology(dimensions=(Dimension("segment", Fallback.ANY, 0),))
    assert not diff(EMPTY, given).dimension_sources.get("segment")


def test_two_topologies_may_share_a_dimension_that_they_declare_alike():
    catalogue = made_by(Topology(name="x", dimensions=(RACK,)))
    assert not diff(catalogue, Topology(name="y", dimensions=(RACK,)))


def test_two_topologies_cannot_declare_a_dimension_differently():
    catalogue = made_by(Topology(name="x", dimensions=(RACK,)))
    given = Topology(name="y", dimensions=(replace(RACK, fallback=Fallback.NONE),))
    with pytest.raises(InUse, match="dimension rack belongs to topology 'x'"):
        diff(catalogue, given)


def test_a_changed_fallback_is_a_change():
    given = Topology(dimensions=(Dimension("segment", Fallback.ANY, 0, claims=True),))
    assert diff(EMPTY, given).changes == (
        changed(
            "change",
            "dimension",
            "segment",
            ("fallback", "none", "any"),
            ("claims", "false", "true"),
        ),
    )


def test_a_changed_order_is_a_change():
    given = topology(dimensions={"segment": {}, "network": {}, "service_type": {}, "host": {}})
    assert diff(EMPTY, given).changes == (
        changed("change", "dimension", "segment", ("order", "2", "1")),
        changed("change", "dimension", "network", ("order", "1", "2")),
    )


def test_a_new_dimension_in_between_is_one_change():
    given = topology(dimensions={"network": {}, "rack": {"fallback": "any"}, "host": {}})
    assert diff(EMPTY, given).changes == (changed("add", "dimension", "rack"),)


# --- Random topologies ------------------------------------------------------------------------

_DIMENSIONS = ["network", "segment", "service_type", "host", "rack", "zone"]
_LABELS = st.dictionaries(
    st.sampled_from([*_DIMENSIONS[:3], "rack", "zone"]),
    st.sets(st.sampled_from("abc"), min_size=1, max_size=2).map(sorted),
    max_size=3,
)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    declared = draw(st.permutations(_DIMENSIONS))[draw(st.integers(0, 4)) :]
    fallbacks = draw(
        st.lists(st.sampled_from(["none", "unlabelled", "any"]), min_size=6, max_size=6)
    )
    labels = _LABELS.map(
        lambda each: {
            name: values
            for name, values in each.items()
            if name in declared or name not in ("rack", "zone")
        }
    )
    bases = draw(st.lists(st.integers(0, 40), unique=True, max_size=6))
    settings = st.fixed_dictionaries(
        {"labels": labels, "scope": st.sampled_from(["default", "blue"])},
        optional={
            "weight": st.integers(-9, 9),
            "cooldown": st.sampled_from(["1m", 5]),
            "project": st.sampled_from("pq"),
            "attributes": st.dictionaries(st.sampled_from("ab"), st.integers() | st.booleans()),
        },
    )
    return topology(
        dimensions={
            name: {"fallback": fallback}
            for name, fallback in zip(declared, fallbacks, strict=False)
        },
        scopes=["blue"],
        pools=[
            {"name": f"p{n}", "prefixes": [f"172.{2 * n}.0.0/16", f"172.{2 * n + 1}.0.0/16"]}
            for n in draw(st.lists(st.integers(0, 4), unique=True))
        ],
        subnets=[{"name": f"s{n}", "cidr": f"10.0.{n}.0/24", **draw(settings)} for n in bases],
        hosts=draw(st.dictionaries(st.sampled_from(["h1", "h2", "h3"]), labels)),
    )


@given(topologies())
def test_applying_a_topology_again_changes_nothing(given_one: Topology):
    assert not diff(made_by(given_one), given_one)


def _keep_scopes(before: Topology, later: Topology) -> Topology:
    """The later topology, with every subnet in the scope that it had before."""
    scopes = {subnet.name: subnet.scope for subnet in before.subnets}
    return replace(
        later,
        subnets=tuple(
            replace(subnet, scope=scopes.get(subnet.name, subnet.scope)) for subnet in later.subnets
        ),
    )


@given(topologies(), topologies())
def test_the_state_before_leaves_nothing_behind(before: Topology, other: Topology):
    later = _keep_scopes(before, other)
    reached, fresh = made_by(before, later), made_by(later)
    assert not diff(reached, later)
    assert set(reached.by_name) == set(fresh.by_name)
    assert reached.hosts.keys() == fresh.hosts.keys()
    assert reached.pools.keys() == fresh.pools.keys()
    assert set(names(reached.dimensions)) == set(names(fresh.dimensions))


@given(topologies())
def test_removed_and_applied_again_it_is_all_there(given_one: Topology):
    catalogue = made_by(given_one, Topology(), given_one)
    assert set(catalogue.by_name) == {subnet.name for subnet in given_one.subnets}


def test_a_lone_new_dimension_ranks_above_the_host() -> None:
    """The last dimension stays the last, so that claims are compared last unless somebody says so."""
    rack = Dimension("rack", Fallback.ANY, 0)
    ordered = order_dimensions(BUILT_IN, [rack])
    names = ["network", "segment", "service_type", "rack", "host"]
    assert [each.name for each in ordered] == names
    assert [each.name for each in order_dimensions(ordered, [rack])] == names


def test_a_project_that_is_no_longer_declared_goes() -> None:
    """In a topology's own subnet no project means none; one that it takes over keeps its project."""
    prefix = parse_prefix("10.0.0.0/24")
    declared = Topology("t", subnets=(Subnet(0, "s", "default", prefix),))
    for source, expected in (("t", ""), ("", "p")):
        stored = Subnet(1, "s", "default", prefix, project="p", source=source)
        catalogue = Catalogue(1, BUILT_IN, {"default": 1}, {1: stored})
        ((_, new),) = diff(catalogue, declared).subnets_changed
        assert new.project == expected


def test_a_pool_cannot_move_off_its_carved_subnets() -> None:
    """Neutron refuses it too: the subnet would be accounted to a pool that it is not in."""
    pool = Pool(1, "p", "default", 4, (parse_prefix("10.0.0.0/24"),), 8, 32, 28, source="t")
    carved = Subnet(1, "s", "default", parse_prefix("10.0.0.0/28"), pool="p")
    catalogue = Catalogue(1, BUILT_IN, {"default": 1}, {1: carved}, pools={"p": pool})
    moved = replace(pool, id=0, prefixes=(parse_prefix("10.1.0.0/24"),))
    with pytest.raises(InUse):
        diff(catalogue, Topology("t", pools=(moved,)))
