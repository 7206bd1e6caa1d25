"""The public methods of hosts, claims and agents, and those of administrators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from borough.domain.declared.dimensions import make_labels
from borough.domain.space.findings import Finding
from borough.domain.text import check_text
from borough.engine.actions import Actions
from borough.engine.announcements import (
    Acknowledged,
    Acknowledgement,
    AgentView,
    HostRoutes,
    parse_acknowledgement,
)
from borough.engine.faces.takes import takes
from borough.engine.request import (
    NAME_LIMIT,
    LabelsIn,
    ReassignRequest,
    check_page,
    parse_reassign,
)
from borough.engine.upkeep.defragment import Defragmentation
from borough.engine.upkeep.hosts import Renamed, Vacated
from borough.engine.upkeep.reclaim import Reclaimed
from borough.engine.views import (
    Reassigned,
    TokenView,
)


class UpkeepFace(Actions):
    """Methods of hosts, claims, tokens and the database."""

    def drain(self, host: str) -> Vacated:
        """End all claims of a host.

        Its unused regions become unclaimed space. Its addresses stay allocated until they are released or
        reassigned, each with a route of its own. The host is not locked: a later request for it claims again.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        return self._drain(check_text("host", host))

    def remove_host(self, name: str, *, release: bool = False) -> Vacated:
        """Drain a host, and remove its declared entry.

        The next application of a topology that still declares the host declares it again.

        :param release: release its addresses too; otherwise they stay allocated.
        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        return self._remove_host(check_text("host", name), release)

    def rename_host(self, old: str, new: str) -> Renamed:
        """Rename a host in its claims, its addresses and its declared entry, in one transaction.

        Claims and addresses of the new name stay; adjacent claims of both are joined. Of two declared
        entries that of the new name stays. Sequence numbers stay.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        :raises FixInput: the names are the same.
        """
        return self._rename_host(check_text("host", old), check_text("host", new))

    @takes(parse_reassign)
    def reassign(self, request: ReassignRequest) -> Reassigned:
        """Record another host for an address, as after a live migration.

        The owner and the sequence number stay. The region around the address follows when only the new
        host has addresses in it. An address that is on the host already does not change.

        Parameters: see :func:`borough.engine.request.parse_reassign`.

        :raises NotAllocated: the address is not allocated.
        :raises StaleSequence: the address was allocated again meanwhile.
        :raises AddressOutsideGroup: the host does not reach the segment of the subnet.
        :raises UnknownObject: there is no such scope, or the host is not declared where it has to be.
        """
        return self._reassign(request)

    def reclaim(self) -> Reclaimed:
        """Return idle claims to the pool; to be called every few minutes.

        Cool-downs that are over end. An empty or little used region is marked as idle. A later call returns
        an empty one after 15 minutes, and the unused half of a little used one after an hour. No address
        changes. The units of work are short, so several calls may run at once beside other work.
        """
        return self._reclaim()

    def defragment(
        self, *, host: str | None = None, scope: str | None = None, limit: int = 100
    ) -> Defragmentation:
        """Propose addresses to renumber in order to save routes, without renumbering them.

        In this order, each is to be released and requested again for the same host, from its ``subnets``.
        The search is greedy; the savings are counted on a copy of the address space.

        :param host: only addresses of this host.
        :param scope: only those of this scope.
        :param limit: most addresses.
        :raises UnknownObject: there is no such scope.
        """
        check_page(0, limit)
        return self._defragment(None if host is None else check_text("host", host), scope, limit)

    def host_routes(self, host: str, *, scope: str = "default") -> HostRoutes:
        """The prefixes that a host may announce now, which its agent installs.

        They are those of :meth:`routes` in the strict form, in an order between hosts: a host keeps a
        prefix until its next holder announces it, and waits for the exceptions inside a new one.

        :raises UnknownObject: there is no such scope.
        """
        return self._host_routes(check_text("host", host, NAME_LIMIT), scope)

    @takes(parse_acknowledgement)
    def acknowledge(self, report: Acknowledgement) -> Acknowledged:
        """Report the prefixes that the agent of a host has installed; also its sign of life.

        Parameters: see :func:`borough.engine.announcements.parse_acknowledgement`.

        :raises UnknownObject: there is no such scope.
        """
        return self._acknowledge(report)

    def agents(self, *, scope: str = "default") -> list[AgentView]:
        """The agents of hosts by name, and the hosts with routes and without an agent.

        :raises UnknownObject: there is no such scope.
        """
        return self._agents(scope)

    def create_token(
        self,
        name: str,
        *,
        permission: str = "read",
        labels: LabelsIn | None = None,
        host: str = "",
        expires: datetime | None = None,
    ) -> tuple[TokenView, str]:
        """Create a token, the secret of a caller of the service.

        :param name: its caller; events record it.
        :param permission: ``read``, ``allocate`` or ``administer``, each including those before it.
        :param labels: confine it to the subnets with these labels.
        :param host: permit only to read and acknowledge the routes of this host; for its agent.
        :param expires: its end; None for never.
        :return: the token, and its text, which is not stored.
        :raises FixInput: there is a token of that name, or a setting is not allowed.
        """
        return self._create_token(name, permission, make_labels(labels or {}), host, expires)

    def revoke_token(self, name: str) -> TokenView:
        """Revoke a token.

        :raises UnknownObject: no object has that name.
        """
        return self._revoke_token(name)

    def tokens(self) -> list[TokenView]:
        """All tokens by name."""
        return self._tokens()

    def audit(
        self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> list[Finding]:
        """Find contradictions of the stored state, and the :meth:`risks`.

        :param repair: correct them by the allocations and the certain claims.
        :param progress: called with (subnets done, all subnets); a service does not report it.
        """
        return self._audit(repair, progress)

    def risks(self) -> list[Finding]:
        """The settings of the database server that may lose an acknowledged change.

        They are those of the server or node that answers; others may have other settings.
        """
        return self._risks()

    def prune_events(self, through: int) -> int:
        """Remove the oldest events, at most 5000 of them, in one transaction; the newest event stays.

        A reader that continues after an older id than the last removed one gets
        :class:`~borough.errors.EventsPruned`. The removal is recorded as an event.

        :param through: the largest id to remove.
        :return: the number of removed events; 0 when none is left to remove.
        """
        check_page(through, None)
        return self._prune_events(through)
