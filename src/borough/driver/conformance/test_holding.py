"""Who holds an address and for how long: rules 7 to 10 of ``docs/rules.md``, and many callers at once."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from borough.driver.conformance.stage import Stage
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
def test_the_same_key_gets_the_same_address(stage: Stage) -> None:
    """A lost reply can be asked for again."""
    stage.add("s")
    stage.declare()
    first = stage.ask(owner="web", key="k")
    again = stage.ask(owner="web", key="k")
    assert again.address == first.address
    assert (first.replayed, again.replayed) == (False, True)
    assert stage.address() != first.address


@needs(Feature.REPEATS, Feature.BULK)
def test_the_same_key_gets_all_its_addresses_in_order(stage: Stage) -> None:
    """Also several."""
    stage.add("s", 28)
    stage.declare()
    assert stage.addresses(key="k", count=3) == stage.addresses(key="k", count=3)


@needs(Feature.REPEATS)
def test_a_key_with_another_request_is_an_error(stage: Stage) -> None:
    """It gives nothing."""
    stage.add("s")
    stage.declare()
    stage.ask(key="k", owner="a")
    with pytest.raises(KeyReused):
        stage.ask(key="k", owner="b")


@needs(Feature.REPEATS)
def test_a_key_whose_addresses_went_is_spent(stage: Stage) -> None:
    """To return the old answer would give an address twice."""
    stage.add("s")
    stage.declare()
    stage.release(stage.address(key="k"))
    with pytest.raises(KeySpent):
        stage.ask(key="k")


@needs(Feature.OWNERS)
def test_release_by_owner_frees_all_it_holds(stage: Stage) -> None:
    """And nothing else."""
    stage.add("s", 29)
    stage.declare()
    web = {stage.address(owner="web") for _ in range(3)}
    db = stage.address(owner="db")
    assert {each.address for each in stage.release(owner="web")} == web
    assert not stage.release(owner="web")
    assert [each.address for each in stage.release(owner="db")] == [db]


@needs(Feature.OWNERS)
def test_release_by_host_frees_all_on_it(stage: Stage) -> None:
    """And nothing else."""
    stage.add("s", 27)
    stage.declare()
    mine = {stage.address(host="h1") for _ in range(2)}
    theirs = stage.address(host="h2")
    assert {each.address for each in stage.release(host="h1")} == mine
    assert [each.address for each in stage.release(host="h2")] == [theirs]


@needs(Feature.OWNERS)
def test_an_answer_says_what_it_is(stage: Stage) -> None:
    """Owner, host, subnet, prefix length, family."""
    network = stage.add("s", 29)
    stage.declare()
    given = stage.ask(owner="web", host="h").allocations[0]
    assert ipaddress.ip_address(given.address) in network
    assert (given.owner, given.host) == (stage.prefix + "web", stage.prefix + "h")
    assert (given.subnet, given.prefix_length, given.family) == (stage.prefix + "s", 29, 4)


# --- 8. Release and sequence ---------------------------------------------------------------------


@needs(Feature.EXHAUSTION)
def test_a_released_address_can_be_given_again(stage: Stage) -> None:
    """And a second release of it is refused."""
    stage.add("s", 32)
    stage.declare()
    address = stage.address()
    stage.release(address)
    with pytest.raises(NotAllocated):
        stage.release(address)
    assert stage.address() == address


@needs(Feature.SEQUENCE)
def test_a_stale_sequence_is_refused(stage: Stage) -> None:
    """A late release must not free the next holder's address (ABA)."""
    stage.add("s", 32)
    stage.declare()
    old = stage.ask(owner="a").allocations[0]
    stage.release(old.address, sequence=old.sequence)
    new = stage.ask(owner="b").allocations[0]
    assert new.address == old.address
    assert new.sequence != old.sequence
    with pytest.raises(StaleSequence):
        stage.release(old.address, sequence=old.sequence)
    with pytest.raises(Exhausted):
        stage.ask()
    assert stage.release(new.address, sequence=new.sequence)


@needs(Feature.SEQUENCE)
def test_a_release_may_say_whose_address_it_means(stage: Stage) -> None:
    """Owner and host are conditions too."""
    stage.add("s", 32)
    stage.declare()
    address = stage.address(owner="a", host="h")
    for wrong in ({"owner": "b"}, {"host": "g"}):
        with pytest.raises(NotAllocated):
            stage.release(address, **wrong)
    assert stage.release(address, owner="a", host="h")


# --- 9. Cool-down --------------------------------------------------------------------------------


@needs(Feature.COOLDOWN)
def test_a_released_address_rests(stage: Stage) -> None:
    """It is not given again for the cool-down, unless asked for by name."""
    stage.add("s", 31, settings={"cooldown": 3600})
    stage.declare()
    first = stage.address()
    stage.release(first)
    assert stage.address() != first
    with pytest.raises(Exhausted):
        stage.ask()
    assert stage.address(address=first) == first


# --- 10. Exhausted is not contended --------------------------------------------------------------


@needs(Feature.EXHAUSTION)
def test_no_subnet_is_another_thing_than_no_address(stage: Stage) -> None:
    """A group that admits nothing is not full."""
    stage.full("s")
    with pytest.raises(Exhausted):
        stage.ask()
    with pytest.raises(NoMatchingSubnet):
        stage.ask({"segment": "nowhere"})


@needs(Feature.CONCURRENCY, Feature.EXHAUSTION)
def test_many_callers_get_every_address_once(stage: Stage) -> None:
    """No address twice, and none is held back: 24 addresses of 4 subnets, 30 requests at once."""
    for name in ("a", "b", "c", "d"):
        stage.add(name, 29)
    stage.declare()

    together = Barrier(CALLERS, timeout=60)

    def ask(number: int) -> str | None:
        if number < CALLERS:
            together.wait()
        try:
            return stage.address(owner=f"o{number}")
        except Exhausted:
            return None

    with ThreadPoolExecutor(CALLERS) as pool:
        got = list(pool.map(ask, range(30)))
    given = [each for each in got if each]
    assert len(set(given)) == len(given), "an address was given twice"
    assert len(given) == 24, "exhausted was told while addresses were free"


@needs(Feature.CONCURRENCY, Feature.REPEATS)
def test_many_callers_with_one_key_get_one_address(stage: Stage) -> None:
    """Whoever is slower gets the answer of the first."""
    stage.add("s", 28)
    stage.declare()
    together = Barrier(CALLERS, timeout=60)

    def ask(_: int) -> str:
        together.wait()
        return stage.address(key="k", owner="o")

    with ThreadPoolExecutor(CALLERS) as pool:
        got = list(pool.map(ask, range(CALLERS)))
    assert len(set(got)) == 1
    assert len(stage.addresses(count=13)) == 13, "what the slower ones took is free again"


@needs(Feature.CONCURRENCY, Feature.SEQUENCE)
def test_of_many_releases_one_wins(stage: Stage) -> None:
    """The others are told, and the next holder keeps the address."""
    stage.add("s", 32)
    stage.declare()
    given = stage.ask().allocations[0]

    together = Barrier(CALLERS, timeout=60)

    def release(_: int) -> bool:
        together.wait()
        try:
            stage.release(given.address, sequence=given.sequence)
        except BoroughError:
            return False
        return True

    with ThreadPoolExecutor(CALLERS) as pool:
        assert list(pool.map(release, range(CALLERS))).count(True) == 1
    assert stage.address() == given.address


@needs(Feature.CLAIMS)
def test_a_host_claims_a_block(stage: Stage) -> None:
    """What it gets lies in an aligned prefix that is its own; another host gets another one."""
    stage.add("s", 24)
    stage.declare()
    mine = [stage.ask(host="h1").allocations[0] for _ in range(3)]
    blocks = {each.block for each in mine}
    assert len(blocks) == 1
    block = ipaddress.ip_network(str(blocks.pop()))
    assert all(ipaddress.ip_address(each.address) in block for each in mine)
    other = stage.ask(host="h2").allocations[0]
    assert not ipaddress.ip_network(str(other.block)).overlaps(block)
    stage.release(host="h1")
    stage.release(host="h2")
