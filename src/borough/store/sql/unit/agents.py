"""Reports of agents in an SQL database."""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.net.announce import Prefixes
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.space.agents import AgentReport
from borough.store.cache import Cache
from borough.store.sql import schema as t
from borough.store.sql.runner import Row
from borough.store.sql.statements import insert
from borough.store.sql.unit.part import SqlPart, all_met

#: Most bytes of parsed reports, and bytes of one prefix in a set.
_KEPT: Final = 64 << 20
_SIZE: Final = 300

_PARSED: Final[Cache[str, Prefixes]] = Cache(_KEPT)

_COLUMNS: Final = [each for each in t.agent.c if each.name != "id"]
_ALL: Final = sa.select(*_COLUMNS).order_by(t.agent.c.host, t.agent.c.scope)
_OF_SCOPE: Final = _ALL.where(t.agent.c.scope == sa.bindparam("of_scope"))
_ONE: Final = sa.select(*_COLUMNS).where(
    t.agent.c.host == sa.bindparam("of_host"), t.agent.c.scope == sa.bindparam("of_scope")
)
_MARK: Final = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(t.agent.c.version), 0))
_ADD: Final = insert(t.agent, "id")
_UPDATE: Final = (
    sa.update(t.agent)
    .where(
        t.agent.c.host == sa.bindparam("of_host"),
        t.agent.c.scope == sa.bindparam("of_scope"),
        t.agent.c.version == sa.bindparam("old_version"),
    )
    .values(
        {
            name: sa.bindparam(name)
            for name in ("version", "seen", "changed", "installed", "settling", "problems")
        }
    )
)
_REMOVE: Final = sa.delete(t.agent).where(t.agent.c.host == sa.bindparam("of_host"))


class SqlAgents(SqlPart):
    """See :class:`borough.store.port.ReadAgents` and :class:`borough.store.port.WriteAgents`."""

    def agents(self, scope: str | None = None) -> list[AgentReport]:
        if scope is None:
            return list(map(_report, self._runner.rows(_ALL)))
        return list(map(_report, self._runner.rows(_OF_SCOPE, of_scope=scope)))

    def agent(self, host: str, scope: str) -> AgentReport | None:
        row = self._runner.one(_ONE, of_host=host, of_scope=scope)
        return None if row is None else _report(row)

    def agents_mark(self) -> tuple[int, int]:
        found = self._runner.one(_MARK)
        assert found is not None
        return int(found[0]), int(found[1])

    def put_agent(self, report: AgentReport, seen: AgentReport | None) -> None:
        values = _values(report)
        if seen is None:
            self._runner.write(_ADD, **values, host=report.host, scope=report.scope)
            return
        met = self._runner.write(
            _UPDATE,
            **values,
            of_host=report.host,
            of_scope=report.scope,
            old_version=seen.version,
        )
        all_met(met, 1)

    def remove_agent(self, host: str) -> None:
        self._runner.write(_REMOVE, of_host=host)


def _values(report: AgentReport) -> dict[str, Any]:
    return {
        "version": report.version,
        "seen": report.seen,
        "changed": report.changed,
        "installed": _text(report.installed),
        "settling": _text(report.settling),
        "problems": json.dumps(
            {str(each): report.problems[each] for each in sorted(report.problems)}
        ),
    }


def _report(row: Row) -> AgentReport:
    host, scope, version, seen, changed, installed, settling, problems = row
    return AgentReport(
        host,
        scope,
        _prefixes(installed),
        _problems(problems),
        changed,
        seen,
        version,
        _prefixes(settling),
    )


def _text(prefixes: Prefixes) -> str:
    return " ".join(map(str, sorted(prefixes)))


def _prefixes(text: str) -> Prefixes:
    # A process reads the reports of all hosts after each change of one.
    found = _PARSED.get(text)
    if found is None:
        found = frozenset(map(parse_prefix, text.split()))
        return _PARSED.put(text, found, _SIZE * len(found) + len(text))
    return found


def _problems(text: str) -> dict[Prefix, str]:
    return {parse_prefix(prefix): str(reason) for prefix, reason in json.loads(text).items()}
