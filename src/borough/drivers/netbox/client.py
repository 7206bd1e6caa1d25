"""The part of NetBox's REST interface that the driver uses, with Borough's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from borough.errors import DriverFault, DriverUnavailable

#: Start of tokens of the second version, of NetBox 4.5 and later.
_SECOND: Final = "nbt_"

#: Most characters of a refusal that an error repeats.
_SHOWN: Final = 300


class Refused(Exception):
    """NetBox refused the request with 400, 404 or 409."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"NetBox answered {status}: {text}")
        self.status = status


class Client:
    """One NetBox.

    :param timeout: seconds to wait for an answer.
    :param transport: replaces the connection, in tests.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 10,
        verify: Any = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        scheme = "Bearer" if token.startswith(_SECOND) else "Token"
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/api/",
            headers={"Authorization": f"{scheme} {token}", "Accept": "application/json"},
            timeout=timeout,
            verify=verify,
            transport=transport,
        )

    def get(self, path: str, **filters: Any) -> list[dict[str, Any]]:
        """The objects that filters select. The selections of the driver fit on one page."""
        answer = self._json(self._send("GET", path, params=filters))
        found = answer.get("results")
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise DriverFault(f"NetBox answered GET {path} without a list of results")
        return found

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object."""
        return self._json(self._send("POST", path, json=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object."""
        return self._json(self._send("PATCH", path, json=body))

    def delete(self, path: str) -> None:
        """Remove an object."""
        self._send("DELETE", path)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        request = f"{method} {path}"
        try:
            answer = self._http.request(method, path, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise DriverUnavailable(
                f"NetBox cannot be reached ({type(error).__name__})", outcome="not_done"
            ) from error
        except httpx.TransportError as error:
            raise DriverUnavailable(
                f"NetBox did not answer {request} ({type(error).__name__})", outcome="unknown"
            ) from error
        status = answer.status_code
        if status in (401, 403):
            raise DriverFault(
                f"NetBox refuses {request} ({status}): check the token and its rights"
            )
        if status in (400, 404, 409):
            raise Refused(status, answer.text[:_SHOWN])
        if status == 429:
            raise DriverUnavailable(f"NetBox has too much to do for {request}", outcome="not_done")
        if status >= 500:
            raise DriverUnavailable(f"NetBox answered {request} with {status}", outcome="unknown")
        if not 200 <= status < 300:
            raise DriverFault(f"NetBox answered {request} with {status}")
        return answer

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            # The request may have been carried out.
            raise DriverFault(
                "NetBox answered something that is not a JSON object", outcome="unknown"
            )
        return found
