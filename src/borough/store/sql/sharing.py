"""Transactions that several callers of a process share: of units on SQLite, of takes on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

from borough.domain.declared.catalogue import Catalogue
from borough.domain.policy.take import TakeRequest
from borough.errors import DeadlineExceeded
from borough.store.deadline import check, seconds_left
from borough.store.port import Unit
from borough.store.sql.dialect import Dialect, Sharer
from borough.store.sql.failures import is_in_doubt
from borough.store.sql.giving import Hints, Outcome
from borough.store.sql.links import HeldConnection, Links
from borough.store.sql.retry_budget import RetryBudget
from borough.store.sql.runner import Runner
from borough.store.sql.shared_commits import (
    LEADERS,
    LONGEST,
    MOST,
    MOST_TAKES,
    SharedCommits,
    SharedUnit,
    Undone,
)
from borough.store.sql.unit.unit import SqlUnit

T = TypeVar("T")


@dataclass
class Sharing:
    """Runs the units and takes of callers that wait for each other.

    :ivar runner_on: makes a runner on a cursor.
    :ivar unit_on: makes a unit in a transaction; with the catalogue, where another unit has read it there.
    :ivar learn: is told of the catalogue that a committed transaction has read.
    :ivar statements: statements sent.
    """

    links: Links
    dialect: Dialect
    runner_on: Callable[[Any], Runner]
    unit_on: Callable[[Runner, HeldConnection, Catalogue | None], SqlUnit]
    learn: Callable[[Catalogue], None]
    statements: int = 0
    _units: SharedCommits = field(default_factory=SharedCommits)
    _takes: SharedCommits = field(default_factory=lambda: SharedCommits(LEADERS))

    # --- Units ----------------------------------------------------------------------------------

    def run(self, work: Callable[[Unit], T], bound: RetryBudget, *, repeatable: bool) -> T:
        """Run a brief unit in a transaction of this thread or of another of this process.

        :raises Undone: the transaction was undone; the unit has to run alone.
        """
        shared = SharedUnit(work)
        with self._units.lead(shared, _seconds(bound)) as leads:
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
            with self.links.use() as link:
                runner = self.runner_on(link.cursor)
                try:
                    runner.text(self.dialect.begin_write)
                    unit = self.unit_on(runner, link, None)
                    first.answer = first.run(unit)
                    ends = time.monotonic() + LONGEST
                    while len(ran) < MOST and time.monotonic() < ends:
                        each = self._units.next()
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
            self.learn(unit.cacheable)

    def _run_saved(
        self, link: HeldConnection, runner: Runner, each: SharedUnit, catalogue: Catalogue | None
    ) -> None:
        """Run a unit of another thread; what it raises is its own, and undoes it alone."""
        execute = link.cursor.execute
        execute("SAVEPOINT unit")
        runner.statements += 2
        try:
            each.answer = each.run(self.unit_on(runner, link, catalogue))
        except Exception as error:
            each.error = self.dialect.translate(error)
            if not link.connection.in_transaction:
                # SQLite undoes the whole transaction after some errors, as when the disk is full.
                raise Undone from error
            execute("ROLLBACK TO unit")
        execute("RELEASE unit")

    # --- Takes ----------------------------------------------------------------------------------

    def take(
        self,
        order: TakeRequest,
        bound: RetryBudget,
        alone: Callable[[], Outcome],
        *,
        repeatable: bool,
    ) -> Outcome | None:
        """Send a take, with those of other threads that wait.

        :param alone: sends it alone.
        :return: None when it has to be sent again, alone.
        :raises Undone: the transaction was undone; the take has to be sent alone.
        """
        take = SharedUnit(lambda ready: ready(order))
        with self._takes.lead(take, _seconds(bound)) as leads:
            if leads:
                others = list(islice(iter(self._takes.next, None), MOST_TAKES))
                if not others:
                    return alone()
                self._send([take, *others])
        if take.undone:
            check()
        return cast(Outcome | None, take.result(repeatable=repeatable))

    def _send(self, takes: Sequence[SharedUnit]) -> None:
        """Send several takes in one transaction, and wake the callers of all but the first."""
        sharer = self.dialect.sharer
        assert sharer is not None
        try:
            with self.links.use() as link:
                ready = partial(_ready, sharer, self.runner_on(link.cursor), link.hints)
                sent = []
                for each in takes:
                    try:
                        sent.append((each, each.run(ready)))
                    except DeadlineExceeded as late:
                        each.error = late
                self.statements += 1
                outcomes = sharer.give_all(link.connection, [take for _, take in sent], link.hints)
                for (each, _), outcome in zip(sent, outcomes, strict=True):
                    each.answer = outcome
        except BaseException as error:
            for each in takes:
                each.undone = True
                each.in_doubt = not isinstance(error, Exception) or is_in_doubt(error)
            if not isinstance(error, Exception):
                raise
        finally:
            for each in takes[1:]:
                each.wake()


def _ready(sharer: Sharer, runner: Runner, hints: Hints, order: TakeRequest) -> Any:
    check()
    return sharer.ready(runner, order, hints)


def _seconds(bound: RetryBudget) -> float:
    """Time for which a caller may wait for others."""
    return min(bound.seconds_left(), seconds_left())
