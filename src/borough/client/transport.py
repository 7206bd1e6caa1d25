"""Requests over persistent connections. Threads may share a transport."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from borough.client.failures import failure
from borough.client.proxy import proxy_for, tls_context
from borough.errors import FixInput, RetryLater, Unavailable

#: Query parameters: name and value, several of a name in a list.
Query = Mapping[str, Any]

#: Seconds that :class:`Transport` waits for an answer, longer than the service tries by default.
TIMEOUT: Final = 60.0

#: Idle connections kept.
_KEPT: Final = 64


class ServerEvent(NamedTuple):
    """One event of a stream.

    :ivar name: its kind; empty for a comment.
    :ivar id: the last id of the stream.
    """

    name: str
    id: str
    data: str


class Transport:
    """One service.

    :ivar url: of the service, without a slash at its end.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        timeout: float = TIMEOUT,
        *,
        ca_file: str | None = None,
    ) -> None:
        """Name a service; nothing is sent yet.

        :param ca_file: PEM file of the authorities to trust; None for those of the system.
        :param timeout: seconds that the service may leave a request without an answer.
        :raises FixInput: the URL or the token is not valid.
        """
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FixInput("the URL of a service is like http://127.0.0.1:8080")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise FixInput("the URL of a service has no user, password, query or fragment")
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise FixInput("a token is printable ASCII text")
        self.url = url.rstrip("/")
        self._host = parts.hostname
        self._base = parts.path.rstrip("/")
        self._tls = tls_context(ca_file) if parts.scheme == "https" else None
        self._proxy = proxy_for(parts.scheme, parts.hostname)
        self._origin, self._for_proxy = "", {}
        if self._proxy is not None and self._tls is None:
            # A proxy is asked for the whole URL, and there is no tunnel whose head has its login.
            self._origin, self._for_proxy = f"http://{parts.netloc}", self._proxy.head
        self._head = {"Accept": "application/json"}
        if token is not None:
            self._head["Authorization"] = f"Bearer {token.strip()}"
        self._timeout = timeout
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=_KEPT)

    def get(self, path: str, query: Query | None = None) -> Any:
        """Send a request without a body; return the answer, decoded."""
        return self.call("GET", path, query)

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = False,
    ) -> Any:
        """Send a request; return the answer, decoded.

        :param body: sent as JSON; None for none.
        :param repeatable: True when it may be sent again after an unknown outcome.
        :raises BoroughError: the error of the service.
        :raises Unavailable: the service cannot be reached, or went away.
        """
        target = self._base + path + _query_text(query or {})
        head = {**self._head, **(headers or {})}
        data = None
        if body is not None:
            data = _encode(body)
        if method in ("POST", "PUT", "PATCH"):
            # Also without a body: the service refuses other content types.
            head["Content-Type"] = "application/json"
        status, answer = self._persist(
            method, target, data, head, again=repeatable or method == "GET"
        )
        if status < 400:
            return _decode(answer)
        raise failure(status, _problem(answer))

    def stream(
        self, path: str, query: Query | None = None, *, last: str = "", silence: float
    ) -> Iterator[ServerEvent]:
        """Follow a stream of server-sent events until the service ends it.

        A comment, which keeps a silent stream open, is an event without a name.

        :param last: id of the last event of an earlier stream; empty for none.
        :param silence: seconds without an event or a comment after which the stream is given up.
        :raises BoroughError: the error of the service.
        :raises Unavailable: the service cannot be reached, or went away.
        """
        target = self._origin + self._base + path + _query_text(query or {})
        head = {**self._for_proxy, **self._head, "Accept": "text/event-stream"}
        if last:
            head["Last-Event-ID"] = last
        try:
            connection = self._connect(silence)
            try:
                connection.request("GET", target, headers=head)
                answer = connection.getresponse()
                if answer.status >= 400:
                    raise failure(answer.status, _problem(answer.read()))
                yield from _events(answer)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise _unavailable(self.url, error, "not_done") from error

    def _persist(
        self, method: str, target: str, data: bytes | None, head: Mapping[str, str], *, again: bool
    ) -> tuple[int, bytes]:
        """Send a request, once more if it may be sent again."""
        outcome = "not_done"
        for is_last in (False, True) if again else (True,):
            try:
                return self._send(method, target, data, head)
            except (OSError, http.client.HTTPException) as error:
                # The second attempt is refused, but the first may have been carried out.
                if not isinstance(error, ConnectionRefusedError):
                    outcome = "unknown"
                if is_last:
                    raise _unavailable(self.url, error, outcome) from error
        raise AssertionError("there is at least one attempt")

    def _send(
        self, method: str, target: str, data: bytes | None, head: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request(method, self._origin + target, data, {**self._for_proxy, **head})
            answer = connection.getresponse()
            body = answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return answer.status, body

    def _connection(self) -> http.client.HTTPConnection:
        while self._idle:
            try:
                found = self._idle.pop()
            except IndexError:
                break
            if found.sock is not None and not _is_ended(found.sock):
                return found
            found.close()
        return self._connect(self._timeout)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        host, port = (self._proxy or (self._host, self._port))[:2]
        if self._tls is not None:
            tunnel = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
            if self._proxy is not None:
                tunnel.set_tunnel(self._host, self._port or 443, self._proxy.head)
            return tunnel
        made = http.client.HTTPConnection(host, port, timeout=timeout)
        made.connect()
        assert made.sock is not None
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop().close()


def segment(text: str) -> str:
    """A name as one segment of a path."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise FixInput(f"{text!r} is not text that can be written") from None


def write_key(key: str) -> str:
    """An idempotency key as a header: any text, in printable ASCII.

    Printable ASCII is sent unchanged, other text encoded. Two keys never have the same header.
    """
    if key.isascii() and key.isprintable() and not key.startswith(('"', "%")):
        return f'"{key}"'
    return "%" + segment(key)


def _is_ended(sock: socket.socket) -> bool:
    """True when the service has closed an idle connection: only its end makes it readable."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _query_text(query: Query) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None:
            continue
        several: Sequence[object] = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _word(each)) for each in several]
    if not pairs:
        return ""
    return "?" + "&".join(f"{segment(name)}={segment(value)}" for name, value in pairs)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encode(body: object) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FixInput(f"the request must be plain JSON: {error}") from None


def _decode(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise RetryLater(
            "the answer is not from the service, or incomplete", outcome="unknown"
        ) from None


def _problem(data: bytes) -> Any:
    """The problem of an answer; None when it is not from the service."""
    try:
        return _decode(data)
    except RetryLater:
        return None


def _events(answer: http.client.HTTPResponse) -> Iterator[ServerEvent]:
    """The events of a stream (WHATWG HTML, section 9.2); of this service, data is one line."""
    name = number = data = ""
    while line := answer.readline():
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "id":
            number = value
        elif field == "event":
            name = value
        elif field == "data":
            data = value
        elif not field:
            yield ServerEvent(name, number, data)
            name = data = ""


def _unavailable(url: str, error: Exception, outcome: str) -> Unavailable:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unavailable(f"the service at {url} does not answer: {reason}", outcome=outcome)
