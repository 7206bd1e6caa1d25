"""``native``: our own engine, in process. One call, and one transaction, whatever the group."""

from __future__ import annotations

from typing import Self

from borough.driver.settings import Settings
from borough.drivers.engine import EngineDriver
from borough.engine.ipam import Ipam
from borough.engine.ipam import open as open_ipam
from borough.store.port import TIMEOUT


class NativeDriver(EngineDriver):
    """The engine on a database of its own."""

    def __init__(self, ipam: Ipam, name: str = "native") -> None:
        super().__init__(ipam, name)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Open a database.

        Settings: ``database``, its URL; ``create``, whether to make or upgrade it (yes for
        ``memory:``); ``patience``, seconds for which to try while others are in the way.
        """
        url = settings.text("database")
        create = settings.flag("create", url == "memory:")
        timeout = settings.number("timeout", TIMEOUT, low=0, high=3600)
        return cls(open_ipam(url, create=create, timeout=timeout), settings.driver)
