"""The page ``/docs``: the HTTP reference of this service, without a script and without other requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from borough import __version__
from borough.api.reference import Reference

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Borough {version}: HTTP reference</title>
<link rel="icon" href="/static/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/css/tokens.css">
<link rel="stylesheet" href="/static/css/base.css">
<link rel="stylesheet" href="/static/css/reference.css">
<script src="/static/theme.js"></script>
</head>
<body class="reference">
<nav aria-label="Operations">
<a href="/">Borough</a>
{links}
<a href="#Objects">Objects</a>
<a href="/openapi.json">OpenAPI</a>
</nav>
<main id="main">
<h1>HTTP reference</h1>
<p>Version {version}. The same as a description for programs: <a href="/openapi.json">openapi.json</a>.</p>
{operations}
<h2 id="Objects">Objects</h2>
{schemas}
</main>
</body>
</html>
"""


class _Html:
    """HTML; see :class:`borough.api.reference.Markup`."""

    def prose(self, text: str) -> str:
        return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))

    def code(self, text: str) -> str:
        return f"<code>{escape(text)}</code>"

    def link(self, name: str) -> str:
        return f'<a href="#{_anchor(name)}">{escape(name)}</a>'

    def heading(self, level: int, text: str, anchor: str) -> str:
        return f'<h{level} id="{_anchor(anchor)}">{text}</h{level}>'

    def paragraph(self, text: str) -> str:
        return f"<p>{text}</p>"

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        titles = "".join(f'<th scope="col">{each}</th>' for each in head)
        lines = "".join(f"<tr>{''.join(f'<td>{each}</td>' for each in row)}</tr>" for row in rows)
        table = f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"
        # A wide table scrolls by itself, also from the keyboard.
        return f'<div class="wide" role="region" aria-label="{", ".join(head)}" tabindex="0">{table}</div>'


def _anchor(text: str) -> str:
    """A place in the page; no two names of the description differ only in what is replaced."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def reference_page(description: dict[str, Any]) -> bytes:
    """The document for an OpenAPI description."""
    reference = Reference(description, _Html())
    return _PAGE.format(
        version=escape(__version__),
        links="\n".join(
            f'<a href="#{_anchor(f"about {tag}")}">{escape(tag)}</a>' for tag in reference.tags
        ),
        operations="\n".join(reference.operations()),
        schemas="\n".join(reference.schemas()),
    ).encode()
