"""Calls of several transactions, of which a later one may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from borough.errors import BoroughError


@contextmanager
def telling(done: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """Add the earlier commits to an error as ``done``, and set its ``outcome`` to ``partial``.

    An ``unknown`` outcome stays: the failed transaction may have been committed too.

    :param done: the commits so far, JSON-ready; empty for none.
    """
    try:
        yield
    except BoroughError as error:
        before = done()
        if before:
            error.detail["done"] = before
            if error.detail.get("outcome") != "unknown":
                error.detail["outcome"] = "partial"
        raise
