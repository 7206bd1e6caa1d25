"""Metrics and log lines of requests."""

from __future__ import annotations

import logging
import time
from typing import Final

from prometheus_client import Counter, Histogram

from borough.errors import BoroughError, RetryLater

_LOG: Final = logging.getLogger("borough.access")

SECONDS: Final = Histogram(
    "borough_request_seconds",
    "Time from the end of a request's head to the end of its answer.",
    ["operation"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
OUTCOMES: Final = Counter(
    "borough_requests_total",
    "Requests by outcome: an error code, or ok.",
    ["operation", "code"],
)
RETRIES: Final = Counter(
    "borough_retries_total", "Units of work that were run again after a conflict."
)
STATEMENTS: Final = Counter(
    "borough_database_statements_total", "Statements sent to the database, each a round trip."
)


class RequestLog:
    """Records one request.

    :ivar caller: name of the token, once it is known.
    """

    __slots__ = ("_begun", "_operation", "_verbose", "caller")

    def __init__(self, operation: str, *, verbose: bool) -> None:
        self._operation = operation
        self._verbose = verbose
        self._begun = time.perf_counter()
        self.caller = ""

    def done(self, status: int, error: Exception | None = None) -> None:
        """Record the end of the request."""
        took = time.perf_counter() - self._begun
        code = "ok" if error is None and status < 400 else _code(error, status)
        SECONDS.labels(self._operation).observe(took)
        OUTCOMES.labels(self._operation, code).inc()
        bad = status >= 500 and not isinstance(error, RetryLater)
        if not (bad or self._verbose):
            return
        facts = {
            "operation": self._operation,
            "status": status,
            "code": code,
            "milliseconds": round(took * 1000, 3),
            "caller": self.caller,
        }
        unexpected = bad and not isinstance(error, BoroughError)
        _LOG.log(
            logging.ERROR if bad else logging.INFO,
            "request",
            extra={"facts": facts},
            exc_info=error if unexpected else None,
        )


def _code(error: Exception | None, status: int) -> str:
    if isinstance(error, BoroughError):
        return error.code
    return "gone" if status == 499 else "internal"
