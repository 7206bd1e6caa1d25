"""The group of a request, and the request, as drivers get them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from borough.domain.declared.dimensions import Labels
from borough.domain.request import Request
from borough.engine.request import LabelsIn, SubnetsIn, parse_request


@dataclass(frozen=True, slots=True)
class Group:
    """The subnets that a selector admits: what a driver is asked for an address of.

    :ivar labels: values wanted by dimension, the host dimension included when a host is named and claims.
    :ivar tiers: instead of labels, subnet names outright; equals share a tier.
    :ivar host: where the addresses will live; it implies the host's own labels.
    """

    labels: Labels = field(default_factory=dict)
    tiers: tuple[tuple[str, ...], ...] | None = None
    host: str = ""
    scope: str = "default"

    def narrow(self, request: Request) -> Request:
        """A request with this group for its own, as the rules of allocation take it."""
        return replace(
            request, labels=self.labels, tiers=self.tiers, host=self.host, scope=self.scope
        )


def make_group(
    labels: LabelsIn | None = None,
    *,
    subnets: SubnetsIn | None = None,
    host: str | None = None,
    claims: bool = True,
    scope: str = "default",
) -> Group:
    """Make a group of what a caller wrote; see :meth:`borough.engine.face.Face.allocate`.

    :raises FixInput: (or a subclass) for anything that cannot be meant.
    """
    made = parse_request(labels=labels, subnets=subnets, host=host, claims=claims, scope=scope)
    return Group(made.labels, made.tiers, made.host, made.scope)


#: Parameters of a request that belong to its group.
_OF_GROUP: Final = frozenset({"labels", "subnets", "host", "claims", "scope"})


def make_request(**wanted: Any) -> Request:
    """Make a request of what a caller wrote.

    :param wanted: parameters of :func:`borough.engine.request.parse_request`, but none of the group.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    :raises TypeError: there is no such parameter, or it belongs to the group.
    """
    if misplaced := _OF_GROUP & wanted.keys():
        raise TypeError(f"{', '.join(sorted(misplaced))} belong to the group: use make_group")
    return parse_request(**wanted)
