"""The code in docs/reference/drivers.md runs, and the example driver can be copied."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from borough.driver import drivers
from borough.errors import InvalidSettings, UnknownDriver
from tests.driver.test_conformance import run_kit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "drivers.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)

#: The command by which the page tests the example, in the folder of its file.
KIT = next(
    line for line in PAGE.splitlines() if line.startswith("python -m pytest") and "folder" in line
)

EXAMPLE = next(block for block in BLOCKS if "folder_driver.py" in block)


def test_the_example_is_short_and_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has under sixty lines, and only the two features that the shim lacks are skipped."""
    assert len(EXAMPLE.splitlines()) < 60
    (tmp_path / "folder_driver.py").write_text(EXAMPLE)
    (tmp_path / "folder.yaml").write_text(f"folder: {tmp_path}/addresses\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = str(tmp_path / "folder.yaml")
    code, seen, said = run_kit("folder_driver:FolderDriver", "--driver-config", settings)
    assert (code, seen.failed) == (0, set()), said
    assert len(seen.skipped) == 2
    assert not list((tmp_path / "addresses").rglob("*.*.*.*")), "the kit removes its subnets"


def test_the_first_example_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unchanged from the page."""
    monkeypatch.chdir(ROOT)
    exec(compile(BLOCKS[0], "docs/reference/drivers.md", "exec"), {})
    said = capsys.readouterr().out
    assert re.fullmatch(r"\['10\.64\.[\d.]+', '[0-9a-f:]+'\] 1\n", said)


def test_the_page_names_the_drivers_of_borough() -> None:
    """It names all of them, and no others."""
    table = re.findall(r"^\| `([a-z]+)` \| .* \|$", PAGE.partition("## Two interfaces")[0], re.M)
    declared = {
        each.name
        for each in importlib.metadata.distribution("borough").entry_points
        if each.group == "borough.drivers"
    }
    assert set(table) == declared <= set(drivers())


def test_a_driver_is_found_by_name() -> None:
    """A misspelt name is an error with a hint; so is a class that is no driver."""
    from borough.driver import load_driver
    from borough.errors import NeedsOperator

    with pytest.raises(UnknownDriver, match="did you mean 'native'"):
        load_driver("natve")
    with pytest.raises(UnknownDriver, match="cannot be loaded"):
        load_driver("no.such.module:Class")
    with pytest.raises(NeedsOperator, match="neither"):
        load_driver("builtins:dict")
    with pytest.raises(InvalidSettings, match="did you mean 'create'"):
        load_driver("native", {"database": "memory:", "creat": True})
    with pytest.raises(InvalidSettings, match="is missing"):
        load_driver("native")


@pytest.mark.slow
@pytest.mark.timeout(900)  # processes of their own, on a machine that may be busy
def test_the_kit_runs_from_the_wheel(tmp_path: Path) -> None:
    """It runs from an installed package, outside the checkout and without its configuration."""
    built = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-qq",
        "--no-deps",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(built, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("borough-*.whl")
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    work = tmp_path / "work"
    work.mkdir()
    (work / "folder_driver.py").write_text(EXAMPLE)
    (work / "folder.yaml").write_text("folder: addresses\n")
    done = subprocess.run(
        [sys.executable, *KIT.split()[1:], "-p", "no:cacheprovider"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "55 passed, 2 skipped" in done.stdout
    assert (
        str(target)
        in subprocess.run(
            [sys.executable, "-c", "import borough; print(borough.__file__)"],
            env={**os.environ, "PYTHONPATH": str(target)},
            cwd=work,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
