"""Addresses, claims and routes of subnets that are split, merged, resized, renamed or moved.

An address stays with its subnet as long as that contains it, in whichever scope the subnet is then. Otherwise
it follows to the subnet of its scope that contains it. Only an address that no subnet can hold falls out.
A claim stays as far as it lies in subnets that its addresses may have gone to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from borough.domain.declared.dimensions import HOST
from borough.domain.declared.effects import Effect
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family, format_address
from borough.domain.net.fewest_routes import Territory, strict_routes
from borough.domain.net.prefixes import Prefix, free_prefixes
from borough.domain.space.allocations import SECOND, AllocationRow, State
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.rebuild import rebuild
from borough.domain.space.regions import regions, routed


@dataclass(frozen=True)
class Source:
    """A subnet whose space is made anew, as it is before.

    :ivar after: the subnet as it shall be; None when it is removed.
    """

    subnet: Subnet
    after: Subnet | None
    blocks: Sequence[Block]
    allocations: Sequence[AllocationRow]


@dataclass
class Filling:
    """The contents of a changed or added subnet after the change.

    :ivar subnet: as it shall be; with id 0 when it is added.
    :ivar claims: holder by region; more may be claimed than the subnet has.
    """

    subnet: Subnet
    taken: set[int] = field(default_factory=set)
    claims: dict[Prefix, str] = field(default_factory=dict)

    def tiles(self, subnet: Subnet, cohort_id: int) -> tuple[list[Block], list[FreeRange]]:
        """Its blocks and its unused space.

        :param subnet: the subnet as it is stored.
        """
        return rebuild(subnet, cohort_id, self.taken, self.claims)

    @cached_property
    def kept(self) -> list[_Region]:
        """The regions that are claimed in the end."""
        return _claimed(self.tiles(self.subnet, 0)[0]) if self.claims else []


class _Region(NamedTuple):
    """A claimed region with its blocks."""

    prefix: Prefix
    holder: str
    blocks: list[Block]


class Follower(NamedTuple):
    """An allocation and where it goes.

    :ivar new: as it shall be; its ``subnet_id`` is that of before.
    :ivar subnet: the subnet that it lies in afterwards.
    """

    old: AllocationRow
    new: AllocationRow
    subnet: Subnet


@dataclass
class Reshaped:
    """The result of :func:`reshape`.

    :ivar fillings: by name of the changed or added subnet.
    :ivar followers: allocations whose subnet, scope or rest changes.
    :ivar forgotten: resting allocations that end.
    :ivar fallen: held allocations that no subnet can hold.
    :ivar doubled: held allocations that come to an address which another one holds: their subnets were in
        two scopes.
    """

    fillings: dict[str, Filling] = field(default_factory=dict)
    followers: list[Follower] = field(default_factory=list)
    forgotten: list[AllocationRow] = field(default_factory=list)
    fallen: list[AllocationRow] = field(default_factory=list)
    doubled: list[AllocationRow] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def claim(self, subnet: Subnet, region: Prefix, holder: str) -> None:
        """Let a claim go to a subnet."""
        filling = self.fillings.setdefault(subnet.name, Filling(subnet))
        filling.claims.setdefault(region, holder)


def _base(subnet: Subnet) -> int:
    return subnet.prefix.base


class _Homes:
    """Which of the changed and added subnets contains an address afterwards."""

    def __init__(self, subnets: Iterable[Subnet]) -> None:
        self._placed: dict[tuple[str, int], list[Subnet]] = defaultdict(list)
        for subnet in sorted(subnets, key=lambda subnet: subnet.prefix):
            self._placed[subnet.scope, subnet.family].append(subnet)

    def at(self, scope: str, family: int, address: int) -> Subnet | None:
        """The one that contains an address."""
        placed = self._placed.get((scope, family), [])
        at = bisect_right(placed, address, key=_base) - 1
        return placed[at] if at >= 0 and placed[at].prefix.holds(address) else None

    def in_scope(self, scope: str, prefix: Prefix) -> Iterator[Subnet]:
        """Those of a scope that share addresses with a prefix."""
        placed = self._placed.get((scope, prefix.family), [])
        first = max(bisect_right(placed, prefix.base, key=_base) - 1, 0)
        last = bisect_right(placed, prefix.last, key=_base)
        return (each for each in placed[first:last] if each.prefix.overlaps(prefix))

    def of(self, source: Source, address: int) -> Subnet | None:
        """The subnet of an address after the change; None when no subnet can hold it."""
        before, after = source.subnet, source.after
        places = [self.at(before.scope, before.family, address)]
        if after is not None:
            if after.family == before.family and after.prefix.holds(address):
                places.insert(0, after)
            moved = self.at(after.scope, before.family, address)
            # Nobody has held an address of an added subnet.
            places.append(moved if moved is not None and not moved.id else None)
        return next((each for each in places if each and address not in each.never), None)


def reshape(
    sources: Sequence[Source],
    changed: Iterable[tuple[Subnet, Subnet]],
    added: Iterable[Subnet],
    now: int,
) -> Reshaped:
    """Find out where everything goes.

    :param changed: all changed subnets, before and after.
    :param now: microseconds since the epoch.
    """
    changed = list(changed)
    homes = _Homes([*(new for _, new in changed), *added])
    found = Reshaped()
    for source in sources:
        if source.after is not None:
            found.fillings[source.after.name] = Filling(source.after)
    # Where two scopes meet, a resting address gives way to a held one.
    for rests in (False, True):
        for source in sources:
            for allocation in source.allocations:
                if (allocation.state is State.COOLING) is rests:
                    home = homes.of(source, allocation.address)
                    _follow(found, source, home, allocation, now)
    for source in sources:
        _claims(found, source, homes)
    found.effects = [
        *_moves(found, sources),
        *_claim_effects(found, sources),
        *_route_effects(found, sources),
        *_gateways(changed, added, found, sources),
    ]
    return found


def _follow(
    found: Reshaped,
    source: Source,
    home: Subnet | None,
    allocation: AllocationRow,
    now: int,
) -> None:
    rests = allocation.state is State.COOLING
    if home is None:
        (found.forgotten if rests else found.fallen).append(allocation)
        return
    until = allocation.until
    if rests and until is not None:
        until = min(until, now + home.cooldown * SECOND)
        if not home.cooldown:
            found.forgotten.append(allocation)
            return
    filling = found.fillings.setdefault(home.name, Filling(home))
    if allocation.address in filling.taken:
        (found.forgotten if rests else found.doubled).append(allocation)
        return
    filling.taken.add(allocation.address)
    new = replace(allocation, scope=home.scope, until=until)
    if home is not source.after or new != allocation:
        found.followers.append(Follower(allocation, new, home))


def _claims(found: Reshaped, source: Source, homes: _Homes) -> None:
    """Give the claims of a subnet to the subnets that its addresses go to."""
    before, after = source.subnet, source.after
    stays = [] if after is None or after.family != before.family else [after.prefix]
    targets = list(homes.in_scope(before.scope, before.prefix))
    if after is not None:
        targets += (each for each in homes.in_scope(after.scope, before.prefix) if not each.id)
    # Of a region and a loan in it that become equal, the loan is left: its holder has the addresses.
    for region, holder, _ in reversed(_claimed(source.blocks)):
        if after is not None and after.prefix.overlaps(region):
            found.claim(after, _common(after.prefix, region), holder)
        for target in targets:
            # The addresses of the subnet itself stay with it.
            if target is not after and target.prefix.overlaps(region):
                for piece in free_prefixes([_common(target.prefix, region)], stays):
                    found.claim(target, piece, holder)


def _common(one: Prefix, other: Prefix) -> Prefix:
    """The addresses that two prefixes share, which is one of the two."""
    return other if one.covers(other) else one


def _claimed(blocks: Iterable[Block]) -> list[_Region]:
    """The claimed regions, the largest first."""
    return [
        _Region(region, members[0].holder, members)
        for region, members in regions(block for block in blocks if block.holder)
    ]


# --- Effects ----------------------------------------------------------------------------------


def _moves(found: Reshaped, sources: Sequence[Source]) -> Iterator[Effect]:
    names = {source.subnet.id: source.subnet for source in sources}
    going = Counter(
        (names[each.old.subnet_id].name, each.subnet.name)
        for each in found.followers
        if each.old.subnet_id != each.subnet.id
    )
    for (old, new), count in sorted(going.items()):
        what = "1 address follows" if count == 1 else f"{count} addresses follow"
        yield Effect("follow", new, "", "", f"{what} from subnet {old} to {new}")
    ended = Counter(names[each.subnet_id].name for each in found.forgotten)
    for name, count in sorted(ended.items()):
        what = "1 cooling address ends" if count == 1 else f"{count} cooling addresses end"
        yield Effect("rest_ended", name, "", "", f"{what} the cool-down with subnet {name}")


class _Claim(NamedTuple):
    scope: str
    region: Prefix
    holder: str


def _claim_effects(found: Reshaped, sources: Sequence[Source]) -> Iterator[Effect]:
    before: dict[_Claim, str] = {}
    for source in sources:
        after = source.after or source.subnet
        for region, holder, _ in _claimed(source.blocks):
            before[_Claim(after.scope, region, holder)] = after.name
    now: dict[_Claim, str] = {}
    for name, filling in found.fillings.items():
        for region, holder, _ in filling.kept:
            now[_Claim(filling.subnet.scope, region, holder)] = name
    for kind, claims, others in (("claim_lost", before, now), ("claimed", now, before)):
        for claim in sorted(claims.keys() - others.keys()):
            word = "loses" if kind == "claim_lost" else "claims"
            yield Effect(
                "claim_lost" if kind == "claim_lost" else "claimed",
                claims[claim],
                str(claim.region),
                claim.holder,
                f"{claim.holder} {word} {claim.region} in subnet {claims[claim]}",
            )


class _Parts(NamedTuple):
    """The parts of a :class:`Territory`."""

    claimed: set[Prefix]
    held: set[int]
    around: set[Prefix]


#: By scope, family and host.
_Fabric = dict[tuple[str, Family], dict[str, _Parts]]


def _routes(fabric: _Fabric, other: _Fabric) -> set[tuple[str, str, Prefix]]:
    """Scope, host and prefix of each route, where the two fabrics differ."""
    return {
        (scope, host, prefix)
        for (scope, family), hosts in fabric.items()
        if hosts != other.get((scope, family))
        for host, prefixes in strict_routes(
            family, {host: Territory(*parts) for host, parts in hosts.items()}
        ).items()
        for prefix in prefixes
    }


def _add(
    fabric: _Fabric,
    subnet: Subnet,
    claims: Iterable[_Region],
    held: Iterable[AllocationRow],
) -> None:
    hosts = fabric.setdefault((subnet.scope, subnet.family), {})
    for region, holder, members in claims:
        name, _, host = holder.partition("=")
        if name == HOST:
            parts = hosts.setdefault(host, _Parts(set(), set(), set()))
            claimed, around = routed(subnet, region, members)
            parts.claimed.update(claimed)
            parts.around.update(around)
    for each in held:
        if each.host and each.state is State.ALLOCATED:
            hosts.setdefault(each.host, _Parts(set(), set(), set())).held.add(each.address)


def _route_effects(found: Reshaped, sources: Sequence[Source]) -> Iterator[Effect]:
    """The strict routes into the subnets whose space is made anew, before and after."""
    old: _Fabric = {}
    new: _Fabric = {}
    gone = {each.old.sequence for each in found.followers}
    gone |= {each.sequence for each in (*found.fallen, *found.forgotten)}
    for source in sources:
        _add(old, source.subnet, _claimed(source.blocks), source.allocations)
        if source.after is not None:
            stay = [each for each in source.allocations if each.sequence not in gone]
            _add(new, source.after, (), stay)
    for filling in found.fillings.values():
        _add(new, filling.subnet, filling.kept, ())
    for follower in found.followers:
        _add(new, follower.subnet, (), [follower.new])
    before, after = _routes(old, new), _routes(new, old)
    for scope, host, prefix in sorted(before - after):
        message = f"{host} withdraws {prefix} in scope {scope}"
        yield Effect("withdrawn", "", str(prefix), host, message)
    for scope, host, prefix in sorted(after - before):
        message = f"{host} announces {prefix} in scope {scope}"
        yield Effect("announced", "", str(prefix), host, message)


def _gateways(
    changed: Iterable[tuple[Subnet, Subnet]],
    added: Iterable[Subnet],
    found: Reshaped,
    sources: Sequence[Source],
) -> Iterator[Effect]:
    """New gateways that are held already."""
    set_anew: Mapping[str, Subnet] = {
        new.name: new
        for old, new in (*changed, *((None, each) for each in added))
        if new.gateway is not None and (old is None or old.gateway != new.gateway)
    }
    if not set_anew:
        return
    after = {source.subnet.id: source.after for source in sources}
    moved = {each.old.sequence: each.subnet for each in found.followers}
    for source in sources:
        for each in source.allocations:
            home = moved.get(each.sequence) or after[each.subnet_id]
            if (
                home is not None
                and home.name in set_anew
                and each.address == home.gateway
                and each.state is State.ALLOCATED
            ):
                text = format_address(home.family, each.address)
                yield Effect(
                    "gateway_held",
                    home.name,
                    text,
                    each.owners_text,
                    f"the gateway {text} of subnet {home.name} is held by "
                    + (each.owners_text or "an unnamed owner")
                    + (f" on host {each.host}" if each.host else ""),
                )
