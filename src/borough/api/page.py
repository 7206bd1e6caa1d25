"""The pages for people: the files of :mod:`borough.web`, each at its path, and the HTTP reference."""

from __future__ import annotations

from typing import Any, Final

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from borough.api.answers import refuse_writes
from borough.api.reference_page import reference_page
from borough.web import HEADERS, Asset, asset_of, assets

_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class _File:
    """An ASGI application that serves one file, or 304 when the caller has it."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._head = [*_HEADERS, (b"etag", asset.tag.encode())]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if await refuse_writes(scope, send):
            return
        known = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
        fresh = self._asset.tag in known or known == "*"
        body = b"" if fresh else self._asset.body
        head = list(self._head)
        if not fresh:
            head.append((b"content-type", self._asset.media_type.encode()))
            head.append((b"content-length", str(len(body)).encode()))
        await send(
            {"type": "http.response.start", "status": 304 if fresh else 200, "headers": head}
        )
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )


def page_routes(description: dict[str, Any]) -> list[BaseRoute]:
    """The routes of the files, and of the HTTP reference. They are public and need no token.

    :param description: of the service, by :func:`borough.api.openapi.describe`.
    """
    reference = asset_of("docs.html", reference_page(description))
    return [Route(path, _File(asset)) for path, asset in {**assets(), "/docs": reference}.items()]
