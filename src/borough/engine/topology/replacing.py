"""Some subnets in the place of others: split, merged, added or removed in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.diff import diff
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology
from borough.engine.queries import find_subnet
from borough.engine.topology.apply import carry_out
from borough.engine.topology.shapes import merged, parts_of
from borough.engine.topology.subnets import Draft, place_draft
from borough.errors import FixInput, InUse
from borough.store.port import Unit

#: Most subnets on either side.
REPLACED: Final = 1000


@dataclass(frozen=True, slots=True)
class ReplaceRequest:
    """Subnets to replace, and what comes in their place; see :func:`parse_replacement`.

    :ivar dry_run: only report the changes.
    """

    old: tuple[str, ...]
    new: tuple[Mapping[str, Any], ...] = ()
    split: int | None = None
    merge: str | None = None
    dry_run: bool = False

    def drafts(self, old: Sequence[Subnet]) -> list[Draft]:
        """The subnets in the place of the old ones, as they are declared in the same transaction."""
        found: Sequence[Mapping[str, Any]] = self.new
        if self.split is not None:
            found = [part for each in old for part in parts_of(each, self.split)]
        elif self.merge is not None:
            found = [merged(old, self.merge)]
        return [_draft(each) for each in found]


def parse_replacement(
    old: Iterable[str] = (),
    new: Iterable[Mapping[str, Any]] = (),
    *,
    split: int | None = None,
    merge: str | None = None,
    dry_run: bool = False,
) -> ReplaceRequest:
    """Parse a replacement of subnets. Without any of the parameters below the old ones are removed.

    :param old: names of the subnets that are replaced.
    :param new: the subnets in their place, each with the settings of
        :meth:`borough.engine.face.Face.add_subnet` and perhaps ``pool``.
    :param split: split each old subnet into prefixes of this length, named ``NAME-1`` and so on.
    :param merge: merge the old subnets into one of this name, with the settings of the first.
    :param dry_run: only report the changes.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    names = (old,) if isinstance(old, str) else tuple(dict.fromkeys(old))
    settings = tuple(new)
    ways = (bool(settings), split is not None, merge is not None)
    if sum(ways) > 1:
        raise FixInput("name new subnets, a split or a merge, and one of them only")
    if not names and not settings:
        raise FixInput("name subnets to replace, or new ones")
    if max(len(names), len(settings)) > REPLACED:
        raise FixInput(f"at most {REPLACED} subnets are replaced at a time")
    for each in settings:
        _draft(each)
    return ReplaceRequest(names, settings, split, merge, dry_run)


def _draft(settings: Mapping[str, Any]) -> Draft:
    return Draft.parse(**{"cidr": None, **settings})


def replace_subnets(unit: Unit, wanted: ReplaceRequest, now: int) -> Changes:
    """See :meth:`borough.engine.face.Face.replace_subnets`."""
    catalogue = unit.catalogue
    old = [find_subnet(catalogue, name) for name in wanted.old]
    names = {each.name for each in old}
    drafts = wanted.drafts(old)
    # A part of a carved subnet belongs to the pool, and counts against its quota, as the whole did.
    pools = {each.pool for each in old}
    pool = pools.pop() if len(pools) == 1 else ""
    new = [
        each if each.pool or not pool else replace(each, pool=pool)
        for each in (place_draft(catalogue, draft, names) for draft in drafts)
    ]
    source = _source(old)
    declared = _declared_by(catalogue, source)
    kept = (each for each in declared.subnets if each.name not in names)
    changes = diff(catalogue, replace(declared, subnets=(*kept, *new)))
    changes = replace(changes, source=source)
    if not changes:
        return changes
    return carry_out(unit, changes, source, now, dry_run=wanted.dry_run)


def _source(old: list[Subnet]) -> str:
    sources = {each.source for each in old}
    if len(sources) > 1:
        raise InUse(
            "the subnets belong to several topologies: "
            + ", ".join(f"{each.name} to {each.source or 'none'}" for each in old[:20]),
            kind="subnet",
            topologies=sorted(sources),
        )
    return next(iter(sources), "")


def _declared_by(catalogue: Catalogue, source: str) -> Topology:
    """The objects of a topology as they are declared now."""
    dimensions = catalogue.dimension_sources
    return Topology(
        source,
        tuple(each for each in catalogue.dimensions if dimensions.get(each.name) == source),
        tuple(each for each in catalogue.scopes if catalogue.scope_sources.get(each) == source),
        tuple(each for each in catalogue.pools.values() if each.source == source),
        tuple(each for each in catalogue.subnets.values() if each.source == source),
        tuple(each for each in catalogue.hosts.values() if each.source == source),
    )
