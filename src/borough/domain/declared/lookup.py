"""Check the name of a declared object, and suggest a similar one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST
from borough.errors import UnknownObject

#: Most names that are compared with a misspelt one; a comparison takes about 10 microseconds.
_COMPARED: Final = 1000


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


def check_host(catalogue: Catalogue, host: str, *, suggests: bool = True) -> None:
    """Refuse a host that is not declared, where a request may name declared hosts only.

    :param suggests: whether the caller may learn the names of other hosts.
    :raises UnknownObject: with a hint, when another name is similar.
    """
    dimension = catalogue.by_dimension.get(HOST)
    if not host or host in catalogue.hosts or dimension is None or not dimension.declared:
        return
    hint = _similar_host(catalogue, host) if suggests else ""
    raise UnknownObject(
        f"host {host!r} is not declared, and requests may name declared hosts only{hint}",
        kind="host",
        name=host,
        **{"try": ["correct the name of the host", "declare the host in a topology"]},
    )


def undeclared_host(catalogue: Catalogue, host: str) -> tuple[str, ...]:
    """A warning about a host that is not declared; empty where no host is declared at all."""
    if not host or not catalogue.hosts or host in catalogue.hosts:
        return ()
    return (f"host {host!r} is not declared{_similar_host(catalogue, host)}",)


def _similar_host(catalogue: Catalogue, host: str) -> str:
    short = _short(host)
    same = next((each for each in catalogue.hosts if _short(each) == short), None)
    if same is not None:
        return f"; did you mean {same!r}?"
    return did_you_mean(host, catalogue.hosts) if len(catalogue.hosts) <= _COMPARED else ""


def _short(host: str) -> str:
    """The name of a host without case, domain, separators and leading zeros of numbers."""
    return re.sub(r"[^a-z0-9]|(?<![0-9])0+(?=[0-9])", "", host.lower().partition(".")[0])
