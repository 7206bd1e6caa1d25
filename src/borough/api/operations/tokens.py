"""Tokens: list, create and revoke the tokens of the service."""

from __future__ import annotations

from borough.api import schema as s
from borough.api.operation import operation
from borough.domain.declared.tokens import Permission
from borough.engine.face import Face


@operation("GET", "/v1/tokens", permission=Permission.ADMINISTER)
def tokens(ipam: Face) -> s.Tokens:
    """All tokens by name, without their secrets."""
    return s.Tokens(ipam.tokens())


@operation("POST", "/v1/tokens", permission=Permission.ADMINISTER, status=201)
def create_token(ipam: Face, body: s.NewToken) -> s.CreatedToken:
    """Create a token. Only this answer contains its secret."""
    expires = None if body.expires is None else s.read_time(body.expires)
    token, text = ipam.create_token(
        body.name,
        permission=body.permission,
        labels=body.labels,
        host=body.host,
        expires=expires,
    )
    return s.CreatedToken(token, text)


@operation("DELETE", "/v1/tokens/{name:path}", permission=Permission.ADMINISTER)
def revoke_token(ipam: Face, path: s.Named) -> s.OneToken:
    """Revoke a token. It may still be accepted for one second."""
    return s.OneToken(ipam.revoke_token(path.name))
