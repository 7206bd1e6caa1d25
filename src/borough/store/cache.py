"""A cache bounded in bytes.

Callers choose the entries: selectors, lists of subnets, shapes of statements. So a bound on their number
would not bound their size.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Bytes of an entry beside its key and value: the dictionary's slot, the link of the order, a pair.
_ENTRY: Final = 256

#: An entry of more than this part of a cache is not kept: it would displace all others.
_LARGEST_PART: Final = 8


class Cache(Generic[K, V]):
    """The most recently used entries that fit into a bound; safe between threads.

    :ivar weight: bytes of all entries.
    """

    def __init__(self, limit: int) -> None:
        """Make an empty cache.

        :param limit: most bytes of all entries, as :func:`weigh` estimates them.
        """
        self._limit = limit
        self._lock = Lock()
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0

    def get(self, key: K) -> V | None:
        """The value of a key, which becomes the most recently used; None for none."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int | None = None) -> V:
        """Keep a value, and drop the least recently used entries; return the value.

        :param weight: of key and value in bytes; None to estimate it.
        """
        size = _ENTRY + (weigh(key, value) if weight is None else weight)
        with self._lock:
            self._drop(key)
            if size <= self._limit // _LARGEST_PART:
                self._entries[key] = value, size
                self.weight += size
            while self.weight > self._limit:
                _, (_, gone) = self._entries.popitem(last=False)
                self.weight -= gone
        return value

    def drop(self, key: K) -> None:
        """Forget a key."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._entries.clear()
            self.weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: K) -> None:
        _, size = self._entries.pop(key, (None, 0))
        self.weight -= size


def weigh(*values: object) -> int:
    """Bytes of some values and of their parts, each counted once.

    Parts shared with other objects are counted as well, so the estimate is high. Objects of other
    packages are counted without their parts.
    """
    seen: set[int] = set()
    todo: list[Any] = list(values)
    size = 0
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        size += sys.getsizeof(each)
        if isinstance(each, Mapping):
            todo += each.keys()
            todo += each.values()
        elif isinstance(each, tuple | list | set | frozenset):
            todo += each
        elif is_dataclass(each) and not isinstance(each, type):
            size += sys.getsizeof(getattr(each, "__dict__", None))
            todo += [getattr(each, field.name) for field in fields(each)]
    return size
