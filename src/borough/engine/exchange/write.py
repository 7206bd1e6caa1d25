"""Allocations in the formats of other programs, line by line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final

from borough.domain.encode import plain
from borough.engine.exchange.read import COLUMNS
from borough.engine.views import Allocation
from borough.errors import FixInput

#: A name that DNS, DHCP and a hosts file accept (RFC 1123, with underscores).
_NAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*"
)


def name_of(each: Allocation) -> str | None:
    """The host name of an address: its attribute ``hostname``, else its owner; None when it is no name."""
    for text in (each.attributes.get("hostname"), each.owner):
        if isinstance(text, str) and _NAME.fullmatch(text):
            return text
    return None


def _mac_of(each: Allocation) -> str | None:
    found = each.attributes.get("mac")
    return found if isinstance(found, str) and found else None


def _csv(found: Iterable[Allocation], _zone: str) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="")

    def line(cells: Iterable[str]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(cells)
        return buffer.getvalue()

    yield line(COLUMNS)
    for each in found:
        attributes = json.dumps(plain(each.attributes)) if each.attributes else ""
        yield line((each.address, each.owner, each.host, each.scope, attributes, each.note))


def _json_lines(found: Iterable[Allocation], _zone: str) -> Iterator[str]:
    for each in found:
        entry = {name: plain(getattr(each, name)) for name in COLUMNS}
        yield json.dumps({name: value for name, value in entry.items() if value})


def _dns(found: Iterable[Allocation], zone: str) -> Iterator[str]:
    end = f".{zone.strip('.')}." if zone.strip(".") else "."
    for each in found:
        name = name_of(each)
        if name is None:
            continue
        address = ip_address(each.address)
        kind = "A" if address.version == 4 else "AAAA"
        yield f"{name}{end} IN {kind} {each.address}"
        yield f"{address.reverse_pointer}. IN PTR {name}{end}"


def _hosts(found: Iterable[Allocation], zone: str) -> Iterator[str]:
    for each in found:
        name = name_of(each)
        if name is not None:
            full = f"{name}.{zone.strip('.')} " if zone.strip(".") else ""
            yield f"{each.address} {full}{name}"


def _dnsmasq(found: Iterable[Allocation], _zone: str) -> Iterator[str]:
    for each in found:
        mac, name = _mac_of(each), name_of(each)
        if mac is not None:
            address = f"[{each.address}]" if ":" in each.address else each.address
            yield ",".join(filter(None, (f"dhcp-host={mac}", address, name)))


def _kea(found: Iterable[Allocation], _zone: str) -> Iterator[str]:
    servers: dict[str, dict[str, list[dict[str, Any]]]] = {
        "Dhcp4": {"reservations": []},
        "Dhcp6": {"reservations": []},
    }
    for each in found:
        mac, name = _mac_of(each), name_of(each)
        if mac is None:
            continue
        six = ":" in each.address
        made: dict[str, Any] = {"hw-address": mac}
        made |= {"ip-addresses": [each.address]} if six else {"ip-address": each.address}
        if name is not None:
            made["hostname"] = name
        servers["Dhcp6" if six else "Dhcp4"]["reservations"].append(made)
    yield json.dumps(servers, indent=2)


def _ansible(found: Iterable[Allocation], _zone: str) -> Iterator[str]:
    hosts: dict[str, dict[str, Any]] = {}
    for each in found:
        name = name_of(each)
        if name is not None and name not in hosts:
            hosts[name] = {"ansible_host": each.address}
            if each.host:
                hosts[name]["borough_host"] = each.host
    # JSON is YAML: the inventory plugin "yaml" reads it.
    yield json.dumps({"all": {"hosts": hosts}}, indent=2)


_WRITERS: Final[dict[str, Callable[[Iterable[Allocation], str], Iterator[str]]]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "dns": _dns,
    "hosts": _hosts,
    "kea": _kea,
    "dnsmasq": _dnsmasq,
    "ansible": _ansible,
}

#: The formats of an export.
FORMS: Final = tuple(_WRITERS)


def write(found: Iterable[Allocation], form: str, zone: str = "") -> Iterator[str]:
    """Allocations as lines of text; cooling ones are left out.

    :param form: one of :data:`FORMS`.
    :param zone: the DNS zone of names without a dot at their end.
    :raises FixInput: there is no such format, or the zone is no name.
    """
    if form not in _WRITERS:
        raise FixInput(f"an export has the form {', '.join(FORMS)}, not {form!r}", form=form)
    if zone.strip(".") and not _NAME.fullmatch(zone.strip(".")):
        raise FixInput(f"{zone!r} is not a DNS zone", zone=zone)
    return _WRITERS[form]((each for each in found if each.state == "allocated"), zone)
