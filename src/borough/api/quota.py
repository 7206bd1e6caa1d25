"""Limits on what one caller, and all callers together, may hold at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from borough.api.problem import Overloaded


class Quota:
    """Counts what is held, in one event loop.

    :ivar held: how much is held by all.
    """

    def __init__(self, most: int, each: int, what: str) -> None:
        """Hold nothing yet.

        :param most: what all callers together may hold.
        :param each: what one token may hold. Without tokens all callers are one, and this does not count.
        :param what: is said of a caller who wants more: ``event streams``.
        """
        self._most = most
        self._each = each
        self._what = what
        self._by_caller: Counter[str] = Counter()
        self.held = 0

    @contextmanager
    def one(self, caller: str) -> Iterator[None]:
        """Hold one meanwhile.

        :param caller: name of the token; empty for none.
        :raises Overloaded: too much is held already.
        """
        self.take(caller)
        try:
            yield
        finally:
            self.give_back(caller)

    def of(self, caller: str) -> int:
        """The amount that a caller holds."""
        return self._by_caller.get(caller, 0)

    def take(self, caller: str, amount: int = 1) -> None:
        """Hold more. A first amount of a caller may be more than its share; of all, more than there is.

        :raises Overloaded: too much is held already.
        """
        mine = self.of(caller)
        if caller and mine and mine + amount > self._each:
            raise Overloaded(f"this token has as many {self._what} as one may; try again later")
        if self.held and self.held + amount > self._most:
            raise Overloaded(f"the service has as many {self._what} as it can; try again later")
        self._by_caller[caller] += amount
        self.held += amount

    def give_back(self, caller: str, amount: int = 1) -> None:
        """Hold less."""
        self.held -= amount
        self._by_caller[caller] -= amount
        if not self._by_caller[caller]:
            # Callers that hold nothing are not remembered.
            del self._by_caller[caller]


class Load:
    """The part of a quota that one request holds.

    :ivar caller: name of the token, once it is known.
    """

    def __init__(self, quota: Quota) -> None:
        """Hold nothing yet."""
        self._quota = quota
        self._size = 0
        self.caller = ""

    def add(self, size: int) -> None:
        """Hold more.

        :raises Overloaded: too much is held already.
        """
        self._quota.take(self.caller, size)
        self._size += size

    def drop(self) -> None:
        """Hold nothing any more."""
        if self._size:
            self._quota.give_back(self.caller, self._size)
