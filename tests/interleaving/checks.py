"""The invariants after an act and a change have met, in whichever order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from borough import Ipam
from borough.domain.declared.catalogue import Catalogue
from borough.domain.encode import utc
from borough.domain.net.addresses import parse_address
from borough.engine.imports import Imported
from borough.engine.leases import Renewed
from borough.engine.upkeep.hosts import Vacated
from borough.engine.views import Allocation, Answer, Released, Reservations, SubnetView
from borough.errors import FixInput, NeedsSpace, Reevaluate
from tests.interleaving.acts import Act
from tests.interleaving.changes import Change
from tests.interleaving.gate import Outcome
from tests.interleaving.places import Scene

#: The errors that a request may get. With a single rival, waiting too long is a fault.
_REFUSALS = (FixInput, NeedsSpace, Reevaluate)


@dataclass(frozen=True)
class Meeting:
    """An act and a change that have met, and their results.

    :ivar held: the allocations before.
    :ivar did: the result of the act.
    :ivar changed: the result of the change.
    :ivar states: the catalogue before and after.
    """

    scene: Scene
    act: Act
    change: Change
    held: list[Allocation]
    did: Outcome
    changed: Outcome
    states: tuple[Catalogue, Catalogue]

    def faults(self, ipam: Ipam) -> Iterator[str]:
        """Every fault."""
        for name, outcome in (("act", self.did), ("change", self.changed)):
            if outcome.error is not None and not isinstance(outcome.error, _REFUSALS):
                yield f"{name}: {outcome}"
        yield from self._held(ipam)
        yield from self._renewed(ipam)
        yield from self._shared(ipam)
        yield from self._reserved(ipam)
        yield from self._given()
        yield from self._declared(ipam)
        for finding in ipam.audit():
            yield f"audit: {finding.code} {finding.subject}"

    def _released(self) -> set[int]:
        """The sequence numbers that the act or the change has released; others keep a shared address."""
        released: set[int] = set()
        for answer in (self.did.answer, self.changed.answer):
            found = answer.released if isinstance(answer, Vacated) else answer
            if isinstance(found, tuple | Released):
                released |= {each.sequence for each in found if len(each.sharers) < 2}
        return released

    def _held(self, ipam: Ipam) -> Iterator[str]:
        """Every acknowledged address is held, and no released one is."""
        present = {
            each.sequence: each
            for each in ipam.allocations()
            if each.state == "allocated" and not self._is_over(each)
        }
        released = self._released()
        answer = self.did.answer
        edited = {answer.sequence: answer} if isinstance(answer, Allocation) else {}
        expected = [
            edited.get(each.sequence, each)
            for each in self.held
            if each.state == "allocated" and not self._is_over(each)
        ]
        if isinstance(answer, Answer):
            expected += answer.allocations
        for each in expected:
            found = present.get(each.sequence)
            if each.sequence in released:
                if found:
                    yield f"{each.address} was released and is held"
            elif not found:
                yield f"{each.address} of {each.owner} was not released and is not held"
            elif (found.address, found.owner) != (each.address, each.owner):
                yield f"{each.address} of {each.owner} is {found.address} of {found.owner}"
        if isinstance(answer, Allocation) and not self.changed.answer:
            moved = present.get(answer.sequence)
            if moved is None or (moved.host, moved.note) != (answer.host, answer.note):
                yield f"{answer.address} is not on host {answer.host}, or not as it was edited"
        known = {each.sequence for each in expected}
        if isinstance(answer, Imported):
            added = {each.sequence for each in present.values() if each.owner == "imported"}
            known |= added
            if len(added) != answer.added:
                yield f"{answer.added} addresses were imported, and {len(added)} are held"
        for each in present.values():
            if each.sequence not in known:
                yield f"{each.address} of {each.owner} was never answered"

    def _renewed(self, ipam: Ipam) -> Iterator[str]:
        """Every acknowledged renewal is kept; a change may have released the address since."""
        answer = self.did.answer
        ends = {each.sequence: each.leased_until for each in ipam.allocations() if each.lease}
        for each in answer.allocations if isinstance(answer, Renewed) else ():
            if ends.get(each.sequence, each.leased_until) != each.leased_until:
                yield f"{each.address} was renewed until {each.leased_until} and is not so"

    def _shared(self, ipam: Ipam) -> Iterator[str]:
        """Every acknowledged owner of a shared address has it, and one that left has not."""
        answer = self.did.answer
        present = {each.sequence: each.sharers for each in ipam.allocations()}
        for each in answer.allocations if isinstance(answer, Answer) else ():
            left = set(each.sharers) - set(present.get(each.sequence, each.sharers))
            if left:
                yield f"{each.address} is not shared by {left}"
        for each in answer if isinstance(answer, Released) else ():
            left_by = {"unshare": "vip", "unshare-owner": "vip2"}.get(self.act.name)
            if left_by in present.get(each.sequence, ()):
                yield f"{each.address} is still shared by {left_by}"

    def _is_over(self, each: Allocation) -> bool:
        """True when the lease of an address is over; anything may end it."""
        return each.leased_until is not None and each.leased_until <= utc(self.scene.now)

    def _reserved(self, ipam: Ipam) -> Iterator[str]:
        """Every acknowledged reservation is kept, and no cancelled one is."""
        answer = self.did.answer
        if not isinstance(answer, Reservations):
            return
        kept = {each.sequence for each in ipam.allocations() if each.sticky}
        ends = self.act.name.startswith("cancel")
        for each in answer.reservations:
            if (each.sequence in kept) is ends:
                yield f"{each.address} was {'cancelled' if ends else 'reserved'} and is not so"

    def _given(self) -> Iterator[str]:
        """The state before or the state after admits every address given."""
        answer = self.did.answer
        if isinstance(answer, Answer):
            given = [each.address for each in answer.allocations]
            if len(set(given)) < len(given):
                yield f"given twice: {given}"
            for each in answer.allocations:
                if not any(self._admits(state, each) for state in self.states):
                    yield f"{each.address} of {each.subnet} crosses a boundary"
        elif isinstance(answer, SubnetView) and not any(
            prefix.covers(subnet.prefix)
            for state in self.states
            for prefix in state.pools[answer.pool].prefixes
            for subnet in [self.states[1].by_name[answer.name]]
        ):
            yield f"{answer.prefix} is outside its pool"

    def _admits(self, state: Catalogue, given: Allocation) -> bool:
        subnet = state.by_name.get(given.subnet)
        family, address = parse_address(given.address)
        return (
            subnet is not None
            and subnet.family == family
            and subnet.prefix.holds(address)
            and address not in subnet.never
            and all(value in subnet.labels.get(name, ()) for name, value in self.act.wanted.items())
            and (not self.act.is_ranged or subnet.is_usable(address))
        )

    def _declared(self, ipam: Ipam) -> Iterator[str]:
        """An acknowledged change is in force."""
        if self.changed.error is None and self.change.after:
            wanted = self.change.after(self.scene, self.act.host)
            left = ipam.apply(wanted, dry_run=True)
            if left:
                yield f"the change is not in force: {left}"
