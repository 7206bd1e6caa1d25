"""Examples of a page, and a terminal that runs them.

A block ``console`` has commands after ``$`` and their output. ``…`` stands for text that differs from run
to run, and as a line of its own for any lines. A block with a caption is a file. A block
``python`` is a program.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_BLOCK: Final = re.compile(r"^```([^\n`]+)\n(?::caption: (\S+)\n\n?)?(.*?)^```$", re.M | re.S)
_END: Final = "@@ends@@"

#: The port that pages name; each run has another one.
PORT: Final = "8080"


@dataclass(frozen=True)
class Block:
    """One example, with the line of the page where it begins."""

    kind: str
    line: int
    text: str
    file: str = ""


@dataclass(frozen=True)
class Command:
    """A command, and the output that the page shows; None where it shows none."""

    text: str
    output: str | None


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page that run."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        kind, file, body = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        if file:
            yield Block("file", line, body, file)
        elif kind in ("console", "python"):
            yield Block(kind, line, body)


def commands(text: str) -> Iterator[Command]:
    """The commands of a ``console`` block."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        lines = part.splitlines()
        end = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        output = "\n".join(lines[end:]).strip("\n")
        yield Command("\n".join(lines[:end]), output or None)


def agrees(shown: str, actual: str) -> bool:
    """True when an output is the one that a page shows."""
    lines = []
    for line in shown.splitlines():
        words = re.escape(line.rstrip()).replace("…", ".*?")
        lines.append(r"(?:.*\n)*?" if line.strip() == "…" else words + r"[ ]*\n")
    return re.fullmatch("".join(lines), actual.strip("\n") + "\n") is not None


@dataclass
class Terminal:
    """A shell in a folder, with the command ``borough`` and the examples of the checkout."""

    folder: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)

    def __enter__(self) -> Terminal:
        programs = self.folder / ".bin"
        programs.mkdir()
        for name, words in (("borough", "-m borough"), ("python", ""), ("pytest", "-m pytest")):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
            (programs / name).chmod(0o755)
        for name in ("examples", "deploy"):
            (self.folder / name).symlink_to(ROOT / name)
        keep = {name: text for name, text in os.environ.items() if "BOROUGH" not in name}
        path = f"{programs}:{os.environ['PATH']}"
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=self.folder,
            env={**keep, "PATH": path, "COLUMNS": "100", "NO_PROXY": "*", **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.communicate()

    def local(self, text: str) -> str:
        """A text of a page with the ports of this run."""
        ports = {PORT: str(self.port), "5432": self.environment.get("PGPORT", "5432")}
        for page, here in ports.items():
            text = text.replace(page, here)
        return text

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        assert self._shell.stdin
        assert self._shell.stdout
        ending = f"__code=$?; printf '{_END}%s\\n' $__code; (exit $__code)"
        self._shell.stdin.write(f"{self.local(command)}\n{ending}\n")
        self._shell.stdin.flush()
        said = ""
        for line in self._shell.stdout:
            before, found, code = line.partition(_END)
            said += before
            if found:
                if command.endswith("&"):
                    self._wait()
                return int(code), said
        raise AssertionError(f"the shell ended: {said}")

    def _wait(self) -> None:
        """Wait until the program in the background listens."""
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise AssertionError(f"nothing listens on port {self.port}")
