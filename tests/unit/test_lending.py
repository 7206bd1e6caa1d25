"""The pieces that may be lent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from borough.domain.declared.records import Subnet
from borough.domain.net.prefixes import parse_prefix
from borough.domain.policy.lending import loan
from borough.domain.space.blocks import Block, withheld_bits

SUBNET = Subnet(7, "net", "default", parse_prefix("10.0.0.0/24"))


def block(text: str, region_length: int, used: int = 0) -> Block:
    """A block of h1 with its first addresses in use."""
    prefix = parse_prefix(text)
    bits = withheld_bits(SUBNET, prefix) | (1 << used) - 1
    return Block(1, 7, 5, prefix, bits, "host=h1", region_length, high_water=used)


@pytest.mark.parametrize(
    ("text", "region", "used", "others", "most", "piece"),
    [
        ("10.0.0.32/27", 27, 9, [], 64, "10.0.0.48/28"),
        ("10.0.0.32/27", 27, 9, [], 8, "10.0.0.56/29"),
        ("10.0.0.32/27", 27, 30, [], 64, "10.0.0.62/31"),
        ("10.0.0.32/27", 27, 31, [], 64, None),
        # The lender keeps a part, unless it has another block near.
        ("10.0.0.48/28", 27, 0, [], 64, "10.0.0.56/29"),
        ("10.0.0.48/28", 27, 0, ["10.0.0.32/28"], 64, "10.0.0.48/28"),
        ("10.0.0.64/26", 25, 0, ["10.0.0.0/26"], 64, "10.0.0.96/27"),
        ("10.0.0.34/31", 27, 0, [], 64, None),
        # Only addresses that can be allocated are left to the lender.
        ("10.0.0.0/30", 27, 0, [], 64, "10.0.0.2/31"),
        ("10.0.0.0/31", 27, 0, ["10.0.0.4/30"], 64, "10.0.0.0/31"),
    ],
)
def test_a_loan(
    text: str, region: int, used: int, others: list[str], most: int, piece: str | None
) -> None:
    offered = block(text, region, used)
    # A store reads the offered block and those of its region apart.
    blocks = [replace(offered), *(block(each, region, 1) for each in others)]
    found = loan(SUBNET, offered, blocks, most)
    assert (str(found) if found else None) == piece
