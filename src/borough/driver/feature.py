"""The features that a driver has or lacks: the lines of the summary of the conformance kit."""

from __future__ import annotations

from enum import StrEnum


class Feature(StrEnum):
    """A promise of the rules of allocation (``docs/reference/rules.md``)."""

    HARD = "hard groups: boundaries, no fallback"
    TYPED = "typed groups: fall back to unlabelled subnets"
    SOFT = "soft groups: fall back to any subnet"
    AFFINITY = "host affinity: a host returns to its subnets"
    IMPLIED = "labels that a host implies"
    OUTRIGHT = "subnets by name, in order"
    ORDER = "order: rank, weight, address"
    TOGETHER = "several addresses on one segment, all or none"
    NEXT = "next: the lowest free address"
    SPECIFIC = "specific: an address by name"
    OUTSIDE_RANGES = "specific: outside the allocation ranges"
    RANGES = "allocation ranges and gateway are respected"
    EUI64 = "automatic addresses (EUI-64)"
    GATEWAY = "the gateway, on request"
    BULK = "bulk: many addresses at once"
    DUAL_STACK = "IPv4 and IPv6 in one request"
    IPV6 = "IPv6"
    SCOPES = "scopes: the same address in several"
    OWNERS = "release by owner and by host"
    REPEATS = "repeats: idempotency keys"
    SEQUENCE = "sequence numbers: stale releases are refused"
    COOLDOWN = "cool-down of released addresses"
    EXHAUSTION = "exhaustion is reported, and only when true"
    CONCURRENCY = "many callers at once"
    CLAIMS = "blocks that hosts claim, and their routes"
