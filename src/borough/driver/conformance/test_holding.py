"""Owners, keys, release, cool-down, many callers: rules 7 to 10 of ``docs/reference/rules.md``."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from borough.driver.conformance.space import KitSpace
from borough.driver.feature import Feature
from borough.errors import (
    BoroughError,
    Exhausted,
    KeyReused,
    KeySpent,
    NoMatchingSubnet,
    NotAllocated,
    StaleSequence,
)

needs = pytest.mark.needs

CALLERS = 8


# --- 7. Owner and repeats ------------------------------------------------------------------------


@needs(Feature.REPEATS)
def test_the_same_key_gets_the_same_address(space: KitSpace) -> None:
    """A request can be repeated after a lost reply."""
    space.add("s")
    space.declare()
    first = space.ask(owner="web", key="k")
    again = space.ask(owner="web", key="k")
    assert again.address == first.address
    assert (first.replayed, again.replayed) == (False, True)
    assert space.address() != first.address


@needs(Feature.REPEATS, Feature.BULK)
def test_the_same_key_gets_all_its_addresses_in_order(space: KitSpace) -> None:
    """A key covers several addresses."""
    space.add("s", 28)
    space.declare()
    assert space.addresses(key="k", count=3) == space.addresses(key="k", count=3)


@needs(Feature.REPEATS)
def test_a_key_of_another_request_is_refused(space: KitSpace) -> None:
    """The second request allocates nothing."""
    space.add("s")
    space.declare()
    space.ask(key="k", owner="a")
    with pytest.raises(KeyReused):
        space.ask(key="k", owner="b")


@needs(Feature.REPEATS)
def test_a_key_is_spent_after_its_addresses_are_released(space: KitSpace) -> None:
    """The old answer would allocate an address twice."""
    space.add("s")
    space.declare()
    space.release(space.address(key="k"))
    with pytest.raises(KeySpent):
        space.ask(key="k")


@needs(Feature.OWNERS)
def test_release_by_owner_frees_all_its_addresses(space: KitSpace) -> None:
    """No other address is released."""
    space.add("s", 29)
    space.declare()
    web = {space.address(owner="web") for _ in range(3)}
    db = space.address(owner="db")
    assert {each.address for each in space.release(owner="web")} == web
    assert not space.release(owner="web")
    assert [each.address for each in space.release(owner="db")] == [db]


@needs(Feature.OWNERS)
def test_release_by_host_frees_all_its_addresses(space: KitSpace) -> None:
    """No other address is released."""
    space.add("s", 27)
    space.declare()
    mine = {space.address(host="h1") for _ in range(2)}
    theirs = space.address(host="h2")
    assert {each.address for each in space.release(host="h1")} == mine
    assert [each.address for each in space.release(host="h2")] == [theirs]


@needs(Feature.OWNERS)
def test_an_answer_describes_its_address(space: KitSpace) -> None:
    """It has owner, host, subnet, prefix length and family."""
    network = space.add("s", 29)
    space.declare()
    made = space.ask(owner="web", host="h").allocations[0]
    assert ipaddress.ip_address(made.address) in network
    assert (made.owner, made.host) == (space.prefix + "web", space.prefix + "h")
    assert (made.subnet, made.prefix_length, made.family) == (space.prefix + "s", 29, 4)


# --- 8. Release and sequence ---------------------------------------------------------------------


@needs(Feature.EXHAUSTION)
def test_a_released_address_can_be_allocated_again(space: KitSpace) -> None:
    """A second release of it is refused."""
    space.add("s", 32)
    space.declare()
    address = space.address()
    space.release(address)
    with pytest.raises(NotAllocated):
        space.release(address)
    assert space.address() == address


@needs(Feature.SEQUENCE)
def test_a_stale_sequence_is_refused(space: KitSpace) -> None:
    """A late release must not free the address of the next owner (ABA)."""
    space.add("s", 32)
    space.declare()
    old = space.ask(owner="a").allocations[0]
    space.release(old.address, sequence=old.sequence)
    new = space.ask(owner="b").allocations[0]
    assert new.address == old.address
    assert new.sequence != old.sequence
    with pytest.raises(StaleSequence):
        space.release(old.address, sequence=old.sequence)
    with pytest.raises(Exhausted):
        space.ask()
    assert space.release(new.address, sequence=new.sequence)


@needs(Feature.SEQUENCE)
def test_a_release_has_conditions(space: KitSpace) -> None:
    """A release with another owner or host is refused."""
    space.add("s", 32)
    space.declare()
    address = space.address(owner="a", host="h")
    for wrong in ({"owner": "b"}, {"host": "g"}):
        with pytest.raises(NotAllocated):
            space.release(address, **wrong)
    assert space.release(address, owner="a", host="h")


# --- 9. Cool-down --------------------------------------------------------------------------------


@needs(Feature.COOLDOWN)
def test_a_released_address_cools_down(space: KitSpace) -> None:
    """During the cool-down it is allocated only by name."""
    space.add("s", 31, settings={"cooldown": 3600})
    space.declare()
    first = space.address()
    space.release(first)
    assert space.address() != first
    with pytest.raises(Exhausted):
        space.ask()
    assert space.address(address=first) == first


# --- 10. Exhaustion, and many callers ------------------------------------------------------------


@needs(Feature.EXHAUSTION)
def test_no_matching_subnet_differs_from_exhausted(space: KitSpace) -> None:
    """A group without subnets is not full."""
    space.full("s")
    with pytest.raises(Exhausted):
        space.ask()
    with pytest.raises(NoMatchingSubnet):
        space.ask({"segment": "nowhere"})


@needs(Feature.CONCURRENCY, Feature.EXHAUSTION)
def test_many_callers_get_every_address_once(space: KitSpace) -> None:
    """Each of 24 addresses of 4 subnets is allocated once to 30 requests at once."""
    for name in ("a", "b", "c", "d"):
        space.add(name, 29)
    space.declare()

    together = Barrier(CALLERS, timeout=60)

    def ask(number: int) -> str | None:
        if number < CALLERS:
            together.wait()
        try:
            return space.address(owner=f"o{number}")
        except Exhausted:
            return None

    with ThreadPoolExecutor(CALLERS) as pool:
        got = list(pool.map(ask, range(30)))
    made = [each for each in got if each]
    assert len(set(made)) == len(made), "an address was allocated twice"
    assert len(made) == 24, "exhausted was reported while addresses were free"


@needs(Feature.CONCURRENCY, Feature.REPEATS)
def test_many_callers_with_one_key_get_one_address(space: KitSpace) -> None:
    """All get the answer of the first request."""
    space.add("s", 28)
    space.declare()
    together = Barrier(CALLERS, timeout=60)

    def ask(_: int) -> str:
        together.wait()
        return space.address(key="k", owner="o")

    with ThreadPoolExecutor(CALLERS) as pool:
        got = list(pool.map(ask, range(CALLERS)))
    assert len(set(got)) == 1
    assert len(space.addresses(count=13)) == 13, (
        "the addresses of the slower requests are free again"
    )


@needs(Feature.CONCURRENCY, Feature.SEQUENCE)
def test_one_of_many_releases_succeeds(space: KitSpace) -> None:
    """The others fail, and the next owner keeps the address."""
    space.add("s", 32)
    space.declare()
    made = space.ask().allocations[0]

    together = Barrier(CALLERS, timeout=60)

    def release(_: int) -> bool:
        together.wait()
        try:
            space.release(made.address, sequence=made.sequence)
        except BoroughError:
            return False
        return True

    with ThreadPoolExecutor(CALLERS) as pool:
        assert list(pool.map(release, range(CALLERS))).count(True) == 1
    assert space.address() == made.address


@needs(Feature.CLAIMS)
def test_a_host_claims_a_block(space: KitSpace) -> None:
    """The addresses of a host are in an aligned prefix without addresses of another host."""
    space.add("s", 24)
    space.declare()
    mine = [space.ask(host="h1").allocations[0] for _ in range(3)]
    blocks = {each.block for each in mine}
    assert len(blocks) == 1
    block = ipaddress.ip_network(str(blocks.pop()))
    assert all(ipaddress.ip_address(each.address) in block for each in mine)
    other = space.ask(host="h2").allocations[0]
    assert not ipaddress.ip_network(str(other.block)).overlaps(block)
    space.release(host="h1")
    space.release(host="h2")
