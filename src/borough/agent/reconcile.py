"""Reconciliation of a routing table with the prefixes that a host must announce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from borough.agent.netlink import KernelRoute
from borough.domain.net.addresses import WIDTH
from borough.domain.net.announce import NO_PREFIXES, Prefixes, batch
from borough.domain.net.prefixes import Prefix

#: Protocol numbers of routing daemons: Zebra (11), BIRD (12) and those from 186 (BGP) on. Their routes to a
#: prefix that changes hands are no conflict.
_DAEMONS: Final = frozenset((11, 12, *range(186, 193)))


class Table(Protocol):
    """A routing table; see :class:`borough.agent.netlink.RouteTable`."""

    def routes(self) -> list[KernelRoute]:
        """All routes of the table."""

    def change(self, batch: list[tuple[Prefix, bool]]) -> Mapping[Prefix, OSError]:
        """Add and remove routes of the agent, in order."""


@dataclass(frozen=True)
class TableReport:
    """The state of the table, as the agent reports it.

    :ivar installed: the prefixes that the routers have by now.
    :ivar settling: the prefixes that they may have: added or removed a moment ago.
    :ivar due: time of the next change of the report; None when there will be none.
    """

    installed: Prefixes
    settling: Prefixes
    problems: Mapping[Prefix, str]
    due: float | None


@dataclass
class Reconciler:
    """Makes the table as it must be, and remembers when it changed.

    A routing daemon needs time until a change has reached the routers, and may send a withdrawal before an
    announcement. So the report calls a route that was added or removed settling for that time. A route that
    new ones take the place of is removed after it.

    :ivar settle: the settling time in seconds.
    :ivar wanted: the prefixes to announce; None before the service has named them: nothing is changed.
    :ivar changes: number of routes that were added and removed.
    :ivar corrections: number of those that another program had removed or added.
    """

    settle: float
    wanted: Prefixes | None = None
    installed: Prefixes = NO_PREFIXES
    problems: dict[Prefix, str] = field(default_factory=dict)
    changes: int = 0
    corrections: int = 0
    _added: dict[Prefix, float] = field(default_factory=dict)
    _removed: dict[Prefix, float] = field(default_factory=dict)
    _last: Prefixes | None = None
    _left: Prefixes | None = None

    def reconcile(self, table: Table, now: float) -> int:
        """Read the table, and change it in one batch; return the number of changes.

        :param now: seconds of any steady clock.
        :raises OSError: the kernel refuses or does not answer.
        """
        every = table.routes()
        own = frozenset(each.prefix for each in every if each.is_own)
        wanted = own if self.wanted is None else self.wanted | self._replaced(own, now)
        todo = batch(own, wanted)
        failed = table.change(todo) if todo else {}
        done = [each for each in todo if each[0] not in failed]
        for prefix, is_added in done:
            (self._added if is_added else self._removed)[prefix] = now
            (self._removed if is_added else self._added).pop(prefix, None)
        self.installed = own.union(each for each, is_added in done if is_added).difference(
            each for each, is_added in done if not is_added
        )
        self.problems = {prefix: error.strerror or str(error) for prefix, error in failed.items()}
        self.problems.update(_foreign(every, wanted))
        self.changes += len(done)
        # What the agent has left otherwise was changed by another program, or is left over from before.
        if self._left is not None and self._last == self.wanted:
            self.corrections += len(own ^ self._left)
        self._last, self._left = self.wanted, self.installed
        return len(todo)

    def _replaced(self, own: Prefixes, now: float) -> Prefixes:
        """The routes that must stay until those that take their place have settled."""
        assert self.wanted is not None
        if not self.settle:
            return NO_PREFIXES
        new = self.wanted - own
        new |= {each for each, at in self._added.items() if at > now - self.settle}
        return frozenset(
            each for each in own - self.wanted if any(each.overlaps(other) for other in new)
        )

    def report(self, now: float) -> TableReport:
        """The report at a time."""
        since = now - self.settle
        self._added = {each: at for each, at in self._added.items() if at > since}
        self._removed = {each: at for each, at in self._removed.items() if at > since}
        times = [*self._added.values(), *self._removed.values()]
        settling = frozenset(self._added) | frozenset(self._removed)
        return TableReport(
            self.installed - settling,
            settling,
            dict(self.problems),
            min(times) + self.settle if times else None,
        )


def _foreign(every: list[KernelRoute], wanted: Prefixes) -> dict[Prefix, str]:
    """The routes of other programs that win over those of the agent.

    The route to a single address is that of the host to its workload.
    """
    return {
        each.prefix: f"a route of protocol {each.protocol} and metric {each.metric} wins"
        for each in every
        if each.prefix in wanted
        and not each.is_own
        and each.protocol not in _DAEMONS
        and each.prefix.length < WIDTH[each.prefix.family]
    }
