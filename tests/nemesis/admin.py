"""The process that makes declared changes; a campaign kills and restarts it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from typing import Final

from tests.nemesis.calls import Args, Caller, Config, keep_log
from tests.nemesis.history import read_client
from tests.nemesis.states import APPLY
from tests.nemesis.workload import private_hosts
from tests.nemesis.world import ROAMING, Topology, change, initial

#: Its number among the clients.
ADMIN: Final = 0

#: Mean pause between two changes, in seconds.
PAUSE: Final = 0.15

#: The name of the file that ends the process.
STOP: Final = "stop"


class Admin:
    """Makes declared changes in sequence; the first state of each life is certain."""

    def __init__(self, config: Config) -> None:
        self._folder = Path(config.folder)
        before = read_client(self._folder, ADMIN)
        asked = [each for each in before if each.act == APPLY and (each.is_done or each.is_unknown)]
        self._topology: Topology = asked[-1].args["topology"] if asked else initial()
        self._caller = Caller(config)
        self._chance = Random(f"{config.seed}-admin-{self._caller.journal.life}")
        self._clients = config.clients
        self._parent = os.getppid()

    def run(self) -> None:
        """Make changes until the file ``STOP`` exists."""
        self._declare(self._topology)
        (self._folder / "declared").touch()
        while not (self._folder / STOP).exists() and os.getppid() == self._parent:
            self._step()
            time.sleep(PAUSE * self._chance.random() * 2)

    def _step(self) -> None:
        chance = self._chance
        lot = chance.random()
        if lot < 0.7:
            self._declare(change(chance, self._topology))
        elif lot < 0.76:
            host = chance.choice(private_hosts(chance.randrange(1, self._clients + 1)))
            self._caller.invoke("drain", {"host": chance.choice((host, *ROAMING))})
        elif lot < 0.82:
            self._rename()
        elif lot < 0.85:
            self._caller.invoke("remove_host", {"host": chance.choice(ROAMING)})
        elif lot < 0.9:
            self._caller.invoke("reclaim", {})
        elif lot < 0.96:
            self._caller.invoke("audit", {"repair": False})
        else:
            self._caller.invoke("audit", {"repair": True})

    def _declare(self, topology: Topology) -> None:
        """Apply a topology until the outcome is known."""
        while True:
            _, error = self._caller.invoke(APPLY, {"topology": topology})
            if error is None:
                self._topology = topology
                return
            if error["outcome"] != "unknown":
                # The present topology is repeated until it is certain; a refused new one is dropped.
                if topology is self._topology and error["code"] in ("contended", "unavailable"):
                    time.sleep(0.05)
                    continue
                return
            time.sleep(0.05)
            if (self._folder / STOP).exists():
                return

    def _rename(self) -> None:
        """Rename a host, or rename it back; the next topology declares the first name again."""
        name = self._chance.choice(ROAMING)
        names = [name, f"{name}-2nd"]
        self._chance.shuffle(names)
        args: Args = {"host": names[0], "to": names[1]}
        self._caller.invoke("rename_host", args)


def administer(config: Config) -> None:
    """Run the process."""
    keep_log(config)
    Admin(config).run()
