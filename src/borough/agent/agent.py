"""The agent of a host: it installs the routes that the service names, and reports them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from borough.agent import metrics
from borough.agent.link import ServiceLink
from borough.agent.netlink import MAIN, RouteTable
from borough.agent.reconcile import Reconciler, TableReport
from borough.agent.status import AgentStatus
from borough.domain.net.announce import Prefixes
from borough.errors import BoroughError

_LOG: Final = logging.getLogger("borough.agent")

#: Seconds between two looks at the routing table, and between two reports.
EVERY: Final = 10.0

#: Least and most seconds between two attempts after an error.
_PAUSES: Final = (0.2, 5.0)


@dataclass(frozen=True)
class AgentSettings:
    """Settings of an agent.

    :ivar table: number of the routing table.
    :ivar single_table: number of the routing table for routes to single addresses.
    :ivar settle: seconds that the routing daemon needs until a change has reached the routers.
    :ivar status: file of the status; None for none.
    """

    host: str
    server: str
    token: str | None = None
    ca_file: str | None = None
    scope: str = "default"
    table: int = MAIN
    single_table: int = MAIN
    settle: float = 0.3
    status: Path | None = None


class Agent:
    """Three threads: one follows the service, one keeps the table, one reports.

    So a service that hangs delays no change of the table, and a kernel that hangs no report.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._link = ServiceLink(
            settings.server, settings.token, settings.ca_file, settings.host, settings.scope
        )
        self._reconciler = Reconciler(settings.settle)
        self._status = AgentStatus(settings.host, settings.scope, settings.server, os.getpid())
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        #: The newest prefixes and their time; None when the table thread has taken them.
        self._news: tuple[Prefixes, float] | None = None
        #: The report to send next; None when the reporting thread has taken it.
        self._outgoing: TableReport | None = None

    def stop(self) -> None:
        """End the threads; the routes stay."""
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()

    def run(self) -> None:
        """Work until :meth:`stop`."""
        threads = [
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True)
            for work in (self._follow, self._report)
        ]
        for each in threads:
            each.start()
        _log("started", host=self._settings.host, server=self._settings.server)
        self._keep_table()
        # The other threads may wait for the service, and have nothing to finish.
        _log("stopped", host=self._settings.host)

    # --- The service ------------------------------------------------------------------------------

    def _follow(self) -> None:
        pause = _PAUSES[0]
        while not self._stopping.is_set():
            try:
                for prefixes in self._link.follow():
                    self._connected(True)
                    pause = _PAUSES[0]
                    if prefixes is not None:
                        self._take(prefixes)
                error = "the service has ended the stream"
            except BoroughError as refused:
                error = refused.message
            self._connected(False, error)
            metrics.ERRORS.labels("stream").inc()
            self._stopping.wait(pause)
            pause = min(pause * 2, _PAUSES[1])

    def _take(self, prefixes: Prefixes) -> None:
        with self._lock:
            since = self._news[1] if self._news else time.monotonic()
            self._news = prefixes, since
            self._lock.notify_all()

    def _connected(self, is_connected: bool, error: str = "") -> None:
        if self._status.connected != is_connected or self._status.error != error:
            _log("connected" if is_connected else "disconnected", error=error)
        self._status.connected, self._status.error = is_connected, error
        metrics.CONNECTED.set(is_connected)

    # --- The routing table ------------------------------------------------------------------------

    def _keep_table(self) -> None:
        table: RouteTable | None = None
        due = 0.0
        while not self._stopping.is_set():
            with self._lock:
                while not (self._news or self._stopping.is_set() or time.monotonic() >= due):
                    self._lock.wait(max(0.0, due - time.monotonic()))
                news, self._news = self._news, None
            if news is not None:
                self._reconciler.wanted = news[0]
            try:
                table = table or RouteTable(self._settings.table, self._settings.single_table)
                changed = self._reconciler.reconcile(table, time.monotonic())
            except OSError as error:
                _log("kernel", logging.ERROR, error=str(error))
                metrics.ERRORS.labels("kernel").inc()
                self._status.error = str(error)
                if table is not None:
                    table.close()
                table, due = None, time.monotonic() + 1.0
                continue
            if news is not None:
                metrics.APPLY.observe(time.monotonic() - news[1])
            self._show(changed)
            now = time.monotonic()
            report = self._reconciler.report(now)
            # A failed route is tried again soon.
            due = now + (1.0 if report.problems else EVERY)
            if report.due is not None:
                due = min(due, report.due)
            with self._lock:
                self._outgoing = report
                self._lock.notify_all()
        if table is not None:
            table.close()

    def _show(self, changed: int) -> None:
        """Publish the state of the table: log, metrics and status."""
        made, status = self._reconciler, self._status
        metrics.ROUTES.set(len(made.installed))
        metrics.MISSING.set(len((made.wanted or made.installed) - made.installed))
        metrics.PROBLEMS.set(len(made.problems))
        metrics.HORIZON.set(self._link.horizon)
        metrics.CHANGES.inc(made.changes - status.changes)
        metrics.CORRECTIONS.inc(made.corrections - status.corrections)
        problems = {str(each): reason for each, reason in sorted(made.problems.items())}
        if changed or problems != status.problems:
            _log(
                "routes",
                logging.WARNING if problems else logging.INFO,
                changes=made.changes - status.changes,
                corrections=made.corrections - status.corrections,
                installed=len(made.installed),
                problems=problems,
            )
        status.installed = [str(each) for each in sorted(made.installed)]
        status.problems = problems
        status.wanted = None if made.wanted is None else len(made.wanted)
        status.changes, status.corrections = made.changes, made.corrections
        status.horizon = self._link.horizon
        self._write_status()

    def _write_status(self) -> None:
        if self._settings.status is not None:
            with contextlib.suppress(OSError):
                self._status.write(self._settings.status)

    # --- Reports ----------------------------------------------------------------------------------

    def _report(self) -> None:
        pause = _PAUSES[0]
        while not self._stopping.is_set():
            with self._lock:
                while self._outgoing is None and not self._stopping.is_set():
                    self._lock.wait()
                report, self._outgoing = self._outgoing, None
            if report is None:
                continue
            try:
                self._link.report(report)
            except BoroughError as error:
                _log("report", logging.WARNING, error=error.message)
                metrics.ERRORS.labels("report").inc()
                self._stopping.wait(pause)
                pause = min(pause * 2, _PAUSES[1])
                with self._lock:
                    # A newer one may have been made meanwhile.
                    self._outgoing = self._outgoing or report
                continue
            pause = _PAUSES[0]
            self._status.reported = time.time()


def _log(message: str, level: int = logging.INFO, **facts: object) -> None:
    _LOG.log(level, message, extra={"facts": facts})
