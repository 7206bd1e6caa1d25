"""The store on an SQL database: connections, transactions, retries, schema."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from borough.domain.model import Catalogue
from borough.errors import BoroughError, Contended, Corrupt
from borough.store.cache import Cache
from borough.store.port import PATIENCE, Contradiction, LostRace, Order, Taken, Unit
from borough.store.sql import migrate
from borough.store.sql.dialect import Dialect, Line
from borough.store.sql.failures import (
    Busy,
    Duplicate,
    Gone,
    Interrupted,
    LockFirst,
    is_in_doubt,
    public,
)
from borough.store.sql.giving import NO_AREAS, Areas, Hints, Word
from borough.store.sql.guess import GuessUnit, Sketch, Unknown
from borough.store.sql.probes import Probes
from borough.store.sql.runner import KEPT, Runner
from borough.store.sql.unit import SqlUnit

T = TypeVar("T")

#: How often a unit of work is run before its caller is told that others are in the way.
ATTEMPTS: Final = 24

#: After how many lost attempts a unit of work waits in line for what it wants, before it reads; after
#: twice as many, it waits firmly.
POLITE: Final = 3

#: The longest pause between two attempts, in seconds.
PAUSE: Final = 0.05


#: Connections of a parent process: to close one here would say farewell in the parent's name.
_LEFT_ALONE: Final[list[Any]] = []


@dataclass(slots=True)
class _Link:
    """A connection between two units of work, still checked out of the pool."""

    connection: Any
    cursor: Any
    areas: Areas
    hints: Hints = field(default_factory=Hints)


class _Bound:
    """The bound of one caller's attempts."""

    def __init__(
        self, patience: float, *, attempts: int | None, write: bool = True, declares: bool = False
    ) -> None:
        self._write = write
        self._declares = write and declares
        self._deadline = time.monotonic() + patience
        self._limit = attempts
        self.attempts = 0
        self._beaten = 0
        #: The blocks that the attempts so far wanted to change, by key.
        self.blocks: set[int] = set()
        #: The unused runs that the last attempt wanted; one that others cut is another row by now.
        self.runs: set[int] = set()
        #: The subnets whose space the unit has asked to lock.
        self.subnets: frozenset[int] = frozenset()

    @property
    def line(self) -> Line | None:
        """Locks to wait for before anything is read; None for none."""
        starved = self._write and self.insists
        if not (starved or self._declares or self.subnets):
            return None
        return Line(
            sorted(self.runs) if starved else (),
            sorted(self.blocks) if starved else (),
            firm=self._beaten >= 2 * POLITE,
            starved=starved,
            declares=self._declares,
            subnets=tuple(sorted(self.subnets)),
        )

    @property
    def insists(self) -> bool:
        """Whether so many were faster that it is this caller's turn now.

        A unit of several statements between its read and its write would else lose to whoever needs
        but one, for as long as there are any.
        """
        return self._beaten >= POLITE

    def want(self, unit: SqlUnit) -> None:
        """Remember what an attempt that failed wanted to change."""
        self.runs = {each.id for plan in unit.written for each in plan.runs_removed}
        for plan in unit.written:
            self.blocks.update(plan.changed, (each.id for each in plan.blocks_removed))

    def reached(self, lost: Exception) -> bool:
        """Count an attempt that failed; tell whether it was the last."""
        self.attempts += 1
        # Nobody was faster where only the connection was lost.
        self._beaten += not isinstance(lost, Gone)
        late = time.monotonic() >= self._deadline
        return late or (self._limit is not None and self.attempts >= self._limit)

    def pause(self) -> None:
        """Wait a little, so that those who met do not meet again."""
        longest = min(PAUSE, 0.001 * 2 ** min(self.attempts, 10))
        time.sleep(random.uniform(0, longest))  # noqa: S311  (spreads writers, hides nothing)


class SqlStore:
    """See :class:`borough.store.port.Store`."""

    def __init__(self, engine: sa.Engine, dialect: Dialect, *, patience: float = PATIENCE) -> None:
        self._engine = engine
        self._dialect = dialect
        self._compiler = dialect.compiler(engine)
        self._patience = patience
        self._kept: Cache[Any, Any] = Cache(KEPT)
        self._catalogue: Catalogue | None = None
        self._probes = Probes(self._kept)
        self._sketch = Sketch()
        self._idle: deque[_Link] = deque()
        self._process = os.getpid()
        self.retries = 0
        #: Statements sent, transaction brackets included; for tests that count them.
        self.statements = 0

    @classmethod
    def open(
        cls,
        url: sa.URL,
        dialect: Dialect,
        *,
        create: bool = False,
        patience: float = PATIENCE,
        statement_time: float | None = None,
    ) -> SqlStore:
        """Connect, and make sure that the schema is the one of this release.

        :param create: make or upgrade the schema.
        :param statement_time: seconds after which a server gives up a statement; None for never. To make the
            schema may take longer.
        :raises NotInitialised: there is no database, or an empty one, and ``create`` is not set.
        :raises NotOurDatabase: there are tables, but none of ours.
        :raises SchemaTooOld: the schema is of an older release, and ``create`` is not set.
        :raises SchemaTooNew: the schema is of a newer release.
        :raises Unavailable: no connection can be made.
        """
        engine = dialect.engine(url, create=create)
        try:
            if create:
                migrate.upgrade(engine)
            migrate.check(engine)
        except sa.exc.DBAPIError as error:
            engine.dispose()
            raise public(dialect.translate(_original(error)), "not_done") from error
        except BaseException as error:
            engine.dispose()
            if isinstance(error, Exception):
                translated = public(dialect.translate(error), "not_done")
                if translated is not error:
                    raise translated from error
            raise
        if statement_time is not None:
            # The connection that looked at the schema would go on without.
            engine.dispose()
            sa.event.listen(engine, "connect", lambda raw, _: dialect.limit(raw, statement_time))
        return cls(engine, dialect, patience=patience)

    # --- Units of work ------------------------------------------------------------------------

    def transact(
        self,
        work: Callable[[Unit], T],
        *,
        write: bool = True,
        repeatable: bool = False,
        declares: bool = False,
    ) -> T:
        """See :meth:`borough.store.port.Store.transact`."""
        bound = self._bound(write=write, declares=declares)
        while True:
            try:
                return self._once(work, bound, write=write, repeatable=repeatable)
            except LockFirst as wanted:
                bound.subnets |= wanted.subnet_ids
            except Duplicate as taken_already:
                # Two declared the same at once: who comes second finds it declared.
                self._again(bound, Contradiction(str(taken_already)))
            except (LostRace, Busy, Gone) as lost:
                self._again(bound, lost)

    def horizon(self) -> int:
        """See :meth:`borough.store.port.Store.horizon`."""
        bound = self._bound()
        while True:
            try:
                with self._linked() as link:
                    run = self._run_on(link.cursor)
                    try:
                        return self._dialect.horizon(run)
                    finally:
                        self.statements += run.statements
            except (Busy, Gone) as lost:
                self._again(bound, lost)

    @property
    def known(self) -> Catalogue | None:
        """See :meth:`borough.store.port.Store.known`."""
        return self._catalogue if self._dialect.giver else None

    def give(self, order: Order, work: Callable[[Unit], T]) -> Taken | T:
        """See :meth:`borough.store.port.Store.give`."""
        bound = self._bound()
        repeatable = bool(order.request.key)
        wait = False
        guessed = not self._dialect.can_guess
        while True:
            spread = False
            try:
                if bound.insists:
                    return self._once(work, bound, repeatable=repeatable, order=order)
                word, taken, has_run = self._give(
                    order, wait=wait, guess=not guessed, repeatable=repeatable
                )
                if taken is not None:
                    return taken
                if word is Word.GUESS:
                    guessed = True
                    answer = self._guess(order, work)
                    if not isinstance(answer, Unknown):
                        return answer
                    continue
                if word is Word.LOCKED and not (has_run and not wait):
                    # Nobody else's turn would be better than to wait for one's own.
                    wait = True
                    raise LostRace("the block is locked")
                spread = word is Word.LOCKED
                return self._once(work, bound, repeatable=repeatable, order=order, spread=spread)
            except Duplicate as taken_already:
                if not order.request.key:
                    self._again(bound, Contradiction(str(taken_already)))
                    continue
                # Most likely the key was used before: the unit of work finds its answer.
                return self.transact(work, repeatable=True)
            except (LostRace, Busy, Gone) as lost:
                self._again(bound, lost)

    def _guess(self, order: Order, work: Callable[[Unit], T]) -> T | Unknown:
        """Run a unit of work on what is remembered."""
        with self._linked() as link:
            run = self._run_on(link.cursor)
            try:
                unit = GuessUnit(run, order.catalogue, self._dialect, self._probes, self._sketch)
                answer = work(unit)
            except (Unknown, BoroughError):
                # What is refused on a belief is decided again on the truth.
                return Unknown()
            except Exception as error:
                translated = self._dialect.translate(error)
                if is_in_doubt(translated) and not order.request.key:
                    raise public(translated, "unknown") from error
                if isinstance(translated, Gone):
                    return Unknown()
                if isinstance(translated, LostRace | Busy | Duplicate):
                    self._sketch.clear()
                    self.retries += 1
                    return Unknown()
                raise
            finally:
                self.statements += run.statements
            link.hints.keep(order, unit.given_from)
        self._sketch.learn(order.catalogue, (), unit.written)
        return answer

    def _give(
        self, order: Order, *, wait: bool, guess: bool, repeatable: bool
    ) -> tuple[Word, Taken | None, bool]:
        giver = self._dialect.giver
        assert giver is not None
        with self._linked() as link:
            if guess and not link.hints.is_open(order):
                # Most likely there is more to decide than a bit to set.
                return Word.GUESS, None, False
            if not order.rungs:
                return Word.DECIDE, None, False
            run = self._run_on(link.cursor)
            try:
                outcome = giver.give(run, order, link.hints, link.areas, wait=wait)
            except Exception as error:
                translated = self._dialect.translate(error)
                if is_in_doubt(translated) and not repeatable:
                    raise public(translated, "unknown") from error
                raise
            finally:
                self.statements += run.statements
        taken = outcome.taken
        if self._dialect.can_guess and taken is not None and not taken.block.free:
            # A full block is what the next claim or growth begins with.
            self._sketch.learn(order.catalogue, (taken.block,), ())
        return outcome.word, taken, outcome.has_run

    def _bound(self, *, write: bool = True, declares: bool = False) -> _Bound:
        # On one's own a race is lost only to tables that contradict each other; against others many
        # may be lost in a row, and the time is what bounds them.
        attempts = None if self._dialect.is_server else ATTEMPTS
        return _Bound(self._patience, attempts=attempts, write=write, declares=declares)

    def _again(self, bound: _Bound, lost: Exception) -> None:
        """Go on with another attempt, or give up."""
        contradicted = isinstance(lost, Contradiction) and bound.attempts + 1 >= ATTEMPTS
        if bound.reached(lost) or contradicted:
            raise self._give_up(lost, bound.attempts) from lost
        self.retries += 1
        if self._dialect.is_server:
            bound.pause()

    def _give_up(self, lost: Exception, attempts: int) -> Exception:
        if isinstance(lost, Gone):
            return public(lost, "not_done")
        if isinstance(lost, Contradiction):
            return Corrupt(
                "the tables contradict each other: an address is marked free and held at once; "
                "run `borough audit --repair`",
                attempts=attempts,
            )
        return Contended(
            "other transactions were in the way for longer than the bounded wait; try again",
            attempts=attempts,
        )

    def _once(
        self,
        work: Callable[[Unit], T],
        bound: _Bound,
        *,
        write: bool = True,
        repeatable: bool = False,
        order: Order | None = None,
        spread: bool = False,
    ) -> T:
        committing = False
        try:
            with self._linked() as link:
                run = self._run_on(link.cursor)
                unit = SqlUnit(
                    run,
                    self._catalogue,
                    self._dialect,
                    self._probes,
                    # Who only reads is in nobody's way.
                    areas=link.areas if write else NO_AREAS,
                    spread=spread,
                    locked=bound.subnets if self._dialect.is_server else None,
                )
                try:
                    line = bound.line
                    if line is not None:
                        self._dialect.begin_in_line(run, line)
                    else:
                        run.text(self._dialect.begin_write if write else self._dialect.begin_read)
                    answer = work(unit)
                    committing = write
                    run.text("COMMIT")
                except BaseException:
                    bound.want(unit)
                    link.connection.rollback()
                    raise
                finally:
                    self.statements += run.statements
                if unit.freed:
                    link.hints.clear()
                if order is not None:
                    link.hints.keep(order, unit.given_from)
        except (Gone, Interrupted) as lost:
            is_unknown = is_in_doubt(lost) or isinstance(lost, Interrupted)
            if committing and not repeatable and is_unknown:
                raise public(Gone(str(lost)), "unknown") from lost
            raise
        if unit.cacheable is not None:
            self._catalogue = unit.cacheable
            if self._dialect.can_guess and write and not unit.has_declared:
                read = unit.read if order is not None else ()
                self._sketch.learn(unit.cacheable, read, unit.written)
        return answer

    # --- Connections --------------------------------------------------------------------------

    @contextmanager
    def _linked(self) -> Iterator[_Link]:
        """A connection, and every error of the driver translated in one place.

        A connection whose unit ended well is kept at hand, still checked out of the pool: to hand it
        back and take it out again would cost a tenth of an allocation. One whose unit failed goes
        back to the pool, which knows whether it is still good.
        """
        if self._process != os.getpid():
            self._leave_parent()
        try:
            link = self._link()
            try:
                yield link
            except BaseException as error:
                self._let_go(link, error)
                raise
            self._idle.append(link)
        except sa.exc.DBAPIError as error:
            raise self._dialect.translate(_original(error)) from error
        except Exception as error:
            translated = self._dialect.translate(error)
            if translated is error:
                raise
            raise translated from error

    def _link(self) -> _Link:
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                connection = self._engine.raw_connection()
                areas = Areas(self._dialect.lane(connection))
                return _Link(connection, self._dialect.cursor(connection), areas)
            if self._dialect.is_alive(link.connection):
                return link
            self._lose(link)

    def _let_go(self, link: _Link, error: BaseException) -> None:
        if isinstance(error, Exception) and not isinstance(self._dialect.translate(error), Gone):
            link.connection.close()
        else:
            # The connection is dead, or an interrupt left it in a state that nobody knows.
            self._lose(link)

    def _lose(self, link: _Link) -> None:
        """Give up a connection, and the catalogue with it.

        The next connection may lead to a server that took over without the last commits, or to a restored
        state: versions are counted on from there, and one that this process has read stands for another
        catalogue.
        """
        link.connection.invalidate()
        self._catalogue = None

    def _run_on(self, cursor: Any) -> Runner:
        return Runner(cursor, self._compiler, self._kept, tells_key=self._dialect.tells_key)

    def _leave_parent(self) -> None:
        """Forget the connections of the process that this one was forked from.

        Two processes on one connection would answer each other's queries, and SQLite's locks would be
        lost with the first of them to close its file.
        """
        self._engine.dispose(close=False)
        for link in self._idle:
            # Dropped as it is, the pool would send a rollback on the parent's connection.
            link.connection.detach()
            _LEFT_ALONE.append(link)
        self._idle = deque()
        self._process = os.getpid()

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop().connection.close()
        self._engine.dispose()


def _original(error: sa.exc.DBAPIError) -> Exception:
    return error.orig if isinstance(error.orig, Exception) else error
