"""The HTTP reference in words, from the OpenAPI description: as Markdown or as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

_JSON: Final = "application/json"

Schema = Mapping[str, Any]
Row = Sequence[str]


class Markup(Protocol):
    """The forms of text; all of them take and give markup, except for :meth:`prose` and :meth:`code`."""

    def prose(self, text: str) -> str:
        """Text of a docstring, in which backquotes mark code."""

    def code(self, text: str) -> str:
        """A name or a value."""

    def link(self, name: str) -> str:
        """A reference to a schema."""

    def heading(self, level: int, text: str, anchor: str) -> str:
        """A heading."""

    def paragraph(self, text: str) -> str:
        """A paragraph."""

    def table(self, head: Row, rows: Iterable[Row]) -> str:
        """A table."""


class Reference:
    """The words of one description."""

    def __init__(self, description: Schema, markup: Markup) -> None:
        self._description = description
        self._schemas: Mapping[str, Any] = description["components"]["schemas"]
        self._markup = markup

    @property
    def tags(self) -> list[str]:
        """The names of the groups of operations."""
        return [tag["name"] for tag in self._description["tags"]]

    def operations(self) -> Iterator[str]:
        """All operations by tag."""
        m = self._markup
        for tag in self._description["tags"]:
            yield m.heading(2, m.prose(tag["name"]), f"about {tag['name']}")
            yield m.paragraph(m.prose(tag["description"]))
            for path, methods in self._description["paths"].items():
                for method, each in methods.items():
                    if each["tags"] == [tag["name"]]:
                        yield from self._operation(method, path, each)

    def _operation(self, method: str, path: str, each: Schema) -> Iterator[str]:
        m = self._markup
        title = f"{method.upper()} {path}"
        yield m.heading(3, m.prose(title), title)
        yield m.paragraph(m.prose(f"{each['summary']}. {each.get('description', '')}"))
        needs = m.code(each["x-borough-needs"])
        yield m.paragraph(f"A token needs the permission {needs}.")
        rows = [
            (m.code(one["name"]), one["in"], self._kind(one["schema"]), self._note(one))
            for one in each["parameters"]
        ]
        if rows:
            yield m.table(("parameter", "in", "type", "meaning"), rows)
        body = each.get("requestBody", {}).get("content", {}).get(_JSON)
        if body:
            yield m.paragraph(f"Body: {self._kind(body['schema'])}")
            name = body["schema"].get("$ref", "").rpartition("/")[2]
            if name:
                yield self._properties(self._schemas[name])
        for status, answer in each["responses"].items():
            if status < "300" and _JSON in answer["content"]:
                yield m.paragraph(
                    f"Answer {status}: {self._kind(answer['content'][_JSON]['schema'])}"
                )

    def schemas(self) -> Iterator[str]:
        """The objects that answers contain."""
        m = self._markup
        for name, schema in sorted(self._schemas.items()):
            if not name.endswith(("Query", "Filter")) and schema.get("properties"):
                yield m.heading(3, m.prose(name), name)
                yield m.paragraph(m.prose(schema["description"]))
                yield self._properties(schema)

    def _properties(self, schema: Schema) -> str:
        required = schema.get("required", ())
        rows = [
            (
                self._markup.code(name),
                self._kind(one),
                self._note({**one, "required": name in required}),
            )
            for name, one in schema["properties"].items()
        ]
        return self._markup.table(("field", "type", "meaning"), rows) if rows else ""

    def _note(self, one: Schema) -> str:
        text = one.get("description", "")
        text = self._markup.prose(text[:1].upper() + text[1:])
        if one.get("required"):
            text += " Required."
        default = one.get("default", one.get("schema", {}).get("default"))
        if default not in (None, "", [], {}):
            text += f" Default: {self._markup.code(_json(default))}."
        return text.strip()

    def _kind(self, schema: Schema) -> str:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            is_shown = self._schemas[name].get("properties") and not name.endswith("Filter")
            return self._markup.link(name) if is_shown else self._markup.prose(name)
        if "anyOf" in schema:
            return " or ".join(map(self._kind, schema["anyOf"]))
        if "enum" in schema:
            return ", ".join(self._markup.code(str(each)) for each in schema["enum"])
        if schema.get("type") == "array" and "items" in schema:
            return f"list of {self._kind(schema['items'])}" if schema["items"] else "list"
        return str(schema.get("type", "any"))


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
