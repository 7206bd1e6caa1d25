"""What an endpoint is: a function, and what its signature says about it.

A function marked with :func:`operation` is called with the address space as its caller may see it and, by
the names of its parameters, with the parsed ``path``, ``query`` and ``body``. The types of these parameters
parse the request; together with the return type they are what the OpenAPI description is made of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args, get_type_hints

from borough.api.schema import Input, Nothing
from borough.domain.declared.tokens import Permission

F = TypeVar("F", bound=Callable[..., Any])

#: Request headers that a function takes, by the name of the parameter.
HEADERS: Final = {"key": "idempotency-key", "if_match": "if-match"}


@dataclass(frozen=True)
class Operation:
    """One endpoint.

    :ivar name: that of the function, and of the library's method.
    :ivar need: what a token must allow.
    :ivar headers: the parameters among :data:`HEADERS` that it takes.
    :ivar tags: whether its answer carries the version of what is declared, as an entity tag.
    :ivar takes_body: whether the function takes the body; where it does not, the body says nothing.
    :ivar is_large: whether the body may be as large as the service takes any.
    :ivar takes_yaml: whether the body may also be YAML, which it then gets as text.
    """

    name: str
    method: str
    path: str
    need: Permission
    function: Callable[..., Any]
    status: int
    path_type: type[Input] | None
    query_type: type[Input] | None
    body_type: Any
    takes_body: bool
    answer_type: Any
    headers: tuple[str, ...]
    tags: bool
    is_large: bool
    takes_yaml: bool
    takes_caller: bool

    @property
    def json_type(self) -> Any:
        """What the body is as JSON."""
        if not self.takes_yaml:
            return self.body_type
        return next(each for each in get_args(self.body_type) if each is not str)


def operation(
    method: str,
    path: str,
    *,
    need: Permission,
    status: int = 200,
    tags: bool = False,
    is_large: bool = False,
    takes_yaml: bool = False,
) -> Callable[[F], F]:
    """Make a function an endpoint; see :class:`Operation`."""

    def make(function: F) -> F:
        hints = get_type_hints(function)
        names = list(inspect.signature(function).parameters)
        made = Operation(
            name=function.__name__,
            method=method,
            path=path,
            need=need,
            function=function,
            status=status,
            path_type=hints.get("path"),
            query_type=hints.get("query"),
            body_type=hints.get("body", Nothing if method in ("POST", "PUT") else None),
            takes_body="body" in names,
            answer_type=hints["return"],
            headers=tuple(name for name in names if name in HEADERS),
            tags=tags,
            is_large=is_large,
            takes_yaml=takes_yaml,
            takes_caller="caller" in names,
        )
        function.operation = made  # type: ignore[attr-defined]
        return function

    return make


def operations_of(*modules: Any) -> list[Operation]:
    """The endpoints that modules define, in the order in which they stand there."""
    return [
        each.operation
        for module in modules
        for each in vars(module).values()
        if isinstance(getattr(each, "operation", None), Operation)
    ]
