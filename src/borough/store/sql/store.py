"""The store on an SQL database: connections, transactions, retries, schema."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from borough.domain.declared.catalogue import Catalogue
from borough.domain.policy.take import Taken, TakeRequest
from borough.errors import BoroughError, Contended, Corrupt
from borough.store.cache import Cache
from borough.store.deadline import check, seconds_left
from borough.store.port import TIMEOUT, Contradiction, LostRace, Unit
from borough.store.sql import migrate
from borough.store.sql.decide import DecisionUnit, UnknownFact
from borough.store.sql.dialect import Dialect
from borough.store.sql.facts import Facts
from borough.store.sql.failures import (
    Busy,
    Duplicate,
    Gone,
    Interrupted,
    LockFirst,
    Oversize,
    is_in_doubt,
    public,
)
from borough.store.sql.giving import NO_BOUNDS, Outcome, Word
from borough.store.sql.links import HeldConnection, Links, original
from borough.store.sql.probes import Probes
from borough.store.sql.retry_budget import ATTEMPTS, RetryBudget
from borough.store.sql.runner import KEPT, Runner
from borough.store.sql.shared_commits import LONGEST, MOST, SharedCommits, SharedUnit, Undone
from borough.store.sql.unit.unit import SqlUnit

T = TypeVar("T")


class SqlStore:
    """See :class:`borough.store.port.Store`."""

    def __init__(self, engine: sa.Engine, dialect: Dialect, *, timeout: float = TIMEOUT) -> None:
        self._engine = engine
        self._dialect = dialect
        self._compiler = dialect.compiler(engine)
        self._timeout = timeout
        self._kept: Cache[Any, Any] = Cache(KEPT)
        self._catalogue: Catalogue | None = None
        self._probes = Probes(self._kept)
        self._links = Links(engine, dialect)
        self._commits = SharedCommits()
        self.retries = 0
        #: Statements sent, brackets of transactions included; for tests that count them.
        self.statements = 0

    @classmethod
    def open(
        cls,
        url: sa.URL,
        dialect: Dialect,
        *,
        create: bool = False,
        timeout: float = TIMEOUT,
        statement_time: float | None = None,
    ) -> SqlStore:
        """Connect, and check that the schema is the one of this release.

        :param create: make or upgrade the schema.
        :param statement_time: seconds after which a server aborts a statement, except of a migration; None
            for never.
        :raises NotInitialised: there is no database, or an empty one, and ``create`` is not set.
        :raises NotOurDatabase: there are tables, but none of Borough.
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
            raise public(dialect.translate(original(error)), "not_done") from error
        except BaseException as error:
            engine.dispose()
            if isinstance(error, Exception):
                translated = public(dialect.translate(error), "not_done")
                if translated is not error:
                    raise translated from error
            raise
        if statement_time is not None:
            # The connection that checked the schema has no limit.
            engine.dispose()
            sa.event.listen(engine, "connect", lambda raw, _: dialect.limit(raw, statement_time))
        return cls(engine, dialect, timeout=timeout)

    # --- Units of work ------------------------------------------------------------------------

    def transact(
        self,
        work: Callable[[Unit], T],
        *,
        write: bool = True,
        repeatable: bool = False,
        declares: bool = False,
        brief: bool = False,
    ) -> T:
        bound = self._bound(write=write, declares=declares)
        # A server has many writers at a time; there a shared transaction would only hold more locks.
        shares = brief and not self._dialect.is_server
        while True:
            try:
                if shares:
                    return self._share(work, bound, repeatable=repeatable)
                return self._once(work, bound, write=write, repeatable=repeatable)
            except LockFirst as wanted:
                bound.subnets |= wanted.subnet_ids
            except Undone as lost:
                # Alone it meets its own errors.
                shares = False
                self._again(bound, lost)
            except Duplicate as duplicate:
                # Two transactions declared the same object: the next attempt finds it declared.
                self._again(bound, Contradiction(str(duplicate)))
            except (LostRace, Busy, Gone) as lost:
                self._again(bound, lost)

    def horizon(self) -> int:
        bound = self._bound()
        while True:
            try:
                with self._links.use() as link:
                    runner = self._runner_on(link.cursor)
                    try:
                        return self._dialect.horizon(runner)
                    finally:
                        self.statements += runner.statements
            except (Busy, Gone) as lost:
                self._again(bound, lost)

    @property
    def known(self) -> Catalogue | None:
        return self._catalogue if self._dialect.giver else None

    def allocate(self, order: TakeRequest, work: Callable[[Unit], T]) -> Taken | T:
        bound = self._bound()
        repeatable = bool(order.request.key)
        wait = False
        while True:
            spread = False
            try:
                if bound.is_starved:
                    return self._once(work, bound, repeatable=repeatable, order=order)
                word, taken, has_free_range, facts = self._allocate(
                    order, wait=wait, repeatable=repeatable
                )
                if taken is not None:
                    return taken
                if facts is not None:
                    decided = self._decide(order, facts, work, bound)
                    if not isinstance(decided, UnknownFact):
                        return decided
                if word is Word.LOCKED and not (has_free_range and not wait):
                    # No unlocked block is left on this step: wait for this one.
                    wait = True
                    raise LostRace("the block is locked")
                spread = word is Word.LOCKED
                return self._once(work, bound, repeatable=repeatable, order=order, spread=spread)
            except Duplicate as duplicate:
                if not order.request.key:
                    self._again(bound, Contradiction(str(duplicate)))
                    continue
                # Most likely the key is bound already: the unit of work finds its answer.
                return self.transact(work, repeatable=True)
            except (LostRace, Busy, Gone) as lost:
                self._again(bound, lost)

    def _decide(
        self, order: TakeRequest, facts: Facts, work: Callable[[Unit], T], bound: RetryBudget
    ) -> T | UnknownFact:
        """Run a unit of work on the facts of a take, and write its plan in one call."""
        with self._links.use() as link:
            runner = self._runner_on(link.cursor)
            unit = DecisionUnit(runner, self._dialect, self._probes, order, facts)
            try:
                answer = work(unit)
            except (UnknownFact, Oversize, BoroughError, Contradiction):
                # A unit of work sees every row, and decides a refusal in one snapshot.
                return UnknownFact()
            except Exception as error:
                translated = self._dialect.translate(error)
                if is_in_doubt(translated) and not order.request.key:
                    raise public(translated, "unknown") from error
                bound.want(unit)
                raise
            finally:
                self.statements += runner.statements
            link.hints.keep(order, unit.given_from)
        return answer

    def _allocate(self, order: TakeRequest, *, wait: bool, repeatable: bool) -> Outcome:
        giver = self._dialect.giver
        assert giver is not None
        with self._links.use() as link:
            runner = self._runner_on(link.cursor)
            try:
                outcome = giver.give(runner, order, link.hints, link.bounds_cache, wait=wait)
            except Exception as error:
                translated = self._dialect.translate(error)
                if is_in_doubt(translated) and not repeatable:
                    raise public(translated, "unknown") from error
                raise
            finally:
                self.statements += runner.statements
        return outcome

    def _bound(self, *, write: bool = True, declares: bool = False) -> RetryBudget:
        # With one writer, races are lost only to tables that contradict each other. With several, many may be
        # lost in a row, and only the time bounds them.
        attempts = None if self._dialect.is_server else ATTEMPTS
        return RetryBudget(self._timeout, attempts=attempts, write=write, declares=declares)

    def _again(self, bound: RetryBudget, lost: Exception) -> None:
        """Prepare another attempt, or raise the public error."""
        contradicted = isinstance(lost, Contradiction) and bound.attempts + 1 >= ATTEMPTS
        if bound.reached(lost) or contradicted:
            raise self._failure(lost, bound.attempts) from lost
        self.retries += 1
        if self._dialect.is_server:
            bound.pause()

    def _failure(self, lost: Exception, attempts: int) -> Exception:
        if isinstance(lost, Gone):
            return public(lost, "not_done")
        if isinstance(lost, Contradiction):
            return Corrupt(
                "the tables contradict each other: an allocated address is marked free; "
                "run `borough audit --repair`",
                attempts=attempts,
            )
        return Contended(
            "conflicts with other transactions lasted longer than the timeout; try again",
            attempts=attempts,
        )

    def _once(
        self,
        work: Callable[[Unit], T],
        bound: RetryBudget,
        *,
        write: bool = True,
        repeatable: bool = False,
        order: TakeRequest | None = None,
        spread: bool = False,
    ) -> T:
        committing = False
        try:
            with self._links.use() as link:
                runner = self._runner_on(link.cursor)
                unit = SqlUnit(
                    runner,
                    self._catalogue,
                    self._dialect,
                    self._probes,
                    # A reader conflicts with no writer.
                    bounds_cache=link.bounds_cache if write else NO_BOUNDS,
                    spread=spread,
                    locked=bound.subnets if self._dialect.is_server else None,
                )
                try:
                    request = bound.request
                    if request is not None:
                        self._dialect.begin_locked(runner, request)
                    else:
                        runner.text(
                            self._dialect.begin_write if write else self._dialect.begin_read
                        )
                    answer = work(unit)
                    committing = write
                    runner.text("COMMIT")
                except BaseException:
                    bound.want(unit)
                    link.connection.rollback()
                    raise
                finally:
                    self.statements += runner.statements
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
        return answer

    # --- Shared transactions --------------------------------------------------------------------

    def _share(self, work: Callable[[Unit], T], bound: RetryBudget, *, repeatable: bool) -> T:
        """Run a brief unit in a transaction of this thread or of another of this process."""
        shared = SharedUnit(work)
        with self._commits.lead(shared, min(bound.seconds_left(), seconds_left())) as leads:
            if leads:
                self._lead(shared)
        if shared.undone:
            check()
        return cast(T, shared.result(repeatable=repeatable))

    def _lead(self, first: SharedUnit) -> None:
        """Run a unit, and those that wait behind it, in one transaction."""
        ran: list[SharedUnit] = []
        committing = False
        try:
            with self._links.use() as link:
                runner = self._runner_on(link.cursor)
                try:
                    runner.text(self._dialect.begin_write)
                    unit = self._shared_unit(runner, link)
                    first.answer = first.run(unit)
                    ends = time.monotonic() + LONGEST
                    while len(ran) < MOST and time.monotonic() < ends:
                        each = self._commits.next()
                        if each is None:
                            break
                        ran.append(each)
                        self._run_saved(link, runner, each, unit.cacheable)
                    committing = True
                    # Not by the runner: the deadline is one caller's, the commit is for all.
                    link.cursor.execute("COMMIT")
                    runner.statements += 1
                except BaseException:
                    link.connection.rollback()
                    raise
                finally:
                    self.statements += runner.statements
        except BaseException as error:
            for each in ran:
                each.undone = True
                each.in_doubt = committing and not isinstance(error, Exception)
            raise
        finally:
            for each in ran:
                each.wake()
        if unit.cacheable is not None:
            self._catalogue = unit.cacheable

    def _run_saved(
        self, link: HeldConnection, runner: Runner, each: SharedUnit, catalogue: Catalogue | None
    ) -> None:
        """Run a unit of another thread; what it raises is its own, and undoes it alone."""
        execute = link.cursor.execute
        execute("SAVEPOINT unit")
        runner.statements += 2
        try:
            each.answer = each.run(self._shared_unit(runner, link, catalogue))
        except Exception as error:
            each.error = self._dialect.translate(error)
            if not link.connection.in_transaction:
                # SQLite undoes the whole transaction after some errors, as when the disk is full.
                raise Undone from error
            execute("ROLLBACK TO unit")
        execute("RELEASE unit")

    def _shared_unit(
        self, runner: Runner, link: HeldConnection, catalogue: Catalogue | None = None
    ) -> SqlUnit:
        return SqlUnit(
            runner,
            self._catalogue,
            self._dialect,
            self._probes,
            bounds_cache=link.bounds_cache,
            read_here=catalogue,
        )

    def _runner_on(self, cursor: Any) -> Runner:
        return Runner(cursor, self._compiler, self._kept, tells_key=self._dialect.tells_key)

    def close(self) -> None:
        """Close all connections."""
        self._links.close()
