"""The pytest plug-in: the options of the kit, and what it needs.

pytest finds it in every environment that has Borough. Unless the kit is asked for it does nothing, not
even import the rest of Borough: its options are only added then, so that they are in nobody's way.
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
    """Add the options, when the kit is asked for."""
    if not any(argument.startswith(PACKAGE) for argument in args):
        return
    group = parser.getgroup("borough", "conformance of a driver")
    group.addoption(
        "--driver", metavar="NAME", help="the driver to test: its name, or module:Class"
    )
    group.addoption("--driver-config", metavar="FILE", help="a YAML file with its settings")
    early_config.pluginmanager.register(import_module(f"{PACKAGE}.fixtures"), f"{PACKAGE}.fixtures")
