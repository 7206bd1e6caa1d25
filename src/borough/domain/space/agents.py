"""The last report of the agent of each host: the prefixes that it has installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from borough.domain.net.announce import NO_PREFIXES, Announcer, Prefixes
from borough.domain.net.prefixes import Prefix

#: Microseconds without a report after which an agent is silent. An agent reports every ten seconds.
SILENT_AFTER: Final = 30_000_000


@dataclass(frozen=True)
class AgentReport:
    """The last report of the agent of one host in one scope.

    :ivar installed: the prefixes of the host that the routers have.
    :ivar settling: the prefixes that they may have: added or removed a moment ago.
    :ivar problems: reasons in text, by prefix: of one that could not be installed, or that has a route of
        another program beside it.
    :ivar failed: those of them that are not installed.
    :ivar changed: time of the last change of these, in microseconds since the epoch.
    :ivar seen: time of the last report, in microseconds since the epoch.
    :ivar version: counts the changes.
    """

    host: str
    scope: str
    installed: Prefixes = NO_PREFIXES
    problems: Mapping[Prefix, str] = field(default_factory=dict)
    changed: int = 0
    seen: int = 0
    version: int = 1
    settling: Prefixes = NO_PREFIXES

    @property
    def failed(self) -> Prefixes:
        """The prefixes with a problem that are not installed."""
        return frozenset(self.problems) - self.installed

    def is_silent(self, now: int) -> bool:
        """True when the last report is old.

        :param now: microseconds since the epoch, by the clock that dated the reports.
        """
        return now - self.seen > SILENT_AFTER

    def announcer(self, target: Prefixes, now: int) -> Announcer:
        """The host with the prefixes that it must announce in the end."""
        return Announcer(target, self.installed, self.failed, self.is_silent(now), self.settling)
