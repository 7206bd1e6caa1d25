"""Running of the service: sockets, processes, signals."""

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
from borough.domain.space.findings import Finding
from borough.engine.ipam import open as open_ipam
from borough.errors import FixInput, NeedsOperator

_LOG: Final = logging.getLogger("borough.serve")

#: Most connections that wait to be accepted.
_BACKLOG: Final = 2048

#: Seconds after which an idle connection is closed.
_KEEP_ALIVE: Final = 75


@dataclass(frozen=True)
class AppFactory:
    """Creates the application of a process, in that process."""

    settings: ServiceSettings

    def __call__(self) -> Any:
        """Open the database, and create the application."""
        from borough.api.app import open_app
        from borough.json_lines import log_to_stderr

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
    """Call a function before the server handles a signal.

    The server waits for every answer under way, and an event stream would never end.
    """
    then = signal.getsignal(number)

    def handle(received: int, frame: FrameType | None) -> None:
        do()
        if callable(then):
            then(received, frame)

    signal.signal(number, handle)


def check(settings: ServiceSettings, *, has_tokens: Callable[[], bool]) -> None:
    """Refuse settings that open the service to unauthenticated callers of other machines.

    :raises FixInput: the address can be reached from other machines, and tokens are not required.
    :raises NeedsOperator: tokens are required, and there is none.
    """
    if settings.requires_token:
        if not has_tokens():
            raise NeedsOperator(
                "tokens are required and there is none: make one with `borough token create`"
            )
    elif not is_loopback(settings.host):
        raise FixInput(
            f"{settings.host} can be reached from other machines: add --tokens, so that every "
            "request needs a token"
        )
    if bool(settings.certificate) != bool(settings.key):
        raise FixInput("TLS needs both a certificate and its key")


def warn(risks: Iterable[Finding]) -> None:
    """Log the settings of the database server by which acknowledged changes may be lost."""
    from borough.json_lines import log_to_stderr

    log_to_stderr()
    for each in risks:
        facts = {"code": each.code, "setting": each.subject}
        _LOG.warning(each.message, extra={"facts": facts})


def is_loopback(host: str) -> bool:
    """True when only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def bind(settings: ServiceSettings) -> socket.socket:
    """Listen.

    :raises NeedsOperator: the port is in use, or the address is not of this machine.
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
    """Raise the limit of open files to its maximum: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve until a signal ends the process."""
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
            # The server raises the signal again after its end, which must not end as an error.
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="borough-metrics-") as folder:
        os.environ[SHARED] = folder
        Multiprocess(config, sockets=[listener]).run()
