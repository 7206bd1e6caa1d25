"""The invariants after an act and a change have met, in whichever order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from borough import Ipam
from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.addresses import parse_address
from borough.engine.imports import Imported
from borough.engine.upkeep.hosts import Vacated
from borough.engine.views import Allocation, Answer, Released, SubnetView
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
        yield from self._given()
        yield from self._declared(ipam)
        for finding in ipam.audit():
            yield f"audit: {finding.code} {finding.subject}"

    def _released(self) -> set[int]:
        """The sequence numbers that the act or the change has released."""
        released: set[int] = set()
        for answer in (self.did.answer, self.changed.answer):
            found = answer.released if isinstance(answer, Vacated) else answer
            if isinstance(found, tuple | Released):
                released |= {each.sequence for each in found}
        return released

    def _held(self, ipam: Ipam) -> Iterator[str]:
        """Every acknowledged address is held, and no released one is."""
        present = {each.sequence: each for each in ipam.allocations() if each.state == "allocated"}
        released = self._released()
        answer = self.did.answer
        edited = {answer.sequence: answer} if isinstance(answer, Allocation) else {}
        expected = [
            edited.get(each.sequence, each) for each in self.held if each.state == "allocated"
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
