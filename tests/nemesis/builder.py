"""Histories built by hand, and tables that agree with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.nemesis.checker import InjectedFault, check
from tests.nemesis.dump import Dump, Event, Held
from tests.nemesis.history import NEVER, Call

TOPOLOGY: dict[str, Any] = {
    "dimensions": {
        "network": {"fallback": "none"},
        "segment": {"fallback": "none"},
        "service_type": {"fallback": "unlabelled"},
        "host": {"fallback": "any"},
    },
    "subnets": [
        # Two usable addresses: 10.0.0.1 and 10.0.0.2.
        {"name": "n", "cidr": "10.0.0.0/30", "labels": {"network": "n"}},
        {"name": "s1", "cidr": "10.16.0.0/30", "labels": {"network": "r", "segment": "s1"}},
        {"name": "s2", "cidr": "10.16.1.0/30", "labels": {"network": "r", "segment": "s2"}},
        {"name": "plain", "cidr": "10.32.0.0/30", "labels": {"network": "t"}},
        {"name": "typed", "cidr": "10.32.1.0/30", "labels": {"network": "t", "service_type": "a"}},
    ],
    "hosts": {"h1": {"segment": "s1"}},
}

L = {"network": "n"}
ONE, TWO = "10.0.0.1", "10.0.0.2"


@dataclass
class HistoryBuilder:
    """Builds a history, and tables that agree with it, call by call."""

    calls: list[Call] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    injected: list[InjectedFault] = field(default_factory=list)
    slack: int = 0
    clocks_jump: bool = False

    def __post_init__(self) -> None:
        self.call("apply", {"topology": TOPOLOGY}, 0, 1, True)

    def call(self, act: str, args: dict[str, Any], began: int, ended: int, answer: Any) -> Call:
        """Add a call with its answer; None for no answer."""
        end = NEVER if answer is None else ended
        made = Call(1, 0, len(self.calls) + 1, act, args, began, end, answer)
        self.calls.append(made)
        return made

    def fail(self, act: str, args: dict[str, Any], began: int, ended: int, code: str) -> None:
        """Add a refused call."""
        outcome = "unknown" if code in ("unavailable", "raw") else "not_done"
        error = {"code": code, "outcome": outcome, "message": ""}
        number = len(self.calls) + 1
        self.calls.append(Call(1, 0, number, act, args, began, ended, None, error))

    def add_allocation(self, address: str, sequence: int, owner: str) -> None:
        """Add an allocation to the tables."""
        self.events.append(Event(sequence, "allocated", address, owner, None))
        self.held[address] = Held(address, sequence, owner, "")

    def add_release(self, address: str, sequence: int) -> None:
        """Add a release to the tables."""
        self.events.append(Event(100 + sequence, "released", address, "", sequence))
        del self.held[address]

    def allocate(
        self,
        address: str,
        sequence: int,
        began: int,
        ended: int,
        /,
        *,
        subnet: str = "n",
        **args: Any,
    ) -> None:
        """Add an acknowledged allocation."""
        args = {"labels": L, "owner": f"o{sequence}"} | args
        answer = [[address, sequence, subnet, args.get("host", "")]]
        self.call("allocate", args, began, ended, answer)
        self.add_allocation(address, sequence, args["owner"])

    def release(self, address: str, sequence: int, began: int, ended: int) -> None:
        """Add an acknowledged release."""
        args = {"address": address, "sequence": sequence}
        self.call("release", args, began, ended, [[address, sequence]])
        self.add_release(address, sequence)

    def found(self) -> dict[str, list[str]]:
        """Run the checker; return the violations by kind."""
        dump = Dump(self.events, list(self.held.values()), self.findings)
        verdict = check(
            self.calls, dump, self.injected, slack=self.slack, clocks_jump=self.clocks_jump
        )
        return dict(verdict.violations)
