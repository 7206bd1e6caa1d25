"""Tokens in the in-memory tables."""

from __future__ import annotations

from borough.domain.declared.tokens import Token
from borough.store.memory.part import MemoryPart
from borough.store.port import LostRace


class MemoryTokens(MemoryPart):
    """See :class:`borough.store.port.WriteTokens`."""

    def tokens(self) -> list[Token]:
        return [self._tables.tokens[name] for name in sorted(self._tables.tokens)]

    def add_token(self, token: Token) -> None:
        if token.name in self._tables.tokens:
            raise LostRace(token.name)
        self._tables.tokens[token.name] = token

    def remove_token(self, name: str) -> None:
        self._tables.tokens.pop(name, None)
