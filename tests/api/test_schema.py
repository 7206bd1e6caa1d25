"""The OpenAPI description agrees with the service; requests generated from it find no fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import CHECKS, load_all_checks

import borough
from borough.api.app import OPERATIONS
from borough.api.openapi import describe
from borough.api.scoped import ScopedIpam
from borough.client.ipam import RemoteIpam
from borough.domain.declared.tokens import Permission, Token
from borough.domain.encode import plain, utc
from borough.domain.space.events import Event
from borough.engine.face import Face
from borough.engine.ipam import Ipam
from borough.engine.views import show_token
from tests.api.serving import Served
from tests.conftest import EXAMPLES

load_all_checks()

#: Status for values that a schema cannot exclude, such as the syntax of an address.
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409, 412, 422]},
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
        }
    }
)

SCHEMA = schemathesis.openapi.from_dict(
    json.loads(json.dumps(describe(OPERATIONS, secured=False))), config=CONFIG
)


@SCHEMA.hook
def map_body(_context: object, body: Any) -> Any:
    """Write whole numbers without a fraction: in JSON Schema 1.0 is an integer, for the service it is not."""
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if isinstance(body, list):
        return [map_body(_context, each) for each in body]
    if isinstance(body, dict):
        return {name: map_body(_context, each) for name, each in body.items()}
    return body


CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    ipam = borough.open("memory:", create=True)
    ipam.apply(EXAMPLES / "container-hosts.yaml")
    ipam.allocate(labels={"network": "pods"}, host="node-1", owner="first")
    made = Served(ipam)
    yield made
    made.close()


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_requests_made_from_the_description_find_nothing(
    case: schemathesis.Case[Any], served: Served
) -> None:
    """Every answer has the described form, and invalid requests are refused."""
    case.call_and_validate(
        base_url=served.url,
        checks=[cast(Any, CHECKS.get_one(name)) for name in CHECKED],
    )


def test_every_public_method_has_its_endpoint() -> None:
    """Operations have the names of the methods; system routes are not described."""
    endpoints = {each.name for each in OPERATIONS} | {"risks"}
    grouped = {"allocate_subnet": "add_subnet", "each_allocation": "allocations"}
    for name in public_methods(Face) - {"close"}:
        assert grouped.get(name, name) in endpoints, f"there is no endpoint {name}"


def test_no_face_has_public_methods_of_its_own() -> None:
    """Additional methods are listed with their reasons."""
    added: dict[type, dict[str, str]] = {
        Ipam: {
            "store": "stays behind the service",
            "catalogue": "in parts: subnets, hosts, dimensions, pools",
            "with_visible_hosts": "what the service does for confined tokens",
            "now": "the time by which the service tells silent agents",
            "release_seen": "what the service does for confined tokens",
            "import_seen": "what the service does for confined tokens",
            "transfer_seen": "what the service does for confined tokens",
            "renew_seen": "what the service does for confined tokens",
            "reserve_seen": "what the service does for confined tokens",
            "cancel_seen": "what the service does for confined tokens",
        },
        RemoteIpam: {},
        ScopedIpam: {
            "catalogue": "its version, for entity tags",
            "narrow": "labels of an event stream",
        },
    }
    for face, known in added.items():
        own = {name for name in vars(face) if not name.startswith("_")} - {"close"}
        assert own == set(known), face
        assert not own & public_methods(Face), face


def public_methods(face: type) -> set[str]:
    return {name for name in dir(face) if not name.startswith("_")}


def test_every_answer_has_the_fields_that_are_described() -> None:
    """msgspec makes the description, and the library's encoder the answer, of the same record."""
    described = describe(OPERATIONS, secured=True)["components"]["schemas"]
    event = Event(1, utc(0), "reassigned", "10.0.0.1", "s", "o", "h", 7, "", "", cohort_id=3)
    assert list(described["Event"]["properties"]) == list(plain(event))
    token = Token("t", "public", "digest", Permission.READ)
    assert list(described["TokenView"]["properties"]) == list(plain(show_token(token)))


def test_fields_of_a_base_are_described() -> None:
    """The body of an allocation adds fields to those of an explanation."""
    described = describe(OPERATIONS, secured=True)
    body = described["components"]["schemas"]["AllocationRequest"]["properties"]
    assert [name for name, field in body.items() if not field.get("description")] == []


def test_every_operation_has_a_tag_that_is_described() -> None:
    described = describe(OPERATIONS, secured=True)
    tags = {tag["name"] for tag in described["tags"] if tag["description"]}
    used = {tuple(each["tags"]) for path in described["paths"].values() for each in path.values()}
    assert used == {(tag,) for tag in tags}
    assert len(tags) == 6
