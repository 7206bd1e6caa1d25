"""What the global options say, and how commands get at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from borough.engine.ipam import Ipam
from borough.engine.ipam import open as open_ipam
from borough.store.sql.hosts import without_password

#: The database when nothing else is said: a file in the working folder.
DEFAULT_URL: Final = "sqlite:///borough.db"


@dataclass
class State:
    """The global options.

    :ivar json: whether to answer in JSON.
    """

    url: str = DEFAULT_URL
    json: bool = False

    def open(self, *, create: bool = False) -> Ipam:
        """Open the database that the user named."""
        return open_ipam(self.url, create=create)

    @property
    def shown_url(self) -> str:
        """The database's URL without its password."""
        return without_password(self.url)


#: Hands the global options to a command.
pass_state = click.make_pass_decorator(State, ensure=True)
