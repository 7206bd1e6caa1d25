"""Tokens in an SQL database."""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.dimensions import make_labels
from borough.domain.declared.tokens import Permission, Token
from borough.store.sql import schema as t
from borough.store.sql.runner import Row
from borough.store.sql.statements import insert
from borough.store.sql.unit.part import SqlPart

_TOKENS: Final = sa.select(*(each for each in t.token.c if each.name != "id")).order_by(
    t.token.c.name
)
_ADD: Final = insert(t.token, "id")
_REMOVE: Final = sa.delete(t.token).where(t.token.c.name == sa.bindparam("old_name"))


class SqlTokens(SqlPart):
    """See :class:`borough.store.port.ReadTokens` and :class:`borough.store.port.WriteTokens`."""

    def tokens(self) -> list[Token]:
        return [_token(row) for row in self._runner.rows(_TOKENS)]

    def add_token(self, token: Token) -> None:
        self._runner.write(_ADD, **_values(token))

    def remove_token(self, name: str) -> None:
        self._runner.write(_REMOVE, old_name=name)


def _values(token: Token) -> dict[str, Any]:
    return {
        "name": token.name,
        "public": token.public,
        "digest": token.digest,
        "permission": token.permission.value,
        "labels": json.dumps({name: sorted(token.labels[name]) for name in sorted(token.labels)}),
        "host": token.host,
        "created": token.created,
        "expires": token.expires,
    }


def _token(row: Row) -> Token:
    name, public, digest, permission, labels, host, created, expires = row
    return Token(
        name,
        public,
        digest,
        Permission(permission),
        make_labels(json.loads(labels)),
        host,
        created,
        expires,
    )
