"""Leases on the command line."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli, addresses

TAKE = ("allocate", "-l", "network=pods", "--owner", "job")


@pytest.fixture
def held(cli: Cli) -> str:
    (address,) = addresses(cli.json(*TAKE, "--lease", "1h", "--key", "k"))
    return address


def test_a_lease_is_shown_and_renewed(cli: Cli, held: str) -> None:
    found = cli.json("show", held)
    assert found["lease"] == 3600
    assert "leased until" in cli.text("show", held)
    said = cli.text("renew", held, "--sequence", str(found["sequence"]), "--lease", "2h")
    assert held in said
    assert "leased until" in said
    assert cli.json("show", held)["lease"] == 7200
    made = cli.json("renew", "--key", "k", "--lease", "300s")
    assert addresses(made) == [held]
    # Never earlier than before.
    assert made["allocations"][0]["leased_until"] > found["leased_until"]


def test_a_renewal_is_refused(cli: Cli, held: str) -> None:
    cli.fails("renew", held, "--sequence", "999", exit_code=4, code="stale_sequence")
    cli.fails("renew", "--key", "other", exit_code=4, code="idempotency_key_spent")
    cli.fails("renew", exit_code=2, code="invalid_input")
    cli.fails(*TAKE, "--lease", "soon", exit_code=2, code="invalid_input")
    (other,) = addresses(cli.json(*TAKE))
    cli.fails("renew", other, exit_code=2, code="invalid_input")
    assert "leased until" not in cli.text("show", other)


def test_a_reclaim_tells_of_leases_that_ended(cli: Cli) -> None:
    (address,) = addresses(cli.json(*TAKE, "--lease", "1s"))
    cli.sql("UPDATE borough_allocation SET until = until - 3600000000")
    assert cli.text("reclaim").startswith("1 address released at the end of the lease.\n")
    assert address not in cli.text("list", "allocations")
