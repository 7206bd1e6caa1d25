"""``borough token``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from borough.cli.command import Family, command
from borough.cli.options import gather, labels_option, span, text_option, words
from borough.cli.output import Column, Page, emit, labels_text, moment
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.declared.tokens import Permission
from borough.engine.views import TokenView


@click.group("token", cls=Family)
def token() -> None:
    """Create, list and revoke the tokens of the service."""


def _end(text: str) -> datetime:
    if re.fullmatch(r"[0-9]+[mhd]", text):
        return datetime.now(UTC) + timedelta(seconds=span(text))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter("write 30d, 12h, 90m, or a time such as 2030-01-31T12:00:00Z")
    return at


@command("create", example="borough token create node-1 --permission allocate -l network=pods")
@click.argument("name", metavar="NAME", type=words)
@click.option(
    "--permission",
    type=click.Choice([each.value for each in Permission]),
    metavar="read|allocate|administer",
    default="read",
    show_default=True,
    help="What it permits; each includes those before it.",
)
@labels_option("Confine it to the subnets with this label.")
@text_option(
    "--host", "HOST", "Permit only to read and acknowledge the routes of this host, for its agent."
)
@click.option(
    "--expires",
    type=_end,
    metavar="TIME",
    help="Its end: after 30d, 12h, 90m, or at a time such as 2030-01-31T12:00:00Z.",
)
@pass_state
def create(
    state: GlobalOptions,
    name: str,
    permission: str,
    labels: tuple[tuple[str, str], ...],
    host: str | None,
    expires: datetime | None,
) -> None:
    """Create a token.

    NAME is its caller, as events record it. The token is printed once: only a digest of it is stored.
    """
    with state.open() as ipam:
        made, secret = ipam.create_token(
            name,
            permission=permission,
            labels=gather(labels),
            host=host or "",
            expires=expires,
        )

    def show(page: Page) -> None:
        page.line(
            f"Created token {made.name}. It is not shown again: store it where only {name} can read it."
        )
        page.line(secret)

    emit(state, {"token": made, "secret": secret}, show)


_COLUMNS: Final = (
    Column("token", soft=True),
    Column("permission"),
    Column("within", soft=True),
    Column("host", soft=True),
    Column("created"),
    Column("ends"),
    Column("public part"),
)


@command("list", example="borough token list")
@pass_state
def list_(state: GlobalOptions) -> None:
    """List the tokens, without their secrets."""
    with state.open() as ipam:
        found = ipam.tokens()
    emit(state, {"tokens": found}, lambda page: _show(page, found))


def _show(page: Page, found: Sequence[TokenView]) -> None:
    if not found:
        page.line("No tokens.")
        return
    page.table(
        _COLUMNS,
        [
            (
                each.name,
                each.permission.value,
                labels_text(each.labels),
                each.host,
                moment(each.created)[:16],
                moment(each.expires)[:16],
                each.public,
            )
            for each in found
        ],
    )


@command("revoke", example="borough token revoke node-1")
@click.argument("name", metavar="NAME", type=words)
@pass_state
def revoke(state: GlobalOptions, name: str) -> None:
    """Revoke a token. A service may still accept it for one second."""
    with state.open() as ipam:
        revoked = ipam.revoke_token(name)
    emit(state, {"token": revoked}, lambda page: page.line(f"Revoked token {revoked.name}."))


for _command in (create, list_, revoke):
    token.add_command(_command)
