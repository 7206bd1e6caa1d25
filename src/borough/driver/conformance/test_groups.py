"""The subnets of a request and their order: rules 1 to 5 of ``docs/reference/rules.md``."""

from __future__ import annotations

import pytest

from borough.driver.conformance.space import KitSpace
from borough.driver.feature import Feature
from borough.errors import Exhausted, NoMatchingSubnet

needs = pytest.mark.needs

# --- 1. Boundaries -------------------------------------------------------------------------------


@needs(Feature.HARD)
def test_a_hard_label_excludes_requests_without_it(space: KitSpace) -> None:
    """A request without a segment gets the unlabelled subnet only."""
    space.add("a", segment="a")
    space.add("plain")
    space.declare()
    assert space.subnet_of() == "plain"
    assert space.subnet_of({"segment": "a"}) == "a"


@needs(Feature.HARD)
def test_the_network_is_one_more_group(space: KitSpace) -> None:
    """A request never gets a subnet of another network."""
    space.add("mine", 32)
    space.add("theirs", network="other")
    space.declare()
    assert space.subnet_of() == "mine"
    with pytest.raises(Exhausted):
        space.ask()
    assert space.subnet_of(network="other") == "theirs"


@needs(Feature.TYPED)
def test_a_typed_subnet_excludes_requests_without_a_type(space: KitSpace) -> None:
    """A dimension with the fallback *unlabelled* is a boundary too."""
    space.add("typed", service_type="t")
    space.declare()
    with pytest.raises(NoMatchingSubnet):
        space.ask()


@needs(Feature.SOFT)
def test_a_soft_label_attracts_and_never_excludes(space: KitSpace) -> None:
    """A request without a rack may get a subnet with one."""
    space.dimension("rack")
    space.add("r1", rack="r1")
    space.declare()
    assert space.subnet_of() == "r1"


# --- 2. Selection and fallback -------------------------------------------------------------------


@needs(Feature.HARD, Feature.EXHAUSTION)
def test_a_full_hard_group_fails(space: KitSpace) -> None:
    """It fails although other subnets of the network have space."""
    space.add("a", 32, segment="a")
    space.add("b", segment="b")
    space.add("plain")
    space.declare()
    assert space.subnet_of({"segment": "a"}) == "a"
    with pytest.raises(Exhausted):
        space.ask({"segment": "a"})


@needs(Feature.TYPED)
def test_a_full_typed_group_falls_back_to_unlabelled_subnets_only(space: KitSpace) -> None:
    """Typed subnets first, then untyped ones, never those of another type."""
    space.add("other", service_type="u")
    space.add("plain", 32)
    space.add("typed", 32, service_type="t")
    space.declare()
    assert [space.subnet_of({"service_type": "t"}) for _ in range(2)] == ["typed", "plain"]
    with pytest.raises(Exhausted):
        space.ask({"service_type": "t"})


@needs(Feature.SOFT)
def test_a_full_soft_group_falls_back_to_any_subnet(space: KitSpace) -> None:
    """Matching subnets first, then unlabelled ones, then the others."""
    space.dimension("rack")
    space.add("other", 32, rack="r2")
    space.add("plain", 32)
    space.add("mine", 32, rack="r1")
    space.declare()
    order = [space.subnet_of({"rack": "r1"}) for _ in range(3)]
    assert order == ["mine", "plain", "other"]


@needs(Feature.HARD)
def test_any_of_several_values_matches(space: KitSpace) -> None:
    """A request may name several values of a dimension."""
    for name in ("a", "b", "c"):
        space.add(name, 32, segment=name)
    space.declare()
    got = {space.subnet_of({"segment": ["a", "c"]}) for _ in range(2)}
    assert got == {"a", "c"}


@needs(Feature.OUTRIGHT)
def test_subnets_by_name_are_used_in_their_order(space: KitSpace) -> None:
    """The order is that of the names, and boundaries do not apply."""
    space.add("a", 32, segment="x")
    space.add("b", 32)
    space.declare()
    assert [space.subnet_of(subnets=["b", "a"]) for _ in range(2)] == ["b", "a"]


@needs(Feature.HARD, Feature.TYPED, Feature.SOFT, Feature.AFFINITY)
def test_all_kinds_of_grouping_combine(space: KitSpace) -> None:
    """A segment that a host implies, a type that falls back, a rack that attracts, in one request."""
    space.dimension("rack")
    space.host("h", segment="a")
    space.add("elsewhere", 32, segment="b", service_type="t", rack="r1")
    space.add("plain-far", 32, segment="a", rack="r2")
    space.add("plain-near", 32, segment="a", rack="r1")
    space.add("typed-far", 32, segment="a", service_type="t", rack="r2")
    space.add("typed-near", 32, segment="a", service_type="t", rack="r1")
    space.declare()
    labels = {"service_type": "t", "rack": "r1"}
    order = [space.subnet_of(labels, host="h") for _ in range(4)]
    assert order[0] == "typed-near"
    assert sorted(order[:2]) == ["typed-far", "typed-near"] or order[1] == "plain-near"
    assert set(order) == {"typed-near", "typed-far", "plain-near", "plain-far"}
    with pytest.raises(Exhausted):
        space.ask(labels, host="h")


# --- 3. Implied labels ---------------------------------------------------------------------------


@needs(Feature.IMPLIED)
def test_a_host_stays_on_its_segment(space: KitSpace) -> None:
    """The host implies its segment, which is a boundary."""
    space.host("h", segment="a")
    space.add("a", 32, segment="a")
    space.add("b", segment="b")
    space.declare()
    assert space.subnet_of(host="h") == "a"
    with pytest.raises(Exhausted):
        space.ask(host="h")


@needs(Feature.IMPLIED)
def test_an_implied_hard_label_admits_unlabelled_subnets(space: KitSpace) -> None:
    """A network without segments serves every host."""
    space.host("h", segment="a")
    space.add("plain")
    space.declare()
    assert space.subnet_of(host="h") == "plain"


@needs(Feature.IMPLIED)
def test_a_label_of_the_request_overrules_the_hosts(space: KitSpace) -> None:
    """A host implies labels only in dimensions that the request does not name."""
    space.host("h", segment="a")
    space.add("a", segment="a")
    space.add("b", segment="b")
    space.declare()
    assert space.subnet_of({"segment": "b"}, host="h") == "b"


# --- 4. Order ------------------------------------------------------------------------------------


@needs(Feature.ORDER, Feature.SOFT)
@pytest.mark.parametrize("first", ["rack", "zone"])
def test_the_rank_of_the_dimensions_decides(space: KitSpace, first: str) -> None:
    """A match in the dimension of higher rank comes first."""
    space.dimension(first)
    space.dimension("zone" if first == "rack" else "rack")
    space.add("zone", zone="z1", rack="r2")
    space.add("rack", rack="r1", zone="z2")
    space.declare()
    assert space.subnet_of({"rack": "r1", "zone": "z1"}) == first


@needs(Feature.ORDER)
def test_the_heavier_of_equal_subnets_goes_first(space: KitSpace) -> None:
    """Weight counts before the address."""
    space.add("light", 32)
    space.add("heavy", 32, settings={"weight": 5})
    space.declare()
    assert [space.subnet_of() for _ in range(2)] == ["heavy", "light"]


@needs(Feature.ORDER, Feature.NEXT)
def test_the_lower_of_equal_subnets_goes_first(space: KitSpace) -> None:
    """*next* uses equal subnets in the order of their addresses."""
    for name in ("a", "b", "c"):
        space.add(name, 32)
    space.declare()
    assert [space.subnet_of(kind="next") for _ in range(3)] == ["a", "b", "c"]


@needs(Feature.AFFINITY)
def test_a_host_returns_to_the_subnet_that_it_used_last(space: KitSpace) -> None:
    """Each of two hosts stays in the subnet of its first address."""
    space.add("a", 28)
    space.add("b", 28)
    space.declare()
    assert space.subnet_of(subnets=["b"], host="h1") == "b"
    assert space.subnet_of(subnets=["a"], host="h2") == "a"
    assert [space.subnet_of(host="h1") for _ in range(3)] == ["b"] * 3
    assert [space.subnet_of(host="h2") for _ in range(3)] == ["a"] * 3


@needs(Feature.AFFINITY)
def test_a_host_gets_another_subnet_when_its_own_is_full(space: KitSpace) -> None:
    """Affinity is a preference, not a boundary."""
    space.add("a", 32)
    space.add("b", 32)
    space.declare()
    assert space.subnet_of(subnets=["b"], host="h1") == "b"
    assert space.subnet_of(host="h1") == "a"


# --- 5. Together ---------------------------------------------------------------------------------


@needs(Feature.TOGETHER, Feature.DUAL_STACK, Feature.IPV6)
def test_both_families_come_from_one_segment(space: KitSpace) -> None:
    """IPv4 of segment a is full, so both addresses come from segment b."""
    space.full("a4", segment="a")
    space.add("a6", 64, family=6, segment="a")
    space.add("b4", segment="b")
    space.add("b6", 64, family=6, segment="b")
    space.declare()
    assert space.subnets_of({"segment": ["a", "b"]}, families=[4, 6]) == ["b4", "b6"]


@needs(Feature.TOGETHER, Feature.BULK)
def test_several_addresses_do_not_straddle_segments(space: KitSpace) -> None:
    """Two segments with one free address each do not have two; afterwards both addresses are free."""
    space.add("a", 32, segment="a")
    space.add("b", 32, segment="b")
    space.declare()
    labels = {"segment": ["a", "b"]}
    with pytest.raises(Exhausted):
        space.ask(labels, count=2)
    assert {space.subnet_of(labels) for _ in range(2)} == {"a", "b"}


@needs(Feature.TOGETHER, Feature.DUAL_STACK, Feature.IPV6)
def test_all_or_none(space: KitSpace) -> None:
    """When the second family is full, the address of the first is released."""
    space.add("four", 32)
    space.full("six", family=6)
    with pytest.raises(Exhausted):
        space.ask(families=[4, 6])
    assert space.subnet_of(families=4) == "four"
