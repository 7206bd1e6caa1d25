"""Names, durations and other short texts, checked."""

from __future__ import annotations

import re
from typing import Final

from borough.errors import FixInput

#: Longest duration, in seconds: a year.
DURATION_LIMIT: Final = 365 * 24 * 3600

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(what: str, value: object) -> int:
    """Read a duration: seconds, or text such as ``30s``, ``5m``, ``2h``, ``1d``.

    :param what: what lasts so long, for the message.
    :return: seconds.
    :raises FixInput: for anything else, or more than a year.
    """
    found = None
    if isinstance(value, str | int) and not isinstance(value, bool):
        found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(value))
    if not found:
        raise FixInput(f"{what} is in seconds, or like 30s, 5m, 2h, 1d; not {value!r}")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > DURATION_LIMIT:
        raise FixInput(f"{what} is at most a year, not {value}")
    return seconds


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
