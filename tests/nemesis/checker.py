"""The checker: finds broken promises in the histories of clients and the final tables.

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

#: Documented refusals that the campaign's calls may get, by act.
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


#: Findings of an audit after a clock was ahead (docs/reference/operations.md).
AHEAD: Final = frozenset(
    {"rest_too_long", "lease_from_future", "idle_since_future", "key_from_future"}
)


@dataclass(frozen=True)
class InjectedFault:
    """A fault that was injected, with its times.

    :ivar code: an error that it causes, beside those that any call may get.
    """

    kind: str
    began: int
    ended: int
    code: str = ""


@dataclass
class Verdict:
    """The findings of the checker.

    :ivar violations: by kind, as text.
    :ivar checked: number of checks of each promise. A campaign without a check of a promise fails.
    """

    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, found: Iterable[str], checked: int) -> None:
        """Add one kind of violation."""
        texts = list(found)
        if texts:
            self.violations[kind] += texts
        self.checked[kind] += checked

    @property
    def is_clean(self) -> bool:
        """True without a violation."""
        return not self.violations

    def __str__(self) -> str:
        lines = []
        for kind, found in self.violations.items():
            lines.append(f"{kind}: {len(found)}")
            lines += [f"  {text[:600]}" for text in found[:10]]
        return "\n".join(lines)


def check(
    calls: Sequence[Call],
    dump: Dump,
    injected: Sequence[InjectedFault] = (),
    *,
    slack: int = 0,
    clocks_jump: bool = False,
) -> Verdict:
    """Check all promises.

    :param slack: see :func:`tests.nemesis.availability.false_refusals`.
    :param clocks_jump: True when an audit may find times in the future.
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
    refused, checked = false_refusals(calls, holdings, carved.during, slack)
    verdict.add("false exhaustion", refused, checked)
    conflicts = false_conflicts(calls, holdings, carved.during, slack)
    verdict.add("false conflict", conflicts, sum(call.code == "address_in_use" for call in calls))
    verdict.add("key", spent_keys(calls, holdings), sum("key" in call.args for call in calls))
    verdict.add("pool", carved.overlaps(), len(carved))
    verdict.add("error", errors(calls, injected), len(calls))
    audits = [call for call in calls if call.act == "audit" and call.is_done]
    found = [f"{text} ({call})" for call in audits for text in call.answer]
    expected = AHEAD if clocks_jump else frozenset()
    wrong = [text for text in (*found, *dump.findings) if text.split()[0] not in expected]
    verdict.add("audit", wrong, len(audits) + 1)
    return verdict


def two_holders(holdings: Iterable[Holding]) -> Iterator[str]:
    """Overlapping certain holdings of one address."""
    spans: dict[str, list[Holding]] = defaultdict(list)
    for each in holdings:
        if each.certain_from < each.certain_to:
            spans[each.address].append(each)
    for held in spans.values():
        held.sort(key=lambda each: each.certain_from)
        for first, second in pairwise(held):
            if second.certain_from < first.certain_to:
                yield f"{first} and {second} overlap"


def sequences(holdings: Iterable[Holding]) -> Iterator[str]:
    """Later holdings of an address with a smaller number."""
    by_address: dict[str, list[Holding]] = defaultdict(list)
    for each in holdings:
        by_address[each.address].append(each)
    for held in by_address.values():
        held.sort(key=lambda each: each.sequence)
        for smaller, larger in pairwise(held):
            if larger.certain_from < smaller.possible_from:
                yield f"{larger} was held before {smaller}"


def final_state(holdings: Holdings, dump: Dump) -> Iterator[str]:
    """Differences between the final rows and the holdings of the clients without a release."""
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
            yield f"{address} sequence {sequence} is held without a request"


def _may_be_renamed(host: str) -> bool:
    """True for the names of hosts that the campaign renames."""
    return host.startswith("roam")


def trail(holdings: Holdings, events: Sequence[Event]) -> Iterator[str]:
    """Answers without an event, and events without a call."""
    allocated = {(each.subject, each.id): each for each in events if each.act == "allocated"}
    ended = Counter((each.subject, each.sequence) for each in events if each.act == "released")
    for each in holdings:
        key = (each.address, each.sequence)
        if key not in allocated:
            yield f"no event: {each}"
        elif allocated[key].owner != each.owner:
            yield f"the event has owner {allocated[key].owner}: {each}"
        elif each.is_stray:
            yield f"{each} was allocated, but is not in the answer: {each.calls[0]}"
        if each.released is not None and ended[key] != 1:
            yield f"{ended[key]} events of the release of {each}"
    for (address, sequence), event in allocated.items():
        if holdings.find(address, sequence) is None:
            yield f"{address} sequence {sequence} was allocated without a request: {event}"
    for (address, of), times in ended.items():
        found = holdings.find(address, of or 0)
        if found is None or times > 1 or (found.released is None and not found.is_doubtful):
            yield f"released {times} times without a request: {address} sequence {of}"
    yield from _not_alternating(events)
    for calls in holdings.requests.values():
        yield from _not_atomic(calls, holdings)


def _not_atomic(calls: list[Call], holdings: Holdings) -> Iterator[str]:
    """Requests without an answer that got a part, or were refused and got addresses."""
    if any(call.is_done for call in calls):
        return
    got = holdings.of_owner(calls[0].args["owner"])
    if not got:
        return
    args = calls[0].args
    requested = args.get("count", 1) * len(args.get("families") or [None])
    if len(got) != requested:
        yield f"{len(got)} of {requested} were allocated: {calls[0]}"
    if not any(call.is_unknown for call in calls):
        yield f"refused, and done: {calls[0]}"


def _not_alternating(events: Iterable[Event]) -> Iterator[str]:
    """Addresses that are allocated twice without a release, or released without an allocation."""
    holder: dict[str, int | None] = {}
    for event in events:
        if event.act == "allocated":
            if holder.get(event.subject) is not None:
                held = holder[event.subject]
                yield f"{event.subject} allocated as {event.id} while held as {held}"
            holder[event.subject] = event.id
        elif event.act == "released":
            if holder.get(event.subject) != event.sequence:
                yield f"{event.subject} released as {event.sequence}: {holder.get(event.subject)}"
            holder[event.subject] = None


def boundaries(holdings: Iterable[Holding], carved: Carved, slack: int = 0) -> Iterator[str]:
    """Addresses that their request may use in no state of its time."""
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
        and (named or subnet.allocates(address))
        # The answer to a repeated key may have the subnet's new name.
        and (len(holding.calls) > 1 or holding.subnet in ("", subnet.name))
        for subnet in state.admitted(request)
    )


def spent_keys(calls: Iterable[Call], holdings: Holdings) -> Iterator[str]:
    """Refusals of a key as spent while all its addresses were held."""
    for call in calls:
        if call.code != "idempotency_key_spent":
            continue
        got = holdings.of_owner(call.args["owner"])
        if not got:
            yield f"no address was allocated: {call}"
        elif all(each.certain_from <= call.began and call.ended <= each.certain_to for each in got):
            yield f"all addresses were held: {call}"


def errors(
    calls: Iterable[Call], injected: Sequence[InjectedFault], after: int = 20 * SECOND
) -> Iterator[str]:
    """Errors that are not documented, or that no injected fault explains.

    :param after: nanoseconds after its end in which a fault may cause errors.
    """
    for call in calls:
        code = call.code
        if not code or code in REFUSALS.get(call.act, ()) or code == "contended":
            continue
        near = [
            each
            for each in injected
            if each.began <= call.ended and call.began <= each.ended + after
        ]
        if code == "unavailable" and near:
            continue
        if any(code == each.code for each in near):
            continue
        trace = (call.error or {}).get("traceback", "")
        yield f"{call}: {(call.error or {}).get('message')}{trace}"
