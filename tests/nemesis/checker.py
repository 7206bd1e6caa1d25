"""The judge: from what clients saw and what the tables say at the end, every promise that was broken.

It imports nothing of the engine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.nemesis.availability import DRY, false_conflicts, false_refusals
from tests.nemesis.carved import Carved
from tests.nemesis.dump import Dump, Event
from tests.nemesis.history import NEVER, Call
from tests.nemesis.holdings import NOT_HELD, Holding, Holdings
from tests.nemesis.states import Request, State, States, number

SECOND: Final = 10**9

#: Answers that any call may get, each a documented one.
PASSING: Final = frozenset({"contended", "unavailable"})

#: Documented refusals that the campaign's calls may meet, by act.
REFUSALS: Final[dict[str, frozenset[str]]] = {
    "allocate": DRY
    | {
        "address_in_use",
        "address_outside_group",
        "address_unusable",
        "unknown_object",
        "idempotency_key_spent",
    },
    "release": NOT_HELD,
    "reassign": NOT_HELD | {"address_outside_group"},
    "explain": frozenset({"address_outside_group", "address_unusable", "unknown_object"}),
    "apply": frozenset({"would_strand"}),
    "drain": frozenset({"unknown_object"}),
    "rename_host": frozenset({"unknown_object"}),
    "remove_host": frozenset({"unknown_object"}),
    "carve": frozenset({"pool_exhausted", "invalid_input"}),
    "uncarve": frozenset({"would_strand", "unknown_object"}),
}


#: Findings of an audit that a clock leaves behind which was ahead (docs/operations.md).
AHEAD: Final = frozenset({"rest_too_long", "idle_since_future", "key_from_future"})


@dataclass(frozen=True)
class Trouble:
    """A fault that was injected, by time.

    :ivar code: an error that it makes, other than those that any call may get.
    """

    kind: str
    began: int
    ended: int
    code: str = ""


@dataclass
class Verdict:
    """The findings of the judge.

    :ivar violations: by kind, as text.
    :ivar judged: how often each promise was looked at: a promise that was never looked at is not kept.
    """

    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    judged: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, found: Iterable[str], judged: int) -> None:
        """Take down one kind of violation."""
        texts = list(found)
        if texts:
            self.violations[kind] += texts
        self.judged[kind] += judged

    @property
    def is_clean(self) -> bool:
        """True when nothing was found."""
        return not self.violations

    def __str__(self) -> str:
        lines = []
        for kind, found in self.violations.items():
            lines.append(f"{kind}: {len(found)}")
            lines += [f"  {text[:600]}" for text in found[:10]]
        return "\n".join(lines)


def judge(
    calls: Sequence[Call],
    dump: Dump,
    troubles: Sequence[Trouble] = (),
    *,
    slack: int = 0,
    clocks_jump: bool = False,
) -> Verdict:
    """Look at everything.

    :param clocks_jump: whether an audit may find times that are to come.
    :param slack: see :func:`tests.nemesis.availability.false_refusals`.
    """
    verdict = Verdict()
    holdings = Holdings(calls, dump.events)
    carved = Carved(calls, States(calls))
    verdict.add("contradiction", holdings.faults, len(holdings))
    verdict.add("two holders", two_holders(holdings), len(holdings))
    verdict.add("sequence", sequences(holdings), len(holdings))
    verdict.add("lost or left", final_state(holdings, dump), len(holdings))
    verdict.add("trail", trail(holdings, dump.events), len(dump.events))
    verdict.add("boundary", boundaries(holdings, carved, slack), len(holdings))
    refused, judged = false_refusals(calls, holdings, carved.during, slack)
    verdict.add("false exhaustion", refused, judged)
    conflicts = false_conflicts(calls, holdings, carved.during, slack)
    verdict.add("false conflict", conflicts, sum(call.code == "address_in_use" for call in calls))
    verdict.add("key", spent_keys(calls, holdings), sum("key" in call.args for call in calls))
    verdict.add("pool", carved.overlaps(), len(carved))
    verdict.add("error", errors(calls, troubles), len(calls))
    audits = [call for call in calls if call.act == "audit" and call.is_done]
    found = [f"{text} ({call})" for call in audits for text in call.answer]
    expected = AHEAD if clocks_jump else frozenset()
    wrong = [text for text in (*found, *dump.findings) if text.split()[0] not in expected]
    verdict.add("audit", wrong, len(audits) + 1)
    return verdict


def two_holders(holdings: Iterable[Holding]) -> Iterator[str]:
    """One address held for certain by two at one time."""
    spans: dict[str, list[Holding]] = defaultdict(list)
    for each in holdings:
        if each.certain_from < each.certain_to:
            spans[each.address].append(each)
    for held in spans.values():
        held.sort(key=lambda each: each.certain_from)
        for first, second in pairwise(held):
            if second.certain_from < first.certain_to:
                yield f"{first} and {second} at one time"


def sequences(holdings: Iterable[Holding]) -> Iterator[str]:
    """A later holding of an address that has the smaller number."""
    by_address: dict[str, list[Holding]] = defaultdict(list)
    for each in holdings:
        by_address[each.address].append(each)
    for held in by_address.values():
        held.sort(key=lambda each: each.sequence)
        for smaller, larger in pairwise(held):
            if larger.certain_from < smaller.possible_from:
                yield f"{larger} was there before {smaller}"


def final_state(holdings: Holdings, dump: Dump) -> Iterator[str]:
    """The final rows are the holdings of the clients, without those that were released."""
    held = {(each.address, each.sequence): each for each in dump.held}
    for each in holdings:
        row = held.get((each.address, each.sequence))
        if row is None:
            if each.is_certain:
                yield f"lost: {each}"
        elif each.released is not None:
            yield f"held after its release: {each}; {each.released}"
        elif row.owner != each.owner:
            yield f"{each} is held by {row.owner}"
        elif row.host not in each.hosts and len(each.hosts) == 1 and not _may_be_renamed(row.host):
            yield f"{each} is on {row.host}, not on {each.hosts}"
    for address, sequence in held:
        if holdings.find(address, sequence) is None:
            yield f"{address} sequence {sequence} is held, and nobody asked for it"


def _may_be_renamed(host: str) -> bool:
    """Hosts that the campaign renames are called so."""
    return host.startswith("roam")


def trail(holdings: Holdings, events: Sequence[Event]) -> Iterator[str]:
    """Every answer has its event; every event has at most one answer, or a call that got none."""
    given = {(each.subject, each.id): each for each in events if each.act == "allocated"}
    ended = Counter((each.subject, each.sequence) for each in events if each.act == "released")
    for each in holdings:
        key = (each.address, each.sequence)
        if key not in given:
            yield f"no event: {each}"
        elif given[key].owner != each.owner:
            yield f"the event says {given[key].owner}: {each}"
        elif each.is_stray:
            yield f"{each} was given, against the answer: {each.calls[0]}"
        if each.released is not None and ended[key] != 1:
            yield f"{ended[key]} events of the release of {each}"
    for (address, sequence), event in given.items():
        if holdings.find(address, sequence) is None:
            yield f"{address} sequence {sequence} was given, and nobody asked: {event}"
    for (address, of), times in ended.items():
        found = holdings.find(address, of or 0)
        if found is None or times > 1 or (found.released is None and not found.is_doubtful):
            yield f"released {times} times, as nobody asked: {address} sequence {of}"
    yield from _in_turn(events)
    for asked in holdings.requests.values():
        yield from _too_many(asked, holdings)


def _too_many(asked: list[Call], holdings: Holdings) -> Iterator[str]:
    """A request that had no answer and yet got more than it asked for, or was refused and got some."""
    if any(call.is_done for call in asked):
        return
    got = holdings.of_owner(asked[0].args["owner"])
    if not got:
        return
    args = asked[0].args
    wanted = args.get("count", 1) * len(args.get("families") or [None])
    if len(got) != wanted:
        yield f"{len(got)} of {wanted} were given: {asked[0]}"
    if not any(call.is_unknown for call in asked):
        yield f"refused, and done: {asked[0]}"


def _in_turn(events: Iterable[Event]) -> Iterator[str]:
    """Each address is given and released in turn."""
    holder: dict[str, int | None] = {}
    for event in events:
        if event.act == "allocated":
            if holder.get(event.subject) is not None:
                yield f"{event.subject} given as {event.id} while held as {holder[event.subject]}"
            holder[event.subject] = event.id
        elif event.act == "released":
            if holder.get(event.subject) != event.sequence:
                yield f"{event.subject} released as {event.sequence}: {holder.get(event.subject)}"
            holder[event.subject] = None


def boundaries(holdings: Iterable[Holding], carved: Carved, slack: int = 0) -> Iterator[str]:
    """Addresses outside of what the request may use in every state of its time."""
    for each in holdings:
        until = min(each.certain_from, each.possible_to)
        if until == NEVER:
            continue
        call = each.calls[0]
        request = Request.of(call.args)
        states = carved.during(each.possible_from - slack, until, request)
        if not any(_fits(each, call.args, request, state) for state in states):
            yield f"{each} in {each.subnet}: {call}"


def _fits(holding: Holding, args: dict[str, Any], request: Request, state: State) -> bool:
    address = number(holding.address)
    named = args.get("kind") == "specific"
    return any(
        subnet.holds(address)
        and (named or subnet.gives(address))
        # A replayed answer may name the subnet as it is called by then.
        and (len(holding.calls) > 1 or holding.subnet in ("", subnet.name))
        for subnet in state.admitted(request)
    )


def spent_keys(calls: Iterable[Call], holdings: Holdings) -> Iterator[str]:
    """A key that is spent, it is said, while all that it was given is held."""
    for call in calls:
        if call.code != "idempotency_key_spent":
            continue
        got = holdings.of_owner(call.args["owner"])
        if not got:
            yield f"nothing was given: {call}"
        elif all(each.certain_from <= call.began and call.ended <= each.certain_to for each in got):
            yield f"all of it was held: {call}"


def errors(
    calls: Iterable[Call], troubles: Sequence[Trouble], after: int = 20 * SECOND
) -> Iterator[str]:
    """Errors that no document names, or that nothing explains.

    :param after: for how long a fault may be felt when it is over.
    """
    for call in calls:
        code = call.code
        if not code or code in REFUSALS.get(call.act, ()) or code == "contended":
            continue
        near = [
            each
            for each in troubles
            if each.began <= call.ended and call.began <= each.ended + after
        ]
        if code == "unavailable" and near:
            continue
        if any(code == each.code for each in near):
            continue
        trace = (call.error or {}).get("traceback", "")
        yield f"{call}: {(call.error or {}).get('message')}{trace}"
