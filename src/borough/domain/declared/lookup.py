"""Find a declared object by its name, or say which one may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from borough.domain.declared.catalogue import Catalogue
from borough.errors import UnknownObject


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, to end a sentence with; empty when nothing comes close."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> UnknownObject:
    """The error for a name that nothing has.

    :param where: more of the sentence, such as `` in scope blue``.
    """
    return UnknownObject(
        f"there is no {kind} {name!r}{where}" + did_you_mean(name, known), kind=kind, name=name
    )


def check_scope(catalogue: Catalogue, scope: str) -> None:
    """Refuse a scope that does not exist.

    :raises UnknownObject: with a hint, when the name is nearly that of another one.
    """
    if scope not in catalogue.scopes:
        raise unknown("scope", scope, catalogue.scopes)
