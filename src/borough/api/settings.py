"""Settings of the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of the service; times are in seconds.

    :ivar database: URL of the database.
    :ivar host: address to listen on.
    :ivar port: port to listen on; 0 for any free port.
    :ivar workers: number of processes.
    :ivar threads: threads of each process, and its most connections to the database.
    :ivar token_threads: most threads of one token.
    :ivar queue: requests of a process that may wait for a thread; more are refused.
    :ivar token_queue: requests of one token among them.
    :ivar deadline: most time of a request from the end of its body to its answer; ten times as much for
        requests that need a token that may administer.
    :ivar body_limit: largest body, that of a topology, in bytes.
    :ivar request_limit: largest body of other requests, in bytes.
    :ivar in_flight: bytes of bodies and answers that a process holds at a time; more are refused.
    :ivar token_in_flight: bytes of one token among them.
    :ivar body_time: most time until a body has arrived.
    :ivar send_time: most time until a caller has read a piece of an answer.
    :ivar timeout: most time of the library's retries after conflicts and lost connections.
    :ivar streams: event streams of a process; more are refused.
    :ivar token_streams: event streams of one token among them.
    :ivar route_streams: streams of the routes of hosts of a process; more are refused.
    :ivar stop_time: most time of requests under way after the signal to stop.
    :ivar reclaim_every: time between two runs of reclaim in all processes together; 0 for none.
    :ivar keep_events: age at which reclaim prunes events; 0 for never.
    :ivar requires_token: True when every request needs a token.
    :ivar access_log: True to log every request, and not only those that fail.
    :ivar certificate: file of the TLS certificate chain; None for no TLS.
    :ivar key: file of the certificate's private key.
    """

    database: str = "memory:"
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = 16
    token_threads: int = 8
    queue: int = 1024
    token_queue: int = 256
    deadline: float = 30.0
    body_limit: int = 4 << 20
    request_limit: int = 1 << 20
    in_flight: int = 32 << 20
    token_in_flight: int = 16 << 20
    body_time: float = 10.0
    send_time: float = 30.0
    timeout: float = 10.0
    streams: int = 2000
    token_streams: int = 500
    route_streams: int = 4000
    stop_time: float = 30.0
    reclaim_every: float = 300.0
    keep_events: float = 0.0
    requires_token: bool = False
    access_log: bool = False
    certificate: str | None = None
    key: str | None = None
