"""Shared addresses on the command line."""

from __future__ import annotations

from tests.cli.conftest import Cli

VIP = "10.64.0.77"


def test_owners_share_an_address(cli: Cli) -> None:
    words = ("allocate", "-l", "network=pods", "--address", VIP, "--shared", "--owner")
    cli.json(*words, "router-1")
    assert cli.json(*words, "router-2")["allocations"][0]["sharers"] == ["router-1", "router-2"]
    assert "router-1, router-2" in cli.text("list", "allocations")
    assert "shared by" in cli.text("show", VIP)
    assert [each["address"] for each in cli.json("show", "router-2")["allocations"]] == [VIP]
    said = cli.fails("release", VIP, exit_code=2, code="invalid_input")
    assert "name the owner that leaves" in said
    cli.text("release", VIP, "--owner", "router-1")
    cli.text("release", "--owner", "router-2")
    assert cli.json("list", "allocations")["allocations"] == []
