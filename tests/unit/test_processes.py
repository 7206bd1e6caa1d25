"""Living processes of a service, told from those that have ended."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import processes


def test_a_process_that_has_ended_takes_no_requests(monkeypatch: pytest.MonkeyPatch):
    """At every stage of its end, and also when it ends between two reads."""
    with subprocess.Popen(
        ["cat"], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"x")
        # A process that has only just been started has no command line yet.
        assert child.stdout.read(1) == b"x"
        assert child.pid in processes.workers_of(os.getpid())
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert child.pid not in processes.workers_of(os.getpid())
        read = Path.read_text

        def read_and_reap(path: Path) -> str:
            children = read(path)
            assert str(child.pid) in children.split()
            child.wait()
            return children

        monkeypatch.setattr(Path, "read_text", read_and_reap)
        assert child.pid not in processes.workers_of(os.getpid())
