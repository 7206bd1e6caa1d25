"""A client process; a campaign kills and restarts it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.nemesis.calls import Args, Caller, Config, keep_log
from tests.nemesis.history import Call, read_client
from tests.nemesis.workload import allocation, private_hosts
from tests.nemesis.world import CARVED_LENGTHS, ROAMING

#: Number of held addresses above which a client mostly releases.
ENOUGH: Final = 40

#: Seconds for which a client tries to find the outcome of a call.
FIND_OUT_TIMEOUT: Final = 120.0

HOUR: Final = 3_600_000_000


class Client:
    """Allocates and releases at random, and finds the outcome of calls without an answer."""

    def __init__(self, config: Config) -> None:
        before = read_client(Path(config.folder), config.client)
        self._config = config
        self._caller = Caller(config)
        self._parent = os.getppid()
        self._made = len(before)
        self._chance = Random(f"{config.seed}-{config.client}-{self._caller.journal.life}")
        self._held: dict[str, dict[str, list[Any]]] = {}
        self._keyed: list[Args] = []
        self._carved: list[str] = []
        for call in before:
            if call.is_done:
                self._absorb(call.act, call.args, call.answer)
        if before and before[-1].is_unknown:
            self._last: Call | None = before[-1]
        else:
            self._last = None

    def run(self) -> None:
        """Work until the quota is reached."""
        if self._last is not None:
            self._find_out(self._last.act, self._last.args)
        # Without its parent the campaign was killed, and its calls are not checked.
        while self._made < self._config.quota and os.getppid() == self._parent:
            self._step()

    def _step(self) -> None:
        chance = self._chance
        if self._config.clocks_jump and chance.random() < 0.004:
            self._caller.clock.offset = HOUR * chance.choice((0, 0, -6, -1, 1, 2, 6))
        count = sum(map(len, self._held.values()))
        lot = chance.random()
        if lot < 0.02:
            self._other_call()
        elif lot < 0.03 and self._keyed:
            self._call("allocate", chance.choice(self._keyed))
        elif count and chance.random() < (0.38 if count < ENOUGH else 0.9):
            self._release_or_reassign()
        else:
            self._call("allocate", allocation(chance, self._config.client, self._name("o")))

    def _name(self, kind: str) -> str:
        """A name for one use."""
        return f"{kind}{self._config.client}.{self._caller.journal.life}.{self._made}"

    def _other_call(self) -> None:
        """Make a call that neither allocates nor releases."""
        chance = self._chance
        lot = chance.random()
        if lot < 0.6:
            self._call("explain", allocation(chance, self._config.client, ""))
        elif lot < 0.7:
            self._call("reclaim", {})
        elif len(self._carved) > 2:
            self._call("uncarve", {"name": chance.choice(self._carved)})
        else:
            length = chance.choice(CARVED_LENGTHS)
            labels = {"network": "carved"}
            self._call(
                "carve", {"name": self._name("s"), "prefix_length": length, "labels": labels}
            )

    def _release_or_reassign(self) -> None:
        chance = self._chance
        owner = chance.choice(list(self._held))
        address, (sequence, host) = chance.choice(list(self._held[owner].items()))
        lot = chance.random()
        if lot < 0.08:
            place = chance.choice((*private_hosts(self._config.client), ROAMING[0]))
            self._call("reassign", {"address": address, "sequence": sequence, "host": place})
        elif lot < 0.2:
            self._call("release", {"owner": owner})
        elif lot < 0.26:
            self._call("release", {"owner": owner, "addresses": sorted(self._held[owner])})
        elif lot < 0.28 and host in private_hosts(self._config.client):
            self._call("release", {"host": host})
        else:
            self._call("release", {"address": address, "sequence": sequence})

    # --- Calls ------------------------------------------------------------------------------------

    def _call(self, act: str, args: Args) -> None:
        if self._try(act, args):
            self._find_out(act, args)

    def _try(self, act: str, args: Args) -> bool:
        """Make a call; return True when its outcome is unknown."""
        self._made += 1
        answer, error = self._caller.invoke(act, args)
        if error is None:
            self._absorb(act, args, answer)
            return False
        if error["code"] == "unavailable":
            # Immediate refusals would use up the quota before the service returns.
            time.sleep(0.2)
        if act == "release" and "sequence" in args and error["outcome"] != "unknown":
            self._refused(args, error["code"])
        if act == "uncarve" and error["code"] == "unknown_object":
            self._carved.remove(args["name"])
        return bool(error["outcome"] == "unknown")

    def _refused(self, args: Args, code: str) -> None:
        """Forget an address that is no longer held."""
        if code in ("not_allocated", "stale_sequence"):
            for held in self._held.values():
                if held.get(args["address"], [None])[0] == args["sequence"]:
                    del held[args["address"]]
            self._forget_empty_owners()

    def _find_out(self, act: str, args: Args) -> None:
        """Find the outcome of a call: by the same call when it is idempotent, or by a listing."""
        if act == "allocate" and "key" not in args:
            act, args = "look", {"owner": args["owner"]}
        if act not in ("allocate", "look", "release", "uncarve"):
            return
        deadline = time.monotonic() + FIND_OUT_TIMEOUT
        while self._try(act, args) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _absorb(self, act: str, args: Args, answer: Any) -> None:
        """Update the known state by an answer."""
        if act in ("allocate", "look"):
            known = self._held.setdefault(args["owner"], {})
            known.update({each[0]: [each[1], each[3]] for each in answer})
            if "key" in args:
                self._keyed = [*self._keyed[-20:], args]
        elif act == "reassign":
            for held in self._held.values():
                held.update({each[0]: [each[1], each[3]] for each in answer if each[0] in held})
        elif act == "release":
            for address, sequence in answer:
                for held in self._held.values():
                    if held.get(address, [None])[0] == sequence:
                        del held[address]
        elif act == "carve":
            self._carved.append(args["name"])
        elif act == "uncarve":
            self._carved.remove(args["name"])
        self._forget_empty_owners()

    def _forget_empty_owners(self) -> None:
        for owner in [owner for owner, held in self._held.items() if not held]:
            del self._held[owner]


def work(config: Config) -> None:
    """Run the process."""
    keep_log(config)
    Client(config).run()
