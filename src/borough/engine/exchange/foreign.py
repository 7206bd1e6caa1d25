"""Exports of other systems: prefixes become a topology, addresses become entries of an import.

NetBox and phpIPAM: the JSON of their REST API, whole answers or lists of records. Calico: the JSON of
``kubectl get ippools,ipamblocks -o json``. A prefix that contains another one is left out, as the subnets of
a scope do not overlap.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

from borough.domain.text import check_text
from borough.errors import FixInput


@dataclass(frozen=True)
class ForeignExport:
    """The content of an export.

    :ivar topology: as its file would hold it; ``entries`` as an import takes them.
    """

    topology: dict[str, Any]
    entries: list[dict[str, Any]]


@dataclass
class _Found:
    prefixes: list[dict[str, Any]] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)


def read_foreign(system: str, texts: Iterable[str]) -> ForeignExport:
    """Read the files of an export.

    :param system: one of :data:`SYSTEMS`.
    :raises FixInput: a file is not JSON, or holds neither prefixes nor addresses.
    """
    found = _Found()
    records: list[dict[str, Any]] = []
    for text in texts:
        try:
            records += _records(json.loads(text))
        except ValueError:
            raise FixInput(f"an export of {system} is read as JSON, and this is not") from None
    _READERS[system](records, found)
    if not found.prefixes and not found.entries:
        raise FixInput(f"there is neither a prefix nor an address of {system} in it")
    return ForeignExport(_topology(system, found), found.entries)


def _records(data: Any) -> Iterator[dict[str, Any]]:
    """The records of an answer of an API, a list, or several of them."""
    if isinstance(data, list):
        for each in data:
            yield from _records(each)
    elif isinstance(data, dict):
        inner = [
            data[key]
            for key in (
                "results",
                "data",
                "items",
                "prefixes",
                "ip_addresses",
                "subnets",
                "addresses",
            )
            if isinstance(data.get(key), list | dict)
        ]
        if inner:
            for each in inner:
                yield from _records(each)
        else:
            yield data


def _word(value: Any) -> str:
    """A text, or the name in a nested record."""
    if isinstance(value, Mapping):
        for key in ("name", "value", "slug", "display"):
            if value.get(key):
                return str(value[key])
        return ""
    return "" if value is None else str(value)


def _netbox(records: Iterable[Mapping[str, Any]], found: _Found) -> None:
    for each in records:
        scope = _word(each.get("vrf")) or "default"
        if "prefix" in each:
            if _word(each.get("status")) == "container":
                continue
            labels: dict[str, Any] = {}
            if _word(each.get("role")):
                labels["role"] = _word(each["role"])
            if each.get("tags"):
                labels["tag"] = [_word(tag) for tag in each["tags"]]
            found.prefixes.append({"cidr": str(each["prefix"]), "scope": scope, "labels": labels})
        elif "address" in each:
            device = each.get("assigned_object") or {}
            host = _word(device.get("device") or device.get("virtual_machine"))
            name = str(each.get("dns_name") or "")
            made = _entry(each["address"], name or host or _word(each.get("tenant")), host, scope)
            made["note"] = _line(each.get("description"))
            if name:
                made["attributes"] = {"hostname": name}
            found.entries.append(made)


def _phpipam(records: Iterable[Mapping[str, Any]], found: _Found) -> None:
    scopes: dict[str, str] = {}
    addresses: list[Mapping[str, Any]] = []
    for each in records:
        if each.get("subnet") and each.get("mask") is not None:
            scope = f"vrf-{each['vrfId']}" if str(each.get("vrfId") or "0") != "0" else "default"
            scopes[str(each.get("id"))] = scope
            if not int(each.get("isFolder") or 0):
                found.prefixes.append(
                    {"cidr": f"{each['subnet']}/{each['mask']}", "scope": scope, "labels": {}}
                )
        elif each.get("ip"):
            addresses.append(each)
    for each in addresses:
        owner = str(each.get("hostname") or each.get("owner") or "")
        made = _entry(each["ip"], owner, "", scopes.get(str(each.get("subnetId")), "default"))
        made["note"] = _line(each.get("description") or each.get("note"))
        attributes = {"hostname": each.get("hostname"), "mac": each.get("mac")}
        made["attributes"] = {name: str(value) for name, value in attributes.items() if value}
        found.entries.append(made)


def _calico(records: Iterable[Mapping[str, Any]], found: _Found) -> None:
    for each in records:
        spec = each.get("spec") or {}
        if each.get("kind") == "IPPool":
            found.prefixes.append(
                {"cidr": str(spec["cidr"]), "scope": "default", "labels": {"network": "pods"}}
            )
        elif each.get("kind") == "IPAMBlock":
            base = ip_network(str(spec["cidr"])).network_address
            attributes = spec.get("attributes") or []
            for at, number in enumerate(spec.get("allocations") or []):
                if number is None:
                    continue
                about = attributes[number] if number < len(attributes) else {}
                more = about.get("secondary") or {}
                pod = f"{more.get('namespace')}/{more['pod']}" if more.get("pod") else ""
                owner = pod or str(about.get("handle_id") or about.get("primary") or "")
                found.entries.append(
                    _entry(base + at, owner, str(more.get("node") or ""), "default")
                )


def _entry(address: object, owner: str, host: str, scope: str) -> dict[str, Any]:
    return {
        "address": str(ip_address(str(address).partition("/")[0])),
        "owner": owner,
        "host": host,
        "scope": scope,
    }


def _line(text: object) -> str:
    return " ".join(str(text or "").split())[:1000]


def _topology(system: str, found: _Found) -> dict[str, Any]:
    """The topology of the prefixes that contain no other one."""
    by_scope: dict[str, list[dict[str, Any]]] = {}
    for each in found.prefixes:
        by_scope.setdefault(check_text("scope", each["scope"]), []).append(each)
    subnets: list[dict[str, Any]] = []
    for scope, some in by_scope.items():
        networks = {ip_network(each["cidr"], strict=False): each for each in some}
        ordered = sorted(networks, key=lambda each: (each.version, each))
        for at, network in enumerate(ordered):
            after = ordered[at + 1] if at + 1 < len(ordered) else None
            if after is not None and after.version == network.version and network.overlaps(after):
                continue
            name = str(network) if scope == "default" else f"{scope}:{network}"
            subnets.append({**networks[network], "cidr": str(network), "name": name})
    names = sorted({name for each in subnets for name in each["labels"]} - {"network"})
    return {
        "name": system,
        "dimensions": {name: {"fallback": "any"} for name in names},
        "scopes": sorted(set(by_scope) - {"default"}),
        "subnets": subnets,
    }


_READERS: Final[dict[str, Callable[[Iterable[Mapping[str, Any]], _Found], None]]] = {
    "netbox": _netbox,
    "phpipam": _phpipam,
    "calico": _calico,
}

#: Systems whose exports are read.
SYSTEMS: Final = tuple(_READERS)
