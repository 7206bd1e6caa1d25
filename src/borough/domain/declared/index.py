"""An index over records; a copy with a few changes is cheap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic, Self, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Index(Generic[K, T]):
    """Records by key, and in order below each key.

    An index never changes: :meth:`after` makes another one, which shares the unchanged groups.
    """

    def __init__(self, order: Callable[[T], Any], groups: dict[K, list[T]]) -> None:
        """Use :meth:`of`.

        :param order: the sort key of a record; no two records of a group share one.
        """
        self._order = order
        self._groups = groups

    @classmethod
    def of(cls, entries: Iterable[tuple[K, T]], order: Callable[[T], Any]) -> Self:
        """Index records, each under a key; a record may appear under several keys."""
        groups: dict[K, list[T]] = {}
        for key, record in entries:
            groups.setdefault(key, []).append(record)
        for group in groups.values():
            group.sort(key=order)
        return cls(order, groups)

    def __getitem__(self, key: K) -> Sequence[T]:
        """The records of a key in order; none for a key that does not occur."""
        return self._groups.get(key, ())

    def __contains__(self, key: K) -> bool:
        """True when a key has records."""
        return key in self._groups

    def after(self, gone: Iterable[tuple[K, T]], come: Iterable[tuple[K, T]]) -> Self:
        """The index without some entries and with others.

        :param gone: entries of this index.
        """
        groups = dict(self._groups)
        copied: dict[K, list[T]] = {}
        for key, record in gone:
            group = self._copied(groups, copied, key)
            del group[self._place(group, record)]
        for key, record in come:
            group = self._copied(groups, copied, key)
            group.insert(self._place(group, record), record)
        for key, group in copied.items():
            if not group:
                del groups[key]
        return type(self)(self._order, groups)

    def _place(self, group: list[T], record: T) -> int:
        return bisect_left(group, self._order(record), key=self._order)

    @staticmethod
    def _copied(groups: dict[K, list[T]], copied: dict[K, list[T]], key: K) -> list[T]:
        if key not in copied:
            groups[key] = copied[key] = list(groups.get(key, ()))
        return copied[key]
