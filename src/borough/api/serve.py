"""Running the service: sockets, processes, and how they end."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess

from borough.api.metrics import SHARED
from borough.api.protocol import BoundedProtocol
from borough.api.settings import ServiceSettings
from borough.domain.space.inspection import Finding
from borough.engine.ipam import open as open_ipam
from borough.errors import FixInput, NeedsOperator

_LOG: Final = logging.getLogger("borough.serve")

#: Connections that may wait to be accepted.
_BACKLOG: Final = 2048

#: How long an idle connection is kept, in seconds.
_KEEP_ALIVE: Final = 75


@dataclass(frozen=True)
class AppFactory:
    """Makes the application of a process, in that process."""

    settings: ServiceSettings

    def __call__(self) -> Any:
        """Open the database, and make the application."""
        from borough.api.app import open_app
        from borough.api.request_log import log_to_stderr

        log_to_stderr()
        ipam = open_ipam(
            self.settings.database,
            timeout=self.settings.timeout,
            statement_time=self.settings.deadline,
        )
        service, app = open_app(ipam, self.settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            _first(number, service.stop)
        return app


def _first(number: signal.Signals, do: Callable[[], None]) -> None:
    """Do something before the server hears a signal.

    It waits for every answer under way to end, and an event stream never would.
    """
    then = signal.getsignal(number)

    def hear(heard: int, frame: FrameType | None) -> None:
        do()
        if callable(then):
            then(heard, frame)

    signal.signal(number, hear)


def check(settings: ServiceSettings, *, has_tokens: Callable[[], bool]) -> None:
    """Refuse to listen where the settings would let anybody in.

    :raises FixInput: to be reached from elsewhere takes tokens.
    :raises NeedsOperator: tokens are required, and there is none.
    """
    if settings.requires_token:
        if not has_tokens():
            raise NeedsOperator(
                "tokens are required and there is none: make one with `borough token create`"
            )
    elif not is_loopback(settings.host):
        raise FixInput(
            f"{settings.host} can be reached from elsewhere: add --tokens, so that only those "
            "with a token are let in"
        )
    if bool(settings.certificate) != bool(settings.key):
        raise FixInput("TLS needs both a certificate and its key")


def warn(risks: Iterable[Finding]) -> None:
    """Write into the log by which settings of the database server something may be lost."""
    from borough.api.request_log import log_to_stderr

    log_to_stderr()
    for each in risks:
        facts = {"code": each.code, "setting": each.subject}
        _LOG.warning(each.message, extra={"facts": facts})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def bind(settings: ServiceSettings) -> socket.socket:
    """Listen.

    :raises NeedsOperator: somebody else does, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.host, settings.port))
    except OSError as error:
        made.close()
        raise NeedsOperator(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}"
        ) from None
    made.set_inheritable(True)
    return made


def _allow_connections() -> None:
    """As many open files as the system lets a process have: every caller is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve until told to stop."""
    _allow_connections()
    config = uvicorn.Config(
        AppFactory(settings),
        http=BoundedProtocol,
        factory=True,
        workers=settings.workers,
        backlog=_BACKLOG,
        access_log=False,
        log_config=None,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=round(settings.stop_time),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        ws="none",
    )
    if settings.workers == 1:
        for number in (signal.SIGTERM, signal.SIGINT):
            # The server raises again what it has heard once it has ended: that was all there was to do.
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="borough-metrics-") as folder:
        os.environ[SHARED] = folder
        Multiprocess(config, sockets=[listener]).run()
