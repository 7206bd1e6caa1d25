"""Reports of agents in the in-memory tables."""

from __future__ import annotations

from borough.domain.space.agents import AgentReport
from borough.store.memory.part import MemoryPart
from borough.store.port import LostRace


class MemoryAgents(MemoryPart):
    """See :class:`borough.store.port.WriteAgents`."""

    def agents(self, scope: str | None = None) -> list[AgentReport]:
        every = self._tables.agents
        return [every[key] for key in sorted(every) if scope in (None, key[1])]

    def agent(self, host: str, scope: str) -> AgentReport | None:
        return self._tables.agents.get((host, scope))

    def agents_mark(self) -> tuple[int, int]:
        every = self._tables.agents.values()
        return len(every), sum(each.version for each in every)

    def put_agent(self, report: AgentReport, seen: AgentReport | None) -> None:
        key = report.host, report.scope
        if self._tables.agents.get(key) != seen:
            raise LostRace(report.host)
        self._tables.agents[key] = report

    def remove_agent(self, host: str) -> None:
        for key in [each for each in self._tables.agents if each[0] == host]:
            del self._tables.agents[key]
