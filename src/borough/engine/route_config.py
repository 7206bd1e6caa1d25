"""Routes as configuration of routing daemons: BIRD 2 and FRR.

For one host: its advertised prefixes as blackhole routes, for its daemon to include. For all hosts: the
prefixes that a router may accept from each of them.

The same routes give the same text, so that a daemon is reloaded only after a change. All names begin
with ``borough``. The name of a host is free text: it reaches a daemon through :func:`_name`, and in
comments as printable ASCII.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from borough.engine.views import Route

#: Names of hosts that both daemons accept unchanged.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")

#: Prefixes on one line of a BIRD set.
_A_LINE: Final = 4


def _name(family: int, host: str) -> str:
    """The name of the prefix list of a host.

    BIRD accepts 64 letters, digits and ``_.:-`` between apostrophes, FRR more. A changed name gets a second
    colon and a digest, so that no two hosts share a name.
    """
    if _PLAIN.fullmatch(host):
        return f"borough{family}:{host}"
    digest = hashlib.sha256(host.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"borough{family}:{re.sub(r'[^A-Za-z0-9._-]', '_', host)[:36]}:{digest}"


def _comment(text: str) -> str:
    """Text without line breaks and control characters."""
    return re.sub(r"[^ -~]", lambda found: ascii(found[0])[1:-1], text)


def _nothing() -> dict[int, list[str]]:
    return {4: [], 6: []}


def _by_host(routes: Iterable[Route]) -> dict[str, dict[int, list[str]]]:
    """Prefixes by host and family, both families always present."""
    made: dict[str, dict[int, list[str]]] = {}
    for each in routes:
        made.setdefault(each.host, _nothing())[each.family].append(each.prefix)
    return {host: made[host] for host in sorted(made)}


# --- BIRD -------------------------------------------------------------------------------------

_BIRD_HOST: Final = """\
# Routes of {host}, {form} form, scope {scope}. Made by borough; do not edit.
#
# In bird.conf:
#
#     include "/etc/bird/borough.conf";
#     protocol bgp uplink4 {{ ... ipv4 {{ import all; export where borough4_routes(); }}; }}
#     protocol bgp uplink6 {{ ... ipv6 {{ import all; export where borough6_routes(); }}; }}
#     protocol kernel {{ ipv4 {{ export where !borough4_single(); }}; }}
#     protocol kernel {{ ipv6 {{ export where !borough6_single(); }}; }}
#
# Packets to an unused address are dropped. Longer routes win: those of the host to its workloads, and
# those learned from other hosts. An address that is advertised by itself is in use on this host, which
# has a route to it: the kernel needs none of this file.
"""

_BIRD_ALL: Final = """\
# Routes of all hosts, {form} form, scope {scope}. Made by borough; do not edit.
#
# The prefixes that a router may accept from each host. In bird.conf:
#
#     include "/etc/bird/borough.conf";
#     protocol bgp ... {{ ipv4 {{ import where 'borough4:NAME'(); ... }}; }}

# BIRD refuses a file without a protocol, also to check it.
protocol static borough {{ ipv4; }}
"""


def bird(routes: Sequence[Route], *, host: str | None, form: str, scope: str) -> str:
    """Configuration for BIRD 2 to include.

    :param routes: of one scope, those of ``host`` when one is named.
    """
    head = _BIRD_ALL if host is None else _BIRD_HOST
    lines = [head.format(host=_comment(host or ""), form=form, scope=_comment(scope))]
    if host is None:
        for each, families in _by_host(routes).items():
            lines.append(f"# {_comment(each)}")
            for family, prefixes in families.items():
                lines += _bird_test(f"'{_name(family, each)}'", prefixes)
            lines.append("")
        return "\n".join(lines)
    for family, prefixes in _by_host(routes).get(host, _nothing()).items():
        lines += [
            f"protocol static borough{family} {{",
            f"    ipv{family};",
            *(f"    route {prefix} blackhole;" for prefix in prefixes),
            "}",
            "",
            *_bird_test(f"borough{family}_routes", prefixes),
            "",
            f"function borough{family}_single() {{",
            f'    return proto = "borough{family}" && net.len = {32 if family == 4 else 128};',
            "}",
            "",
        ]
    return "\n".join(lines)


def _bird_test(name: str, prefixes: Sequence[str]) -> list[str]:
    """A function that is true for a network of these prefixes; BIRD has no empty set."""
    if not prefixes:
        return [f"function {name}() {{ return false; }}"]
    lines = [", ".join(prefixes[at : at + _A_LINE]) for at in range(0, len(prefixes), _A_LINE)]
    return [
        f"function {name}() {{",
        "    return net ~ [",
        *(f"        {line}," for line in lines[:-1]),
        f"        {lines[-1]}",
        "    ];",
        "}",
    ]


# --- FRR --------------------------------------------------------------------------------------

_FRR_HOST: Final = """\
! Routes of {host}, {form} form, scope {scope}. Made by borough; do not edit.
!
! In the configuration of BGP, for each family (4 and ipv4, or 6 and ipv6):
!
!     address-family ipv4 unicast
!      redistribute static route-map borough4
!      redistribute connected route-map borough4
!      redistribute kernel route-map borough4
!
! An address that is advertised by itself is in use on this host, which has a route to it: that route
! wins over the static one, and is redistributed instead.
"""

_FRR_ALL: Final = """\
! Routes of all hosts, {form} form, scope {scope}. Made by borough; do not edit.
!
! The prefixes that a router may accept from each host. In the configuration of BGP:
!
!     address-family ipv4 unicast
!      neighbor ADDRESS prefix-list borough4:NAME in
"""


def frr(routes: Sequence[Route], *, host: str | None, form: str, scope: str) -> str:
    """Configuration for FRR to add to its own.

    :param routes: of one scope, those of ``host`` when one is named.
    """
    head = _FRR_ALL if host is None else _FRR_HOST
    lines = [head.format(host=_comment(host or ""), form=form, scope=_comment(scope))]
    if host is None:
        for each, families in _by_host(routes).items():
            lines.append(f"! {_comment(each)}")
            for family, prefixes in families.items():
                lines += _frr_list(family, _name(family, each), prefixes)
            lines.append("!")
        return "\n".join([*lines, ""])
    for family, prefixes in _by_host(routes).get(host, _nothing()).items():
        ip = _frr_ip(family)
        lines += [
            *(f"{ip} route {prefix} blackhole" for prefix in prefixes),
            "!",
            *_frr_list(family, f"borough{family}", prefixes),
            "!",
            f"route-map borough{family} permit 10",
            f" match {ip} address prefix-list borough{family}",
            "exit",
            "!",
        ]
    return "\n".join([*lines, ""])


def _frr_ip(family: int) -> str:
    return "ip" if family == 4 else "ipv6"


def _frr_list(family: int, name: str, prefixes: Sequence[str]) -> list[str]:
    """A prefix list; FRR has no empty list, and a missing one permits everything."""
    start = f"{_frr_ip(family)} prefix-list {name} seq"
    permits = [f"{start} {5 * at} permit {prefix}" for at, prefix in enumerate(prefixes, 1)]
    return permits or [f"{start} 5 deny any"]
