"""Imports: no circle, of types either, and nothing heavy where it is not needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES

ROOT = Path(__file__).parent.parent.parent / "src"

#: Libraries that only a database, a topology file or a service needs.
HEAVY = {"sqlalchemy", "alembic", "yaml", "starlette", "uvicorn", "httpx", "prometheus_client"}


def circle(sources: Mapping[str, str]) -> list[str]:
    """A circle of modules that import each other, for type checkers or inside functions too.

    :param sources: the source texts by the names of the modules.
    """
    graph = {name: set(imported(source, sources)) for name, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def imported(source: str, modules: Mapping[str, str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module in modules:
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                yield inner if inner in modules else node.module


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_modules_import_each_other():
    sources = {name_of(path): path.read_text() for path in (ROOT / "borough").rglob("*.py")}
    assert {"borough", "borough.cli.app", "borough.store.sql.store"} <= set(sources)
    assert circle(sources) == []


@pytest.mark.parametrize(
    "back",
    [
        "import p.a",
        "from p import a",
        "from p.a import A",
        "if TYPE_CHECKING:\n    from p.a import A",
        "def f():\n    from p.a import A",
    ],
)
def test_a_circle_is_found(back: str):
    sources = {"p": "", "p.a": "from p.b import B", "p.b": "from p import c", "p.c": back}
    assert set(circle(sources)) == {"p.a", "p.b", "p.c"}
    assert circle({**sources, "p.c": "import p"}) == []


def loaded(*words: str, code: int = 0) -> set[str]:
    """The top-level packages that a run of Python imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        env={name: text for name, text in os.environ.items() if not name.startswith("BOROUGH_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_the_version_needs_a_parser_of_options_only():
    found = loaded("-m", "borough", "--version")
    assert "click" in found
    assert not found & {*HEAVY, "msgspec", "rich"}


def test_the_help_needs_no_database():
    assert not loaded("-m", "borough", "--help") & HEAVY


def test_a_command_through_a_service_needs_no_database():
    """Nothing listens there: what is needed has been imported when that turns out."""
    words = ("--server", "http://127.0.0.1:1", "allocate", "-l", "network=pods")
    found = loaded("-m", "borough", *words, code=5)
    assert "msgspec" in found
    assert not found & HEAVY


def test_the_package_needs_nothing_before_it_is_used():
    assert not loaded("-c", "import borough; borough.connect") & {*HEAVY, "msgspec", "click"}


def test_memory_needs_no_database():
    assert not loaded("-c", "import borough; borough.open('memory:')") & HEAVY


def test_files_and_databases_load_their_libraries(tmp_path: Path):
    """Otherwise the names that no other run may import would be the wrong ones."""
    topology, database = str(EXAMPLES / "container-hosts.yaml"), f"sqlite:///{tmp_path}/made.db"
    assert "yaml" in loaded("-c", f"import borough; borough.open('memory:').apply({topology!r})")
    made = loaded("-c", f"import borough; borough.open({database!r}, create=True)")
    assert {"sqlalchemy", "alembic"} <= made
