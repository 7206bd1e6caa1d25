"""One word for one thing: docs/glossary.md and the code agree."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src/borough"

#: Structs of the HTTP interface bear the names of the records that they describe.
WIRE = SOURCE / "api/schema"

TERMS = re.findall(
    r"^\| (\*\*.+?) \| (.+?) \|", (ROOT / "docs/glossary.md").read_text(), flags=re.MULTILINE
)


def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Names that are defined: of classes, functions, parameters and fields."""
    found: set[str] = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def test_glossary_has_terms():
    assert len(TERMS) > 40


@pytest.mark.parametrize(("term", "code"), TERMS)
def test_every_term_is_a_name_in_the_code(term: str, code: str, names: set[str]):
    words = re.findall(r"`(\w+)`", code)
    assert words, f"{term} names nothing"
    assert set(words) <= names, f"{term}: no such name in the code"


def test_no_two_classes_share_a_name():
    counted = Counter(
        node.name
        for path, tree in trees().items()
        if WIRE not in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in counted.items() if count > 1] == []
