"""The index that catalogues look things up in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.index import Index

Entries = dict[int, str]

KEYS = st.sampled_from("abc")
ENTRIES = st.dictionaries(st.integers(0, 20), KEYS)


def pairs(entries: Entries) -> list[tuple[str, int]]:
    """Each number under its letter."""
    return [(key, number) for number, key in entries.items()]


def index(entries: Entries) -> Index[str, int]:
    """Descending, so that the order is not the one of insertion."""
    return Index.of(pairs(entries), lambda number: -number)


def content(made: Index[str, int]) -> dict[str, list[int]]:
    """All groups; an empty one has no key."""
    return {key: list(made[key]) for key in "abc" if key in made}


@given(ENTRIES, st.lists(ENTRIES, max_size=4))
def test_a_changed_copy_equals_one_made_anew(first: Entries, others: list[Entries]) -> None:
    """However often it is changed; and what it was made from stays as it was."""
    made, before = index(first), first
    for after in others:
        seen = content(made)
        changed = made.after(
            pairs({n: key for n, key in before.items() if after.get(n) != key}),
            pairs({n: key for n, key in after.items() if before.get(n) != key}),
        )
        assert content(made) == seen
        made, before = changed, after
        assert content(made) == content(index(after))


def test_a_key_that_does_not_occur_has_no_records() -> None:
    """No error: most labels stand on no subnet."""
    assert list(index({1: "a"})["b"]) == []
    assert "b" not in index({1: "a"})
