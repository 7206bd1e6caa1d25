"""Use cases that change single fields of one declared subnet or host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.diff import change_one
from borough.domain.declared.dimensions import SETTINGS
from borough.domain.declared.lookup import did_you_mean, unknown
from borough.domain.declared.records import Host
from borough.domain.declared.topology import Changes
from borough.domain.text import check_text
from borough.engine.queries import find_subnet
from borough.engine.topology.apply import carry_out, check_version
from borough.engine.topology.settings import SUBNET_FIELDS, whole
from borough.engine.topology.writer import write_host, write_subnet
from borough.errors import FixInput
from borough.store.port import Unit

HOST_FIELDS: Final = ("labels", SETTINGS)

#: Fields of which single values change, and the others stay.
MERGED: Final = ("labels", "attributes", SETTINGS)


@dataclass(frozen=True)
class ChangeRequest:
    """New values of some fields of one declared object.

    :ivar fields: as in a topology file; None puts one back to its default.
    :ivar version: only while what is declared has this version.
    """

    kind: Literal["subnet", "host"]
    name: str
    fields: Mapping[str, Any]
    dry_run: bool = False
    version: int | None = None


def parse_change(
    kind: Literal["subnet", "host"],
    name: str,
    fields: Mapping[str, Any],
    *,
    dry_run: bool,
    version: int | None,
) -> ChangeRequest:
    """Parse a change of one object; values are read together with those that stay.

    :raises FixInput: nothing is to change, or there is no such field.
    """
    known = SUBNET_FIELDS if kind == "subnet" else HOST_FIELDS
    for field in fields:
        if field not in known:
            raise FixInput(f"a {kind} has no field {field!r}" + did_you_mean(field, known))
    if not fields:
        raise FixInput(f"name a field of the {kind} to change")
    checked = {field: _checked(field, value) for field, value in fields.items()}
    if version is not None:
        version = whole(0, 2**62)(version)
    return ChangeRequest(kind, check_text(kind, name), checked, dry_run, version)


def _checked(field: str, value: Any) -> Any:
    if field in MERGED and not isinstance(value, Mapping | None):
        raise FixInput(f"{field} must be a mapping, or None for the default")
    if field in ("ranges", "exclude") and isinstance(value, Iterable):
        return [value] if isinstance(value, str) else list(value)
    return value


def change(unit: Unit, request: ChangeRequest, now: int) -> Changes:
    """See :meth:`borough.engine.face.Face.change_subnet` and ``change_host``."""
    catalogue = unit.catalogue
    check_version(catalogue, request.version)
    changes = _diff(catalogue, request)
    if not changes:
        return changes
    return carry_out(unit, changes, changes.source, now, dry_run=request.dry_run)


def _diff(catalogue: Catalogue, request: ChangeRequest) -> Changes:
    # The parser of YAML takes long to import: only what reads an entry pays for it.
    from borough.engine.topology.document import read_host, read_subnet

    if request.kind == "subnet":
        subnet = find_subnet(catalogue, request.name)
        entry = _patched(write_subnet(subnet), request.fields)
        return change_one(catalogue, subnet, read_subnet(entry))
    host = catalogue.hosts.get(request.name)
    if host is None:
        raise unknown("declared host", request.name, catalogue.hosts)
    return change_one(catalogue, host, read_host(host.name, _host_entry(host, request.fields)))


def _host_entry(host: Host, fields: Mapping[str, Any]) -> dict[str, Any]:
    labels = write_host(host)
    entry = _patched({"labels": labels, SETTINGS: labels.pop(SETTINGS, {})}, fields)
    claims = {SETTINGS: entry[SETTINGS]} if entry.get(SETTINGS) else {}
    return {**entry.get("labels", {}), **claims}


def _patched(written: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with other fields, as by a merge patch (RFC 7396) one level deep."""
    made = dict(written)
    for field, value in fields.items():
        if field in MERGED and value is not None:
            merged = {**made.get(field, {}), **value}
            made[field] = {name: each for name, each in merged.items() if each is not None}
        elif value is None:
            made.pop(field, None)
        else:
            made[field] = value
    return made
