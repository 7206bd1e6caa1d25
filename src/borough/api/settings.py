"""How a service is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceSettings:
    """What can be set.

    :ivar database: URL of the database.
    :ivar host: address to listen on.
    :ivar port: port to listen on; 0 for any that is free.
    :ivar workers: processes.
    :ivar threads: threads of each process, and the most connections of it to the database.
    :ivar token_threads: threads that one token has at most, so that others find one.
    :ivar queue: requests of a process that may wait for a thread; more are refused.
    :ivar token_queue: requests of one token among them.
    :ivar deadline: how long a request may take from when it was read to its answer, in seconds; one that
        needs a token that may administer, ten times as long.
    :ivar body_limit: largest body, in bytes: a topology.
    :ivar request_limit: largest body of anything else, in bytes.
    :ivar in_flight: bytes of bodies and answers that a process holds at a time; more are refused.
    :ivar token_in_flight: those of one token among them.
    :ivar body_time: how long a body may take to arrive, in seconds.
    :ivar send_time: how long a caller may leave an answer lying, in seconds.
    :ivar patience: how long the library tries while others are in the way, in seconds.
    :ivar streams: event streams of a process; more are refused.
    :ivar token_streams: event streams of one token among them.
    :ivar stop_time: how long requests under way may take after the service was told to stop, in seconds.
    :ivar sweep_every: seconds from one sweep to the next, of all processes together; 0 for none.
    :ivar keep_events: seconds after which events are pruned, whenever the service sweeps; 0 for never.
    :ivar requires_token: whether every request needs a token.
    :ivar access_log: whether every request is logged, and not only those that fail.
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
    stop_time: float = 30.0
    reclaim_every: float = 300.0
    keep_events: float = 0.0
    requires_token: bool = False
    access_log: bool = False
    certificate: str | None = None
    key: str | None = None
