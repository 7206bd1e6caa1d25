"""Records as plain JSON values, and times in their two forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.encode import micros, plain, rfc3339, utc
from borough.domain.space.events import Event
from borough.domain.space.plan import Act
from borough.engine.views import Allocation, Answer

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


@given(st.integers(-(10**16), 10**17))
def test_times_are_exact_both_ways(at: int) -> None:
    assert micros(utc(at)) == at
    assert datetime.fromisoformat(rfc3339(utc(at))) == utc(at)


def test_a_time_is_text_in_utc_with_microseconds() -> None:
    noon = AT.astimezone(timezone(timedelta(hours=5)))
    assert plain(noon) == "2026-01-31T12:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ((1, "a", 2.5, True), [1, "a", 2.5, True]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({1: {"x": (AT,)}}, {"1": {"x": ["2026-01-31T12:00:00.000000+00:00"]}}),
        (Act.ALLOCATED, "allocated"),
        (ip_address("2001:db8::1"), "2001:db8::1"),
    ],
)
def test_values_become_json_types(value: Any, expected: Any) -> None:
    made = plain(value)
    assert made == expected
    assert json.loads(json.dumps(made)) == expected


def test_a_record_becomes_its_fields_in_order() -> None:
    held = Allocation(
        "10.0.0.1",
        4,
        24,
        "s",
        "default",
        None,
        "h",
        "o",
        None,
        False,
        7,
        "allocated",
        False,
        (),
        0,
        None,
        {},
        "",
        AT,
        None,
    )
    made = plain(Answer((held,), replayed=False))
    assert list(made) == [
        "allocations",
        "replayed",
        "explanation",
        "warnings",
        "routed",
        "late",
    ]
    assert list(made["allocations"][0]) == list(Allocation.__dataclass_fields__)
    assert made["allocations"][0]["allocated_at"] == "2026-01-31T12:00:00.000000+00:00"


def test_the_cohort_of_an_event_is_not_encoded() -> None:
    event = Event(1, AT, "reassigned", "10.0.0.1", "s", "o", "h", 7, "", "", cohort_id=3)
    assert "cohort_id" not in plain(event)
    assert plain(event)["act"] == "reassigned"
