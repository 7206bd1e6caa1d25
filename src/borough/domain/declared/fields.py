"""Fields of declared objects in text, for the lines of a diff and for events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from borough.domain.declared.dimensions import ClaimSettings, Labels, Settings
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.topology import FieldChange
from borough.domain.net.addresses import format_address, format_interval

#: Fields that a topology file calls otherwise.
_LABELS: Final = {"prefix": "cidr", "excluded": "exclude", "claiming": "claims"}


def field_changes(old: Any, new: Any) -> tuple[FieldChange, ...]:
    """The fields in which two declared objects differ, in text."""
    if old == new and not getattr(old, "attributes", None):
        return ()
    fields = []
    for name in type(old).__dataclass_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if name == "attributes":
            # As JSON: to Python 1, 1.0 and true are equal, and a change between them would be lost.
            before, after = _json(before), _json(after)
        if before != after:
            label = _LABELS.get(name, name)
            fields.append(FieldChange(label, _text(old, name, before), _text(new, name, after)))
    return tuple(fields)


def values_of(each: Subnet | Pool | Host) -> tuple[FieldChange, ...]:
    """The fields of an object that differ from their defaults, beside its name, scope, prefix and source."""
    found = []
    for declared in fields(each):
        name, value = declared.name, getattr(each, declared.name)
        if name in ("id", "name", "scope", "prefix", "prefixes", "source") or not declared.compare:
            continue
        made = declared.default_factory
        if value != (declared.default if made is MISSING else made()):
            text = _json(value) if name == "attributes" else _text(each, name, value)
            found.append(FieldChange(_LABELS.get(name, name), "none", text))
    return tuple(found)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)


def _text(of: Any, name: str, value: Any) -> str:
    if name == "ranges" and value is None:
        return "all"
    if name in _MAPPINGS:
        return _MAPPINGS[name](value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value in (None, "", ()):
        return "none"
    if name in ("ranges", "excluded", "prefixes"):
        return ", ".join(_part(of, name, each) for each in value)
    return _part(of, name, value)


def _part(of: Any, name: str, value: Any) -> str:
    if name == "gateway":
        return format_address(of.family, value)
    if name in ("ranges", "excluded"):
        return format_interval(of.family, *value)
    return str(value)


def labels_text(labels: Labels) -> str:
    """Labels for people: ``network=pods rack=r1|r2``."""
    return " ".join(f"{name}={'|'.join(sorted(labels[name]))}" for name in sorted(labels)) or "none"


def _settings_text(given: ClaimSettings | Settings) -> str:
    """Settings of claims that differ from those otherwise in force."""
    settings = given.differences if isinstance(given, ClaimSettings) else given
    return " ".join(f"{each}={settings[each]}" for each in sorted(settings)) or "none"


_MAPPINGS: Final[Mapping[str, Callable[[Any], str]]] = {
    "labels": labels_text,
    "claiming": _settings_text,
}
