"""The id up to which events are complete, on PostgreSQL.

Ids come from a sequence, outside of transactions, so a smaller id may be committed after a larger one.
Therefore every transaction that writes events first publishes the begin of its ids. A trigger takes an
advisory lock before the first event, and the end of the transaction releases it. The key of the lock holds
the largest id assigned by then: the *floor* of the transaction. These locks are shared, and never waited
for.

A reader finds the horizon in two steps, each a statement of its own:

1. S, the largest assigned id: the sequence's last value;
2. M, the smallest floor in ``pg_locks``.

The horizon is the smaller of S and M. Let T be a transaction whose event with id e becomes visible after
step 2. T took its lock before it got e, and held it at least until its events were visible, because
PostgreSQL shows a transaction's rows before it releases its locks.

- T had its lock at step 2: M is at most T's floor, which is below e.
- T took it after step 2, hence got e after step 1: S is below e.

In both cases e is above the horizon. A transaction that is rolled back, or whose client dies, loses its lock,
and its ids delay no reader. Prepared transactions keep their locks. A standby has no locks of the primary:
events are read from the primary.
"""

from __future__ import annotations

from typing import Final

from borough.store.sql.runner import Native, Runner

#: Prefix of the keys of the locks: the letters "BRO", 40 bits up; the floor is in the bits below.
_BASE: Final = 0x42524F << 40

_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION borough_event_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Once a transaction: the first floor is the lowest, and locks are few. A rollback of the savepoint or
    -- transaction undoes the setting and the lock together.
    IF coalesce(current_setting('borough.has_floor', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock_shared(
            {_BASE} + CASE WHEN is_called THEN last_value ELSE 0 END
        ) FROM borough_event_id_seq;
        PERFORM set_config('borough.has_floor', 'yes', true);
    END IF;
    RETURN NULL;
END $$
"""

_TRIGGER: Final = """
CREATE TRIGGER borough_event_floor BEFORE INSERT ON borough_event
FOR EACH STATEMENT EXECUTE FUNCTION borough_event_floor()
"""

#: Statements that make the trigger, after its table, and remove the function, after its table is dropped.
CREATE: Final = (_FUNCTION, _TRIGGER)
DROP: Final = "DROP FUNCTION IF EXISTS borough_event_floor()"

_GIVEN: Final = Native.numbered(
    "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM borough_event_id_seq"
)
_FLOOR: Final = Native.numbered(f"""
SELECT min((classid::bigint << 32 | objid::bigint) - {_BASE}) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint >> 8 = {_BASE >> 40}
""")


def horizon(runner: Runner) -> int:
    """See :meth:`borough.store.sql.dialect.Dialect.horizon`."""
    given: int = runner.native(_GIVEN, {})[0][0]
    floor: int | None = runner.native(_FLOOR, {})[0][0]
    return given if floor is None else min(given, floor)
