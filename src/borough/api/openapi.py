"""The OpenAPI 3.1 description of the operations and of the structs that parse requests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec

from borough import __version__
from borough.api import problem
from borough.api.operation import HEADERS, Operation
from borough.domain.space.events import Event

_REF: Final = "#/components/schemas/{name}"

_FIELD: Final = re.compile(r":ivar (\w+): (.*?)(?=\n\s*:ivar |\Z)", re.S)

_HEADER_TEXT: Final = {
    "idempotency-key": "The same request with the same key gets the same answer again.",
    "if-match": "The request is done only while this is the entity tag.",
}

_HEADER_SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "idempotency-key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!#$&-~][!-~]*$",
    },
    "if-match": {"type": "string", "pattern": '^"?[0-9]{1,18}"?$'},
}

#: Statuses of refusals that any request can get.
_ANY_STATUS: Final = {
    400: "The request cannot be read.",
    401: "A valid token is needed.",
    403: "The token does not permit the request.",
    404: "There is no such object.",
    408: "The body did not arrive in time.",
    409: "No suitable address is free, or the state differs from what the request assumes.",
    412: "The entity tag is stale.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    421: "The request is for another host.",
    422: "The request can be read, and its values are not valid.",
    500: "The installation needs its operator.",
    503: "A passing condition: try again.",
}


def describe(operations: Sequence[Operation], *, secured: bool) -> dict[str, Any]:
    """The whole description.

    :param secured: True when every request needs a token.
    """
    types = _types(operations)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    for hidden in (each.name for each in fields(Event) if not each.repr):
        del components["Event"]["properties"][hidden]
    for kind in types:
        if kind.__name__ in components and issubclass(kind, msgspec.Struct):
            components[kind.__name__]["description"] = _documented(kind)
    by_type = dict(zip(map(_key, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        path = each.path.replace(":path}", "}")
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, by_type, components)
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Borough",
            "summary": "Ask once for an IP address from a group of subnets.",
            "version": __version__,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _tags(operations).items()],
        "paths": paths,
        "components": {"schemas": {name: _readable(schema) for name, schema in components.items()}},
    }
    if secured:
        made["security"] = [{"token": []}]
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return made


def _tags(operations: Iterable[Operation]) -> dict[str, str]:
    """A tag for each module of operations, from its docstring ``Name: description``."""
    return dict(_tag(each) for each in operations)


def _tag(each: Operation) -> tuple[str, str]:
    name, _, text = (inspect.getdoc(inspect.getmodule(each.function)) or "").partition(": ")
    return name, _line(text[:1].upper() + text[1:])


def _types(operations: Iterable[Operation]) -> list[Any]:
    wanted: list[Any] = [problem.Problem]
    for each in operations:
        wanted += [
            kind for kind in (each.path_type, each.query_type, each.answer_type) if kind is not None
        ]
        if each.body_type is not None:
            wanted.append(each.json_type)
    return list({_key(kind): kind for kind in wanted}.values())


def _documented(kind: type) -> str:
    """The docstring of a struct, followed by the fields in those of its bases."""
    own, *bases = (inspect.cleandoc(vars(each).get("__doc__") or "") for each in kind.__mro__)
    inherited = (f":ivar {name}: {text}" for base in bases for name, text in _FIELD.findall(base))
    return "\n".join([own, *inherited])


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(
    each: Operation, by_type: Mapping[str, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    text = inspect.cleandoc(each.function.__doc__ or "")
    summary, _, rest = text.partition("\n\n")
    made: dict[str, Any] = {
        "operationId": each.name,
        "tags": [_tag(each)[0]],
        "summary": _line(summary).rstrip("."),
        "parameters": _parameters(each, components),
        "responses": {
            str(each.status): {
                "description": "Done.",
                "content": _content("application/json", by_type[_key(each.answer_type)]),
            },
            **_refusals(by_type[_key(problem.Problem)]),
        },
        "x-borough-needs": each.permission.value,
    }
    if rest:
        made["description"] = _line(rest)
    if each.name == "events":
        made["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    if each.tags and each.method == "GET":
        made["responses"]["304"] = {"description": "The declared objects have not changed since."}
    if each.body_type is not None:
        content = _content("application/json", by_type[_key(each.json_type)])
        if each.takes_yaml:
            content |= _content("application/yaml", {"type": "string"})
        made["requestBody"] = {"required": True, "content": content}
    return made


def _refusals(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(status): {"description": text, "content": _content(problem.MEDIA_TYPE, schema)}
        for status, text in _ANY_STATUS.items()
    }


def _content(media_type: str, schema: Any) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _parameters(each: Operation, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for place, kind in (("path", each.path_type), ("query", each.query_type)):
        if kind is None:
            continue
        schema = _readable(components[kind.__name__])
        for name, form in schema["properties"].items():
            parameter = {
                "name": name,
                "in": place,
                "required": name in schema.get("required", ()),
                "schema": _without_null(form) if place == "query" else form,
            }
            if place == "query" and form.get("type") == "array":
                parameter |= {"style": "form", "explode": True}
            made.append(parameter)
    made += [
        {
            "name": HEADERS[name].title(),
            "in": "header",
            "required": False,
            "description": _HEADER_TEXT[HEADERS[name]],
            "schema": _HEADER_SCHEMA[HEADERS[name]],
        }
        for name in each.headers
    ]
    return made


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an optional query parameter; a query string has no null."""
    made = dict(schema)
    if "anyOf" in made:
        kinds = [each for each in made.pop("anyOf") if each.get("type") != "null"]
        assert len(kinds) == 1
        made |= kinds[0]
    if made.get("default", 0) is None:
        del made["default"]
    return made


def _readable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a struct, with its docstring as descriptions of the struct and of its fields."""
    made = dict(schema)
    text = inspect.cleandoc(made.get("description", ""))
    known: dict[str, str] = {}
    for name, words in _FIELD.findall(text):
        known.setdefault(name, _line(words))
    made["description"] = _line(text.partition(":ivar")[0])
    made["properties"] = {
        name: {**_text(form), "description": known[name]} if name in known else _text(form)
        for name, form in made.get("properties", {}).items()
    }
    return made


def _text(form: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value. A time is plain text, so that a generated client does not parse it."""
    made = {name: value for name, value in form.items() if (name, value) != ("format", "date-time")}
    if "anyOf" in made:
        made["anyOf"] = [_text(each) for each in made["anyOf"]]
    return made


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
