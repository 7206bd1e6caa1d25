"""The engine's methods as calls of a campaign: plain arguments and answers, written to a journal."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import borough
from borough import Ipam
from borough.errors import BoroughError
from tests.nemesis.history import Journal

Args = dict[str, Any]

#: Errors after which the outcome of a call is unknown.
_UNCLEAR: Final = frozenset({"corrupt", "internal", "failed", "raw"})


@dataclass(frozen=True)
class Config:
    """The settings of a client process.

    :ivar url: of the database, or of the service.
    :ivar folder: the folder of the histories.
    :ivar quota: number of calls over all lives.
    :ivar clients: number of clients; their numbers begin with 1.
    :ivar clocks_jump: True when the clock of the process jumps by hours.
    """

    client: int
    url: str
    folder: str
    seed: int
    quota: int
    clients: int
    timeout: float = 8.0
    clocks_jump: bool = False


def keep_log(config: Config) -> None:
    """Write the standard error of the process to a file beside its histories."""
    log = os.open(
        f"{config.folder}/client-{config.client}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT
    )
    os.dup2(log, 2)
    os.close(log)


class Clock:
    """Microseconds since the epoch, plus an offset."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.offset


class Caller:
    """Makes calls, with a line in the journal before and after each."""

    def __init__(self, config: Config) -> None:
        self.clock = Clock()
        self._config = config
        self._ipam: Ipam | None = None
        self.journal = Journal(Path(config.folder), config.client)

    def invoke(self, act: str, args: Args) -> tuple[Any, Args | None]:
        """Make a call.

        :return: its answer, or None and the error.
        """
        number = self.journal.call(act, args)
        try:
            answer = _ACTS[act](self._connected(), args)
        except BoroughError as error:
            outcome = "unknown" if error.code in _UNCLEAR else "not_done"
            failure = {
                "code": error.code,
                "outcome": error.detail.get("outcome", outcome),
                "message": error.message,
            }
            if error.code in _UNCLEAR:
                failure["traceback"] = _trace(error)
        except Exception as error:
            failure = {
                "code": "raw",
                "outcome": "unknown",
                "message": repr(error),
                "traceback": _trace(error),
            }
        else:
            self.journal.answer(number, answer)
            return answer, None
        self.journal.error(number, failure)
        return None, failure

    def _connected(self) -> Ipam:
        if self._ipam is None:
            config = self._config
            if config.url.startswith("http"):
                made: Any = borough.connect(config.url, timeout=30)
            else:
                made = borough.open(config.url, clock=self.clock, timeout=config.timeout)
            self._ipam = made
        assert self._ipam is not None
        return self._ipam


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]


Rows = list[list[Any]]


def _rows(allocations: Iterable[borough.Allocation]) -> Rows:
    return [[each.address, each.sequence, each.subnet, each.host] for each in allocations]


def _allocate(ipam: Ipam, args: Args) -> Rows:
    return _rows(ipam.allocate(**args).allocations)


def _look(ipam: Ipam, args: Args) -> Rows:
    found = ipam.allocations(owner=args["owner"])
    return _rows(each for each in found if each.state == "allocated")


def _release(ipam: Ipam, args: Args) -> Rows:
    selected = {name: args[name] for name in ("owner", "host", "sequence") if name in args}
    released = ipam.release(args.get("address", args.get("addresses")), **selected)
    return [[each.address, each.sequence] for each in released]


def _reassign(ipam: Ipam, args: Args) -> Rows:
    return _rows([ipam.reassign(args["address"], args["host"], sequence=args["sequence"])])


def _explain(ipam: Ipam, args: Args) -> bool:
    ipam.explain(**{name: value for name, value in args.items() if name not in ("owner", "key")})
    return True


def _reclaim(ipam: Ipam, _args: Args) -> bool:
    ipam.reclaim()
    return True


def _carve(ipam: Ipam, args: Args) -> Args:
    made = ipam.allocate_subnet("pool", **args)
    return {
        "cidr": made.prefix,
        "gateway": made.gateway,
        "ranges": made.ranges and list(made.ranges),
    }


def _uncarve(ipam: Ipam, args: Args) -> bool:
    ipam.remove_subnet(args["name"])
    return True


def _apply(ipam: Ipam, args: Args) -> bool:
    ipam.apply(args["topology"])
    return True


def _drain(ipam: Ipam, args: Args) -> bool:
    ipam.drain(args["host"])
    return True


def _rename_host(ipam: Ipam, args: Args) -> bool:
    ipam.rename_host(args["host"], args["to"])
    return True


def _remove_host(ipam: Ipam, args: Args) -> bool:
    ipam.remove_host(args["host"])
    return True


def _audit(ipam: Ipam, args: Args) -> list[str]:
    found = ipam.audit(repair=args["repair"])
    return [f"{each.code} {each.subnet} {each.subject}: {each.message}" for each in found]


_ACTS: Final[dict[str, Callable[[Ipam, Args], Any]]] = {
    "allocate": _allocate,
    "look": _look,
    "release": _release,
    "reassign": _reassign,
    "explain": _explain,
    "reclaim": _reclaim,
    "carve": _carve,
    "uncarve": _uncarve,
    "apply": _apply,
    "drain": _drain,
    "rename_host": _rename_host,
    "remove_host": _remove_host,
    "audit": _audit,
}
