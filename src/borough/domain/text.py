"""Names and other short texts, checked."""

from __future__ import annotations

from borough.errors import FixInput


def check_text(what: str, value: object, limit: int = 255) -> str:
    """Accept a short printable text.

    :param what: what the text names, for the message.
    :param limit: most characters.
    :raises FixInput: when it is not text, is empty or too long, has blanks at an end, or holds
        unprintable characters (PostgreSQL cannot store NUL).
    """
    if not isinstance(value, str):
        raise FixInput(f"{what} must be text, not {type(value).__name__}", field=what)
    if not 1 <= len(value) <= limit:
        raise FixInput(
            f"{what} must have 1 to {limit} characters, this has {len(value)}", field=what
        )
    if value != value.strip() or not value.isprintable():
        raise FixInput(
            f"{what} {value[:40]!r} has blanks at an end or characters that cannot be printed",
            field=what,
        )
    return value
