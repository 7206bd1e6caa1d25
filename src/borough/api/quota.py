"""Limits on the resources that one caller, and all callers together, hold at a time."""

from __future__ import annotations

from collections import Counter

from borough.api.problem import Overloaded


class Quota:
    """Counts a resource that callers hold, in one event loop.

    :ivar held: the amount that all callers hold.
    """

    def __init__(self, most: int, each: int, what: str) -> None:
        """Begin with nothing held.

        :param most: limit of all callers together.
        :param each: limit of one token. It does not apply without tokens, where all callers are one.
        :param what: name of the resource in errors: ``event streams``.
        """
        self._most = most
        self._each = each
        self._what = what
        self._by_caller: Counter[str] = Counter()
        self.held = 0

    def of(self, caller: str) -> int:
        """The amount that a caller holds."""
        return self._by_caller.get(caller, 0)

    def take(self, caller: str, amount: int = 1) -> None:
        """Hold more.

        The first amount of a caller may exceed its limit, and the first amount of all the limit of all.

        :param caller: name of the token; empty for none.
        :raises Overloaded: too much is held already.
        """
        mine = self.of(caller)
        if caller and mine and mine + amount > self._each:
            raise Overloaded(f"this token has as many {self._what} as one may; try again later")
        if self.held and self.held + amount > self._most:
            raise Overloaded(f"the service has as many {self._what} as it can; try again later")
        self._by_caller[caller] += amount
        self.held += amount

    def release(self, caller: str, amount: int = 1) -> None:
        """Hold less."""
        self.held -= amount
        self._by_caller[caller] -= amount
        if not self._by_caller[caller]:
            # Entries of idle callers would fill the memory.
            del self._by_caller[caller]


class Load:
    """The part of a quota that one request holds.

    :ivar caller: name of the token, once it is known.
    """

    def __init__(self, quota: Quota) -> None:
        """Begin with nothing held."""
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
        """Release all."""
        if self._size:
            self._quota.release(self.caller, self._size)
