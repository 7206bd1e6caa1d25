"""Effects of a change of subnets on addresses, claims and routes, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: Effects of one kind that an answer lists.
LISTED: Final = 100


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a change of subnets does to addresses, claims or routes.

    :ivar kind: ``follow``: addresses go to another subnet; ``rest_ended``: resting addresses are free;
        ``claim_lost``, ``claimed``; ``withdrawn``, ``announced``: a route; ``gateway_held``: the new
        gateway has a holder; ``unreached``: a host has addresses where it reaches no longer.
    :ivar subnet: the subnet afterwards, or the removed one.
    :ivar subject: an address or a prefix.
    :ivar holder: the owner of the address, the claimant, or the host of the route or of the addresses.
    :ivar message: one sentence for a person.
    """

    kind: Literal[
        "follow",
        "rest_ended",
        "claim_lost",
        "claimed",
        "withdrawn",
        "announced",
        "gateway_held",
        "unreached",
    ]
    subnet: str
    subject: str
    holder: str
    message: str
