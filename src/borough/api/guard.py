"""Admission of requests: tokens, and the checks of a service without tokens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

from borough.api.access import Identity
from borough.api.operation import Operation
from borough.api.problem import Malformed
from borough.api.workers import WorkerPool
from borough.domain.declared.tokens import Token
from borough.engine.ipam import Ipam
from borough.engine.tokens import is_formed, recognise
from borough.errors import BoroughError, NotPermitted, TokenRefused

#: Greatest age of the list of tokens, in seconds. A revoked token may be accepted for so long.
MAX_AGE: Final = 0.5

#: Seconds between two checks of the token of a stream. With :data:`MAX_AGE` and the time of a query, a
#: stream ends within one second.
CHECK_EVERY: Final = 0.25

#: Least seconds between two reads of the list that an unknown token causes.
PAUSE: Final = 0.05

_ANONYMOUS: Final = Identity()

#: Host names that a service without tokens accepts. The name of another site may resolve to this machine
#: (DNS rebinding); the requests of its pages then carry that name.
_HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

#: ``Sec-Fetch-Site`` of requests from this service's own page, and of addresses that a person typed.
_OWN_SITES: Final = frozenset({b"same-origin", b"none"})


def _check_site(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a request that a browser sends for a page of another site.

    A browser sets ``Sec-Fetch-Site`` (Fetch Metadata) and, for a write, ``Origin`` (RFC 6454). A page cannot
    change them, and other programs send neither.

    :raises NotPermitted: the page is of another site, or of another port of this machine.
    """
    site = headers.get(b"sec-fetch-site", b"none").lower()
    origin = headers.get(b"origin")
    host = headers.get(b"host", b"")
    same = origin is None or origin.lower().partition(b"://")[2] == host.lower()
    if site not in _OWN_SITES or not same:
        raise NotPermitted("a browser says that this request comes from a page of another site")


class Guard:
    """Identifies the caller of a request, and checks its permission."""

    def __init__(
        self,
        ipam: Ipam,
        workers: WorkerPool,
        *,
        requires_token: bool,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._ipam = ipam
        self._workers = workers
        self._requires_token = requires_token
        self._clock = clock
        self._wall = wall
        self._tokens: Mapping[str, Token] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def admit(
        self, operation: Operation, headers: Mapping[bytes, bytes], path: Mapping[str, str]
    ) -> Identity:
        """Return the caller of an operation.

        :param path: the parts of the path, percent-encoded.

        :raises TokenRefused: there is no valid token.
        :raises NotPermitted: the token does not permit the operation.
        """
        caller = await self.identify(headers)
        if caller.host:
            if not operation.for_host or unquote(path.get("host", "")) != caller.host:
                raise NotPermitted(f"this token is for the routes of host {caller.host} only")
            return caller
        if not caller.permission.covers(operation.permission):
            raise NotPermitted(
                f"this needs a token that may {operation.permission}; this one may {caller.permission}",
                needed=operation.permission.value,
                permission=caller.permission.value,
            )
        return caller

    async def identify(self, headers: Mapping[bytes, bytes]) -> Identity:
        """Return the caller of a request of any kind.

        :raises TokenRefused: there is no valid token.
        """
        _check_site(headers)
        if not self._requires_token:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name not in _HERE:
                raise Malformed("a service without tokens is spoken to as localhost", status=421)
            return _ANONYMOUS
        scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenRefused("send a token: Authorization: Bearer …")
        shown, arrived = text.strip(), self._clock()
        await self._read(arrived - MAX_AGE)
        token = self._recognise(shown)
        if token is None and is_formed(shown):
            # The token may be newer than the list: a new token is valid at once.
            await self._read(arrived)
            token = self._recognise(shown)
        if token is None:
            raise TokenRefused("the service does not know this token, or it has ended")
        return Identity(token.name, token.permission, token.labels, token)

    async def until_refused(self, caller: Identity) -> None:
        """Return as soon as the token of a caller is revoked or has expired."""
        token = caller.token
        if token is None:
            await asyncio.get_running_loop().create_future()
            return
        while self._is_good(token):
            await asyncio.sleep(CHECK_EVERY)
            # Without its database the service has no events to send, so that the stream may stay open.
            with contextlib.suppress(BoroughError):
                await self._read(self._clock() - MAX_AGE)

    def _is_good(self, token: Token) -> bool:
        expired = token.expires is not None and token.expires <= self._wall()
        return self._tokens.get(token.public) == token and not expired

    def _recognise(self, shown: str) -> Token | None:
        return recognise(self._tokens.values(), shown, self._wall())

    async def _read(self, since: float) -> None:
        """Read the list of tokens unless it was read at a time or later."""
        if not self._is_since(since):
            async with self._reading:
                if not self._is_since(since):
                    if self._read_at is not None:
                        # A flood of unknown tokens must not keep the database busy.
                        await asyncio.sleep(self._read_at + PAUSE - self._clock())
                    begun = self._clock()
                    found = await self._workers.run(self._stored)
                    self._tokens = {token.public: token for token in found}
                    self._read_at = begun

    def _stored(self) -> list[Token]:
        """All tokens with their digests."""
        return self._ipam.store.transact(lambda unit: unit.tokens(), write=False)

    def _is_since(self, since: float) -> bool:
        return self._read_at is not None and self._read_at >= since
