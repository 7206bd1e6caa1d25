"""The pytest plug-in of the conformance kit.

pytest loads it in every environment with Borough. Without tests of the kit it adds no options, which could
conflict with those of other plug-ins, and imports nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import pytest

PACKAGE: Final = "borough.driver.conformance"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Add the options for a run of the kit."""
    if not any(argument.startswith(PACKAGE) for argument in args):
        return
    group = parser.getgroup("borough", "conformance of a driver")
    group.addoption(
        "--driver", metavar="NAME", help="the driver to test: its name, or module:Class"
    )
    group.addoption("--driver-config", metavar="FILE", help="a YAML file with its settings")
    early_config.pluginmanager.register(import_module(f"{PACKAGE}.fixtures"), f"{PACKAGE}.fixtures")
