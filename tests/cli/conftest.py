"""A command line on a database of its own."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from borough.cli.app import app
from borough.cli.output import plain
from tests.conftest import EXAMPLES


@dataclass
class Cli:
    """Runs commands in this process."""

    path: Path
    columns: int = 80

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def run(self, *words: str, url: str | None = None) -> Result:
        environment = {
            "BOROUGH_DB": url or self.url,
            "BOROUGH_DEBUG": "",
            "COLUMNS": str(self.columns),
        }
        found = CliRunner().invoke(app, words, env=environment, catch_exceptions=False)
        assert "Traceback" not in found.output
        assert "\x1b" not in found.output
        return found

    def text(self, *words: str) -> str:
        """The output of a successful command for people."""
        found = self.run(*words)
        assert (found.exit_code, found.stderr) == (0, "")
        return found.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        """The JSON document of a successful command."""
        found = self.run(*words, "--json")
        assert (found.exit_code, found.stderr) == (code, "")
        return json.loads(found.stdout)

    def error(self, *words: str, url: str | None = None) -> tuple[int, dict[str, Any]]:
        """The exit code and the JSON object of a failing command."""
        found = self.run("--json", *words, url=url)
        assert found.stdout == ""
        made = json.loads(found.stderr)
        assert set(made) == {"code", "message", "detail"}
        return found.exit_code, made

    def fails(self, *words: str, exit_code: int, code: str, url: str | None = None) -> str:
        """Check that a command fails in both forms; return its message for people."""
        status, error = self.error(*words, url=url)
        assert (status, error["code"]) == (exit_code, code), error
        found = self.run(*words, url=url)
        assert (found.exit_code, found.stdout) == (exit_code, "")
        first = plain(error["message"]).split()[0]
        assert "Error:" in found.stderr
        assert first in found.stderr
        return found.stderr

    def allocations(self) -> Any:
        return self.json("list", "allocations", "--limit", "1000")

    def sql(self, *statements: str) -> None:
        connection = sqlite3.connect(self.path)
        try:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        finally:
            connection.close()


@pytest.fixture
def empty(tmp_path: Path) -> Cli:
    """A command line whose database does not exist yet."""
    return Cli(tmp_path / "ipam.db")


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Databases with topologies of the examples, each made once."""

    @cache
    def make(*names: str) -> Path:
        made = Cli(tmp_path_factory.mktemp("template") / "ipam.db")
        made.text("init")
        for name in names:
            made.text("apply", str(EXAMPLES / f"{name}.yaml"), "--name", name)
        return made.path

    return make


@pytest.fixture
def make_cli(empty: Cli, templates: Callable[..., Path]) -> Callable[..., Cli]:
    """Make a command line on which topologies of the examples are applied."""

    def make(*names: str) -> Cli:
        shutil.copy(templates(*names), empty.path)
        return empty

    return make


@pytest.fixture
def cli(make_cli: Callable[..., Cli]) -> Cli:
    """A command line on the container hosts of the examples."""
    return make_cli("container-hosts")


def addresses(answer: dict[str, Sequence[dict[str, Any]]]) -> list[str]:
    return [each["address"] for each in answer["allocations"]]
