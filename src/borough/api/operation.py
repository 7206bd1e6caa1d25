"""Endpoints as functions: :func:`operation` reads the signature of each.

The first parameter is the address space that the caller sees. The parameters ``path``, ``query`` and
``body`` get the parsed request; their types parse it. With the return type they make the OpenAPI description.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args, get_type_hints

from borough.api.schema import Input, Nothing
from borough.domain.declared.tokens import Permission

F = TypeVar("F", bound=Callable[..., Any])

#: Request headers by the parameter that takes each.
HEADERS: Final = {"key": "idempotency-key", "if_match": "if-match"}


@dataclass(frozen=True)
class Operation:
    """One endpoint.

    :ivar name: name of the function, and of the library's method.
    :ivar permission: that a token must have.
    :ivar headers: the parameters among :data:`HEADERS` that it takes.
    :ivar for_host: True when the token of the host in the path may do it.
    :ivar tags: True when the answer carries the version of the declared objects as an entity tag.
    :ivar takes_body: False when the body must be empty.
    :ivar is_large: True when the body may have the largest size of all.
    :ivar takes_yaml: True when the body may also be YAML, which the function gets as text.
    """

    name: str
    method: str
    path: str
    permission: Permission
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
    for_host: bool = False

    @property
    def json_type(self) -> Any:
        """The type of a JSON body."""
        if not self.takes_yaml:
            return self.body_type
        return next(each for each in get_args(self.body_type) if each is not str)


def operation(
    method: str,
    path: str,
    *,
    permission: Permission,
    status: int = 200,
    tags: bool = False,
    is_large: bool = False,
    takes_yaml: bool = False,
    for_host: bool = False,
) -> Callable[[F], F]:
    """Make a function an endpoint; see :class:`Operation`."""

    def make(function: F) -> F:
        hints = get_type_hints(function)
        names = list(inspect.signature(function).parameters)
        made = Operation(
            name=function.__name__,
            method=method,
            path=path,
            permission=permission,
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
            for_host=for_host,
        )
        function.operation = made  # type: ignore[attr-defined]
        return function

    return make


def operations_of(*modules: Any) -> list[Operation]:
    """The endpoints of modules, in the order of their definitions."""
    return [
        each.operation
        for module in modules
        for each in vars(module).values()
        if isinstance(getattr(each, "operation", None), Operation)
    ]
