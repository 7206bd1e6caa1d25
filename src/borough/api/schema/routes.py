"""Routes of hosts, and the reports of their agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, field

from borough.api.schema.base import Input, Text
from borough.engine.announcements import PREFIX_LIMIT, AgentView

_PrefixText = Annotated[str, Meta(max_length=64)]


class ScopeQuery(Input):
    """An address space."""

    scope: Text = "default"


class Report(Input):
    """The prefixes that the agent of a host has installed.

    :ivar installed: all prefixes of the agent in the routing table of the host that the routers have.
    :ivar settling: the prefixes that they may have: added or removed a moment ago.
    :ivar problems: reasons by prefix: of one that could not be installed, or that has a route of another
        program beside it.
    """

    installed: Annotated[list[_PrefixText], Meta(max_length=PREFIX_LIMIT)]
    settling: Annotated[list[_PrefixText], Meta(max_length=PREFIX_LIMIT)] = field(
        default_factory=list
    )
    scope: Text = "default"
    problems: dict[_PrefixText, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Agents:
    """The agents of hosts."""

    agents: Sequence[AgentView]
