"""Agents: the routes of hosts, as their agents follow and acknowledge them."""

from __future__ import annotations

from borough.api import schema as s
from borough.api.operation import operation
from borough.domain.declared.tokens import Permission
from borough.engine.announcements import Acknowledged, HostRoutes
from borough.engine.face import Face


@operation("GET", "/v1/hosts/{host:path}/routes", permission=Permission.READ, for_host=True)
def host_routes(ipam: Face, path: s.HostName, query: s.ScopeQuery) -> HostRoutes:
    """The prefixes that a host may announce now, with their tag as entity tag.

    With `Accept: text/event-stream` the answer is a stream: an event `picture` with all prefixes, then an
    event `difference` after each change. The id of an event is the tag of the prefixes after it.
    `Last-Event-ID` resumes a stream: it begins with a difference where the service still knows that tag.
    """
    return ipam.host_routes(path.host, scope=query.scope)


@operation(
    "PUT", "/v1/hosts/{host:path}/routes/installed", permission=Permission.ALLOCATE, for_host=True
)
def acknowledge(ipam: Face, path: s.HostName, body: s.Report) -> Acknowledged:
    """Report the prefixes that the agent of a host has installed; also its sign of life."""
    return ipam.acknowledge(path.host, **body.given())


@operation("GET", "/v1/agents", permission=Permission.READ)
def agents(ipam: Face, query: s.ScopeQuery) -> s.Agents:
    """The agents of hosts by name, and the hosts with routes and without an agent."""
    return s.Agents(ipam.agents(scope=query.scope))
