"""Idempotency keys: a request that is sent again under its key gets the same answer."""

from __future__ import annotations

from typing import NamedTuple


class Binding(NamedTuple):
    """An idempotency key, and the fingerprint of the request that it is used with."""

    key: str
    fingerprint: str


class Remembered(NamedTuple):
    """What an idempotency key stands for.

    :ivar sequences: sequence numbers of the allocations that were given.
    """

    fingerprint: str
    sequences: tuple[int, ...]
