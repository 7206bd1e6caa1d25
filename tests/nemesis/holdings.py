"""Holdings: the times in which each address was held, from the calls of all clients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.nemesis.dump import Event
from tests.nemesis.history import NEVER, Call

#: Errors of a release or reassignment whose address and sequence number are not held.
NOT_HELD = frozenset({"not_allocated", "stale_sequence"})


@dataclass
class Holding:
    """One address from one allocation to its release; each end is bounded from both sides.

    :ivar calls: the calls of its request; several with one idempotency key.
    :ivar subnet: the name in the first answer; empty when the answer was lost.
    :ivar certain_from: certainly held from then on; ``NEVER`` without an answer.
    :ivar certain_to: beginning of the first call that may have released it.
    :ivar possible_from: not held before.
    :ivar possible_to: not held after.
    :ivar released: the acknowledged release.
    :ivar is_doubtful: True when a release without an answer may have ended it.
    :ivar hosts: every host on which it may have lived.
    :ivar is_stray: True when it is in the trail, but not in the answer of its request.
    """

    address: str
    sequence: int
    calls: list[Call]
    subnet: str = ""
    certain_from: int = NEVER
    certain_to: int = NEVER
    possible_from: int = 0
    possible_to: int = NEVER
    released: Call | None = None
    is_doubtful: bool = False
    hosts: set[str] = field(default_factory=set)
    is_stray: bool = False

    @property
    def owner(self) -> str:
        """The owner; each request has another one."""
        return str(self.calls[0].args["owner"])

    @property
    def is_certain(self) -> bool:
        """True when a client got it in an answer, and no call may have released it."""
        return self.certain_from < NEVER and self.released is None and not self.is_doubtful

    def __str__(self) -> str:
        return f"{self.address} sequence {self.sequence} of {self.owner}"


class Holdings:
    """All holdings, and the contradictions found while collecting them.

    :ivar faults: contradictions, as text.
    """

    def __init__(self, calls: Sequence[Call], events: Iterable[Event]) -> None:
        """Collect the answers to clients, and the events of calls without an answer."""
        self.faults: list[str] = []
        self.requests: dict[str, list[Call]] = defaultdict(list)
        self._all: dict[tuple[str, int], Holding] = {}
        self._of_owner: dict[str, list[Holding]] = defaultdict(list)
        for call in calls:
            if call.act == "allocate":
                self.requests[call.args["owner"]].append(call)
        for request in self.requests.values():
            self._add_answers(request)
        for event in events:
            self._add_unanswered(event)
        self._of_host: dict[str, list[Holding]] = defaultdict(list)
        for call in calls:
            self._refine(call)
        for holding in self:
            for host in holding.hosts:
                self._of_host[host].append(holding)
        releases = [call for call in calls if call.act == "release"]
        for call in releases:
            self._end(call)
        for call in releases:
            self._check_refusal(call)
            self._check_complete(call)

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def find(self, address: str, sequence: int) -> Holding | None:
        """One holding."""
        return self._all.get((address, sequence))

    def of_owner(self, owner: str) -> Sequence[Holding]:
        """The holdings of one request."""
        return self._of_owner.get(owner, [])

    def _add(self, holding: Holding) -> None:
        self._all[holding.address, holding.sequence] = holding
        self._of_owner[holding.owner].append(holding)

    # --- Allocations ------------------------------------------------------------------------------

    def _add_answers(self, calls: list[Call]) -> None:
        """Add the holdings of one request: one call, or several with one key."""
        first: Call | None = None
        for call in calls:
            if not call.is_done:
                continue
            if first is not None:
                if _plain(call.answer) != _plain(first.answer):
                    self.faults.append(f"one key, two answers: {first}; {call}")
                continue
            first = call
            for address, sequence, subnet, host in call.answer:
                if (address, sequence) in self._all:
                    other = self._all[address, sequence].calls[0]
                    self.faults.append(
                        f"{address} sequence {sequence} allocated twice: {other}; {call}"
                    )
                    continue
                self._add(
                    Holding(
                        address,
                        sequence,
                        calls,
                        subnet,
                        certain_from=call.ended,
                        possible_from=calls[0].began,
                        hosts={host},
                    )
                )

    def _add_unanswered(self, event: Event) -> None:
        """Add the holding of a call whose answer was lost; the owner names the call."""
        calls = self.requests.get(event.owner)
        known = self.find(event.subject, event.id)
        if event.act != "allocated" or calls is None or known is not None:
            return
        made = Holding(event.subject, event.id, calls, possible_from=calls[0].began)
        made.is_stray = any(call.is_done for call in calls)
        made.hosts.add(calls[0].args.get("host") or "")
        self._add(made)

    def _refine(self, call: Call) -> None:
        """Refine holdings by a listing, or by a call that may change the host."""
        if call.act == "look" and call.is_done:
            for address, sequence, _subnet, _host in call.answer:
                found = self.find(address, sequence)
                if found is None:
                    self.faults.append(f"{address} sequence {sequence} is not in the trail: {call}")
                elif call.ended < found.certain_from:
                    found.certain_from = call.ended
        elif call.act == "reassign" and (call.is_done or call.is_unknown):
            found = self.find(call.args["address"], call.args["sequence"])
            if found is not None:
                found.hosts.add(call.args["host"])

    # --- Releases ---------------------------------------------------------------------------------

    def _targets(self, args: dict[str, Any]) -> list[Holding]:
        """The holdings that a release may have ended."""
        if "sequence" in args:
            found = self.find(args["address"], args["sequence"])
            return [] if found is None else [found]
        if "owner" in args:
            named = args.get("addresses")
            held = self._of_owner.get(args["owner"], [])
            return [each for each in held if named is None or each.address in named]
        return self._of_host.get(args["host"], [])

    def _end(self, call: Call) -> None:
        if call.is_done:
            for address, sequence in call.answer:
                found = self.find(address, sequence)
                if found is None:
                    self.faults.append(f"{address} sequence {sequence} was never allocated: {call}")
                elif found.released is not None:
                    self.faults.append(f"{found} released twice: {found.released}; {call}")
                else:
                    found.released = call
                    found.certain_to = min(found.certain_to, call.began)
                    found.possible_to = min(found.possible_to, call.ended)
        elif call.is_unknown:
            for found in self._targets(call.args):
                if found.possible_from < call.ended:
                    found.is_doubtful = True
                    found.certain_to = min(found.certain_to, call.began)
        elif call.code in NOT_HELD and "sequence" in call.args:
            for found in self._targets(call.args):
                found.possible_to = min(found.possible_to, call.ended)

    def _check_refusal(self, call: Call) -> None:
        """Report a refused release of addresses that were held during the whole call."""
        if call.code not in NOT_HELD or call.is_unknown:
            return
        targets = self._targets(call.args)
        if targets and all(_spans(each, call) for each in targets):
            self.faults.append(f"a release of held addresses was refused: {call}")

    def _check_complete(self, call: Call) -> None:
        """Report addresses that a release by owner or host left."""
        if not call.is_done or "sequence" in call.args:
            return
        released = {(address, sequence) for address, sequence in call.answer}
        for each in self._targets(call.args):
            sure = "host" not in call.args or each.hosts == {call.args["host"]}
            if sure and _spans(each, call) and (each.address, each.sequence) not in released:
                self.faults.append(f"{each} was left out: {call}")


def _spans(holding: Holding, call: Call) -> bool:
    """True when it was certainly held during the whole call."""
    return holding.certain_from <= call.began and call.ended <= holding.certain_to


def _plain(answer: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted((each[0], each[1]) for each in answer)
