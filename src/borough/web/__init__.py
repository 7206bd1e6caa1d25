"""The page of the service: files that a browser runs as they are.

``static`` holds ECMAScript modules, style sheets and one document, without a build step. A server of the
files gets them from :func:`assets`, and sends :data:`HEADERS` with each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

#: Path of the document; the other files are under ``/static/``.
INDEX: Final = "/"

#: Only the files of the page are loaded and run, and requests go to its own service only. Text cannot
#: become markup, and no other page can frame this one.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

#: Headers of every file. A browser validates its copy by the entity tag each time, so that a new release
#: never runs with files of the old one.
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
)

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page.

    :ivar tag: strong entity tag, quotes included (RFC 9110, 8.8.3).
    """

    body: bytes
    media_type: str
    tag: str


@cache
def assets() -> Mapping[str, Asset]:
    """All files of the page by path."""
    found = {
        f"/static/{name}": asset_of(name, file.read_bytes())
        for name, file in _walk(files(__name__) / "static")
    }
    found[INDEX] = found.pop("/static/index.html")
    return MappingProxyType(found)


def _walk(folder: Traversable, above: str = "") -> list[tuple[str, Traversable]]:
    made: list[tuple[str, Traversable]] = []
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        name = above + each.name
        made += _walk(each, f"{name}/") if each.is_dir() else [(name, each)]
    return made


def asset_of(name: str, body: bytes) -> Asset:
    """A file of the page; its name tells the type."""
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Asset(body, _TYPES[name.rpartition(".")[2]], f'"{digest}"')
