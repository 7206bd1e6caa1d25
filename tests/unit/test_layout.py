"""CONTRIBUTING.md names every folder that a newcomer finds."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

FOLDERS = [
    *(each.parent.relative_to(ROOT) for each in ROOT.glob("src/borough/*/__init__.py")),
    *(each.parent.relative_to(ROOT) for each in ROOT.glob("tests/*/__init__.py")),
    *map(Path, (".ci", "benchmarks", "deploy", "docs", "examples", "scripts")),
]


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_every_folder_is_explained(folder: Path):
    assert (ROOT / folder).is_dir()
    assert f"`{folder}/`" in (ROOT / "CONTRIBUTING.md").read_text()
