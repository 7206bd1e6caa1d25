"""Explanations of claims, growth, takeovers and borrowing (rule 11): every reason, on every store."""

from __future__ import annotations

from borough import Ipam

L = {"network": "n"}


def pods(ipam: Ipam, cidr: str) -> None:
    ipam.apply({"subnets": [{"name": "pods", "cidr": cidr, "labels": L}]})


def take(ipam: Ipam, host: str, count: int = 1) -> list[str]:
    answer = ipam.allocate(labels=L, host=host, count=count, owner=f"of-{host}")
    return [each.address for each in answer.allocations]


def why(ipam: Ipam, host: str | None, **more: str) -> str:
    """The one note of an explanation, which the allocation repeats."""
    explanation = ipam.explain(labels=L, host=host, **more)  # type: ignore[arg-type]
    told = ipam.allocate(labels=L, host=host, explain=True, **more).explanation  # type: ignore[arg-type]
    assert told is not None
    assert told.notes == explanation.notes
    (note,) = explanation.notes
    return note


def test_a_claim(ipam: Ipam) -> None:
    """Its place, and that it can double there; the whole rest; by address."""
    pods(ipam, "10.0.0.0/26")
    assert why(ipam, "h1") == (
        "host=h1 claims 10.0.0.0/28: nothing of its own is free; it starts in the largest unclaimed "
        "space, 10.0.0.0/26, where it has most room to double"
    )
    take(ipam, "h2")
    assert why(ipam, "h3", kind="next") == (
        "host=h3 claims 10.0.0.16/28: the lowest free address is there"
    )
    assert why(ipam, "h4") == (
        "host=h4 claims 10.0.0.48/28: nothing of its own is free, and this is the largest unclaimed "
        "space"
    )


def test_a_claim_of_a_block_that_was_left(ipam: Ipam) -> None:
    """It was used once, and has no holder."""
    pods(ipam, "10.0.0.0/28")
    take(ipam, "h1")
    ipam.drain("h1")
    ipam.release(owner="of-h1")
    assert why(ipam, "h2") == (
        "host=h2 claims 10.0.0.0/28: nothing of its own is free, and this block is unused and unclaimed"
    )


def test_growth(ipam: Ipam) -> None:
    """Still one route."""
    pods(ipam, "10.0.0.0/26")
    take(ipam, "h1", 15)
    assert why(ipam, "h1") == (
        "host=h1 grows its region in place to 10.0.0.0/27: the other half was unclaimed, so that it is "
        "still one route"
    )


def test_a_takeover(ipam: Ipam) -> None:
    """The cost of an unused region, and of its unused half."""
    pods(ipam, "10.0.0.0/24")
    ipam.release(take(ipam, "h1", 200)[100:])
    assert why(ipam, "h2") == (
        "host=h2 takes over 10.0.0.128/25, the unused half of host=h1's 10.0.0.0/24, which costs host=h1 "
        "no route"
    )
    ipam.release(owner="of-h1")
    ipam.allocate(labels=L, host="h2", count=126, owner="o")
    assert why(ipam, "h2").startswith(
        "host=h2 takes over 10.0.0.0/25, which host=h1 had left unused"
    )


def test_a_loan_of_a_piece(ipam: Ipam) -> None:
    """It costs the lender no route, and the borrower one."""
    pods(ipam, "10.0.0.0/26")
    take(ipam, "h1", 40)
    assert why(ipam, "h2") == (
        "host=h2 borrows 10.0.0.60/30 of host=h1's 10.0.0.0/26, unused there: host=h1 keeps its route, "
        "and 10.0.0.60/30 is a longer one"
    )


def test_a_loan(ipam: Ipam) -> None:
    """Because nothing else is left, because it was asked for, or without a claimant."""
    pods(ipam, "10.0.0.0/28")
    held = take(ipam, "h1", 14)
    ipam.release([held[each] for each in (3, 5, 7)])
    assert why(ipam, "h2", address="10.0.0.4") == (
        "10.0.0.4 is borrowed from host=h1's 10.0.0.0/28: this address was asked for"
    )
    assert why(ipam, "h2") == (
        "10.0.0.6 is borrowed from host=h1's 10.0.0.0/28: nothing of its own and nothing unclaimed is "
        "free, and no unused piece of a region may be borrowed in its place; it is a route of its own"
    )
    assert why(ipam, None) == (
        "10.0.0.8 is borrowed from host=h1's 10.0.0.0/28: nothing unclaimed is free"
    )


def test_a_rack_has_reasons_as_a_host_has(ipam: Ipam) -> None:
    """The claimant is named with its dimension."""
    ipam.apply(
        {
            "dimensions": {"rack": {"fallback": "any", "claims": True}},
            "subnets": [{"name": "pods", "cidr": "10.0.0.0/28", "labels": L}],
        }
    )
    (note,) = ipam.explain(labels={**L, "rack": "r1"}).notes
    assert note.startswith("rack=r1 claims 10.0.0.0/28: ")


def test_an_address_that_is_shared(ipam: Ipam) -> None:
    """Other hosts are in the remaining block; or the cap is reached."""
    rules = {"host": {"fallback": "any", "claims": {"block": 4, "cap": 4}}}
    pods(ipam, "10.0.0.0/28")
    take(ipam, "h1", 14)
    ipam.drain("h1")
    ipam.release("10.0.0.9")
    assert why(ipam, "h2") == (
        "10.0.0.9 lies in 10.0.0.0/28, which is unclaimed: nothing of its own is free, and others use "
        "this block as well; it is a route of its own"
    )
    ipam.apply(
        {
            "name": "capped",
            "dimensions": rules,
            "subnets": [{"name": "more", "cidr": "10.0.1.0/24", "labels": {"network": "m"}}],
        }
    )
    ipam.allocate(labels={"network": "m"}, host="h3", count=3)
    (note,) = ipam.explain(labels={"network": "m"}, host="h3").notes
    assert note.endswith("which is unclaimed: host=h3 may claim no more; it is a route of its own")
