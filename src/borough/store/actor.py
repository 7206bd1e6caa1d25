"""The actor that events name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_ACTOR: Final[ContextVar[str]] = ContextVar("borough_actor", default="")


def actor() -> str:
    """The name of the present actor; empty when none is set."""
    return _ACTOR.get()


@contextmanager
def acting(name: str) -> Iterator[None]:
    """Set the actor, in this thread or task."""
    before = _ACTOR.set(name)
    try:
        yield
    finally:
        _ACTOR.reset(before)
