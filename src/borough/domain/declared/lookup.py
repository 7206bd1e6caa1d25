"""Check the name of a declared object, and suggest a similar one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from borough.domain.declared.catalogue import Catalogue
from borough.errors import UnknownObject


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, as the end of a sentence; empty when no name is similar."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> UnknownObject:
    """The error for an unknown name.

    :param where: continues the sentence, such as `` in scope blue``.
    """
    return UnknownObject(
        f"there is no {kind} {name!r}{where}" + did_you_mean(name, known), kind=kind, name=name
    )


def check_scope(catalogue: Catalogue, scope: str) -> None:
    """Refuse a scope that does not exist.

    :raises UnknownObject: with a hint, when another name is similar.
    """
    if scope not in catalogue.scopes:
        raise unknown("scope", scope, catalogue.scopes)
