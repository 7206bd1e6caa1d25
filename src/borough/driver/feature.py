"""What drivers can do or lack, thing by thing: the lines of the conformance kit's summary."""

from __future__ import annotations

from enum import StrEnum


class Feature(StrEnum):
    """Something that the rules of allocation promise (``docs/rules.md``)."""

    HARD = "hard groups: fences, no fallback"
    TYPED = "typed groups: fall back to unlabelled subnets"
    SOFT = "soft groups: fall back to any subnet"
    AFFINITY = "host affinity: a host comes back to its subnets"
    IMPLIED = "labels that a host implies"
    OUTRIGHT = "subnets named outright, in order"
    ORDER = "order: rank, weight, address"
    TOGETHER = "several addresses on one segment, all or none"
    NEXT = "next: the lowest free address"
    SPECIFIC = "specific: an address by name"
    OUTSIDE_RANGES = "specific: outside the allocation ranges"
    RANGES = "allocation ranges and gateway are kept"
    EUI64 = "automatic addresses (EUI-64)"
    GATEWAY = "the gateway, when asked for"
    BULK = "bulk: many addresses at once"
    DUAL_STACK = "IPv4 and IPv6 in one request"
    IPV6 = "IPv6"
    SCOPES = "scopes: the same address in several"
    OWNERS = "release by owner and by host"
    REPEATS = "repeats: idempotency keys"
    SEQUENCE = "sequence numbers: stale releases are refused"
    COOLDOWN = "cool-down of released addresses"
    EXHAUSTION = "exhaustion is told, and only when true"
    CONCURRENCY = "many callers at once"
    CLAIMS = "blocks that hosts claim, and their routes"
