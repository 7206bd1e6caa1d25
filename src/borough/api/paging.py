"""Pages of lists that the library returns whole.

``next`` of a page holds the sort key of its last line. The next page begins behind that key even when lines
were added or removed meanwhile.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from borough.api.problem import Malformed
from borough.api.schema import Paged
from borough.domain.net.prefixes import parse_prefix
from borough.engine.views import SubnetView

T = TypeVar("T")

Place = list[Any]


def by_place(subnet: SubnetView) -> Place:
    """Sort key of a subnet in the list of subnets."""
    prefix = parse_prefix(subnet.prefix)
    return [subnet.scope, prefix.family, prefix.base, prefix.length]


def by_prefix(text: str) -> Place:
    """The sort key of a prefix in a list of one family."""
    prefix = parse_prefix(text)
    return [prefix.base, prefix.length]


def page_of(
    items: Sequence[T], place: Callable[[T], Place], query: Paged
) -> tuple[Sequence[T], str | None]:
    """One page of a list that is sorted by place.

    :return: the lines, and ``after`` of the next page; None at the end.
    :raises Malformed: ``after`` is not from this service.
    """
    start = 0
    if query.after:
        try:
            start = bisect_right(items, _read(query.after), key=place)
        except TypeError:
            raise _strange() from None
    shown = items[start : start + query.limit]
    more = start + query.limit < len(items)
    return shown, _write(place(shown[-1])) if more else None


def _strange() -> Malformed:
    return Malformed("after is not the next of an earlier page", status=422, field="after")


def _write(place: Place) -> str:
    return urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _read(text: str) -> Place:
    try:
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise _strange()
    return found
