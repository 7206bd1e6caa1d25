"""The group of a request, and the request, as drivers receive them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from borough.domain.declared.dimensions import Labels
from borough.domain.request import Request
from borough.engine.request import LabelsIn, SubnetsIn, parse_request


@dataclass(frozen=True, slots=True)
class Group:
    """The subnets that a selector admits.

    :ivar labels: requested values by dimension, with the host dimension when a host is named and claims.
    :ivar tiers: subnet names instead of labels; equals share a tier.
    :ivar host: the host of the addresses; it implies its own labels.
    """

    labels: Labels = field(default_factory=dict)
    tiers: tuple[tuple[str, ...], ...] | None = None
    host: str = ""
    scope: str = "default"

    def narrow(self, request: Request) -> Request:
        """A request with the fields of this group."""
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
    """Parse a group; see :meth:`borough.engine.face.Face.allocate` for the parameters.

    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    made = parse_request(labels=labels, subnets=subnets, host=host, claims=claims, scope=scope)
    return Group(made.labels, made.tiers, made.host, made.scope)


#: Parameters of a request that belong to its group.
_OF_GROUP: Final = frozenset({"labels", "subnets", "host", "claims", "scope"})


def make_request(**parameters: Any) -> Request:
    """Parse a request.

    :param parameters: those of :func:`borough.engine.request.parse_request`, without those of the group.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    :raises TypeError: there is no such parameter, or it belongs to the group.
    """
    if misplaced := _OF_GROUP & parameters.keys():
        raise TypeError(f"{', '.join(sorted(misplaced))} belong to the group: use make_group")
    return parse_request(**parameters)
