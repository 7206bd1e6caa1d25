"""The prefixes that hosts announce: computed for their agents, and as their agents report them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from borough.domain.declared.lookup import check_scope
from borough.domain.encode import utc
from borough.domain.net.addresses import parse_address
from borough.domain.net.announce import NO_PREFIXES, Announcer, Prefixes, astray, permitted
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.space.agents import SILENT_AFTER, AgentReport
from borough.domain.text import check_text
from borough.engine.queries import target_prefixes
from borough.engine.request import NAME_LIMIT
from borough.engine.views import Allocation
from borough.errors import FixInput
from borough.store.port import ReadUnit, Unit

#: Most prefixes of one report.
PREFIX_LIMIT: Final = 65_536

#: Longest reason of a problem, in characters.
_REASON_LIMIT: Final = 300

#: Most seconds that an allocation waits for its routes.
ROUTED_TIME: Final = 10.0

#: Seconds between two looks at the reports.
LOOK_EVERY: Final = 0.02


@dataclass(frozen=True)
class HostRoutes:
    """The prefixes that a host may announce now.

    :ivar horizon: the id of an event up to which all changes are in it.
    :ivar tag: a digest of the prefixes: equal prefixes have equal tags in every process of the service.
    """

    host: str
    scope: str
    horizon: int
    tag: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Acknowledgement:
    """The report of the agent of a host; see :func:`parse_acknowledgement`."""

    host: str
    scope: str
    installed: Prefixes
    settling: Prefixes = NO_PREFIXES
    problems: Mapping[Prefix, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Acknowledged:
    """The receipt of a report.

    :ivar at: its time by the clock of the service.
    :ivar silent_after: seconds after which the agent counts as silent without another report.
    """

    host: str
    scope: str
    at: datetime
    silent_after: int


@dataclass(frozen=True)
class AgentView:
    """The agent of a host, or a host with routes and without an agent.

    :ivar seen: time of the last report; null without an agent.
    :ivar silent: true without a report for 30 seconds.
    :ivar installed: number of prefixes in the routing table of the host.
    :ivar missing: prefixes that it must announce and has not installed.
    :ivar surplus: prefixes that it has installed and must withdraw in the end.
    :ivar problems: reasons by prefix.
    :ivar changed: time of the last change of the report.
    """

    host: str
    scope: str
    seen: datetime | None
    silent: bool
    installed: int
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    problems: Mapping[str, str]
    changed: datetime | None

    @property
    def is_late(self) -> bool:
        """True when the routing table of the host is not as it must be, or is not known to be."""
        return bool(self.silent or self.missing or self.surplus or self.problems)


def parse_acknowledgement(
    host: str,
    installed: Iterable[str],
    *,
    settling: Iterable[str] = (),
    scope: str = "default",
    problems: Mapping[str, str] | None = None,
) -> Acknowledgement:
    """Parse the report of an agent.

    :param installed: all prefixes of the agent in the routing table of the host that the routers have.
    :param settling: the prefixes that they may have: added or removed a moment ago.
    :param scope: the address space of the routing table.
    :param problems: reasons by prefix: of one that could not be installed, or that has a route of another
        program beside it.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    found = frozenset(map(parse_prefix, installed))
    moving = frozenset(map(parse_prefix, settling))
    reasons = {
        parse_prefix(prefix): str(reason)[:_REASON_LIMIT]
        for prefix, reason in (problems or {}).items()
    }
    if max(len(found), len(moving), len(reasons)) > PREFIX_LIMIT:
        raise FixInput(f"a host announces at most {PREFIX_LIMIT:,} prefixes")
    return Acknowledgement(
        check_text("host", host, NAME_LIMIT), check_text("scope", scope), found, moving, reasons
    )


def announcers(
    targets: Mapping[str, Prefixes], reports: Iterable[AgentReport], now: int
) -> dict[str, Announcer]:
    """Every host with its target and its last report.

    :param now: microseconds since the epoch.
    """
    made = {host: Announcer(target) for host, target in targets.items()}
    for each in reports:
        made[each.host] = each.announcer(targets.get(each.host, NO_PREFIXES), now)
    return made


def host_routes(unit: ReadUnit, host: str, scope: str, horizon: int, now: int) -> HostRoutes:
    """See :meth:`borough.engine.face.Face.host_routes`.

    :param horizon: read before the unit began.
    """
    every = announcers(target_prefixes(unit, scope), unit.agents(scope), now)
    return show_routes(host, scope, horizon, permitted(every).get(host, NO_PREFIXES))


def show_routes(host: str, scope: str, horizon: int, prefixes: Prefixes) -> HostRoutes:
    """Prefixes as callers see them."""
    return HostRoutes(host, scope, horizon, tag_of(prefixes), tuple(map(str, sorted(prefixes))))


def tag_of(prefixes: Prefixes) -> str:
    """The digest of prefixes that :class:`HostRoutes` carries."""
    text = " ".join(map(str, sorted(prefixes)))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def acknowledge(unit: Unit, report: Acknowledgement, now: int) -> Acknowledged:
    """See :meth:`borough.engine.face.Face.acknowledge`."""
    check_scope(unit.catalogue, report.scope)
    before = unit.agent(report.host, report.scope)
    made = AgentReport(
        report.host,
        report.scope,
        report.installed,
        report.problems,
        changed=now,
        seen=now,
        settling=report.settling,
    )
    if before is not None:
        same = replace(made, changed=before.changed, seen=before.seen, version=before.version)
        was_silent = before.is_silent(now)
        made = replace(
            made,
            changed=before.changed if same == before else now,
            # An agent that speaks again is waited for again: other hosts' routes depend on it.
            version=before.version + (same != before or was_silent),
        )
    unit.put_agent(made, before)
    return Acknowledged(report.host, report.scope, utc(now), SILENT_AFTER // 1_000_000)


def agents(unit: ReadUnit, scope: str, now: int) -> list[AgentView]:
    """See :meth:`borough.engine.face.Face.agents`."""
    targets = target_prefixes(unit, scope)
    reports = {each.host: each for each in unit.agents(scope)}
    return [
        _show_agent(host, scope, targets.get(host, NO_PREFIXES), reports.get(host), now)
        for host in sorted({*targets, *reports})
    ]


def _show_agent(
    host: str, scope: str, target: Prefixes, report: AgentReport | None, now: int
) -> AgentView:
    installed = report.installed if report else NO_PREFIXES
    return AgentView(
        host,
        scope,
        utc(report.seen) if report else None,
        report is None or report.is_silent(now),
        len(installed),
        tuple(map(str, sorted(target - installed))),
        tuple(map(str, sorted(installed - target))),
        {str(each): report.problems[each] for each in sorted(report.problems)} if report else {},
        utc(report.changed) if report else None,
    )


def late_hosts(unit: ReadUnit, allocations: Sequence[Allocation], now: int) -> list[str]:
    """The hosts that must report before every address leads to its host, by name.

    A silent host counts too: its routes may still be in the routers.
    """
    late: set[str] = set()
    for scope in {each.scope for each in allocations}:
        every = announcers({}, unit.agents(scope), now)
        for each in allocations:
            if each.scope == scope and each.host:
                late |= astray(every, *parse_address(each.address), each.host)
    return sorted(late)


class Announcements:
    """The announcements of one scope, computed again only after a change.

    :ivar permitted: the prefixes that each host may announce now.
    :ivar horizon: the id of an event up to which all changes are in them.
    """

    def __init__(self, scope: str, permitted: Mapping[str, Prefixes] | None = None) -> None:
        """Begin without a computation.

        :param permitted: the last answer of other announcements of the scope.
        """
        self._scope = scope
        self._targets: dict[str, Prefixes] = {}
        self._declared = (-1, -1)
        self._reported = (-1, -1)
        self._before = permitted
        self.permitted: dict[str, Prefixes] = {}
        self.horizon = -1
        #: Counts of computations: of all routes of the fabric, and of their order.
        self.computed = self.ordered = 0
        #: True while a host waits for another one, which may fall silent.
        self._is_waiting = True

    def refresh(self, unit: ReadUnit, horizon: int, now: int) -> bool:
        """Compute what has changed; return True when anything was computed.

        :param horizon: read before the unit began: an event up to it is in what the unit reads.
        """
        declared = (horizon, unit.catalogue.version)
        reported = unit.agents_mark()
        if declared == self._declared and reported == self._reported and not self._is_waiting:
            return False
        if declared != self._declared:
            self._targets = target_prefixes(unit, self._scope)
            self.computed += 1
        every = announcers(self._targets, unit.agents(self._scope), now)
        self.permitted = self._before = permitted(every, self._before)
        self._is_waiting = any(
            self.permitted.get(host, NO_PREFIXES) != each.target for host, each in every.items()
        )
        self._declared, self._reported, self.horizon = declared, reported, horizon
        self.ordered += 1
        return True
