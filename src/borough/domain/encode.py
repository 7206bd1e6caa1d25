"""Records as plain JSON values, and the two forms of a time.

Records for callers hold times as ``datetime``; rows and decisions hold whole microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: Types whose values are JSON already.
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def utc(micros: int) -> datetime:
    """Convert microseconds since the epoch to a time."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(at: datetime) -> int:
    """Convert a time to microseconds since the epoch, exactly.

    :param at: a time with a time zone.
    """
    return (at - _EPOCH) // _MICROSECOND


def rfc3339(at: datetime) -> str:
    """A time as RFC 3339 text in UTC."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def plain(value: Any) -> Any:
    """Convert a value to JSON types.

    A record becomes an object of its fields, in their order, without those that its ``repr`` leaves out.
    A set becomes a sorted list, a time RFC 3339 text, a value of any other type its text.
    """
    kind: Any = type(value)
    return value if kind in _PLAIN else _encoder(kind)(value)


@cache
def _encoder(kind: type[object]) -> Callable[[Any], Any]:
    """The function that makes values of a type plain."""
    if is_dataclass(kind):
        return _of_record(tuple(each.name for each in fields(kind) if each.repr))
    for known, encode in (
        (Mapping, _of_mapping),
        (list | tuple, _of_sequence),
        (set | frozenset, sorted),
        (datetime, rfc3339),
        (Enum, attrgetter("value")),
    ):
        if issubclass(kind, known):
            return encode
    return str


def _of_record(names: Sequence[str]) -> Callable[[Any], Any]:
    return lambda record: {name: plain(getattr(record, name)) for name in names}


def _of_mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): plain(value) for key, value in values.items()}


def _of_sequence(values: Sequence[Any]) -> list[Any]:
    # A column may have an element for each block: a call for each would be slow.
    return [each if type(each) in _PLAIN else plain(each) for each in values]
