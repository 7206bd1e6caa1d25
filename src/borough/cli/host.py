"""``borough host``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from borough.cli.addresses import show_allocations
from borough.cli.change import change_host
from borough.cli.command import Family, command
from borough.cli.options import words
from borough.cli.output import Column, Page, counted, emit, scope_text
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.upkeep.hosts import Renamed, Vacated
from borough.engine.views import Claim


@click.group("host", cls=Family)
def host() -> None:
    """Change, drain, remove and rename hosts."""


_CLAIMS: Final = (
    Column("claim"),
    Column("subnet", soft=True),
    Column("scope", soft=True),
    Column("claimed by", soft=True),
)


def show_claims(page: Page, claims: Sequence[Claim]) -> None:
    """Print a table of claims."""
    rows = [(each.prefix, each.subnet, scope_text(each.scope), each.holder) for each in claims]
    page.table(_CLAIMS, rows)


def _show_vacated(page: Page, done: Vacated) -> None:
    if done.claims:
        page.line(f"Ended these claims of {done.host}:")
        show_claims(page, done.claims)
    else:
        page.line(f"{done.host} had no claims.")
    if done.released:
        page.line(f"Released {counted(done.total, 'address', 'addresses')}.")
    if done.remaining:
        page.line(f"Still allocated on {done.host}, until they are released or reassigned:")
        show_allocations(page, done.remaining)


def _warn_of_source(page: Page, name: str, source: str | None) -> None:
    if source:
        page.line(
            f"Topology {source!r} declares {name}: correct its file, or the next apply adds it again."
        )


@command("drain", example="borough host drain node-1")
@click.argument("name", metavar="HOST", type=words)
@pass_state
def drain(state: GlobalOptions, name: str) -> None:
    """End all claims of a host.

    Other hosts can claim its unused space at once. Its addresses stay allocated until they are released or
    reassigned. A later request that names the host claims for it again, so stop scheduling on it first.
    """
    with state.open() as ipam:
        done = ipam.drain(name)
    emit(state, done, lambda page: _show_vacated(page, done))


@command("remove", example="borough host remove node-1 --release")
@click.argument("name", metavar="HOST", type=words)
@click.option("--release", is_flag=True, help="Release the addresses on it as well.")
@pass_state
def remove(state: GlobalOptions, name: str, release: bool) -> None:
    """Remove a host.

    Its claims and its declaration end. Its addresses stay allocated, unless --release is given.
    """
    with state.open() as ipam:
        done = ipam.remove_host(name, release=release)

    def show(page: Page) -> None:
        _show_vacated(page, done)
        _warn_of_source(page, name, done.source)

    emit(state, done, show)


@command("rename", example="borough host rename node-2 node-2.example")
@click.argument("old", metavar="OLD", type=words)
@click.argument("new", metavar="NEW", type=words)
@pass_state
def rename(state: GlobalOptions, old: str, new: str) -> None:
    """Rename a host.

    Its claims, its addresses and its labels get the new name in one transaction. Claims and addresses that
    the new name already has stay.
    """
    with state.open() as ipam:
        done = ipam.rename_host(old, new)

    def show(page: Page) -> None:
        _show_renamed(page, done)
        _warn_of_source(page, old, done.source)

    emit(state, done, show)


def _show_renamed(page: Page, done: Renamed) -> None:
    addresses = counted(len(done.reassigned), "address", "addresses")
    page.line(f"{done.old} is now {done.new}, with {addresses} and these claims:")
    show_claims(page, done.claims)


for _command in (change_host, drain, remove, rename):
    host.add_command(_command)
