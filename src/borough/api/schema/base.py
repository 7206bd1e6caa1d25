"""The base of the structs, and the types of single values."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

#: Most lines of one page: some megabytes, in as many threads as there are.
PAGE_LIMIT: Final = 5_000

#: Lines of a page by default.
PAGE: Final = 1000

#: Largest id of an event, and largest sequence number.
LARGEST: Final = (1 << 62) - 1

Text = Annotated[str, Meta(min_length=1, max_length=255)]
MaybeText = Annotated[str, Meta(max_length=255)]
Number = Annotated[int, Meta(ge=0, le=LARGEST)]
Limit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT)]
Label = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9_-]{0,63}=.",
        max_length=320,
        description="`dimension=value`; again for more",
    ),
]
Attribute = Annotated[
    str, Meta(pattern="^[^=]+=", max_length=1000, description="`name=value`; again for more")
]
Labels = dict[str, str | list[str]]
Attributes = dict[str, Any]


class Input(Struct, kw_only=True, forbid_unknown_fields=True):
    """Parsed input of a request; unknown fields are refused."""

    def given(self) -> dict[str, Any]:
        """The fields by name: the parameters of the library's method."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class Nothing(Input):
    """An empty object, for requests without parameters in a body. The body may also be empty."""


class Paged(Input):
    """A page of a list.

    :ivar after: `next` of the page before.
    """

    after: Annotated[str, Meta(max_length=1000)] = ""
    limit: Limit = PAGE
