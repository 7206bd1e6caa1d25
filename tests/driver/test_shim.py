"""The shim: behaviour that the conformance kit does not test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import borough
from borough.driver import SubnetRequest, make_group, make_request
from borough.driver.shim import Shim
from borough.driver.walk import CLAIMANTS, SUBNETS, Affinity
from borough.errors import (
    AddressInUse,
    DriverUnavailable,
    Exhausted,
    FixInput,
    NotSupported,
    UnknownObject,
    WouldStrand,
)
from tests.conftest import Clock
from tests.driver.classic import ClassicDriver, System, WholeDriver

Make = Callable[..., Shim]


def subnet(name: str, cidr: str, **labels: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        key: labels.pop(key) for key in ("gateway", "ranges", "weight") if key in labels
    }
    return {"name": name, "cidr": cidr, "labels": {"network": "n", **labels}, **settings}


def shim(*subnets: dict[str, Any], driver: Any = ClassicDriver, **more: Any) -> Shim:
    options = {key: more.pop(key) for key in ("ledger", "clock", "attempts") if key in more}
    made = driver if isinstance(driver, ClassicDriver) else driver(System())
    wrapped = Shim.wrap(made, name="classic", sleep=lambda _seconds: None, **options)
    wrapped.apply({"subnets": list(subnets), **more})
    return wrapped


def system(driver: Shim) -> System:
    assert isinstance(driver.driver, ClassicDriver)
    return driver.driver.system


def ask(driver: Shim, labels: dict[str, Any] | None = None, **more: Any) -> list[str]:
    host = more.pop("host", None)
    group = make_group({"network": "n", **(labels or {})}, host=host)
    return [each.address for each in driver.allocate(group, make_request(**more)).allocations]


def asked(driver: Shim) -> list[str]:
    calls = [f"{what} {name}" for what, name in system(driver).calls]
    system(driver).calls.clear()
    return calls


# --- The order of subnets -------------------------------------------------------------------------


def test_subnets_are_tried_in_order_and_calls_are_counted() -> None:
    """Each full subnet costs one round trip."""
    names = ["a", "b", "c"]
    driver = shim(*(subnet(name, f"10.0.{at}.0/32") for at, name in enumerate(names)))
    for name in names:
        before = driver.round_trips
        ask(driver)
        assert asked(driver)[-1] == f"allocate {name}"
        assert driver.round_trips - before == names.index(name) + 1


def test_exhaustion_lists_the_subnets_that_were_tried() -> None:
    """No address stays allocated."""
    driver = shim(subnet("a", "10.0.0.0/30"), subnet("b", "10.0.1.0/30"))
    with pytest.raises(Exhausted) as refused:
        ask(driver, count=5)
    assert refused.value.detail["explanation"] == {"asked": ["a", "b"]}
    assert refused.value.detail["driver"] == "classic"
    assert system(driver).all_held() == set()


def test_an_error_other_than_a_full_subnet_ends_the_request() -> None:
    """The next subnet is not tried, and the earlier addresses are released."""
    driver = shim(
        subnet("a", "10.0.0.0/32"), subnet("b", "10.0.1.0/30"), subnet("c", "10.0.2.0/24")
    )

    def refuse(what: str, name: str, _request: object) -> None:
        if (what, name) == ("allocate", "b"):
            raise DriverUnavailable("out of order", outcome="not_done")

    system(driver).before = refuse
    with pytest.raises(DriverUnavailable) as refused:
        ask(driver, count=2)
    assert refused.value.message == "driver classic, subnet b: out of order"
    assert refused.value.detail == {"outcome": "not_done", "driver": "classic", "subnet": "b"}
    assert asked(driver) == [
        "allocate a",
        "allocate a",
        "allocate b",
        "allocate b",
        "allocate b",
        "deallocate a",
    ]
    assert system(driver).all_held() == set()


def test_a_host_starts_with_the_subnet_that_it_used_last() -> None:
    """One round trip, although the lower subnets are full, and also after a restart."""
    driver = shim(
        subnet("a", "10.0.0.0/32"), subnet("b", "10.0.1.0/32"), subnet("c", "10.0.2.0/24")
    )
    ask(driver, count=3)
    ask(driver, host="h")
    asked(driver)
    ask(driver, host="h")
    assert asked(driver) == ["allocate c"]
    again = Shim(driver.driver, driver.ledger)
    ask(again, host="h")
    assert asked(driver) == ["allocate c"]


def test_the_memory_of_hosts_is_bounded() -> None:
    """The claimant that was used longest ago is dropped first."""
    affinity = Affinity(lambda host: [2, 1, 2, 1] if host == "h" else [])
    assert affinity.recent("host=h", "h") == [1, 2]
    for number in range(CLAIMANTS):
        affinity.note(f"host={number}", number)
    for number in range(SUBNETS + 5):
        affinity.note("host=h", number)
    assert affinity.recent("host=h", "h")[0] == SUBNETS + 4
    assert len(affinity.recent("host=h", "h")) == SUBNETS
    assert affinity.recent("", "") == []


def test_a_rack_that_claims_is_remembered_like_a_host() -> None:
    """Affinity follows the dimension that claims."""
    dimensions = {"rack": {"fallback": "any", "claims": True}}
    driver = shim(subnet("a", "10.0.0.0/28"), subnet("b", "10.0.1.0/28"), dimensions=dimensions)
    driver.allocate(make_group(subnets=["b"]), make_request())
    group = make_group({"network": "n", "rack": "r1"})
    driver.allocate(group, make_request(address="10.0.1.9"))
    assert driver.allocate(group, make_request()).allocations[0].subnet == "b"


# --- All or none ----------------------------------------------------------------------------------


def test_a_placement_group_without_all_addresses_keeps_none() -> None:
    """Segment a lacks IPv6, so its IPv4 address is released and segment b is used."""
    driver = shim(
        subnet("a4", "10.0.0.0/30", segment="a"),
        subnet("a6", "2001:db8:a::/128", segment="a"),
        subnet("b4", "10.0.1.0/30", segment="b"),
        subnet("b6", "2001:db8:b::/126", segment="b"),
    )
    ask(driver, {"segment": "a"}, families=6)
    asked(driver)
    got = ask(driver, {"segment": ["a", "b"]}, families=[4, 6])
    assert got == ["10.0.1.1", "2001:db8:b::1"]
    assert asked(driver) == [
        "allocate a4",
        "allocate a6",
        "deallocate a4",
        "allocate b4",
        "allocate b6",
    ]


def test_an_orphan_is_reported_kept_and_tried_again(clock: Clock) -> None:
    """The error lists it, the ledger has it, and it is released when the system works again."""
    driver = shim(subnet("a", "10.0.0.0/30"), clock=clock)
    system(driver).before = _no_release
    with pytest.raises(Exhausted) as refused:
        ask(driver, count=3)
    assert refused.value.detail["orphans"] == ["10.0.0.1", "10.0.0.2"]
    kept = driver.ledger.orphans()
    assert sorted(each.address for each in kept) == ["10.0.0.1", "10.0.0.2"]
    assert kept[0].reason == "driver classic, subnet a: no"
    assert driver.retry_orphans() == 2
    system(driver).before = lambda *_: None
    assert driver.retry_orphans() == 0
    assert system(driver).all_held() == set()
    assert ask(driver, count=2) == ["10.0.0.1", "10.0.0.2"]


def test_orphans_are_tried_again_after_a_request(clock: Clock) -> None:
    """A request that succeeds tries them a minute later."""
    driver = shim(subnet("a", "10.0.0.0/29"), clock=clock)
    (address,) = ask(driver)
    system(driver).before = _no_release
    driver.release(address)
    system(driver).before = lambda *_: None
    ask(driver)
    assert address in system(driver).all_held()
    clock.advance(61)
    ask(driver)
    assert address not in system(driver).all_held()
    assert driver.ledger.orphans() == []


def _no_release(what: str, _name: str, _request: object) -> None:
    if what == "deallocate":
        raise DriverUnavailable("no", outcome="not_done")


def test_an_orphan_that_was_allocated_again_is_not_released(clock: Clock) -> None:
    """The answer to the release was lost, the address was free, and has a new owner."""
    driver = shim(subnet("a", "10.0.0.0/32"), clock=clock)
    (address,) = ask(driver)

    def lose(what: str, name: str, request: object) -> None:
        if what == "deallocate":
            system(driver).held[name].pop(str(request), None)
            raise DriverUnavailable("lost", outcome="unknown")

    system(driver).before = lose
    driver.release(address)
    system(driver).before = lambda *_: None
    assert [each.address for each in driver.ledger.orphans()] == [address]
    assert ask(driver, owner="next") == [address]
    assert driver.retry_orphans() == 0
    assert system(driver).all_held() == {address}


def test_the_driver_gets_the_note_and_the_ledger_keeps_it(clock: Clock) -> None:
    driver = shim(subnet("a", "10.0.0.0/30"), clock=clock)
    requests: list[object] = []
    system(driver).before = lambda what, name, request: requests.append(request)
    answer = driver.allocate(make_group(subnets=["a"]), make_request(note="for the shop"))
    assert answer.allocations[0].note == "for the shop"
    assert {each.note for each in requests if isinstance(each, SubnetRequest)} == {"for the shop"}
    assert driver.release(answer.address)[0].note == "for the shop"


def test_orphans_outlive_the_process_and_are_audited(tmp_path: Any, clock: Clock) -> None:
    """They are rows of the ledger, which ``borough audit`` lists until the driver has released them."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    driver = shim(subnet("a", "10.0.0.0/30"), ledger=url, clock=clock)
    system(driver).before = _no_release
    driver.release(ask(driver, owner="web")[0])
    driver.close()
    with borough.open(url, clock=clock) as ipam:
        (finding,) = ipam.audit(repair=True)
        assert (finding.code, finding.subnet, finding.subject) == ("left_behind", "a", "10.0.0.1")
        assert finding.message.startswith(
            "driver classic may still hold 10.0.0.1 for web: driver classic, subnet a: no"
        )
        assert not finding.repaired
    system(driver).before = lambda *_: None
    again = Shim.wrap(driver.driver, name="classic", ledger=url, clock=clock)
    assert again.retry_orphans() == 0
    again.close()
    with borough.open(url, clock=clock) as ipam:
        assert ipam.audit() == []


def test_a_release_in_progress_is_a_finding_only_after_a_minute(clock: Clock) -> None:
    """The row is written before the call to the system, so a crash in between leaves it."""
    driver = shim(subnet("a", "10.0.0.0/30"), clock=clock)
    (address,) = ask(driver)

    def die(what: str, _name: str, _request: object) -> None:
        if what == "deallocate":
            raise KeyboardInterrupt

    system(driver).before = die
    with pytest.raises(KeyboardInterrupt):
        driver.release(address)
    system(driver).before = lambda *_: None
    ipam = borough.Ipam(driver.ledger.store, clock=clock)
    assert ipam.audit() == []
    assert driver.retry_orphans() == 1
    clock.advance(61)
    assert [each.code for each in ipam.audit()] == ["left_behind"]
    assert driver.retry_orphans() == 0
    assert system(driver).all_held() == set()


def test_the_slower_request_with_a_key_releases_its_addresses() -> None:
    """Both call the system; the answer that is recorded first is that of both."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    first: list[list[str]] = []

    def meanwhile(what: str, _name: str, _request: object) -> None:
        system(driver).before = lambda *_: None
        first.append(ask(driver, key="k", owner="o"))

    system(driver).before = meanwhile
    assert ask(driver, key="k", owner="o") == first[0] == ["10.0.0.1"]
    assert system(driver).all_held() == {"10.0.0.1"}


# --- A driver that decides some requests ------------------------------------------------------------


def test_the_driver_decides_some_requests_and_the_shim_the_others() -> None:
    """Hard groups are one call; typed ones, named addresses and hosts one for each subnet."""
    wrapped = WholeDriver(System())
    driver = shim(
        subnet("a", "10.0.0.0/32"),
        subnet("b", "10.0.1.0/29"),
        subnet("t", "10.0.2.0/29", service_type="t"),
        driver=wrapped,
    )
    calls = wrapped.system.calls
    assert ask(driver, count=3) == ["10.0.0.0", "10.0.1.1", "10.0.1.2"]
    assert (wrapped.whole, driver.round_trips) == (1, 1)
    assert ask(driver, kind="next") == ["10.0.1.3"]
    assert wrapped.whole == 2
    calls.clear()
    for labels, more in (
        ({"service_type": "t"}, {}),
        ({}, {"address": "10.0.1.6"}),
        ({}, {"host": "h"}),
    ):
        ask(driver, labels, **more)
    assert wrapped.whole == 2
    # The host has no addresses yet, so it starts at the lowest subnet.
    assert [name for _, name in calls] == ["t", "b", "a", "b"]


@pytest.mark.parametrize("wrong", ["stranger", "short", "twice"])
def test_a_wrong_answer_for_a_whole_group_is_released(wrong: str) -> None:
    """All its addresses are released."""

    class Wrong(WholeDriver):
        def allocate_from(self, subnets: Any, count: int, request: Any) -> Any:
            taken = list(super().allocate_from(subnets, count, request))
            if wrong == "stranger":
                place = self.get_subnet(stranger[0])
                taken[-1:] = [
                    taken[-1]._replace(subnet=stranger[0], address=place.allocate(request))
                ]
                self.get_subnet(subnets[-1]).deallocate(last(subnets, taken))
            if wrong == "short":
                self.get_subnet(taken[-1].subnet).deallocate(taken.pop().address)
            if wrong == "twice":
                self.get_subnet(taken[-1].subnet).deallocate(taken[-1].address)
                taken[-1] = taken[0]
            return taken

    def last(subnets: Any, _taken: Any) -> str:
        return max(wrapped.system.held[subnets[-1].name])

    wrapped = Wrong(System())
    driver = shim(
        subnet("a", "10.0.0.0/29"), subnet("x", "10.0.9.0/29", segment="x"), driver=wrapped
    )
    stranger = [driver.ledger.catalogue.by_name["x"]]
    with pytest.raises(borough.BoroughError) as refused:
        ask(driver, count=3)
    assert refused.value.code == "driver_fault"
    assert wrapped.system.all_held() == set()


# --- Refusals -------------------------------------------------------------------------------------


def test_a_missing_feature_is_refused_by_name() -> None:
    """The refusal needs no call to the system."""
    from borough.driver import Feature

    class Plain(ClassicDriver):
        lacks = {Feature.NEXT: "it picks at random", Feature.DUAL_STACK: "one family at a time"}  # noqa: RUF012

    driver = shim(subnet("a", "10.0.0.0/29"), subnet("six", "2001:db8::/64"), driver=Plain)
    with pytest.raises(NotSupported, match="it picks at random"):
        ask(driver, kind="next")
    with pytest.raises(NotSupported, match="one family"):
        ask(driver, families=[4, 6])
    assert asked(driver) == []
    assert set(driver.lacks) >= {Feature.NEXT, Feature.DUAL_STACK, Feature.COOLDOWN, Feature.CLAIMS}


def test_an_address_with_an_owner_in_the_ledger_is_not_requested() -> None:
    """No round trip, and the error names the owner."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    ask(driver, address="10.0.0.3", owner="web")
    asked(driver)
    with pytest.raises(AddressInUse) as refused:
        ask(driver, address="10.0.0.3")
    assert refused.value.detail["owner"] == "web"
    assert asked(driver) == []


def test_an_address_that_the_system_holds_is_in_use() -> None:
    """Another program has allocated it there."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).held["a"]["10.0.0.3"] = "other"
    with pytest.raises(AddressInUse):
        ask(driver, address="10.0.0.3")
    assert system(driver).held["a"] == {"10.0.0.3": "other"}


def test_a_subnet_with_addresses_is_not_removed() -> None:
    """The ledger applies a topology by the rules of the engine."""
    removed: list[str] = []

    class Recording(ClassicDriver):
        def remove_subnet(self, subnet: Any) -> None:
            removed.append(subnet.name)

    driver = shim(subnet("a", "10.0.0.0/29"), driver=Recording)
    (address,) = ask(driver)
    with pytest.raises(WouldStrand):
        driver.apply({})
    driver.release(address)
    driver.apply({})
    assert removed == ["a"]


def test_bad_input_changes_nothing() -> None:
    """An unknown scope; a release without a condition."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    with pytest.raises(UnknownObject):
        driver.allocate(make_group(scope="no"), make_request())
    with pytest.raises(FixInput):
        driver.release()
    assert asked(driver) == []


def test_leases_and_shared_addresses_are_refused() -> None:
    """The ledger would end them, and the system would not know."""
    driver = shim(subnet("a", "10.0.0.0/30"))
    with pytest.raises(NotSupported, match="lacks leases"):
        ask(driver, lease=60)
    with pytest.raises(NotSupported, match="lacks shared addresses"):
        ask(driver, owner="a", shared=True)
    assert not system(driver).held
