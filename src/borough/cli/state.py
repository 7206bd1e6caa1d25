"""The global options, as commands see them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

import borough
from borough.errors import FixInput
from borough.store.sql.dialects.hosts import without_password

if TYPE_CHECKING:
    from borough.engine.face import Face
    from borough.engine.ipam import Ipam

#: Environment variable of the token for a service. Every user of the machine can read a command line.
TOKEN: Final = "BOROUGH_TOKEN"  # noqa: S105  (the name of a variable)

#: Environment variable of the PEM file with the authorities that the certificate of a service is verified by.
CA_FILE: Final = "BOROUGH_CA_FILE"

#: The default database: a file in the working folder.
DEFAULT_URL: Final = "sqlite:///borough.db"


@dataclass
class GlobalOptions:
    """The global options.

    :ivar server: URL of the service to work through; None to work on the database.
    :ivar json: True for answers in JSON.
    :ivar form: the form of answers, one of ``table``, ``json``, ``yaml``, ``csv`` and ``value``.
    :ivar columns: the columns to show; empty for all.
    :ivar sort: the column to sort by.
    """

    url: str = DEFAULT_URL
    server: str | None = None
    json: bool = False
    form: str = "table"
    columns: tuple[str, ...] = ()
    sort: str | None = None

    @property
    def is_shaped(self) -> bool:
        """True for an answer that is neither the text for people nor the whole JSON document."""
        return bool(self.form not in ("table", "json") or self.columns or self.sort)

    def open(self) -> Face:
        """Open the database or the service that the user named."""
        if self.server is None:
            return borough.open(self.url)
        try:
            from borough.client.ipam import connect
        except ModuleNotFoundError as error:
            raise FixInput(
                f"the client of a service needs {error.name}; run: pip install 'borough[client]'"
            ) from None
        return connect(self.server, os.environ.get(TOKEN), ca_file=os.environ.get(CA_FILE) or None)

    def open_database(self, *, create: bool = False) -> Ipam:
        """Open the database that the user named, for work that a service does not offer.

        :raises FixInput: the user named a service.
        """
        if self.server is not None:
            raise FixInput("this works on a database and not through a service: use --db")
        return borough.open(self.url, create=create)

    @property
    def shown_url(self) -> str:
        """The database's URL without its password."""
        return without_password(self.url)


#: Hands the global options to a command.
pass_state = click.make_pass_decorator(GlobalOptions, ensure=True)
