"""IPAM drivers written for Neutron, unmodified, with the conformance kit.

Each run is a process of its own: Neutron's configuration and its database belong to the process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from borough.driver import load_driver
from borough.errors import UnknownDriver

pytest.importorskip("neutron", reason="runs beside Neutron: ./test-neutron")

DRIVER = "tests.driver.neutron_driver:NeutronDriver"

POOLS = {
    "NeutronDbPool": "neutron.ipam.drivers.neutrondb_ipam.driver:NeutronDbPool",
    "ThirdPartyPool": "tests.driver.neutron_pools:ThirdPartyPool",
}


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """A folder in memory, where there is one: SQLite waits for the disk at every commit."""
    import tempfile

    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.timeout(900)  # processes of their own, on a machine that may be busy
@pytest.mark.parametrize("pool", POOLS)
def test_a_neutron_pool_conforms(pool: str, quick_folder: Path) -> None:
    """Neutron's reference driver on SQLite, and one that keeps its addresses elsewhere."""
    settings = quick_folder / "neutron.yaml"
    database = f"database: sqlite:///{quick_folder}/neutron.db\ncreate: true\n"
    settings.write_text(f"pool: '{POOLS[pool]}'\n" + database)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    kit = ["--pyargs", "borough.driver.conformance", "--driver", DRIVER]
    done = subprocess.run(
        [*command, *kit, "--driver-config", str(settings), "-o", "timeout=250", "--tb=short"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "55 passed, 2 skipped" in done.stdout


@pytest.mark.parametrize("pool", ["no.such:Pool", "builtins:dict", "neutron.ipam.driver:Nothing"])
def test_a_class_that_is_no_pool_is_refused(pool: str) -> None:
    """The error has its name."""
    with pytest.raises(UnknownDriver) as refused:
        load_driver(DRIVER, {"pool": pool})
    assert refused.value.detail["pool"] == pool
