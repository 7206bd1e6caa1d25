"""Holdings: what the calls of all clients say about when each address was held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.nemesis.dump import Event
from tests.nemesis.history import NEVER, Call

#: Errors that say that an address is not held so.
NOT_HELD = frozenset({"not_allocated", "stale_sequence"})


@dataclass
class Holding:
    """One address from one allocation to its release, bounded from inside and from outside.

    :ivar calls: the calls that asked for it; several with one idempotency key.
    :ivar subnet: the name in the first answer; empty when the answer was lost.
    :ivar certain_from: held for certain from then on; ``NEVER`` when no client was told.
    :ivar certain_to: when the first call began that may have released it.
    :ivar possible_from: not held before.
    :ivar possible_to: not held any more.
    :ivar released: the acknowledged release.
    :ivar is_doubtful: whether a release without an answer may have ended it.
    :ivar hosts: every host on which it may have lived.
    :ivar is_stray: whether it is in the trail, against an answer that says otherwise.
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
        """The owner, which no two requests share."""
        return str(self.calls[0].args["owner"])

    @property
    def is_certain(self) -> bool:
        """True when a client was told of it, and none may have released it."""
        return self.certain_from < NEVER and self.released is None and not self.is_doubtful

    def __str__(self) -> str:
        return f"{self.address} sequence {self.sequence} of {self.owner}"


class Holdings:
    """All holdings, and the faults that are plain from putting them together.

    :ivar faults: as text.
    """

    def __init__(self, calls: Sequence[Call], events: Iterable[Event]) -> None:
        """Put together what clients were told, and what the trail says of calls without an answer."""
        self.faults: list[str] = []
        self.requests: dict[str, list[Call]] = defaultdict(list)
        self._all: dict[tuple[str, int], Holding] = {}
        self._of_owner: dict[str, list[Holding]] = defaultdict(list)
        for call in calls:
            if call.act == "allocate":
                self.requests[call.args["owner"]].append(call)
        for asked in self.requests.values():
            self._add_answers(asked)
        for event in events:
            self._add_unanswered(event)
        self._of_host: dict[str, list[Holding]] = defaultdict(list)
        for call in calls:
            self._look_at(call)
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
        """The holdings that one request was given."""
        return self._of_owner.get(owner, [])

    def _add(self, holding: Holding) -> None:
        self._all[holding.address, holding.sequence] = holding
        self._of_owner[holding.owner].append(holding)

    # --- Allocations ------------------------------------------------------------------------------

    def _add_answers(self, asked: list[Call]) -> None:
        """The calls of one request: one, or several with one key."""
        first: Call | None = None
        for call in asked:
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
                        f"{address} sequence {sequence} given twice: {other}; {call}"
                    )
                    continue
                self._add(
                    Holding(
                        address,
                        sequence,
                        asked,
                        subnet,
                        certain_from=call.ended,
                        possible_from=asked[0].began,
                        hosts={host},
                    )
                )

    def _add_unanswered(self, event: Event) -> None:
        """Add the holding of a call whose answer was lost; the owner names the call."""
        asked = self.requests.get(event.owner)
        known = self.find(event.subject, event.id)
        if event.act != "allocated" or asked is None or known is not None:
            return
        made = Holding(event.subject, event.id, asked, possible_from=asked[0].began)
        made.is_stray = any(call.is_done for call in asked)
        made.hosts.add(asked[0].args.get("host") or "")
        self._add(made)

    def _look_at(self, call: Call) -> None:
        """Calls that say what is held, or may change on which host."""
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
        """The holdings that a release may have meant."""
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
                    self.faults.append(f"{address} sequence {sequence} was never given: {call}")
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
        """A release refused although the address was held all the time."""
        if call.code not in NOT_HELD or call.is_unknown:
            return
        wanted = self._targets(call.args)
        if wanted and all(_spans(each, call) for each in wanted):
            self.faults.append(f"a release was refused of what was held: {call}")

    def _check_complete(self, call: Call) -> None:
        """A release of all that an owner or a host has left some of it."""
        if not call.is_done or "sequence" in call.args:
            return
        released = {(address, sequence) for address, sequence in call.answer}
        for each in self._targets(call.args):
            sure = "host" not in call.args or each.hosts == {call.args["host"]}
            if sure and _spans(each, call) and (each.address, each.sequence) not in released:
                self.faults.append(f"{each} was left out: {call}")


def _spans(holding: Holding, call: Call) -> bool:
    """True when it was held for certain during the whole of a call."""
    return holding.certain_from <= call.began and call.ended <= holding.certain_to


def _plain(answer: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted((each[0], each[1]) for each in answer)
