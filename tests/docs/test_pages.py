"""Every example of the pages runs as it is written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from borough.domain.space.plan import Act
from docs._ext.pages import metrics
from tests.docs.page import ROOT, Command, Terminal, agrees, blocks, commands
from tests.servers.base import free_port
from tests.servers.postgresql import PostgresqlServer
from tests.servers.shared import must_have

#: Pages whose programs run in tests of their own, or need another system.
ELSEWHERE = {"docs/reference/drivers.md", "docs/reference/http.md"}

PAGES = [
    page
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if str(page.relative_to(ROOT)) not in ELSEWHERE and any(blocks(page))
]

#: A page that names this program has a server of PostgreSQL.
NEEDS_POSTGRESQL = "createdb"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page: Path, tmp_path: Path):
    if NEEDS_POSTGRESQL not in page.read_text():
        run_page(page, tmp_path, {})
        return
    server = must_have(PostgresqlServer)
    assert isinstance(server, PostgresqlServer)
    names = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    try:
        run_page(page, tmp_path, names)
    finally:
        server.remove()


def run_page(page: Path, folder: Path, environment: dict[str, str]) -> None:
    with Terminal(folder, free_port(), environment) as terminal:
        for block in blocks(page):
            where = f"{page.relative_to(ROOT)}:{block.line}"
            if block.kind == "file":
                (folder / block.file).write_text(terminal.local(block.text))
            elif block.kind == "python":
                for _ in range(2):
                    run_program(block.text, folder, where)
            else:
                run_commands(terminal, commands(block.text), where)


def run_program(text: str, folder: Path, where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{where}\n{done.stdout}{done.stderr}"


def run_commands(terminal: Terminal, found: Iterable[Command], where: str) -> None:
    ends = Command("", None)
    for each, after in pairwise([*found, ends]):
        program = each.text.split()[0]
        if shutil.which(program) is None and program in ("curl", "sqlite3", "jq"):
            pytest.skip(f"{program} is not installed (apt-get install {program})")
        code, said = terminal.run(each.text)
        where_now = f"{where}: $ {each.text}\n{said}"
        assert code == 0 or after.text == "echo $?", where_now
        if each.output is not None:
            assert agrees(terminal.local(each.output), said), (
                f"{where_now}\nthe page:\n{each.output}"
            )


def test_outputs_are_compared():
    """Ellipses match text of a line, or lines; nothing else differs."""
    assert agrees("a … c", "a b c\n")
    assert agrees("a\n…\nc", "a\nb\nb\nc\n")
    assert not agrees("a\nc", "a\nb\nc\n")
    assert not agrees("a", "b\n")


def test_commands_are_read():
    """A command may go on in the next line; lines that follow are its output."""
    first, second = commands("$ a \\\n  b\nsaid\n$ c\n")
    assert first == Command("a \\\n  b", "said")
    assert second == Command("c", None)


def test_alerts_name_metrics_of_the_service():
    files = {each.file: each.text for each in blocks(ROOT / "docs/howto/monitoring.md")}
    scrape = yaml.safe_load(files["prometheus.yml"])
    assert scrape["rule_files"] == ["borough-rules.yml"]
    (group,) = yaml.safe_load(files["borough-rules.yml"])["groups"]
    for rule in group["rules"]:
        names = re.findall(r"borough_\w+", rule["expr"])
        assert names
        assert all(f"`{name}`" in metrics() for name in names)


def test_every_act_of_an_event_is_explained():
    page = (ROOT / "docs/reference/events.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| [a-z]", page, re.M) == [each.value for each in Act]


def test_pages_have_examples():
    assert {"tutorial.md", "lan.md"} <= {page.name for page in PAGES}
