"""``native``: Borough's engine in the process. One call and one transaction for any group."""

from __future__ import annotations

from typing import Self

from borough.driver.settings import Settings
from borough.drivers.engine import EngineDriver
from borough.engine.ipam import Ipam
from borough.engine.ipam import open as open_ipam
from borough.store.port import TIMEOUT


class NativeDriver(EngineDriver):
    """The engine on a database."""

    def __init__(self, ipam: Ipam, name: str = "native") -> None:
        super().__init__(ipam, name)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Open a database.

        Settings: ``database``, its URL; ``create``, true to create or upgrade its tables (true for
        ``memory:``); ``timeout``, seconds for which a request is tried again.
        """
        url = settings.text("database")
        create = settings.flag("create", url == "memory:")
        timeout = settings.number("timeout", TIMEOUT, low=0, high=3600)
        return cls(open_ipam(url, create=create, timeout=timeout), settings.driver)
