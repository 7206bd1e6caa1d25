"""Values that a shell completes: read from the database or the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from borough.cli.state import GlobalOptions

if TYPE_CHECKING:
    from borough.engine.face import Face

#: Most owners to read.
_OWNERS: Final = 1_000

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _labels(ipam: Face, _begin: str) -> Iterable[str]:
    objects: list[Any] = [*ipam.subnets(), *ipam.hosts()]
    return [
        f"{name}={value}" for each in objects for name in each.labels for value in each.labels[name]
    ]


def _owners(ipam: Face, begin: str) -> Iterable[str]:
    found = ipam.allocations(owner_prefix=begin or None, limit=_OWNERS)
    return [each.owner for each in found if each.owner]


def _hosts(ipam: Face, _begin: str) -> Iterable[str]:
    return [each.name for each in ipam.hosts()]


def _subnets(ipam: Face, _begin: str) -> Iterable[str]:
    return [each.name for each in ipam.subnets()]


def _scopes(ipam: Face, _begin: str) -> Iterable[str]:
    return ["default", *(each.scope for each in ipam.subnets())]


_VALUES: Final[dict[str, Callable[[Face, str], Iterable[str]]]] = {
    "--host": _hosts,
    "--subnet": _subnets,
    "--owner": _owners,
    "--scope": _scopes,
    "--label": _labels,
}


def completed_by(option: str) -> Complete | None:
    """The function that completes the value of an option; None where there is nothing to offer."""
    values = _VALUES.get(option)
    if values is None:
        return None

    def complete(context: click.Context, _parameter: click.Parameter, begin: str) -> list[str]:
        state = context.find_object(GlobalOptions) or GlobalOptions()
        try:
            with state.open() as ipam:
                found = {each for each in values(ipam, begin) if each.startswith(begin)}
        except Exception:  # an error message would be taken for a value
            return []
        return sorted(found)

    return complete
