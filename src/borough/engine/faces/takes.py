"""Give a method the parameters of the function that parses them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


def takes(
    parse: Callable[P, R],
) -> Callable[[Callable[[S, R], T]], Callable[Concatenate[S, P], T]]:
    """Give a method of a parsed request the parameters of its parser."""

    def make(method: Callable[[S, R], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(method)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return method(self, parse(*args, **kwargs))

        own, theirs = inspect.signature(method), inspect.signature(parse)
        call.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[own.parameters["self"], *theirs.parameters.values()]
        )
        return call

    return make
