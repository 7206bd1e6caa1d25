"""The public methods of library, HTTP client and confined token.

Each parses its parameters once, and calls the action of the same name in
:class:`borough.engine.actions.Actions`.
"""

from __future__ import annotations

from typing import Self

from borough.engine.faces.addresses import AddressFace
from borough.engine.faces.declared import DeclaredFace
from borough.engine.faces.upkeep import UpkeepFace


class Face(AddressFace, DeclaredFace, UpkeepFace):
    """Address space and its operations.

    Threads may share it. A context manager that closes the address space.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
