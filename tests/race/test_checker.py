"""The checker itself: it must find each kind of fault."""

from __future__ import annotations

from tests.race.histories import Call, faults, still_held


def call(client: int, act: str, sequence: int, began: float, ended: float) -> Call:
    return Call(client, act, "10.0.0.1", sequence, began, ended)


def test_one_after_the_other_is_fine() -> None:
    """An address may go from one holder to the next."""
    history = [
        call(1, "allocate", 1, 0, 1),
        call(1, "release", 1, 2, 3),
        call(2, "allocate", 2, 2.5, 4),
    ]
    assert faults(history) == []
    assert still_held(history) == {("10.0.0.1", 2)}


def test_two_holders_at_one_time_are_found() -> None:
    """The second allocation returned before the first holder began to release."""
    history = [
        call(1, "allocate", 1, 0, 1),
        call(2, "allocate", 2, 1, 2),
        call(1, "release", 1, 3, 4),
    ]
    assert len(faults(history)) == 1


def test_a_sequence_number_that_repeats_is_found() -> None:
    """Rule 8: a sequence number never repeats for an address."""
    history = [
        call(1, "allocate", 1, 0, 1),
        call(1, "release", 1, 2, 3),
        call(2, "allocate", 1, 4, 5),
    ]
    assert faults(history)


def test_a_release_without_an_allocation_is_found() -> None:
    """Only an allocated address can be released."""
    assert faults([call(1, "release", 7, 0, 1)])
