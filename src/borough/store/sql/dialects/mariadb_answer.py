"""The answer of a call on MariaDB that commits, also when it was interrupted after its commit."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

from borough.store.sql.failures import Gone
from borough.store.sql.runner import Native, Row, Runner

#: Numbers of calls, each used once in this process.
CALLS: Final = count(1)

#: The answer of an interrupted call, if it was committed. A call that was interrupted before it began finds
#: the answer of the call before it, which has another number.
_ANSWER: Final = Native.named(
    "SELECT @borough_answer FROM borough_event WHERE @borough_call = %(call)s "
    "AND id = CAST(SUBSTRING_INDEX(@borough_answer, ' ', 1) AS UNSIGNED)"
)

#: ER_QUERY_INTERRUPTED and ER_STATEMENT_TIMEOUT.
_INTERRUPTED: Final = (1317, 1969)


def answered(runner: Runner, ask: Callable[[], list[list[Row]]], call: int) -> list[list[Row]]:
    """Run a call; return its results, or the answer that the session has kept of it.

    :param call: its number, which the call keeps in the session together with its answer.
    """
    try:
        return ask()
    except Exception as error:
        if not error.args or error.args[0] not in _INTERRUPTED:
            raise
        kept = _kept_answer(runner, call)
        if kept is None:
            raise
        return [[(kept,)]]


def _kept_answer(runner: Runner, call: int) -> str | None:
    """The answer of a call that the session has kept; None when nothing was committed."""
    try:
        runner.text("ROLLBACK")
        found = runner.native(_ANSWER, {"call": call})
    except Exception as error:
        raise Gone(f"interrupted, and what it did cannot be read: {error}") from error
    return str(found[0][0]) if found else None
