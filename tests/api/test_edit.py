"""Edits, transfers and searches by attribute over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

import borough
from borough.client.ipam import connect
from borough.engine import edits
from borough.errors import NotAllocated, StaleSequence
from tests.api.serving import Served

PATH = "/v1/allocations/default/10.0.0.1"


@pytest.fixture
def served() -> Iterator[Served]:
    ipam = borough.open("memory:", create=True)
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
    ipam.allocate(subnets=["s"], count=5, owner="old", attributes={"a": 1, "b": "ü x"})
    made = Served(ipam)
    yield made
    made.close()


def call(served: Served, body: object, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    head = {"Content-Type": "application/json", **headers}
    connection.request("PATCH", PATH, json.dumps(body), head)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def test_a_patch_changes_only_what_it_names(served: Served) -> None:
    status, found = call(served, {"owner": "new", "attributes": {"a": None, "c": [1]}})
    assert (status, found["owner"], found["note"]) == (200, "new", "")
    assert found["attributes"] == {"b": "ü x", "c": [1]}
    status, found = call(served, {"note": "n", "owner": None})
    assert (status, found["owner"], found["note"]) == (200, "new", "n")
    for wrong in ({"host": "h"}, {"owner": 1}, {"note": "x" * 2_000}):
        assert call(served, wrong)[0] == 400
    for wrong in ({}, {"note": " x"}):
        assert call(served, wrong)[0] == 422


def test_an_entity_tag_guards_a_patch(served: Served) -> None:
    """The sequence number in `If-Match`; a stale one is 412, in the body 409."""
    sequence = served.ipam.show("10.0.0.1").sequence
    assert call(served, {"note": "a"}, **{"If-Match": f'"{sequence}"'})[0] == 200
    status, found = call(served, {"note": "b"}, **{"If-Match": f'"{sequence + 1}"'})
    assert (status, found["code"]) == (412, "stale_sequence")
    status, found = call(served, {"note": "b", "sequence": sequence + 1})
    assert (status, found["code"]) == (409, "stale_sequence")
    assert served.ipam.show("10.0.0.1").note == "a"


def test_the_client_edits_like_the_library(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "PIECE", 2)
    with connect(served.url) as ipam:
        edited = ipam.edit("10.0.0.1", note="n", attributes={"b": None})
        assert edited == served.ipam.show("10.0.0.1")
        with pytest.raises(StaleSequence):
            ipam.edit("10.0.0.1", note="n", sequence=edited.sequence + 1)
        with pytest.raises(NotAllocated):
            ipam.edit("10.0.0.9", note="n")
        seen: list[int] = []
        done = ipam.transfer("old", "new", progress=lambda piece: seen.append(piece.total))
        assert (done.total, seen) == (5, [2, 4, 5])
        assert len(ipam.allocations(owner="new")) == 5
        assert len(ipam.allocations(attributes={"a": "1", "b": "ü x"}, limit=3)) == 3
        assert len(list(ipam.each_allocation(attributes={"a": "1"}))) == 5
        assert ipam.allocations(attributes={"a": "2"}) == []
