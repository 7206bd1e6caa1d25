"""Options of several commands, and the types of their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, TypeVar

import click

from borough.cli.values import completed_by

F = TypeVar("F", bound=Callable[..., Any])

#: The largest sequence number, and the largest id of an event.
_LARGEST: Final = 2**63 - 1

#: Most rows of one page.
PAGE_LIMIT: Final = 100_000


def words(value: str) -> str:
    """Accept text that is not empty.

    An empty option comes from a script with an unset variable. Without its owner, a release would cover all
    addresses on a host.
    """
    if not value:
        raise click.BadParameter("must not be empty; leave it out instead")
    return value


def pair(value: str) -> tuple[str, str]:
    """Split ``NAME=VALUE`` at the first equals sign."""
    name, _, text = value.partition("=")
    if not (name and text):
        raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE")
    return name, text


def gather(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Labels by dimension; a repeated dimension has several values, any of which matches."""
    made: dict[str, list[str]] = {}
    for name, value in pairs:
        made.setdefault(name, []).append(value)
    return made


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def attributes_of(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Attributes by name."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise click.UsageError("Each attribute is given once.")
    return made


_UNITS: Final = {"m": 60, "h": 3600, "d": 86400}


def span(text: str) -> int:
    """A span of time such as ``90d``, ``12h`` or ``30m``, in seconds."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if not found:
        raise click.BadParameter("write a span of time such as 90d, 12h or 30m")
    return int(found[1]) * _UNITS[found[2]]


def labels_option(help_text: str) -> Callable[[F], F]:
    """``-l DIM=VALUE``, which can be repeated."""
    return click.option(
        "-l",
        "--label",
        "labels",
        type=pair,
        metavar="DIM=VALUE",
        multiple=True,
        shell_complete=completed_by("--label"),
        help=help_text + " Again for another dimension, or for another value of the same one.",
    )


def attribute_option(help_text: str) -> Callable[[F], F]:
    """``--attribute NAME=VALUE``, which can be repeated."""
    return click.option(
        "--attribute",
        "attributes",
        type=pair,
        metavar="NAME=VALUE",
        multiple=True,
        help=help_text + " Again for more.",
    )


def text_option(name: str, metavar: str, help_text: str) -> Callable[[F], F]:
    """An option with text that is not empty."""
    return click.option(
        name, type=words, metavar=metavar, help=help_text, shell_complete=completed_by(name)
    )


def scope_option(help_text: str = "Address space (VRF) to work in.") -> Callable[[F], F]:
    """``--scope S``, by default ``default``."""
    return click.option(
        "--scope", type=words, metavar="SCOPE", default="default", show_default=True, help=help_text
    )


def any_scope_option() -> Callable[[F], F]:
    """``--scope S`` of a command that covers every scope by default."""
    return text_option("--scope", "SCOPE", "Only those of one address space (VRF).")


def page_options(what: str) -> Callable[[F], Callable[..., Any]]:
    """``--limit``, ``--all`` and ``--after``; the command gets ``limit``, None for all."""

    def add(function: F) -> Callable[..., Any]:
        @wraps(function)
        def limited(*args: Any, limit: int, everything: bool, **named: Any) -> Any:
            return function(*args, limit=None if everything else limit, **named)

        made = click.option(
            "--after",
            type=click.IntRange(0, _LARGEST),
            metavar="N",
            default=0,
            help=f"Only those with a larger {what} than N: the next page.",
        )(limited)
        made = click.option(
            "--all", "everything", is_flag=True, help="All rows, written while they are read."
        )(made)
        return click.option(
            "--limit",
            type=click.IntRange(1, PAGE_LIMIT),
            metavar="N",
            default=100,
            show_default=True,
            help="Most rows to list.",
        )(made)

    return add


_SELECTOR: Final[tuple[Callable[[Any], Any], ...]] = (
    labels_option("A label of the group to take from; of several values any matches."),
    click.option(
        "--subnet",
        "subnets",
        type=words,
        metavar="NAME",
        multiple=True,
        help="Take from this subnet instead of a group. Again for more, in order of preference.",
    ),
    text_option(
        "--host", "HOST", "Host where the addresses will live. It implies the labels of the host."
    ),
    click.option(
        "--claim/--no-claim",
        "claims",
        default=True,
        help="Claim space for the host, so that one route leads to all its addresses; or do not.",
    ),
    click.option(
        "--family",
        type=click.Choice(["4", "6", "both"]),
        metavar="4|6|both",
        help="IPv4, IPv6 or one of each. By default the family that the group has, IPv4 first.",
    ),
    text_option("--address", "ADDRESS", "Exactly this address."),
    click.option("--next", "lowest", is_flag=True, help="The lowest free address."),
    click.option("--gateway", is_flag=True, help="The gateway of the subnet."),
    text_option("--mac", "MAC", "The IPv6 address that EUI-64 makes of a MAC address."),
    click.option(
        "--count",
        type=int,
        metavar="N",
        default=1,
        show_default=True,
        help="Number of addresses of each family, all or none.",
    ),
    scope_option("Address space (VRF) to take from."),
)


_SUBNET: Final[tuple[Callable[[Any], Any], ...]] = (
    labels_option("A label that it carries."),
    text_option("--project", "PROJECT", "Whose quota in the pool it counts against."),
    text_option("--gateway", "ADDRESS", "Its gateway, which is never given by accident."),
    click.option(
        "--range",
        "ranges",
        type=words,
        metavar="RANGE",
        multiple=True,
        help="Give addresses of this range only: first-last, an address or a prefix; `none` for no "
        "addresses. Again for more.",
    ),
    click.option(
        "--exclude",
        type=words,
        metavar="RANGE",
        multiple=True,
        help="Give addresses of this range by name only. Again for more ranges.",
    ),
    click.option(
        "--weight",
        type=int,
        metavar="N",
        help="Of equally good subnets the heavier one is used first.",
    ),
    text_option(
        "--cooldown", "TIME", "How long a released address rests: seconds, or 30s, 5m, 2h, 1d."
    ),
)


_KEPT: Final[tuple[Callable[[Any], Any], ...]] = (
    text_option("--owner", "OWNER", "Name of the holder of the addresses, to release them by."),
    text_option(
        "--key", "KEY", "Idempotency key: the same request with it gets the same addresses again."
    ),
    attribute_option("Value to store with the addresses."),
    text_option("--note", "TEXT", "Text of one line to store with the addresses."),
    click.option(
        "--sticky",
        is_flag=True,
        help="What the owner has or what is reserved for it, else a new address, which a release keeps "
        "reserved for the owner.",
    ),
    click.option(
        "--shared",
        is_flag=True,
        help="Let other owners share the address. With --address, share one that is shared already.",
    ),
    text_option(
        "--lease",
        "TIME",
        "Release the addresses by themselves after this time, unless they are renewed: seconds, or 30s, 5m, "
        "2h, 1d.",
    ),
    click.option("--explain", is_flag=True, help="Explain the choice of the addresses."),
    click.option(
        "--wait",
        type=click.Choice(["routed"]),
        metavar="routed",
        help="Answer when the agents of the hosts have installed the routes, at most after ten seconds.",
    ),
)


def subnet_options(function: F) -> F:
    """Add the options for the settings of a subnet."""
    for add in reversed(_SUBNET):
        function = add(function)
    return function


def subnet_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a subnet that were given; an empty option that repeats is none."""
    made = {name: value for name, value in options.items() if value not in (None, ())}
    if made.get("ranges") == ("none",):
        made["ranges"] = ()
    return made


def selector_options(function: F) -> F:
    """Add the options for the choice of addresses."""
    for add in reversed(_SELECTOR):
        function = add(function)
    return function


def request_options(function: F) -> F:
    """Add all options of a request for addresses."""
    for add in reversed(_KEPT):
        function = add(function)
    return selector_options(function)


def request(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of :meth:`borough.engine.face.Face.allocate` for the options of a command."""
    made = given(options)
    family, lowest, gateway = (made.pop(name, None) for name in ("family", "lowest", "gateway"))
    asked = {
        "--address": "address" in made,
        "--next": lowest,
        "--gateway": gateway,
        "--mac": "mac" in made,
    }
    named = [option for option, is_given in asked.items() if is_given]
    if len(named) > 1:
        raise click.UsageError(f"Use only one of {' and '.join(named)}.")
    made["labels"] = gather(made["labels"])
    made["subnets"] = list(made["subnets"]) or None
    made["families"] = {None: None, "4": (4,), "6": (6,), "both": (4, 6)}[family]
    made["kind"] = "next" if lowest else "gateway" if gateway else None
    if "attributes" in made:
        made["attributes"] = attributes_of(made["attributes"])
    return made
