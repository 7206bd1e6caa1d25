"""Which subnets a request may use, and in which order: rules 1 to 5 of ``docs/rules.md``."""

from __future__ import annotations

import pytest

from borough.driver.conformance.stage import Stage
from borough.driver.feature import Feature
from borough.errors import Exhausted, NoMatchingSubnet

needs = pytest.mark.needs

# --- 1. Fences -----------------------------------------------------------------------------------


@needs(Feature.HARD)
def test_a_hard_label_shuts_out_requests_that_do_not_name_it(stage: Stage) -> None:
    """Without naming the segment only the unlabelled subnet is seen."""
    stage.add("a", segment="a")
    stage.add("plain")
    stage.declare()
    assert stage.subnet_of() == "plain"
    assert stage.subnet_of({"segment": "a"}) == "a"


@needs(Feature.HARD)
def test_the_network_is_one_more_group(stage: Stage) -> None:
    """Another network's subnets are never used, and neither is one of none."""
    stage.add("mine", 32)
    stage.add("theirs", network="other")
    stage.declare()
    assert stage.subnet_of() == "mine"
    with pytest.raises(Exhausted):
        stage.ask()
    assert stage.subnet_of(network="other") == "theirs"


@needs(Feature.TYPED)
def test_a_typed_subnet_is_not_for_requests_without_a_type(stage: Stage) -> None:
    """An unlabelled fallback fences as well."""
    stage.add("typed", service_type="t")
    stage.declare()
    with pytest.raises(NoMatchingSubnet):
        stage.ask()


@needs(Feature.SOFT)
def test_a_soft_label_attracts_and_never_excludes(stage: Stage) -> None:
    """A subnet of some rack is open to those who name none."""
    stage.dimension("rack")
    stage.add("r1", rack="r1")
    stage.declare()
    assert stage.subnet_of() == "r1"


# --- 2. Selection and fallback -------------------------------------------------------------------


@needs(Feature.HARD, Feature.EXHAUSTION)
def test_a_full_hard_group_fails(stage: Stage) -> None:
    """Though other subnets of the network have space."""
    stage.add("a", 32, segment="a")
    stage.add("b", segment="b")
    stage.add("plain")
    stage.declare()
    assert stage.subnet_of({"segment": "a"}) == "a"
    with pytest.raises(Exhausted):
        stage.ask({"segment": "a"})


@needs(Feature.TYPED)
def test_a_full_typed_group_falls_back_to_unlabelled_subnets_only(stage: Stage) -> None:
    """Typed first, then untyped, never those of another type."""
    stage.add("other", service_type="u")
    stage.add("plain", 32)
    stage.add("typed", 32, service_type="t")
    stage.declare()
    assert [stage.subnet_of({"service_type": "t"}) for _ in range(2)] == ["typed", "plain"]
    with pytest.raises(Exhausted):
        stage.ask({"service_type": "t"})


@needs(Feature.SOFT)
def test_a_full_soft_group_falls_back_to_any_subnet(stage: Stage) -> None:
    """Matching ones, unlabelled ones, the others."""
    stage.dimension("rack")
    stage.add("other", 32, rack="r2")
    stage.add("plain", 32)
    stage.add("mine", 32, rack="r1")
    stage.declare()
    order = [stage.subnet_of({"rack": "r1"}) for _ in range(3)]
    assert order == ["mine", "plain", "other"]


@needs(Feature.HARD)
def test_any_of_several_values_matches(stage: Stage) -> None:
    """For each dimension a set of values."""
    for name in ("a", "b", "c"):
        stage.add(name, 32, segment=name)
    stage.declare()
    got = {stage.subnet_of({"segment": ["a", "c"]}) for _ in range(2)}
    assert got == {"a", "c"}


@needs(Feature.OUTRIGHT)
def test_subnets_named_outright_are_used_in_their_order(stage: Stage) -> None:
    """The order given, and fences do not apply."""
    stage.add("a", 32, segment="x")
    stage.add("b", 32)
    stage.declare()
    assert [stage.subnet_of(subnets=["b", "a"]) for _ in range(2)] == ["b", "a"]


@needs(Feature.HARD, Feature.TYPED, Feature.SOFT, Feature.AFFINITY)
def test_all_kinds_of_grouping_combine(stage: Stage) -> None:
    """A segment that a host implies, a type that falls back, a rack that attracts, in one request."""
    stage.dimension("rack")
    stage.host("h", segment="a")
    stage.add("elsewhere", 32, segment="b", service_type="t", rack="r1")
    stage.add("plain-far", 32, segment="a", rack="r2")
    stage.add("plain-near", 32, segment="a", rack="r1")
    stage.add("typed-far", 32, segment="a", service_type="t", rack="r2")
    stage.add("typed-near", 32, segment="a", service_type="t", rack="r1")
    stage.declare()
    wanted = {"service_type": "t", "rack": "r1"}
    order = [stage.subnet_of(wanted, host="h") for _ in range(4)]
    assert order[0] == "typed-near"
    assert sorted(order[:2]) == ["typed-far", "typed-near"] or order[1] == "plain-near"
    assert set(order) == {"typed-near", "typed-far", "plain-near", "plain-far"}
    with pytest.raises(Exhausted):
        stage.ask(wanted, host="h")


# --- 3. Implied labels ---------------------------------------------------------------------------


@needs(Feature.IMPLIED)
def test_a_host_stays_on_the_segment_that_it_reaches(stage: Stage) -> None:
    """It implies its segment, and never leaves it."""
    stage.host("h", segment="a")
    stage.add("a", 32, segment="a")
    stage.add("b", segment="b")
    stage.declare()
    assert stage.subnet_of(host="h") == "a"
    with pytest.raises(Exhausted):
        stage.ask(host="h")


@needs(Feature.IMPLIED)
def test_an_implied_hard_label_admits_unlabelled_subnets(stage: Stage) -> None:
    """A network that is not divided into segments is there for every host."""
    stage.host("h", segment="a")
    stage.add("plain")
    stage.declare()
    assert stage.subnet_of(host="h") == "plain"


@needs(Feature.IMPLIED)
def test_a_label_of_the_request_overrules_the_hosts(stage: Stage) -> None:
    """Implied only in dimensions that the request does not name."""
    stage.host("h", segment="a")
    stage.add("a", segment="a")
    stage.add("b", segment="b")
    stage.declare()
    assert stage.subnet_of({"segment": "b"}, host="h") == "b"


# --- 4. Order ------------------------------------------------------------------------------------


@needs(Feature.ORDER, Feature.SOFT)
@pytest.mark.parametrize("first", ["rack", "zone"])
def test_the_rank_of_the_dimensions_decides(stage: Stage, first: str) -> None:
    """What fits in the more important dimension goes first."""
    stage.dimension(first)
    stage.dimension("zone" if first == "rack" else "rack")
    stage.add("zone", zone="z1", rack="r2")
    stage.add("rack", rack="r1", zone="z2")
    stage.declare()
    assert stage.subnet_of({"rack": "r1", "zone": "z1"}) == first


@needs(Feature.ORDER)
def test_the_heavier_of_equal_subnets_goes_first(stage: Stage) -> None:
    """Weight, before the address."""
    stage.add("light", 32)
    stage.add("heavy", 32, settings={"weight": 5})
    stage.declare()
    assert [stage.subnet_of() for _ in range(2)] == ["heavy", "light"]


@needs(Feature.ORDER, Feature.NEXT)
def test_the_lower_of_equal_subnets_goes_first(stage: Stage) -> None:
    """For *next*, which has no other wish, in the order of their addresses."""
    for name in ("a", "b", "c"):
        stage.add(name, 32)
    stage.declare()
    assert [stage.subnet_of(kind="next") for _ in range(3)] == ["a", "b", "c"]


@needs(Feature.AFFINITY)
def test_a_host_comes_back_to_the_subnet_that_it_used_last(stage: Stage) -> None:
    """A soft boundary: each of two hosts stays in the subnet that it began in."""
    stage.add("a", 28)
    stage.add("b", 28)
    stage.declare()
    assert stage.subnet_of(subnets=["b"], host="h1") == "b"
    assert stage.subnet_of(subnets=["a"], host="h2") == "a"
    assert [stage.subnet_of(host="h1") for _ in range(3)] == ["b"] * 3
    assert [stage.subnet_of(host="h2") for _ in range(3)] == ["a"] * 3


@needs(Feature.AFFINITY)
def test_a_host_crosses_its_boundary_rather_than_failing(stage: Stage) -> None:
    """The other subnet is used when its own is full."""
    stage.add("a", 32)
    stage.add("b", 32)
    stage.declare()
    assert stage.subnet_of(subnets=["b"], host="h1") == "b"
    assert stage.subnet_of(host="h1") == "a"


# --- 5. Together ---------------------------------------------------------------------------------


@needs(Feature.TOGETHER, Feature.DUAL_STACK, Feature.IPV6)
def test_both_families_come_from_one_segment(stage: Stage) -> None:
    """IPv4 of segment a is full, so both addresses come from segment b."""
    stage.full("a4", segment="a")
    stage.add("a6", 64, family=6, segment="a")
    stage.add("b4", segment="b")
    stage.add("b6", 64, family=6, segment="b")
    stage.declare()
    assert stage.subnets_of({"segment": ["a", "b"]}, families=[4, 6]) == ["b4", "b6"]


@needs(Feature.TOGETHER, Feature.BULK)
def test_several_addresses_do_not_straddle_segments(stage: Stage) -> None:
    """Two segments with one free address each cannot give two; and what was tried is free again."""
    stage.add("a", 32, segment="a")
    stage.add("b", 32, segment="b")
    stage.declare()
    wanted = {"segment": ["a", "b"]}
    with pytest.raises(Exhausted):
        stage.ask(wanted, count=2)
    assert {stage.subnet_of(wanted) for _ in range(2)} == {"a", "b"}


@needs(Feature.TOGETHER, Feature.DUAL_STACK, Feature.IPV6)
def test_all_or_none(stage: Stage) -> None:
    """When the second family is full, the address of the first is not kept."""
    stage.add("four", 32)
    stage.full("six", family=6)
    with pytest.raises(Exhausted):
        stage.ask(families=[4, 6])
    assert stage.subnet_of(families=4) == "four"
