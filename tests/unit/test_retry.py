"""The retry loop: what is run again, how often, and how long it waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from borough.retry import Retry


class Passing(Exception):
    pass


class Final(Exception):
    pass


def failing(
    times: int, error: Callable[[int], Exception] = lambda _at: Passing()
) -> Callable[[], int]:
    """A unit of work that fails so many times and then tells how often it ran."""
    ran = 0

    def work() -> int:
        nonlocal ran
        ran += 1
        if ran <= times:
            raise error(ran)
        return ran

    return work


def test_a_unit_of_work_is_run_again_until_it_succeeds() -> None:
    waits: list[float] = []
    assert Retry(3, sleep=waits.append).run(failing(2), Passing) == 3
    assert len(waits) == 2


def test_the_error_of_the_last_attempt_is_raised_without_a_wait() -> None:
    waits: list[float] = []
    with pytest.raises(Passing, match="attempt 3"):
        Retry(3, sleep=waits.append).run(failing(9, lambda at: Passing(f"attempt {at}")), Passing)
    assert len(waits) == 2


def test_other_errors_and_final_ones_end_it_at_once() -> None:
    waits: list[float] = []
    retry = Retry(sleep=waits.append)
    with pytest.raises(Final):
        retry.run(failing(1, lambda _at: Final()), Passing)
    with pytest.raises(Passing, match="final"):
        retry.run(
            failing(1, lambda _at: Passing("final")),
            Passing,
            unless=lambda error: "final" in str(error),
        )
    assert waits == []


def test_no_attempt_begins_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    with pytest.raises(Passing):
        Retry(timeout=10, sleep=sleep).run(failing(1000), Passing)
    assert 7 < clock[0] <= 10


def test_waits_grow_to_their_bound_and_differ() -> None:
    retry = Retry(first=0.1, longest=1.0)
    waits = [{retry.pause(attempt) for _ in range(20)} for attempt in range(1, 40)]
    assert all(len(each) > 1 for each in waits)
    bounds = [min(0.1 * 2**at, 1.0) for at in range(39)]
    for each, bound in zip(waits, bounds, strict=True):
        assert bound / 2 <= min(each) <= max(each) <= bound
