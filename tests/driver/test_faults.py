"""Faults of the system behind a driver: bounded retries, a clear error, and no leaked address.

After every fault each address of the system has an allocation or is an orphan.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from borough.driver import SubnetRequest, make_group, make_request
from borough.driver.shim import Shim
from borough.errors import BoroughError, DriverFault, DriverUnavailable, Exhausted, Unavailable
from tests.conftest import Clock
from tests.driver.classic import ClassicDriver, ForgetfulDriver, System
from tests.driver.test_shim import ask, asked, shim, subnet, system

NAMED = "driver classic, subnet a: "


def holders(driver: Shim) -> set[str]:
    """The addresses with an allocation in the ledger."""
    from borough.domain.space.filters import Filter

    held = driver.ledger.store.transact(lambda unit: unit.allocations(Filter()), write=False)
    return {each.text for each in held}


def assert_nothing_leaks(driver: Shim) -> None:
    known = {each.address for each in driver.ledger.orphans() if each.address}
    tokens = {each.token for each in driver.ledger.orphans()}
    for addresses in system(driver).held.values():
        for address, token in addresses.items():
            assert address in holders(driver) | known or token in tokens, f"{address} has leaked"


def times(count: int, error: Callable[[], Exception]) -> Callable[..., Any]:
    """Fail a number of times."""
    remaining = iter(range(count))

    def act(*arguments: Any) -> Any:
        if next(remaining, None) is not None:
            raise error()
        return arguments[-1]

    return act


def timeout(outcome: str = "unknown") -> Callable[[], Exception]:
    return lambda: DriverUnavailable("no answer in 5 s", outcome=outcome)


# --- No answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2])
def test_a_passing_failure_is_tried_again(failures: int) -> None:
    """Nothing was done before the failure."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).before = times(failures, timeout("not_done"))
    assert ask(driver) == ["10.0.0.1"]
    assert asked(driver) == ["allocate a"] * (failures + 1)
    assert driver.ledger.orphans() == []


def test_retries_are_bounded_and_pause() -> None:
    """Three attempts with growing pauses; then the error names driver and subnet."""
    paused: list[float] = []
    driver = Shim.wrap(ClassicDriver(System()), name="classic", sleep=paused.append)
    driver.apply({"subnets": [subnet("a", "10.0.0.0/29")]})
    system(driver).before = times(9, timeout("not_done"))
    with pytest.raises(DriverUnavailable) as refused:
        ask(driver)
    assert refused.value.message == NAMED + "no answer in 5 s"
    assert refused.value.exit_code == 5
    first, second = paused
    assert 0.05 <= first <= 0.1 <= second <= 0.2
    assert_nothing_leaks(driver)


def test_a_lost_answer_is_found_again_by_its_token() -> None:
    """The system allocated the address before the answer was lost: it is not requested twice."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).after = times(1, timeout())
    assert ask(driver) == ["10.0.0.1"]
    assert asked(driver) == ["allocate a", "find a"]
    assert system(driver).all_held() == holders(driver) == {"10.0.0.1"}


def test_a_lost_answer_that_cannot_be_found_is_not_requested_again() -> None:
    """The orphan without an address stays for an operator."""
    driver = shim(subnet("a", "10.0.0.0/29"), driver=ForgetfulDriver)
    system(driver).after = times(1, timeout())
    with pytest.raises(DriverUnavailable) as refused:
        ask(driver, owner="web")
    assert refused.value.detail["outcome"] == "unknown"
    assert asked(driver) == ["allocate a"]
    (orphan,) = driver.ledger.orphans()
    assert (orphan.address, orphan.subnet, orphan.owner) == ("", "a", "web")
    assert driver.retry_orphans() == 1
    assert_nothing_leaks(driver)


def test_a_late_answer_is_released(clock: Clock) -> None:
    """The first attempt still ran during the second one; its address is found a minute later."""
    driver = shim(subnet("a", "10.0.0.0/29"), clock=clock)
    late: list[SubnetRequest] = []

    def lose(what: str, _name: str, request: object) -> None:
        if what == "allocate" and not late:
            assert isinstance(request, SubnetRequest)
            late.append(request)
            raise DriverUnavailable("no answer", outcome="unknown")

    system(driver).before = lose
    assert ask(driver) == ["10.0.0.1"]
    system(driver).held["a"]["10.0.0.2"] = late[0].token
    assert_nothing_leaks(driver)
    clock.advance(61)
    assert driver.retry_orphans() == 0
    assert system(driver).all_held() == {"10.0.0.1"}


def test_the_last_address_may_be_that_of_a_late_attempt() -> None:
    """The subnet is not reported full when the earlier attempt took its last address."""
    driver = shim(subnet("a", "10.0.0.0/32"))

    def lose(what: str, name: str, request: object) -> None:
        held = system(driver).held[name]
        if what == "allocate" and not held:
            assert isinstance(request, SubnetRequest)
            system(driver).before = found_nothing
            held["10.0.0.0"] = request.token
            raise DriverUnavailable("no answer", outcome="unknown")

    def found_nothing(what: str, name: str, token: object) -> None:
        if what == "find":
            hidden = system(driver).held.pop(name)
            system(driver).before = lambda *_: system(driver).held.update({name: hidden})

    system(driver).before = lose
    assert ask(driver) == ["10.0.0.0"]
    assert driver.ledger.orphans() == []


def test_a_release_whose_answer_is_lost_is_tried_again() -> None:
    """An address that is free already counts as released."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    (address,) = ask(driver)
    failed: list[str] = []

    def lose(what: str, name: str, request: object) -> None:
        if what == "deallocate" and not failed:
            failed.append(str(system(driver).held[name].pop(str(request))))
            raise DriverUnavailable("no answer", outcome="unknown")

    system(driver).before = lose
    assert [each.address for each in driver.release(address)] == [address]
    assert driver.ledger.orphans() == []


# --- Wrong answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("", "which is not an address"),
        ("10.0.0", "which is not an address"),
        ("10.0.0.1/29", "which is not an address"),
        (None, "answered None, which is not an address"),
        (7, "answered 7, which is not an address"),
        ("x" * 5000, "which is not an address"),
    ],
)
@pytest.mark.parametrize("kind", [ClassicDriver, ForgetfulDriver])
def test_a_malformed_answer(kind: Any, answer: Any, says: str) -> None:
    """The address is found by its token and released, or is an orphan."""
    driver = shim(subnet("a", "10.0.0.0/29"), driver=kind)
    system(driver).after = lambda *_: answer
    with pytest.raises(DriverFault) as refused:
        ask(driver)
    assert refused.value.message.startswith(NAMED)
    assert says in refused.value.message
    assert len(refused.value.message) < 200
    assert (len(driver.ledger.orphans()) == 1) == (kind is ForgetfulDriver)
    assert_nothing_leaks(driver)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("10.9.9.9", "outside 10.0.0.0/29"),
        ("2001:db8::1", "outside 10.0.0.0/29"),
        ("10.0.0.0", "no usable address of"),
        ("10.0.0.7", "no usable address of"),
        ("10.0.0.6", "gateway or outside the allocation ranges"),
        ("10.0.0.1", "gateway or outside the allocation ranges"),
    ],
)
def test_an_invalid_address_is_released(answer: str, says: str) -> None:
    """The address is outside the group, unusable, or the gateway."""
    ranges = {"gateway": "10.0.0.1", "ranges": ["10.0.0.1-10.0.0.5"]}
    driver = shim(subnet("a", "10.0.0.0/29", **ranges))

    def other(name: str, request: SubnetRequest, text: str) -> str:
        held = system(driver).held[name]
        held[answer] = held.pop(text)
        return answer

    system(driver).after = other
    with pytest.raises(DriverFault) as refused:
        ask(driver)
    assert says in refused.value.message
    assert refused.value.message.startswith(NAMED)
    assert system(driver).all_held() == set()


def test_another_address_than_the_requested_one_is_released() -> None:
    """A request by name gets this address or none."""
    driver = shim(subnet("a", "10.0.0.0/29"))

    def other(name: str, request: SubnetRequest, text: str) -> str:
        held = system(driver).held[name]
        held["10.0.0.5"] = held.pop(text)
        return "10.0.0.5"

    system(driver).after = other
    with pytest.raises(DriverFault, match=r"instead of 10\.0\.0\.2"):
        ask(driver, address="10.0.0.2")
    assert system(driver).all_held() == set()


def test_the_same_address_twice_in_one_request() -> None:
    """It is released once, and has no owner."""
    driver = shim(subnet("a", "10.0.0.0/29"))

    def same(name: str, request: SubnetRequest, text: str) -> str:
        if text != "10.0.0.1":
            del system(driver).held[name][text]
        return "10.0.0.1"

    system(driver).after = same
    with pytest.raises(DriverFault, match=r"allocated 10\.0\.0\.1 twice"):
        ask(driver, count=2)
    assert system(driver).all_held() == set()
    assert_nothing_leaks(driver)


def test_an_address_with_an_owner_is_not_released() -> None:
    """A release would free the address of its owner; the other addresses are released."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    ask(driver, owner="web")

    first = iter(["10.0.0.2"])

    def same(name: str, request: SubnetRequest, text: str) -> str:
        if text == next(first, None):
            del system(driver).held[name][text]
            return "10.0.0.1"
        return text

    system(driver).after = same
    with pytest.raises(DriverFault, match="which web holds") as refused:
        ask(driver, count=2)
    assert refused.value.detail["address"] == "10.0.0.1"
    assert system(driver).all_held() == holders(driver) == {"10.0.0.1"}


@pytest.mark.parametrize("kind", [ClassicDriver, ForgetfulDriver])
def test_an_unexpected_error_of_the_driver(kind: Any) -> None:
    """The driver may have allocated an address before it failed; the call is not repeated."""
    driver = shim(subnet("a", "10.0.0.0/29"), driver=kind)
    system(driver).after = times(1, lambda: KeyError("address"))
    with pytest.raises(DriverFault, match="failed with KeyError") as refused:
        ask(driver)
    assert refused.value.detail["outcome"] == "unknown"
    assert asked(driver).count("allocate a") == 1
    assert_nothing_leaks(driver)


def test_a_passing_error_of_another_class_counts_as_a_lost_answer() -> None:
    """A driver may raise the error of its database after it has allocated an address."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).after = times(1, lambda: Unavailable("gone", outcome="unknown"))
    assert ask(driver) == ["10.0.0.1"]
    assert asked(driver) == ["allocate a", "find a"]


# --- The ledger -----------------------------------------------------------------------------------


def test_addresses_are_released_when_the_ledger_cannot_record_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database of the ledger fails after the system has allocated addresses."""
    driver = shim(subnet("a", "10.0.0.0/29"))

    def gone(*_: Any) -> Any:
        raise Unavailable("gone", outcome="not_done")

    monkeypatch.setattr(driver.ledger, "record", gone)
    with pytest.raises(Unavailable):
        ask(driver, count=2)
    assert system(driver).all_held() == set()


def test_an_orphan_that_cannot_be_stored_is_kept_in_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is stored or released when the database is back."""
    driver = shim(subnet("a", "10.0.0.0/32"))
    store = driver.ledger.store
    real = store.transact

    def read_only(work: Any, *, write: bool = True, repeatable: bool = False) -> Any:
        if write:
            raise Unavailable("gone", outcome="not_done")
        return real(work, write=False)

    def refuse(what: str, *_: object) -> None:
        if what == "deallocate":
            raise DriverUnavailable("no", outcome="not_done")

    system(driver).before = refuse
    monkeypatch.setattr(store, "transact", read_only)
    with pytest.raises(Unavailable) as refused:
        ask(driver)
    assert refused.value.detail["orphans"] == ["10.0.0.0"]
    assert [each.address for each in driver.ledger.orphans()] == ["10.0.0.0"]
    monkeypatch.setattr(store, "transact", real)
    system(driver).before = lambda *_: None
    assert driver.retry_orphans() == 0
    assert system(driver).all_held() == set()


# --- Random faults --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", [ClassicDriver, ForgetfulDriver])
def test_no_address_leaks_under_random_faults(kind: Any, seed: int, clock: Clock) -> None:
    """Random requests and releases on a system where every fifth call fails."""
    dice = random.Random(seed)
    driver = shim(
        subnet("a", "10.0.0.0/29", segment="a"),
        subnet("b", "10.0.1.0/29", segment="b"),
        subnet("six", "2001:db8::/125", segment="b"),
        driver=kind,
        clock=clock,
    )

    def before(_what: str, _name: str, _request: object) -> None:
        if dice.random() < 0.1:
            raise DriverUnavailable("before", outcome=dice.choice(["not_done", "unknown"]))

    def after(name: str, _request: SubnetRequest, text: str) -> Any:
        if dice.random() < 0.2:
            fault = dice.choice(["lost", "nonsense", "own error"])
            if fault == "lost":
                raise DriverUnavailable("after", outcome="unknown")
            if fault == "own error":
                raise RuntimeError("after")
            return "nonsense"
        return text

    system(driver).before, system(driver).after = before, after
    group = make_group({"network": "n", "segment": ["a", "b"]}, host="h")
    held: list[str] = []
    for number in range(40):
        clock.advance(7)
        try:
            if held and dice.random() < 0.4:
                driver.release(held.pop(dice.randrange(len(held))))
            else:
                request = make_request(
                    count=dice.choice([1, 1, 2, 3]),
                    families=dice.choice([[4], [6], [4, 6]]),
                    key=f"k{number}",
                )
                answer = driver.allocate(group, request)
                held += [each.address for each in answer.allocations]
        except (DriverFault, DriverUnavailable, Exhausted):
            pass
        assert_nothing_leaks(driver)
        assert set(held) == holders(driver)
        assert set(held) <= system(driver).all_held()
    system(driver).before = lambda *_: None
    clock.advance(61)
    remaining = driver.retry_orphans()
    if kind is ClassicDriver:
        assert remaining == 0
        assert system(driver).all_held() == set(held)


def test_errors_of_drivers_have_codes() -> None:
    """Both kinds of failure have their own code, and the exit code of their branch."""
    codes = {error.code: error.exit_code for error in (DriverFault, DriverUnavailable)}
    assert codes == {"driver_fault": 1, "driver_unavailable": 5}
    assert issubclass(DriverFault, BoroughError)
