"""Calls that work in several transactions, of which a later one may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from borough.errors import BoroughError


@contextmanager
def telling(done: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """Add to an error what was committed before it, as ``done``, and make its ``outcome`` ``partial``.

    An outcome that is ``unknown`` stays: the transaction that failed may have been committed as well.

    :param done: what is committed so far, JSON-ready; empty for nothing.
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
