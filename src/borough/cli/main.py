"""The entry point: output in any encoding, and no traceback at the end."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from borough.cli.app import INTERRUPTED, app


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        _accept_all(stream)
    try:
        app(prog_name="borough")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        _flush(sys.stdout)


def _accept_all(stream: TextIO) -> None:
    """Let a stream escape characters that its encoding lacks, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")


def _flush(stream: TextIO) -> None:
    """Write the buffer. A failure has been reported: the interpreter must not report it again."""
    try:
        stream.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
