"""``remote``: Borough's engine behind its HTTP service. One request for each call and any group."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Self, TypeVar

from borough.client.ipam import RemoteIpam, connect
from borough.domain.request import Request
from borough.driver.calls import ATTEMPTS
from borough.driver.group import Group
from borough.driver.settings import Settings
from borough.drivers.engine import EngineDriver
from borough.engine.views import Answer
from borough.errors import FixInput, InvalidSettings, RetryLater
from borough.retry import Retry

T = TypeVar("T")

#: Seconds to wait for an answer, longer than the service tries by default.
TIMEOUT: Final = 30.0


class RemoteDriver(EngineDriver):
    """The engine as a service.

    Every allocation carries an idempotency key: repeated after a lost answer, it gets the same addresses.
    A release has no key: it is repeated only when nothing was done.

    :param attempts: attempts at a call before its failure is reported.
    :param timeout: seconds after which a failed call is not repeated.
    """

    def __init__(
        self,
        ipam: RemoteIpam,
        name: str = "remote",
        *,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(ipam, name)
        self._retry = Retry(attempts, timeout, sleep=sleep)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Name a service; nothing is sent yet.

        Settings: ``url``; ``token_env`` or ``token_file``, neither for a service without tokens;
        ``timeout`` in seconds (30); ``attempts`` (3).
        """
        url = settings.text("url")
        token = settings.secret("token", "") or None
        timeout = settings.number("timeout", TIMEOUT, low=0.1, high=600)
        attempts = int(settings.number("attempts", ATTEMPTS, low=1, high=100))
        try:
            ipam = connect(url, token, timeout=timeout)
        except FixInput as error:
            raise InvalidSettings(
                f"driver {settings.driver}: {error.message}", driver=settings.driver
            ) from None
        return cls(ipam, settings.driver, attempts=attempts, timeout=timeout)

    def allocate(self, group: Group, request: Request) -> Answer:
        """See :meth:`borough.driver.interface.GroupDriver.allocate`.

        :raises RetryLater: with ``unknown`` in ``detail['outcome']``, ``detail['key']`` is the key that the
            driver made: the same request with it gets the outcome.
        """
        if request.key:
            return super().allocate(group, request)
        key = f"remote:{uuid.uuid4()}"
        try:
            answer = super().allocate(group, replace(request, key=key))
        except RetryLater as error:
            if error.detail.get("outcome") == "unknown":
                error.detail["key"] = key
            raise
        # The caller did not send the key: for it this is the first answer.
        return replace(answer, replayed=False)

    def _call(self, call: Callable[[], T], *, repeatable: bool) -> T:
        outcomes: set[str | None] = set()

        def attempt() -> T:
            try:
                return super(RemoteDriver, self)._call(call, repeatable=repeatable)
            except RetryLater as error:
                outcomes.add(error.detail.get("outcome"))
                if "unknown" in outcomes:
                    # An earlier attempt may have been carried out.
                    error.detail["outcome"] = "unknown"
                error.detail["driver"] = self.name
                raise

        return self._retry.run(
            attempt, RetryLater, unless=lambda _error: "unknown" in outcomes and not repeatable
        )
