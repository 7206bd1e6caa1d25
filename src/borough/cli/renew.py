"""``borough renew``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.command import command
from borough.cli.options import given, scope_option, text_option, words
from borough.cli.output import Column, Page, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import rfc3339
from borough.engine.leases import Renewed

_COLUMNS = (
    Column("address"),
    Column("owner", soft=True),
    Column("host", soft=True),
    Column("leased until"),
    Column("sequence", right=True),
)


@command("renew", example="borough renew --key job-7")
@click.argument("address", metavar="[ADDRESS]", type=words, required=False)
@text_option(
    "--key",
    "KEY",
    "Idempotency key of the allocation. Without an address, all addresses that the key was given.",
)
@click.option(
    "--sequence",
    type=int,
    metavar="N",
    help="Only while the address has this sequence number, and so not after it was allocated anew.",
)
@text_option(
    "--lease",
    "TIME",
    "The new duration from now on: seconds, or 30s, 5m, 2h, 1d. By default that of the lease.",
)
@scope_option("Address space (VRF) of the address.")
@pass_state
def renew(state: GlobalOptions, /, **options: Any) -> None:
    """Renew the lease of an address.

    The lease ends its duration from now, and never earlier than before. A lease that is over is not renewed.
    """
    with state.open() as ipam:
        done = ipam.renew(**given(options))
    emit(state, done, lambda page: _show(page, done))


def _show(page: Page, done: Renewed) -> None:
    page.table(
        _COLUMNS,
        [
            (
                f"{each.address}/{each.prefix_length}",
                each.owner,
                each.host,
                each.leased_until and rfc3339(each.leased_until),
                each.sequence,
            )
            for each in done.allocations
        ],
    )
