"""The use cases around an address: allocate, explain, release, sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.lookup import check_host, undeclared_host
from borough.domain.declared.records import Host
from borough.domain.encode import rfc3339, utc
from borough.domain.policy import allocate as policy
from borough.domain.policy import sticky as sticky_policy
from borough.domain.policy.explain import Explanation, explain, subnets_to_tally
from borough.domain.policy.refusal import Refusal, refuse, sentence, subnets_to_count
from borough.domain.policy.selection import Ladder, ResolvedSelector, climb, resolve_selector
from borough.domain.policy.take import NamedAddress, Taken, TakeRequest
from borough.domain.request import Kind, Request
from borough.domain.space.allocations import SECOND, AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.space.keys import Binding
from borough.domain.space.plan import Plan, Tally
from borough.domain.space.rungs import Rung
from borough.engine import refusals, sharing, sticky
from borough.engine.after import After
from borough.engine.expiry import EXPIRE_BATCH, Expiry
from borough.engine.views import Allocation, Answer, show, show_all
from borough.errors import (
    AddressInUse,
    BoroughError,
    FixInput,
    KeyReused,
    KeySpent,
    NeedsSpace,
)
from borough.store.cache import Cache
from borough.store.port import ReadSpace, ReadUnit, Store, Unit

#: Most addresses of a request, or of a release, that is brief; see :meth:`borough.store.port.Store.transact`.
BRIEF: Final = 64

#: Most of them that an explanation looks past; it keeps them in memory.
EXPLAINED: Final = 64 * EXPIRE_BATCH

#: For how long an idempotency key is kept after its addresses are gone, in microseconds.
KEY_LIFE: Final = 7 * 24 * 3600 * SECOND

#: After every time, in microseconds since the epoch.
_NEVER: Final = 1 << 62

#: How many requests with a key go by before old keys are looked for, and how many are dropped then.
FORGET_EVERY: Final = 256
FORGET: Final = 1024

#: Most bytes of ladders kept; one for each distinct selector of the present catalogue.
_LADDERS: Final = 16 << 20

#: Most bytes of warnings kept; one for each host that is not declared.
_WARNINGS: Final = 1 << 20

#: What an explanation comes to when it would have to look past more.
_UNDECIDED: Final = (
    f"not decided: the cool-downs or leases of more than {EXPLAINED} addresses are over, and these are not "
    "free yet; sweep, and ask again"
)


class Ladders:
    """Ladders by selector, for one version of the catalogue at a time."""

    def __init__(self) -> None:
        self._version = -1
        self._kept: Cache[object, tuple[ResolvedSelector, Ladder]] = Cache(_LADDERS)
        self._warnings: Cache[tuple[int, str], tuple[str, ...]] = Cache(_WARNINGS)

    def climb(self, catalogue: Catalogue, request: Request) -> tuple[ResolvedSelector, Ladder]:
        """See :func:`borough.domain.policy.selection.climb`."""
        if self._version != catalogue.version:
            self._kept.clear()
            self._version = catalogue.version
        key = (
            catalogue.version,
            request.scope,
            tuple(sorted(request.labels.items())),
            request.tiers,
            request.host,
            request.families,
            request.kind,
            request.count > 1,
        )
        found = self._kept.get(key)
        if found is None:
            found = self._kept.put(
                key, (resolve_selector(catalogue, request), climb(catalogue, request))
            )
        return found

    def warnings(self, catalogue: Catalogue, host: str) -> tuple[str, ...]:
        """See :func:`borough.domain.declared.lookup.undeclared_host`."""
        if not catalogue.hosts or host in catalogue.hosts:
            return ()
        key = catalogue.version, host
        found = self._warnings.get(key)
        return self._warnings.put(key, undeclared_host(catalogue, host)) if found is None else found


@dataclass(frozen=True)
class Allocator:
    """Decides requests inside units of work.

    :ivar clock: the time in microseconds since the epoch.
    :ivar expiry: ends cool-downs and leases.
    :ivar keyed: counts requests with an idempotency key.
    :ivar shows: whether the caller may learn the labels of a declared host; explanations and refusals
        leave out what those of another one imply.
    :ivar suggests: whether the caller may learn the names of all declared hosts.
    """

    clock: Callable[[], int]
    ladders: Ladders
    expiry: Expiry = field(default_factory=Expiry)
    keyed: Iterator[int] = field(default_factory=count)
    shows: Callable[[Host], bool] = lambda _host: True
    suggests: bool = True

    def allocate(self, store: Store, request: Request) -> Answer:
        """Give what a request asks for, or raise why not."""

        def work(unit: Unit) -> Answer:
            return self.allocate_in(unit, request)

        if (request.key or request.sticky) and next(self.keyed) % FORGET_EVERY == FORGET_EVERY - 1:
            before = self.clock() - KEY_LIFE
            store.transact(lambda unit: unit.forget(before, FORGET))
        is_decided = request.explain or request.sticky or request.shared or request.lease
        order = None if is_decided else self.order(store.known, request)
        if order is None:
            brief = request.count <= BRIEF and not request.explain
            repeatable = bool(request.key) or request.sticky
            return store.transact(work, repeatable=repeatable, brief=brief)
        given = store.allocate(order, work)
        return (
            given
            if isinstance(given, Answer)
            else Answer(
                (self.given(order, given),),
                replayed=False,
                warnings=self.warnings(order.catalogue, request.host),
            )
        )

    def warnings(self, catalogue: Catalogue, host: str) -> tuple[str, ...]:
        """Warnings for a caller that names a host."""
        return self.ladders.warnings(catalogue, host) if self.suggests else ()

    @staticmethod
    def given(order: TakeRequest, taken: Taken) -> Allocation:
        """The answer for an allocation that the store has made by itself."""
        block, address, sequence = taken
        subnet = order.catalogue.subnets[block.subnet_id]
        allocation = AllocationRow.granted(order.request, subnet, address, order.now)
        return show(allocation, order.catalogue, block, sequence)

    def order(self, catalogue: Catalogue | None, request: Request) -> TakeRequest | None:
        """The request as an order; None when it is for more than one address."""
        if catalogue is None or request.count > 1:
            return None
        try:
            check_host(catalogue, request.host, suggests=False)
            selector, ladder = self.ladders.climb(catalogue, request)
        except FixInput:
            # What it lacks may have been declared since; a unit of work knows.
            return None
        if len(ladder.placement_groups) != 1 or len(ladder.families) != 1:
            return None
        is_sought = request.kind in (Kind.ANY, Kind.NEXT)
        named = None if is_sought else self._named(catalogue, request, selector, ladder)
        if not is_sought and named is None:
            return None
        return TakeRequest(
            catalogue=catalogue,
            rungs=ladder.placement_groups[0].rungs[ladder.families[0]] if is_sought else (),
            named=named,
            ladder=ladder.identity,
            claimant=selector.claimant,
            lowest=request.kind is Kind.NEXT,
            request=request,
            now=self.clock(),
            fingerprint=digest(request) if request.key else "",
        )

    @staticmethod
    def _named(
        catalogue: Catalogue, request: Request, selector: ResolvedSelector, ladder: Ladder
    ) -> NamedAddress | None:
        """The first candidate of a request for an address known beforehand."""
        resolved = policy.ResolvedRequest(catalogue, request, selector, ladder, 0)
        try:
            subnet, address = next(policy.named_addresses(resolved))
        except (BoroughError, StopIteration):
            # A unit of work refuses it, on the present catalogue.
            return None
        return NamedAddress(subnet.id, address, subnet.is_usable(address))

    def allocate_in(self, unit: Unit, request: Request) -> Answer:
        """The part of :meth:`allocate` inside a unit of work."""
        now = self.clock()
        if request.sticky:
            return self._allocate_sticky(unit, request, now)
        if request.key:
            replayed = self.replay(unit, request)
            if replayed is not None:
                return replayed
        if request.shared:
            shared = self._attach(unit, request, now)
            if shared is not None:
                return shared
        resolved, plan = self._decide(unit, request, now)
        explanation = self._explanation(unit, resolved, plan) if request.explain else None
        bind = Binding(request.key, digest(request)) if request.key else None
        sequences = unit.commit(plan, now, bind)
        given = tuple(
            show(grant.allocation, resolved.catalogue, grant.block, sequence)
            for grant, sequence in zip(plan.grants, sequences, strict=True)
        )
        warnings = self.warnings(resolved.catalogue, request.host)
        return Answer(given, replayed=False, explanation=explanation, warnings=warnings)

    def _attach(self, unit: Unit, request: Request, now: int) -> Answer | None:
        """Share an address that is shared already; None when the request needs a new one."""
        resolved = self.resolved(unit.catalogue, request, now)
        attached = sharing.attach(unit, resolved)
        if attached is None:
            return None
        explanation = None
        if request.explain:
            outcome = f"{request.owner} shares {attached.row.text}"
            explanation = self._explanation(unit, resolved, None, outcome)
        row, replayed = attached.row, attached.replayed
        return Answer(tuple(show_all(unit, [row])), replayed=replayed, explanation=explanation)

    def _allocate_sticky(self, unit: Unit, request: Request, now: int) -> Answer:
        """Allocate for an owner what it does not have yet; see :mod:`borough.domain.policy.sticky`."""
        seen = unit.recall(sticky.key_of(request))
        rows = self._rows_of_owner(unit, request, now)

        def decide(resolved: policy.ResolvedRequest, space: Unit) -> Plan | None:
            return sticky_policy.allocate(resolved, space, sticky_policy.kept(resolved, rows))

        resolved, plan = self._decide(unit, request, now, decide)
        held = [replace(each, sticky=True) for each in sticky_policy.kept(resolved, rows).held]
        explanation = None
        if request.explain:
            has = ", ".join(each.text for each in held)
            outcome = "" if plan.grants else f"{request.owner} has {has}"
            explanation = self._explanation(unit, resolved, plan, outcome)
        found = [*held, *sticky.write(unit, request, plan, seen, now)]
        return Answer(
            tuple(show_all(unit, sorted(found, key=lambda each: each.family))),
            replayed=not plan.grants,
            explanation=explanation,
            warnings=self.warnings(resolved.catalogue, request.host),
        )

    def _rows_of_owner(self, unit: Unit, request: Request, now: int) -> list[AllocationRow]:
        """The rows of an owner in the scope of its request, after the leases that are over have ended."""
        wanted = Filter(scope=request.scope, owner=request.owner)
        rows = unit.allocations(wanted)
        by = self.expiry.by(now)
        over = [each for each in rows if each.is_over(by)]
        if not over:
            return rows
        self.expiry.end(unit, over, now)
        return unit.allocations(wanted)

    def explain(self, unit: ReadUnit, request: Request) -> Explanation:
        """Tell what a request would get. Nothing is written.

        The decision is made on the space as it would be once the cool-downs and leases that are over had
        ended, as an allocation ends them: as many at a time, until enough addresses are free.
        """
        now = self.clock()
        resolved = self.resolved(unit.catalogue, request, now)
        most = EXPIRE_BATCH if resolved.catalogue.cools else 0
        by = self.expiry.by(now)
        while True:
            over = unit.expired(by, most) if most else []
            space = (
                After(unit, policy.release(resolved.catalogue, unit, over, by, ended=True))
                if over
                else unit
            )
            in_use = ""
            try:
                plan = policy.allocate(resolved, space)
            except AddressInUse as error:
                plan, in_use = None, error.message
            if plan is not None:
                return self._explanation(space, resolved, plan, is_preview=True)
            if most and len(over) < most:
                if in_use:
                    return self._explanation(space, resolved, None, in_use)
                reasons, found = self._refused(space, unit, resolved)
                return replace(found, advice=self._refusal(resolved, found, reasons).detail["try"])
            if most >= EXPLAINED:
                return self._explanation(space, resolved, None, _UNDECIDED)
            most = max(EXPIRE_BATCH, 2 * most)

    def resolved(self, catalogue: Catalogue, request: Request, now: int) -> policy.ResolvedRequest:
        """A request, resolved."""
        check_host(catalogue, request.host, suggests=self.suggests)
        selector, ladder = self.ladders.climb(catalogue, request)
        return policy.ResolvedRequest(catalogue, request, selector, ladder, now)

    def _decide(
        self,
        unit: Unit,
        request: Request,
        now: int,
        allocate: Callable[[policy.ResolvedRequest, Unit], Plan | None] = policy.allocate,
    ) -> tuple[policy.ResolvedRequest, Plan]:
        resolved = self.resolved(unit.catalogue, request, now)
        # Without cool-downs only leases end, and they are looked for when nothing else is free: other
        # requests do not pay for it.
        may_be_over = True
        if resolved.catalogue.cools:
            may_be_over = len(self.expiry.expire(unit, now)) == EXPIRE_BATCH
        while True:
            try:
                plan = allocate(resolved, unit)
            except AddressInUse:
                if not may_be_over:
                    raise
                plan = None
            if plan is not None:
                return resolved, plan
            if not may_be_over:
                raise self.refusal(unit, resolved)
            # More may be over than one sweep ends.
            may_be_over = len(self.expiry.expire(unit, now)) == EXPIRE_BATCH

    def _explanation(
        self,
        space: ReadSpace | After,
        resolved: policy.ResolvedRequest,
        plan: Plan | None,
        outcome: str = "",
        *,
        is_preview: bool = False,
    ) -> Explanation:
        tallies: dict[int, Tally] = space.tallies(subnets_to_tally(resolved))
        return explain(self._told(resolved), plan, tallies, outcome, is_preview=is_preview)

    def _refused(
        self,
        space: ReadSpace | After,
        unit: ReadUnit,
        resolved: policy.ResolvedRequest,
        *,
        counted: bool = True,
    ) -> tuple[list[Refusal], Explanation]:
        """The reasons of a refusal and its explanation, from one count of the subnets.

        :param space: the space as the decision saw it.
        :param counted: false where the tables do not know all addresses in use: there are no reasons then.
        """
        is_sought = resolved.request.kind in (Kind.ANY, Kind.NEXT)
        ids = subnets_to_count(resolved) if counted and is_sought else []
        tallies = space.tallies(ids or subnets_to_tally(resolved))
        reasons = _reasons(space, unit, resolved, tallies) if ids else []
        return reasons, explain(self._told(resolved), None, tallies, sentence(reasons))

    def _told(self, resolved: policy.ResolvedRequest) -> policy.ResolvedRequest:
        """A setting as the caller may be told of it."""
        host = resolved.catalogue.hosts.get(resolved.request.host)
        if host is None or self.shows(host):
            return resolved
        return replace(resolved, selector=replace(resolved.selector, implied={}))

    def refusal(
        self, unit: ReadUnit, resolved: policy.ResolvedRequest, *, counted: bool = True
    ) -> NeedsSpace:
        """The error that explains why a request gets nothing.

        :param counted: false where the tables do not know all addresses in use.
        """
        reasons, explanation = self._refused(unit, unit, resolved, counted=counted)
        return self._refusal(resolved, explanation, reasons)

    def _refusal(
        self,
        resolved: policy.ResolvedRequest,
        explanation: Explanation,
        reasons: Sequence[Refusal],
    ) -> NeedsSpace:
        return refusals.refusal(self._told(resolved), explanation, reasons, self.ladders.climb)

    def replay(self, unit: ReadUnit, request: Request) -> Answer | None:
        """The answer that a key was given before (rule 7)."""
        remembered = unit.recall(request.key)
        if remembered is None:
            return None
        if remembered.fingerprint != digest(request):
            raise KeyReused(
                f"idempotency key {request.key!r} was used with another request", key=request.key
            )
        by = self.expiry.by(self.clock())
        found = unit.allocations(Filter(sequences=remembered.sequences))
        held = [each for each in found if each.state is State.ALLOCATED and not each.is_over(by)]
        if request.shared:
            held = [each for each in held if request.owner in each.sharers]
        if len(held) < len(remembered.sequences):
            raise KeySpent(
                f"what idempotency key {request.key!r} was given has been released since; "
                "use a new key for a new request",
                key=request.key,
            )
        by_sequence = {each.sequence: each for each in held}
        in_order = [by_sequence[sequence] for sequence in remembered.sequences]
        warnings = self.warnings(unit.catalogue, request.host)
        return Answer(tuple(show_all(unit, in_order)), replayed=True, warnings=warnings)


def digest(request: Request) -> str:
    """The text that an idempotency key is bound to."""
    return hashlib.sha256(request.fingerprint().encode()).hexdigest()


def _reasons(
    space: ReadSpace | After,
    unit: ReadUnit,
    resolved: policy.ResolvedRequest,
    tallies: Mapping[int, Tally],
) -> list[Refusal]:
    """The reasons why a group has too few addresses.

    :param space: the space as the decision saw it.
    :param tallies: counts of :func:`borough.domain.policy.refusal.subnets_to_count`.
    """

    def claimed(rung: Rung) -> int:
        claimant = resolved.selector.claimant
        return sum(block.prefix.size for block in space.holdings(rung, claimant))

    until = ""
    if any(tally.cooling for tally in tallies.values()):
        resting = unit.expired(_NEVER, EXPIRE_BATCH)
        first = next(
            (
                each.until
                for each in resting
                if each.subnet_id in tallies and each.state is State.COOLING
            ),
            None,
        )
        until = "" if first is None else rfc3339(utc(first))
    return refuse(resolved, tallies, claimed, until)
