"""Histories: each client writes a line before a call and a line after it.

A killed client leaves a call without an answer. Times are nanoseconds of the monotonic clock, which all
processes of one machine share. This module imports nothing of the engine.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Later than every time.
NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Call:
    """One call as its client saw it.

    :ivar life: number of earlier lives of the client.
    :ivar number: of the call in this life.
    :ivar act: such as ``allocate``.
    :ivar ended: time of the answer or the error; ``NEVER`` for neither.
    :ivar answer: None for an error or no answer.
    :ivar error: ``code``, ``message``, ``outcome`` and, for an unknown exception, ``traceback``.
    """

    client: int
    life: int
    number: int
    act: str
    args: dict[str, Any]
    began: int
    ended: int = NEVER
    answer: Any = None
    error: dict[str, Any] | None = None

    @property
    def is_done(self) -> bool:
        """True when it was acknowledged."""
        return self.answer is not None

    @property
    def is_unknown(self) -> bool:
        """True when the client does not know the outcome."""
        if self.error is None:
            return self.answer is None
        return bool(self.error["outcome"] == "unknown")

    @property
    def code(self) -> str:
        """The error's code; empty for none."""
        return "" if self.error is None else str(self.error["code"])

    def __str__(self) -> str:
        got = (
            "no answer" if self.error is None and self.answer is None else self.code or self.answer
        )
        return (
            f"client {self.client}.{self.life} call {self.number}: {self.act} {self.args} -> {got}"
        )


class Journal:
    """The history of one life of a client, appended to a file line by line."""

    def __init__(self, folder: Path, client: int) -> None:
        """Make the file of the next life of a client."""
        self.client = client
        self.life = sum(1 for _ in folder.glob(f"client-{client}-*.jsonl"))
        path = folder / f"client-{client}-{self.life}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._calls = 0

    def call(self, act: str, args: dict[str, Any]) -> int:
        """Write the line before a call; return the number of the call."""
        self._calls += 1
        self._write([self._calls, time.monotonic_ns(), act, args])
        return self._calls

    def answer(self, number: int, answer: Any) -> None:
        """Write the answer of a call."""
        self._write([number, time.monotonic_ns(), "answer", answer])

    def error(self, number: int, error: dict[str, Any]) -> None:
        """Write the error of a call."""
        self._write([number, time.monotonic_ns(), "error", error])

    def _write(self, line: list[Any]) -> None:
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def read_life(path: Path) -> Iterator[Call]:
    """The calls of one file, in order."""
    client, life = (int(part) for part in path.stem.split("-")[1:])
    waiting: dict[int, Call] = {}
    text = path.read_text()
    # A kill cut off a line without its end: its call was not made, or not answered.
    for line in text[: text.rfind("\n") + 1].splitlines():
        number, at, act, value = json.loads(line)
        if act not in ("answer", "error"):
            waiting[number] = Call(client, life, number, act, value, at)
            continue
        call = waiting.pop(number)
        result = (value, None) if act == "answer" else (None, value)
        yield Call(client, life, number, call.act, call.args, call.began, at, *result)
    yield from waiting.values()


def read_client(folder: Path, client: int) -> list[Call]:
    """All lives of one client, in order."""
    files = folder.glob(f"client-{client}-*.jsonl")
    ordered = sorted(files, key=lambda path: int(path.stem.split("-")[2]))
    return [call for path in ordered for call in read_life(path)]


def read_all(folder: Path) -> list[Call]:
    """All calls of all clients by the time at which they began."""
    calls = [call for path in folder.glob("client-*.jsonl") for call in read_life(path)]
    return sorted(calls, key=lambda call: call.began)
