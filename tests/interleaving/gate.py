"""Stop a unit of work between its last read and its first write, and run another call in the gap."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from borough import BoroughError, Ipam
from borough.store.sql.open import resolve
from borough.store.sql.store import SqlStore

_BEGINS: Final = re.compile(r"\s*(BEGIN|START TRANSACTION)\b")
_WRITES: Final = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|EXECUTE|(CALL|SELECT .*) borough_write_\d+)\b"
    r"|\s*WITH\b.*\b(INSERT INTO|DELETE FROM|UPDATE \w+( AS \w+)? SET)\b",
    re.DOTALL,
)
_READS: Final = re.compile(r"\s*(SELECT|WITH)\b")

#: Seconds after which a call that neither ends nor waits for a lock counts as stuck.
STUCK: Final = 20.0


class Gate:
    """A stop before the first write of a unit of work, for one process.

    :ivar was_reached: whether a unit has been stopped since the gate was set.
    """

    def __init__(self) -> None:
        self.was_reached = False
        self._pass = 0
        self._meanwhile: Callable[[], None] | None = None

    def set(self, meanwhile: Callable[[], None], *, after: int = 0) -> None:
        """Stop the next unit of work that writes. Its later attempts pass.

        :param meanwhile: runs during the stop.
        :param after: the number of units, or takes, that pass before.
        """
        self.was_reached, self._pass, self._meanwhile = False, after, meanwhile

    def open(self) -> None:
        """Let every unit pass."""
        self._meanwhile = None

    def high_water(self) -> None:
        """Take note of a unit of work that is about to write."""
        if self._meanwhile is None:
            return
        if self._pass:
            self._pass -= 1
            return
        meanwhile, self._meanwhile = self._meanwhile, None
        self.was_reached = True
        meanwhile()


class GatedCursor:
    """A cursor that reports the first write after a read to a gate.

    A write before any read decides nothing and passes. A statement outside a transaction is a unit of
    work by itself.
    """

    def __init__(self, cursor: Any, gate: Gate) -> None:
        self._cursor = cursor
        self._gate = gate
        self._has_begun = self._has_read = self._has_written = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, text: str, *values: Any) -> Any:
        """Run a statement."""
        self._see(text)
        return self._cursor.execute(text, *values)

    def executemany(self, text: str, rows: Any) -> Any:
        """Run a statement once a row."""
        self._see(text)
        return self._cursor.executemany(text, rows)

    def _see(self, text: str) -> None:
        if _BEGINS.match(text):
            self._has_begun, self._has_read, self._has_written = True, False, False
        elif text == "COMMIT":
            self._has_begun = False
        elif _WRITES.match(text):
            if not self._has_begun or (self._has_read and not self._has_written):
                self._has_written = True
                self._gate.high_water()
        elif _READS.match(text):
            self._has_read = True


def open_gated(url: str, clock: Callable[[], int], *, timeout: float = 10) -> tuple[Ipam, Gate]:
    """Open a database as a separate process would, with a gate in front of its statements."""
    parsed, dialect = resolve(url)
    gate, plain = Gate(), dialect.cursor
    setattr(dialect, "cursor", lambda connection: GatedCursor(plain(connection), gate))  # noqa: B010
    return Ipam(SqlStore.open(parsed, dialect, timeout=timeout), clock=clock), gate


@dataclass(frozen=True)
class Outcome:
    """The result of a call.

    :ivar answer: the value returned, None after an error.
    :ivar error: the error raised.
    """

    answer: Any = None
    error: Exception | None = None

    def __str__(self) -> str:
        if self.error is None:
            return "done"
        code = self.error.code if isinstance(self.error, BoroughError) else "raised"
        return f"{code} ({type(self.error).__name__}: {str(self.error)[:300]})"


def outcome_of(call: Callable[[], Any]) -> Outcome:
    """Run a call to its end."""
    try:
        return Outcome(call())
    except Exception as error:
        return Outcome(error=error)


def meet(
    stopped: Callable[[], Any],
    other: Callable[[], Any],
    gate: Gate,
    is_waiting: Callable[[], bool],
    *,
    after: int = 0,
) -> tuple[Outcome, Outcome]:
    """Run one call, and another one during the stop of the first.

    If the other call waits for a lock, the first continues and both end. If the first call writes
    nothing, the other runs after it.

    :param gate: the gate of the process that runs ``stopped``.
    :param is_waiting: tells whether a transaction waits for a lock.
    :param after: see :meth:`Gate.set`.
    """
    ended = threading.Event()
    found: list[Outcome] = []

    def run() -> None:
        try:
            found.append(outcome_of(other))
        finally:
            ended.set()

    thread = threading.Thread(target=run, daemon=True)

    def meanwhile() -> None:
        thread.start()
        deadline = time.monotonic() + STUCK
        while not ended.wait(0.01) and not is_waiting():
            assert time.monotonic() < deadline, "the other call neither ends nor waits for a lock"

    gate.set(meanwhile, after=after)
    first = outcome_of(stopped)
    gate.open()
    if not gate.was_reached:
        thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the other call does not end"
    return first, found[0]
