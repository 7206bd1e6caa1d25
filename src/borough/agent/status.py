"""The status of an agent: a file that it replaces after each change, and that a command reads."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from borough.errors import FixInput

#: The file of an agent that names no other.
DEFAULT_PATH: Final = "/run/borough-agent/status.json"

#: Seconds after which the status of an agent that runs is old; it is written every ten seconds.
OLD: Final = 25.0


@dataclass
class AgentStatus:
    """The status of an agent.

    :ivar at: time of the status, in seconds since the epoch.
    :ivar connected: whether the service streams routes.
    :ivar reported: time of the last report that the service has accepted; 0 for none.
    :ivar wanted: number of prefixes to announce; null before the service has named them.
    :ivar error: the last error of the service or the kernel; empty when the last attempt succeeded.
    """

    host: str
    scope: str
    server: str
    process: int
    at: float = 0.0
    connected: bool = False
    reported: float = 0.0
    horizon: int = 0
    wanted: int | None = None
    installed: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    changes: int = 0
    corrections: int = 0
    error: str = ""

    @property
    def is_old(self) -> bool:
        """True when the agent has probably ended."""
        return abs(time.time() - self.at) > OLD

    @property
    def is_well(self) -> bool:
        """True when the routing table is as the service wants it, as far as the agent knows."""
        return (
            not self.is_old
            and self.connected
            and not (self.problems or self.error)
            and self.wanted == len(self.installed)
        )

    def write(self, path: Path) -> None:
        """Replace the file.

        :raises OSError: it cannot be written.
        """
        self.at = time.time()
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)


def read_status(path: Path) -> AgentStatus:
    """The status of an agent.

    :raises FixInput: there is none.
    """
    with contextlib.suppress(OSError, ValueError, TypeError):
        found: dict[str, Any] = json.loads(path.read_text())
        return AgentStatus(**found)
    raise FixInput(f"{path} is not the status of an agent; is one running?", path=str(path))
