"""Strict parsing of requests: path, query, headers and body, each by its struct."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import inspect as shapes

from borough.api.problem import Malformed
from borough.api.schema import Input

_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,19})")

_TRUTHS: Final = {"true": True, "false": False}

#: Longest idempotency key, in characters.
_KEY_LIMIT: Final = 255

_ENTITY_TAG: Final = re.compile(r'"?([0-9]{1,18})"?')


def read_query(kind: type[Input], text: bytes) -> Input:
    """Read a query string.

    :raises Malformed: a parameter is unknown, is given twice, or is not of its type.
    """
    shape = _shape(kind)
    made: dict[str, Any] = {}
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(text),
            encoding="utf-8",
            errors="strict",
            max_num_fields=256,
        )
    except ValueError:
        raise Malformed("the query string cannot be read") from None
    for name, value in pairs:
        form = shape.get(name)
        if form is None:
            raise Malformed(f"there is no query parameter {name!r}", field=name)
        if form == "list":
            made.setdefault(name, []).append(value)
        elif name in made:
            raise Malformed(f"query parameter {name!r} is given twice", field=name)
        else:
            made[name] = _one(name, form, value)
    return convert(kind, made)


def _one(name: str, form: str, text: str) -> object:
    if form == "number":
        if not _NUMBER.fullmatch(text):
            raise Malformed(f"query parameter {name!r} must be a whole number", field=name)
        return int(text)
    if form == "truth":
        if text not in _TRUTHS:
            raise Malformed(f"query parameter {name!r} must be true or false", field=name)
        return _TRUTHS[text]
    return text


@cache
def _shape(kind: type[Input]) -> Mapping[str, str]:
    """The form of each query parameter of a struct."""
    made = shapes.type_info(kind)
    assert isinstance(made, shapes.StructType)
    return {each.encode_name: _form(each.type) for each in made.fields}


def _form(kind: shapes.Type) -> str:
    if isinstance(kind, shapes.UnionType):
        (kind,) = (each for each in kind.types if not isinstance(each, shapes.NoneType))
    for known, form in (
        (shapes.ListType, "list"),
        (shapes.IntType, "number"),
        (shapes.BoolType, "truth"),
    ):
        if isinstance(kind, known):
            return form
    return "text"


def read_path(kind: type[Input], segments: Mapping[str, str]) -> Input:
    """Read the parts of a path, which are still percent-encoded.

    :raises Malformed: a part is not UTF-8, or does not fit.
    """
    try:
        return convert(
            kind, {name: unquote(text, errors="strict") for name, text in segments.items()}
        )
    except UnicodeDecodeError:
        raise Malformed("the path is not UTF-8 text") from None


def convert(kind: type[Input], values: Mapping[str, Any]) -> Input:
    """Check values against a struct.

    :raises Malformed: they do not fit.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise Malformed(_said(error)) from None


def read_json(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """Read a body.

    :raises Malformed: it is not JSON, is nested too deeply, has a key twice, or does not fit.
    """
    try:
        made = decoder.decode(data)
        # The decoder keeps the last of equal keys, where a proxy may have checked the first.
        json.loads(data, object_pairs_hook=_check_keys, parse_int=str, parse_float=str)
    except msgspec.ValidationError as error:
        raise Malformed(_said(error)) from None
    except msgspec.DecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise Malformed("the body is not JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    return made


def _check_keys(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object that has a key twice."""
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise Malformed(f"the key {name!r} is given twice in one object", field=name)
        names.add(name)


def read_text(data: bytes) -> str:
    """Read a body that is text.

    :raises Malformed: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8 text") from None


def _said(error: msgspec.ValidationError) -> str:
    """The field and the reason: ``limit: Expected `int` <= 100000``."""
    text, _, place = str(error).partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    return f"{place}: {text}" if place else text


def read_key(text: str | None) -> str | None:
    """Read an ``Idempotency-Key``, with or without the quotes of a structured field (RFC 8941).

    A key that begins with ``%`` is percent-encoded UTF-8: keys of the library may be any text.

    :raises Malformed: it is empty, too long, or not printable ASCII.
    """
    if text is None:
        return None
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    key = text[1:-1] if quoted else text
    if key.startswith("%") and not quoted:
        key = _decoded(key[1:])
    elif not 1 <= len(key) <= _KEY_LIMIT or not (key.isascii() and key.isprintable()):
        raise Malformed(f"Idempotency-Key is 1 to {_KEY_LIMIT} printable ASCII characters")
    return key


def _decoded(text: str) -> str:
    try:
        key = unquote(text, errors="strict")
    except UnicodeDecodeError:
        key = ""
    if not key or len(key) > _KEY_LIMIT:
        raise Malformed("Idempotency-Key cannot be decoded")
    return key


def read_match(text: str | None) -> int | None:
    """Read an ``If-Match``: the version in one entity tag, with or without quotes; None for any.

    :raises Malformed: it is not an entity tag of this service.
    """
    if text is None or text.strip() == "*":
        return None
    found = _ENTITY_TAG.fullmatch(text.strip())
    if not found:
        raise Malformed("If-Match must be one entity tag of this service")
    return int(found[1])
