"""Idempotency keys: a request that is repeated under its key gets the same answer."""

from __future__ import annotations

from typing import NamedTuple


class Binding(NamedTuple):
    """An idempotency key, and the fingerprint of the request that it is used with."""

    key: str
    fingerprint: str


class Remembered(NamedTuple):
    """The stored request and answer of an idempotency key.

    :ivar sequences: sequence numbers of the allocations made.
    """

    fingerprint: str
    sequences: tuple[int, ...]
