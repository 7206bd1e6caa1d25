"""The HTTP reference, from the OpenAPI description of the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from borough.api.app import OPERATIONS
from borough.api.openapi import describe
from docs._ext.tables import table

JSON = "application/json"
Schema = Mapping[str, Any]


@cache
def description() -> dict[str, Any]:
    """The OpenAPI description of a service with tokens."""
    return describe(OPERATIONS, secured=True)


def operations() -> str:
    """All operations by tag."""
    parts = []
    for tag in description()["tags"]:
        parts.append(f"## {tag['name']}\n\n{tag['description']}\n")
        for path, methods in description()["paths"].items():
            for method, each in methods.items():
                if each["tags"] == [tag["name"]]:
                    parts.append("\n".join(_operation(method, path, each)))
    return "\n".join(parts)


def _operation(method: str, path: str, each: Schema) -> Iterator[str]:
    yield f"### {method.upper()} {path}\n"
    yield f"{each['summary']}. {each.get('description', '')}\n"
    yield f"A token needs the permission `{each['x-borough-needs']}`.\n"
    rows = [
        (f"`{one['name']}`", one["in"], _kind(one["schema"]), _note(one))
        for one in each["parameters"]
    ]
    if rows:
        yield table("parameter", "in", "type", "meaning", rows=rows)
    body = each.get("requestBody", {}).get("content", {}).get(JSON)
    if body:
        yield f"Body: {_kind(body['schema'])}\n"
        name = body["schema"].get("$ref", "").rpartition("/")[2]
        if name:
            yield _properties(description()["components"]["schemas"][name])
    for status, answer in each["responses"].items():
        if status < "300" and JSON in answer["content"]:
            yield f"Answer {status}: {_kind(answer['content'][JSON]['schema'])}\n"


def schemas() -> str:
    """The objects that answers contain."""
    described = description()["components"]["schemas"]
    asked = {
        name
        for name in described
        if name.endswith(("Query", "Filter")) or not described[name].get("properties")
    }
    return "\n".join(
        f"### {name}\n\n{schema['description']}\n\n{_properties(schema)}"
        for name, schema in sorted(described.items())
        if name not in asked
    )


def _properties(schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _kind(one), _note({**one, "required": name in required}))
        for name, one in schema["properties"].items()
    ]
    return table("field", "type", "meaning", rows=rows) if rows else ""


def _note(one: Schema) -> str:
    text = one.get("description", "")
    text = text[:1].upper() + text[1:]
    if one.get("required"):
        text += " Required."
    default = one.get("default", one.get("schema", {}).get("default"))
    return (text if default in (None, "", [], {}) else f"{text} Default: `{default}`.").strip()


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        linked = description()["components"]["schemas"][name].get("properties")
        return f"[{name}](#{name.lower()})" if linked and not name.endswith("Filter") else name
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(schema['items'])}" if schema["items"] else "list"
    return str(schema.get("type", "any"))
