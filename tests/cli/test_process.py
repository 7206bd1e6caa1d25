"""The program as a process: pipes, terminals, signals, dependencies."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

MODULE = [sys.executable, "-m", "borough"]

Done = subprocess.CompletedProcess


def run(
    cli: Cli, *words: str, program: list[str] | None = None, env: dict[str, str] | None = None
) -> Done[str]:
    return subprocess.run(
        [*(program or MODULE), *words],
        env={**os.environ, "BOROUGH_DB": cli.url, "BOROUGH_DEBUG": "", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def patched(code: str) -> list[str]:
    """The program with a change before its start."""
    start = "import sys; from borough.cli.main import main; sys.argv[0] = 'borough'; main()"
    return [sys.executable, "-c", f"{code}\n{start}"]


def test_as_a_module_and_as_a_script(cli: Cli):
    script = [str(Path(sys.executable).parent / "borough")]
    for program in (MODULE, script):
        done = run(cli, "--json", "list", "hosts", program=program)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(json.loads(done.stdout)["hosts"]) == 4
    done = run(cli, "release", program=script)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: name addresses")


def test_the_command_needs_no_extra():
    """A plain installation must bring a command that starts."""
    core = [each for each in metadata.requires("borough") or () if "extra ==" not in each]
    assert {re.split(r"[^a-z]", each)[0] for each in core} >= {"click", "rich"}


def test_in_a_pipe_a_row_is_a_line_without_colours(cli: Cli):
    owner = "owner " * 20 + "end"
    cli.text("allocate", "-l", "network=pods", "--owner", owner, "--host", "node-1")
    environment = {"COLUMNS": "", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    done = run(cli, "list", "allocations", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("10.64.0.1/17")]
    assert owner in row
    assert "10.64.0.0/28" in row


def test_in_another_locale(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--owner", "Grüße")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(cli, "list", "allocations", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Gr\\xfc\\xdfe" in done.stdout
    assert json.loads(run(cli, "list", "allocations", "--json", env=environment).stdout)[
        "allocations"
    ][0]["owner"] == ("Grüße")


def terminal(cli: Cli, *words: str, columns: int = 80) -> tuple[int, str]:
    """Run a command on a terminal; return the exit code and the output."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*MODULE, *words],
        env={
            **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
            "BOROUGH_DB": cli.url,
            "COLUMNS": str(columns),
            "TERM": "xterm-256color",
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
    return process.returncode, shown.decode()


def test_on_a_terminal_with_progress_and_colours(cli: Cli):
    code, shown = terminal(cli, "audit")
    assert code == 0
    assert "Auditing" in shown
    assert "No findings" in shown
    code, shown = terminal(cli, "audit", "--json")
    assert code == 0
    assert json.loads(shown)["clean"]
    code, shown = terminal(cli, "show", "10.64.0.1")
    assert code == 4
    assert "\x1b[1;31mError" in shown


def test_a_topology_is_applied_on_a_terminal(cli: Cli, tmp_path: Path):
    (tmp_path / "more.yaml").write_text("hosts:\n  node-9: {rack: r1}\n")
    code, shown = terminal(cli, "apply", str(tmp_path / "more.yaml"))
    assert code == 0
    assert "+ host node-9" in shown


@pytest.mark.parametrize("words", [("usage",), ("usage", "--json"), ("routes",)])
def test_a_closed_pipe_is_no_error(cli: Cli, words: tuple[str, ...]):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*MODULE, *words],
            env={**os.environ, "BOROUGH_DB": cli.url},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_an_error(cli: Cli):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*MODULE, "usage"],
            env={**os.environ, "BOROUGH_DB": cli.url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_is_quiet(cli: Cli):
    interrupted = patched(
        "import os, signal, time; from borough import Ipam\n"
        # Whatever started the tests may have them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "Ipam.usage = lambda *_, **__: (os.kill(os.getpid(), signal.SIGINT), time.sleep(9))"
    )
    done = run(cli, "usage", program=interrupted)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_an_unexpected_error_is_one_line(cli: Cli):
    broken = patched(
        "from borough import Ipam\n"
        "def usage(*_, **__): raise RuntimeError('two\\nlines')\n"
        "Ipam.usage = usage"
    )
    done = run(cli, "usage", program=broken)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: unexpected RuntimeError: two\n"
    found: dict[str, Any] = json.loads(run(cli, "usage", "--json", program=broken).stderr)
    assert found == {"code": "internal", "message": "unexpected RuntimeError: two", "detail": {}}
    done = run(cli, "usage", program=broken, env={"BOROUGH_DEBUG": "1"})
    assert "Traceback" in done.stderr
