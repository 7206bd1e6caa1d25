"""Faults of the system behind a driver: bounded retries, a clear error, and nothing leaks.

After every fault: what the system holds is held by somebody, or is on the list of leftovers.
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
    """What the ledger has holders for."""
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
    """Fail so many times."""
    left = iter(range(count))

    def act(*arguments: Any) -> Any:
        if next(left, None) is not None:
            raise error()
        return arguments[-1]

    return act


def timeout(outcome: str = "unknown") -> Callable[[], Exception]:
    return lambda: DriverUnavailable("no answer in 5 s", outcome=outcome)


# --- No answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2])
def test_a_passing_failure_is_bridged(failures: int) -> None:
    """Before anything was done: asked again."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).before = times(failures, timeout("not_done"))
    assert ask(driver) == ["10.0.0.1"]
    assert asked(driver) == ["allocate a"] * (failures + 1)
    assert driver.ledger.orphans() == []


def test_retries_are_bounded_and_pause() -> None:
    """Three times, with growing pauses; then the error names driver and subnet."""
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
    """The system took the address and the answer was lost: it is the answer, and not asked for twice."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).after = times(1, timeout())
    assert ask(driver) == ["10.0.0.1"]
    assert asked(driver) == ["allocate a", "find a"]
    assert system(driver).all_held() == holders(driver) == {"10.0.0.1"}


def test_a_lost_answer_that_nobody_can_find_is_not_asked_for_again() -> None:
    """It is on the list, and stays there for a person."""
    driver = shim(subnet("a", "10.0.0.0/29"), driver=ForgetfulDriver)
    system(driver).after = times(1, timeout())
    with pytest.raises(DriverUnavailable) as refused:
        ask(driver, owner="web")
    assert refused.value.detail["outcome"] == "unknown"
    assert asked(driver) == ["allocate a"]
    (left,) = driver.ledger.orphans()
    assert (left.address, left.subnet, left.owner) == ("", "a", "web")
    assert driver.retry_orphans() == 1
    assert_nothing_leaks(driver)


def test_an_answer_that_comes_late_is_given_back(clock: Clock) -> None:
    """The first attempt was still at work when it was asked for again; it is looked for in a minute."""
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


def test_the_last_address_may_be_our_own_late_one() -> None:
    """Full is not the answer when the attempt before took the last address after all."""
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
    """Free already is as good as given back."""
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
    """What was taken is found by its token and given back, or is on the list."""
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
        ("10.0.0.0", "nobody can hold"),
        ("10.0.0.7", "nobody can hold"),
        ("10.0.0.6", "gateway or outside the allocation ranges"),
        ("10.0.0.1", "gateway or outside the allocation ranges"),
    ],
)
def test_an_address_that_is_no_answer_is_given_back(answer: str, says: str) -> None:
    """Outside the group, unusable, the gateway."""
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


def test_another_address_than_the_one_asked_for_is_given_back() -> None:
    """By name means by name."""
    driver = shim(subnet("a", "10.0.0.0/29"))

    def other(name: str, request: SubnetRequest, text: str) -> str:
        held = system(driver).held[name]
        held["10.0.0.5"] = held.pop(text)
        return "10.0.0.5"

    system(driver).after = other
    with pytest.raises(DriverFault, match=r"not 10\.0\.0\.2 as it was asked"):
        ask(driver, address="10.0.0.2")
    assert system(driver).all_held() == set()


def test_the_same_address_twice_in_one_request() -> None:
    """It is given back once, and nobody has it."""
    driver = shim(subnet("a", "10.0.0.0/29"))

    def same(name: str, request: SubnetRequest, text: str) -> str:
        if text != "10.0.0.1":
            del system(driver).held[name][text]
        return "10.0.0.1"

    system(driver).after = same
    with pytest.raises(DriverFault, match=r"gave 10\.0\.0\.1 twice"):
        ask(driver, count=2)
    assert system(driver).all_held() == set()
    assert_nothing_leaks(driver)


def test_the_same_address_as_somebody_has_stays_with_its_holder() -> None:
    """To give it back would free it under its holder; the other addresses are given back."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    ask(driver, owner="web")

    first = iter(["10.0.0.2"])

    def same(name: str, request: SubnetRequest, text: str) -> str:
        if text == next(first, None):
            del system(driver).held[name][text]
            return "10.0.0.1"
        return text

    system(driver).after = same
    with pytest.raises(DriverFault, match="which it had given before to web") as refused:
        ask(driver, count=2)
    assert refused.value.detail["address"] == "10.0.0.1"
    assert system(driver).all_held() == holders(driver) == {"10.0.0.1"}


@pytest.mark.parametrize("kind", [ClassicDriver, ForgetfulDriver])
def test_an_error_of_the_drivers_own(kind: Any) -> None:
    """It may have taken an address before it failed; it is not asked again."""
    driver = shim(subnet("a", "10.0.0.0/29"), driver=kind)
    system(driver).after = times(1, lambda: KeyError("address"))
    with pytest.raises(DriverFault, match="failed with KeyError") as refused:
        ask(driver)
    assert refused.value.detail["outcome"] == "unknown"
    assert asked(driver).count("allocate a") == 1
    assert_nothing_leaks(driver)


def test_a_passing_error_of_another_kind_is_an_answer_that_was_lost() -> None:
    """A driver on a database may let that one's error through; it may have taken an address."""
    driver = shim(subnet("a", "10.0.0.0/29"))
    system(driver).after = times(1, lambda: Unavailable("gone", outcome="unknown"))
    assert ask(driver) == ["10.0.0.1"]
    assert asked(driver) == ["allocate a", "find a"]


# --- The ledger -----------------------------------------------------------------------------------


def test_what_the_ledger_cannot_write_down_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database of the ledger went away after the system had given an address."""
    driver = shim(subnet("a", "10.0.0.0/29"))

    def gone(*_: Any) -> Any:
        raise Unavailable("gone", outcome="not_done")

    monkeypatch.setattr(driver.ledger, "record", gone)
    with pytest.raises(Unavailable):
        ask(driver, count=2)
    assert system(driver).all_held() == set()


def test_a_leftover_that_cannot_be_written_down_is_kept_in_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And written down, or given back, when the database is there again."""
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
    assert refused.value.detail["left"] == ["10.0.0.0"]
    assert [each.address for each in driver.ledger.orphans()] == ["10.0.0.0"]
    monkeypatch.setattr(store, "transact", real)
    system(driver).before = lambda *_: None
    assert driver.retry_orphans() == 0
    assert system(driver).all_held() == set()


# --- All of it at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", [ClassicDriver, ForgetfulDriver])
def test_whatever_goes_wrong_nothing_leaks(kind: Any, seed: int, clock: Clock) -> None:
    """Random requests and releases on a system where every fifth call goes wrong in one way or another."""
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
    left = driver.retry_orphans()
    if kind is ClassicDriver:
        assert left == 0
        assert system(driver).all_held() == set(held)


def test_errors_say_what_to_do() -> None:
    """Both kinds of failure have a code of their own, and the reaction of their branch."""
    codes = {error.code: error.exit_code for error in (DriverFault, DriverUnavailable)}
    assert codes == {"driver_fault": 1, "driver_unavailable": 5}
    assert issubclass(DriverFault, BoroughError)
