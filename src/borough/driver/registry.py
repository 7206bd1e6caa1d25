"""Drivers by name, through the entry point group ``borough.drivers``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from borough.domain.declared.lookup import did_you_mean
from borough.driver.interface import GroupDriver, SubnetDriver
from borough.driver.settings import Settings
from borough.driver.shim import Shim
from borough.errors import FixInput, NeedsOperator, UnknownDriver

#: The entry points of packages with drivers: a name, and the class.
ENTRY_POINTS: Final = "borough.drivers"


def drivers() -> Mapping[str, EntryPoint]:
    """The installed drivers by name."""
    return {each.name: each for each in sorted(entry_points(group=ENTRY_POINTS))}


def load_driver(name: str, settings: Mapping[str, Any] | None = None) -> GroupDriver:
    """Open a driver; a classic one is wrapped in the shim.

    :param name: the name in its package, or ``module:Class`` for a driver that no package names.
    :param settings: its settings and those of the shim; see ``docs/reference/drivers.md``.
    :raises UnknownDriver: there is no such driver.
    :raises InvalidSettings: a setting is missing, wrong, or not known.
    """
    made = Settings(name, settings)
    found = _find(name)
    if isinstance(found, type) and issubclass(found, GroupDriver):
        driver: GroupDriver = found.from_settings(made)
    elif isinstance(found, type) and issubclass(found, SubnetDriver):
        driver = Shim.from_settings(made, found)
    else:
        raise NeedsOperator(f"driver {name} is neither a SubnetDriver nor a GroupDriver")
    try:
        made.finish()
    except FixInput:
        driver.close()
        raise
    driver.name = name
    return driver


def _find(name: str) -> object:
    known = drivers()
    if name in known:
        entry = known[name]
    elif ":" in name:
        entry = EntryPoint(name, name, ENTRY_POINTS)
    else:
        raise UnknownDriver(
            f"there is no driver {name!r}" + did_you_mean(name, known),
            driver=name,
            known=sorted(known),
        )
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UnknownDriver(
            f"driver {name} cannot be loaded from {entry.value}: {error}", driver=name
        ) from error
