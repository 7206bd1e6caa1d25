"""The order in which hosts announce and withdraw prefixes.

Routers forward by the longest match, and hosts change at different times. So that an address in use always
has a route, and never one to another host, three rules hold:

- A prefix is announced after the longer ones of other hosts inside it, its exceptions.
- A host withdraws a prefix after each other host whose prefix takes its place has announced that one.
- In one batch of one host, announcements come first and the longest before the prefixes that cover
  them; withdrawals follow, the longest last.

Announcements wait only for longer announcements, and withdrawals only for announcements. So no circle of
hosts waits for itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from borough.domain.net.addresses import Family
from borough.domain.net.prefixes import Prefix, enclosing

Prefixes = frozenset[Prefix]

NO_PREFIXES: Prefixes = frozenset()


@dataclass(frozen=True)
class Announcer:
    """One host and its prefixes.

    :ivar target: the prefixes that it must announce in the end.
    :ivar installed: the prefixes that the routers have, by the report of its agent.
    :ivar settling: the prefixes that the routers may have: added or removed a moment ago.
    :ivar failed: the prefixes that its agent could not install.
    :ivar is_silent: True without an agent that reports. Nobody waits for a silent host.
    """

    target: Prefixes = NO_PREFIXES
    installed: Prefixes = NO_PREFIXES
    failed: Prefixes = NO_PREFIXES
    is_silent: bool = True
    settling: Prefixes = NO_PREFIXES

    @property
    def possible(self) -> Prefixes:
        """The prefixes that the routers may have from it."""
        return self.installed | self.settling

    @property
    def awaited(self) -> Prefixes:
        """The prefixes that it is expected to announce soon."""
        if self.is_silent:
            return NO_PREFIXES
        return self.target - self.installed - self.failed


def batch(installed: Prefixes, wanted: Prefixes) -> list[tuple[Prefix, bool]]:
    """The changes that lead from one set of prefixes to another, in order.

    :return: each prefix with True to announce it, False to withdraw it.
    """
    added = sorted(wanted - installed, key=lambda each: (-each.length, each))
    removed = sorted(installed - wanted, key=lambda each: (each.length, each))
    return [(each, True) for each in added] + [(each, False) for each in removed]


def permitted(
    announcers: Mapping[str, Announcer], before: Mapping[str, Prefixes] | None = None
) -> dict[str, Prefixes]:
    """The prefixes that each host may announce now, by host; hosts without any are left out.

    They are its target without the announcements that must wait, and with the prefixes that it must keep.

    :param before: the last answer; None to rely on the reports. A host may have installed a prefix of it
        and not reported it yet: an exception that appears now must not take it back. One that is not in it
        must not come back, although the report still has it.
    """
    awaited = _Awaited(announcers)
    made: dict[str, Prefixes] = {}
    for host, each in announcers.items():
        found = each.target
        present = each.possible if before is None else before.get(host, NO_PREFIXES)
        if present != each.target:
            early = {prefix for prefix in each.target - present if awaited.has_inside(prefix, host)}
            kept = {
                prefix
                for prefix in present - each.target
                if awaited.has_inside(prefix, host)
                or awaited.has_around(prefix, host)
                # Its own next prefix waits: without this one the address would lead to another host.
                or any(prefix.overlaps(each) for each in early)
            }
            found = (each.target - early) | kept
        if found:
            made[host] = found
    return made


def astray(
    announcers: Mapping[str, Announcer], family: Family, address: int, holder: str
) -> frozenset[str]:
    """The hosts that must change before an address surely leads to its holder.

    That is the holder, when the routers may have no prefix of it around the address; and each other host of
    which they may have one that is as long or longer.
    """
    mine = _longest(announcers.get(holder, Announcer()).installed, family, address)
    if mine < 0:
        return frozenset((holder,))
    return frozenset(
        host
        for host, each in announcers.items()
        if host != holder and _longest(each.possible, family, address) >= mine
    )


def _longest(prefixes: Prefixes, family: Family, address: int) -> int:
    """The length of the longest prefix around an address; -1 without one."""
    return max(
        (each.length for each in prefixes if each.family == family and each.holds(address)),
        default=-1,
    )


@dataclass
class _Table:
    """The awaited prefixes of one family.

    :ivar hosts: the hosts that are expected to announce each prefix.
    :ivar bases: the prefixes by their lowest address.
    """

    hosts: dict[Prefix, set[str]] = field(default_factory=dict)
    bases: list[tuple[int, int]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


class _Awaited:
    """The prefixes that hosts are expected to announce soon."""

    def __init__(self, announcers: Mapping[str, Announcer]) -> None:
        self._tables: dict[Family, _Table] = {4: _Table(), 6: _Table()}
        for host, each in announcers.items():
            for prefix in each.awaited:
                self._tables[prefix.family].hosts.setdefault(prefix, set()).add(host)
        for table in self._tables.values():
            table.bases = sorted((each.base, each.length) for each in table.hosts)
            table.lengths = sorted({each.length for each in table.hosts})

    def has_inside(self, prefix: Prefix, host: str) -> bool:
        """True when another host is expected to announce a longer prefix inside this one."""
        return any(each.length > prefix.length for each in self._others_inside(prefix, host))

    def has_around(self, prefix: Prefix, host: str) -> bool:
        """True when another host is expected to announce this prefix or one that covers it."""
        table = self._tables[prefix.family]
        around: Iterable[Prefix] = (
            enclosing(prefix.family, prefix.base, length)
            for length in table.lengths
            if length <= prefix.length
        )
        return any(table.hosts.get(each, set()) - {host} for each in around)

    def _others_inside(self, prefix: Prefix, host: str) -> Iterator[Prefix]:
        table = self._tables[prefix.family]
        at = bisect_left(table.bases, (prefix.base, 0))
        while at < len(table.bases) and table.bases[at][0] <= prefix.last:
            base, length = table.bases[at]
            found = Prefix(prefix.family, base, length)
            if table.hosts[found] - {host}:
                yield found
            at += 1
