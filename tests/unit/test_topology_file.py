from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.dimensions import Dimension, Fallback
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Topology
from borough.domain.net.addresses import parse_address
from borough.domain.net.prefixes import parse_prefix
from borough.engine.topology import document, yaml_tree
from borough.engine.topology.document import load_topology, parse_topology_text
from borough.engine.topology.settings import parse_cooldown
from borough.errors import FixInput, InvalidTopology
from tests.conftest import EXAMPLES


def read(text: str) -> Topology:
    return parse_topology_text(text, filename="net.yaml")


def refused(text: str) -> list[tuple[int | None, str, str]]:
    """The problems of a text as (line, field, reason)."""
    with pytest.raises(InvalidTopology) as caught:
        read(text)
    return [
        (problem["line"], problem["field"], problem["reason"])
        for problem in caught.value.detail["problems"]
    ]


def only_subnet(settings: str) -> Subnet:
    (subnet,) = read(f"subnets: [{{name: a, cidr: 10.0.0.0/24, {settings}}}]").subnets
    return subnet


def at(text: str) -> int:
    return parse_address(text)[1]


# --- What a file says -------------------------------------------------------------------------


def test_the_dimensions_are_ranked_as_they_stand_in_the_file():
    topology = load_topology(EXAMPLES / "container-hosts.yaml")
    assert topology.dimensions == (
        Dimension("network", Fallback.NONE, 0),
        Dimension("rack", Fallback.ANY, 1),
        Dimension("host", Fallback.ANY, 2, claims=True),
    )


def test_a_subnet_keeps_all_that_the_file_says():
    text = """
name: site-a
scopes: [blue]
subnets:
  - name: web
    cidr: 10.0.0.0/24
    scope: blue
    gateway: 10.0.0.254
    ranges: [10.0.0.100-10.0.0.199, 10.0.0.10-10.0.0.19]
    labels: {network: n, service_type: [dhcp, dns]}
    weight: -3
    project: p
    cooldown: 5m
    attributes: {vlan: 7}
"""
    assert read(text).subnets == (
        Subnet(
            id=0,
            name="web",
            scope="blue",
            prefix=parse_prefix("10.0.0.0/24"),
            gateway=at("10.0.0.254"),
            ranges=(
                (at("10.0.0.10"), at("10.0.0.19")),
                (at("10.0.0.100"), at("10.0.0.199")),
            ),
            labels={"network": frozenset({"n"}), "service_type": frozenset({"dhcp", "dns"})},
            weight=-3,
            project="p",
            cooldown=300,
            attributes={"vlan": 7},
            source="site-a",
        ),
    )


@pytest.mark.parametrize("name", ["container-hosts", "routed-network", "service-subnets"])
def test_the_examples_can_be_read(name: str):
    assert load_topology(EXAMPLES / f"{name}.yaml").subnets


def test_the_name_of_the_caller_goes_before_the_name_in_the_file():
    text = "{name: inside, hosts: {h: null}}"
    topology = parse_topology_text(text, name="outside")
    assert (topology.name, topology.hosts[0].source) == ("outside", "outside")


def test_a_host_may_have_no_labels():
    assert [(host.name, host.labels) for host in read("hosts: {a: , b: {}, c: ~}").hosts] == [
        ("a", {}),
        ("b", {}),
        ("c", {}),
    ]


@pytest.mark.parametrize(
    "written", ["101", "no", "true", "1.50", "0x10", "2026-01-01", "12:30:00", "=", "1_000"]
)
def test_a_label_is_the_text_that_was_written(written: str):
    assert only_subnet(f"labels: {{segment: {written}}}").labels == {
        "segment": frozenset([written])
    }


@pytest.mark.parametrize("written", ["'null'", "!!str null", '"~"', "!!str ~"])
def test_text_is_not_null(written: str):
    assert read(f"name: {written}").name in ("null", "~")


def test_an_empty_list_of_values_is_no_label():
    assert only_subnet("labels: {network: []}").labels == {}


@pytest.mark.parametrize("written", ['"10.0.0.5 - 10.0.0.9"', "[10.0.0.5, 10.0.0.9]"])
def test_a_range_can_be_written_as_text_or_as_a_pair(written: str):
    assert only_subnet(f"ranges: [{written}]").ranges == ((at("10.0.0.5"), at("10.0.0.9")),)


def test_a_range_can_be_written_with_first_and_last():
    subnet = only_subnet("ranges: [{last: 10.0.0.9, first: 10.0.0.5}]")
    assert subnet.ranges == ((at("10.0.0.5"), at("10.0.0.9")),)


def test_attributes_have_jsons_types_and_no_others():
    written = "{a: 1, b: 1.5, c: true, d: null, e: '1', f: no, g: 00501, h: nan, i: 1e999, j: [-2]}"
    assert only_subnet(f"attributes: {written}").attributes == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": "1",
        "f": "no",
        "g": "00501",
        "h": "nan",
        "i": "1e999",
        "j": [-2],
    }


@pytest.mark.parametrize(
    ("prefix", "lengths"), [("10.0.0.0/8", (8, 32, 8)), ("fd00::/48", (64, 128, 64))]
)
def test_a_pool_has_the_usual_lengths_of_its_family(prefix: str, lengths: tuple[int, int, int]):
    (pool,) = read(f"pools: [{{name: p, prefixes: ['{prefix}']}}]").pools
    assert (pool.minimum_length, pool.maximum_length, pool.default_length) == lengths


def test_the_default_length_of_a_pool_is_its_minimum():
    text = "pools: [{name: p, prefixes: [10.0.0.0/8], minimum_length: 20}]"
    assert read(text).pools[0].default_length == 20


def test_scopes_may_be_a_mapping():
    assert read("scopes: {blue: , red: {}}").scopes == ("blue", "red")


def test_a_built_in_dimension_need_only_be_named():
    topology = read("dimensions: {host: , service_type: {}}")
    assert topology.dimensions == (
        Dimension("host", Fallback.ANY, 0, claims=True),
        Dimension("service_type", Fallback.UNLABELLED, 1),
    )


def test_a_host_dimension_that_is_hard_claims_nothing():
    assert not read("dimensions: {host: {fallback: none}}").dimensions[0].claims


def test_json_is_read_as_it_is():
    made = {"name": "x", "subnets": [{"name": "é", "cidr": "fd00::/64", "weight": 5}]}
    assert read(json.dumps(made, indent="\t", ensure_ascii=False)) == load_topology(made)


def test_a_file_may_begin_with_a_byte_order_mark_and_end_its_lines_as_on_windows(tmp_path: Path):
    file = tmp_path / "net.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: x\r\nscopes:\r\n  - blue\r\n")
    assert load_topology(file) == Topology(name="x", scopes=("blue",))


def test_the_numbers_of_a_mapping_are_taken_as_labels_text():
    made = {"subnets": [{"name": "a", "cidr": "10.0.0.0/24", "labels": {"segment": [101, "b"]}}]}
    assert load_topology(made).subnets[0].labels == {"segment": frozenset({"101", "b"})}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        ("30", 30),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("365d", 31536000),
    ],
)
def test_a_cooldown_has_a_unit(written: object, seconds: int):
    assert parse_cooldown(written) == seconds


@pytest.mark.parametrize("written", [-1, "366d", "5 m", "1w", True, 1.5, "", None, "٣", "5m\n"])
def test_no_other_cooldown_is_taken(written: object):
    with pytest.raises(FixInput):
        parse_cooldown(written)


# --- What is refused --------------------------------------------------------------------------

A = "subnets:\n  - name: a\n    cidr: 10.0.0.0/24\n    "
P = "pools:\n  - name: p\n    prefixes: [10.0.0.0/16]\n    "


@pytest.mark.parametrize(
    ("text", "line", "field", "reason"),
    [
        # The file as a whole
        ("", 1, "", "is empty"),
        ("# nothing\n", 1, "", "is empty"),
        ("- a", 1, "", "must be a mapping"),
        ("\n\nsubnet: []", 3, "subnet", "did you mean 'subnets'?"),
        ("vlans: 1", 1, "vlans", "known are name, dimensions"),
        ("subnets:", 1, "subnets", "is empty; write []"),
        ("hosts: ~", 1, "hosts", "is empty; write {}"),
        ("subnets: {}", 1, "subnets", "must be a list"),
        ("subnets:\n\n  a: {}", 1, "subnets", "must be a list"),
        ("hosts: [a]", 1, "hosts", "must be a mapping"),
        ("name: [a]", 1, "name", "must be a single value"),
        ("name: ' a'", 1, "name", "blanks at an end"),
        # Dimensions
        ("dimensions:\n  Rack: {fallback: any}", 2, "dimensions.Rack", "cannot name a dimension"),
        ("dimensions:\n  rack: {}", 2, "dimensions.rack", "fallback is missing"),
        ("dimensions:\n  rack:", 2, "dimensions.rack", "fallback is missing"),
        (
            "dimensions:\n  rack:\n    fallback: unlabeled",
            3,
            "dimensions.rack.fallback",
            "did you mean 'unlabelled'?",
        ),
        ("dimensions:\n  rack: {fallback: ~}", 2, "dimensions.rack.fallback", "is empty"),
        (
            "dimensions:\n  rack:\n    fallback: none\n    claims: true",
            4,
            "dimensions.rack.claims",
            "only a dimension with fallback any",
        ),
        (
            "dimensions: {rack: {fallback: any, claims: yes}}",
            1,
            "dimensions.rack.claims",
            "must be true or false",
        ),
        # Scopes
        ("scopes:\n  - a\n  - a", 3, "scopes[1]", "declared twice"),
        ("scopes: [[]]", 1, "scopes[0]", "must be text"),
        ("scopes: {a: {x: 1}}", 1, "scopes.a.x", "unknown field 'x'"),
        # Pools
        ("pools: [{prefixes: [10.0.0.0/8]}]", 1, "pools[0]", "name is missing"),
        ("pools: [{name: p}]", 1, "pools[0]", "prefixes is missing"),
        ("pools: [{name: p, prefixes: []}]", 1, "pools[0].prefixes", "at least one prefix"),
        (
            "pools:\n  - name: p\n    prefixes:\n      - 10.0.0.0/8\n      - fd00::/48",
            5,
            "pools[0].prefixes[1]",
            "of one family",
        ),
        (
            "pools:\n  - name: p\n    prefixes:\n      - 10.0.0.1/8",
            4,
            "pools[0].prefixes[0]",
            "did you mean 10.0.0.0/8?",
        ),
        (P + "minimum_length: 33", 4, "pools[0].minimum_length", "must be from 0 to 32"),
        (P + "default_length: 4", 4, "pools[0].default_length", "minimum 8 <= default 4"),
        (
            P + "minimum_length: 24\n    maximum_length: 20",
            5,
            "pools[0].maximum_length",
            "default 24 <= maximum 20",
        ),
        (P + "maximum_length: 12", 3, "pools[0].prefixes", "10.0.0.0/16 is longer"),
        (P + "quota: -1", 4, "pools[0].quota", "must be from 0"),
        (P + "quota: 1.5", 4, "pools[0].quota", "must be a whole number"),
        (
            "pools:\n  - {name: p, prefixes: [10.0.0.0/16, 10.0.1.0/24]}",
            2,
            "pools[0].prefixes",
            "10.0.1.0/24 of p overlaps 10.0.0.0/16 of p",
        ),
        (
            "pools:\n  - {name: p, prefixes: [10.1.0.0/16]}\n  - {name: q, prefixes: [10.0.0.0/8]}",
            3,
            "pools[1].prefixes",
            "10.0.0.0/8 of q overlaps 10.1.0.0/16 of p",
        ),
        (
            "pools:\n  - {name: p, prefixes: [10.0.0.0/8]}\n  - {name: p, prefixes: [fd00::/8]}",
            3,
            "pools[1].name",
            "declared twice",
        ),
        # Subnets
        ("subnets: [a]", 1, "subnets[0]", "must be a mapping"),
        ("subnets:\n  - cidr: 10.0.0.0/24", 2, "subnets[0]", "name is missing"),
        ("subnets:\n  - name: a", 2, "subnets[0]", "cidr is missing"),
        (
            "subnets:\n  - name: a\n    cidr: 10.0.0.1/24",
            3,
            "subnets[0].cidr",
            "'10.0.0.1/24' has host bits set; did you mean 10.0.0.0/24?",
        ),
        ("subnets: [{name: a, cidr: 10.0.0.0}]", 1, "subnets[0].cidr", "is not a prefix"),
        (A + "gatway: 10.0.0.1", 4, "subnets[0].gatway", "did you mean 'gateway'?"),
        (A + "gateway: 10.0.1.1", 4, "subnets[0].gateway", "no usable address of 10.0.0.0/24"),
        (A + "gateway: 10.0.0.0", 4, "subnets[0].gateway", "no usable address"),
        (A + "gateway: 10.0.0.255", 4, "subnets[0].gateway", "no usable address"),
        (A + "gateway: fd00::1", 4, "subnets[0].gateway", "no usable address"),
        (A + "gateway:", 4, "subnets[0].gateway", "is empty"),
        (A + "ranges: 10.0.0.1-10.0.0.5", 4, "subnets[0].ranges", "must be a list"),
        (A + "ranges:\n    - 10.0.0.x", 5, "subnets[0].ranges[0]", "not an IP address"),
        (A + "ranges:\n    - 10.0.0.9-10.0.0.5", 5, "subnets[0].ranges[0]", "backwards"),
        (A + "ranges:\n    - 10.0.0.9-10.0.1.5", 5, "subnets[0].ranges[0]", "does not lie in"),
        (A + "ranges:\n    - fd00::1-fd00::5", 5, "subnets[0].ranges[0]", "does not lie in"),
        (A + "ranges: [[10.0.0.5]]", 4, "subnets[0].ranges[0]", "a first and a last"),
        (A + "ranges: [{first: 10.0.0.5}]", 4, "subnets[0].ranges[0]", "first and last"),
        (
            A + "ranges:\n    - 10.0.0.5-10.0.0.9\n    - 10.0.0.1-10.0.0.5",
            6,
            "subnets[0].ranges[1]",
            "overlaps another range",
        ),
        (A + "labels:\n      network: ''", 5, "subnets[0].labels.network", "1 to 255 characters"),
        (A + "labels:\n      Net: a", 5, "subnets[0].labels.Net", "cannot name a dimension"),
        (A + "labels:\n      network:", 5, "subnets[0].labels.network", "must be text"),
        (A + "labels:\n      network: {a: b}", 5, "subnets[0].labels.network", "must be text"),
        (A + "labels: [network]", 4, "subnets[0].labels", "must be a mapping"),
        (A + "labels:", 4, "subnets[0].labels", "is empty"),
        (A + "weight: 1001", 4, "subnets[0].weight", "from -1000 to 1000"),
        (A + "weight: heavy", 4, "subnets[0].weight", "whole number"),
        (A + "cooldown: 1w", 4, "subnets[0].cooldown", "30s, 5m, 2h, 1d"),
        (A + "project: ''", 4, "subnets[0].project", "1 to 255 characters"),
        (A + 'project: "a\\0b"', 4, "subnets[0].project", "cannot be printed"),
        (A + f"project: {'p' * 256}", 4, "subnets[0].project", "1 to 255 characters"),
        (A + f"attributes: {{a: {'x' * 10_240}}}", 4, "subnets[0].attributes", "10240 bytes"),
        (A + "attributes: [1]", 4, "subnets[0].attributes", "must be a mapping"),
        (
            "subnets:\n  - {name: a, cidr: 10.0.0.0/24}\n  - {name: a, cidr: 10.0.1.0/24}",
            3,
            "subnets[1].name",
            "subnet 'a' is declared twice",
        ),
        (
            "subnets:\n  - {name: a, cidr: 10.0.0.0/24}\n  - {name: b, cidr: 10.0.0.0/16}",
            3,
            "subnets[1].cidr",
            "10.0.0.0/16 of b overlaps 10.0.0.0/24 of a",
        ),
        # Hosts
        ("hosts:\n  h:\n    host: h", 3, "hosts.h.host", "its own host"),
        ("hosts:\n  ' h': {}", 2, "hosts. h", "blanks at an end"),
        ("hosts:\n  h: rack-1", 2, "hosts.h", "must be a mapping"),
        # YAML that a topology has no use for
        ("hosts:\n  h: {}\n  h: {}", 3, "hosts.h", "'h' stands here twice"),
        ("hosts:\n  h: &a {}\n  i: *a", 2, "hosts.h", "anchors and aliases"),
        ("hosts:\n  <<: {h: {}}", 2, "hosts.<<", "merge keys"),
        ("name: !!python/name:os.system x", 1, "name", "is not allowed"),
        ("hosts: !hosts {}", 1, "hosts", "tag !hosts is not allowed"),
        ("hosts: !!set {h}", 1, "hosts", "is not allowed"),
        ("!x name: a", 1, "", "tag !x is not allowed"),
        ("name: a\n---\nname: b", 2, "", "a second document"),
        ("name: a\n? [b]\n: c", 2, "", "a key must be text"),
        ("name: a\nscopes: [b", 3, "", "not YAML"),
        ("name: a\n\tscopes: []", 2, "", "not YAML"),
        ("name: a\nscopes: [\0]", 2, "", "U+0000"),
        ("name: a\n# \x1b[2J", 2, "", "U+001B"),
        ("\n# \ud800", 2, "", "U+D800"),
    ],
)
def test_the_one_problem_is_named_with_its_line_and_field(
    text: str, line: int, field: str, reason: str
):
    ((found_line, found_field, found_reason),) = refused(text)
    assert (found_line, found_field) == (line, field)
    assert reason in found_reason


def test_the_message_names_the_first_problem_and_counts_the_others():
    with pytest.raises(InvalidTopology) as caught:
        read("name: a\nsubnets:\n - name: s\n   cidr: 10.0.0.1/24\n   weight: x\nhosts: 1\n")
    assert caught.value.message == (
        "net.yaml:4: subnets[0].cidr: '10.0.0.1/24' has host bits set; "
        "did you mean 10.0.0.0/24? (and 2 more problems)"
    )


def test_problems_are_listed_in_the_order_of_the_file():
    text = "dimensions: {rack: {}}\nhosts: 1\nsubnets: 1\npools: 1\n"
    assert [line for line, _, _ in refused(text)] == [1, 2, 3, 4]


def test_a_wrong_prefix_does_not_hide_the_other_fields():
    text = "subnets: [{name: '', cidr: x, weight: y, gateway: 10.0.0.1}]"
    assert [field for _, field, _ in refused(text)] == [
        "subnets[0].cidr",
        "subnets[0].name",
        "subnets[0].weight",
    ]


def test_the_list_of_problems_is_bounded_and_the_count_is_not():
    with pytest.raises(InvalidTopology) as caught:
        read("hosts: {" + ", ".join(f"h{n}: 1" for n in range(80)) + "}")
    assert len(caught.value.detail["problems"]) == document.PROBLEMS
    assert "(and 79 more problems)" in caught.value.message


def test_a_long_value_is_not_repeated_in_full():
    ((_, field, reason),) = refused(f"subnets: [{{name: a, cidr: {'x' * 100_000}}}]")
    assert (field, len(reason) <= 500) == ("subnets[0].cidr", True)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_without_end_is_refused_at_once(opening: str):
    ((line, _, reason),) = refused(opening * 1_000_000)
    assert (line, reason) == (1, f"nested deeper than {yaml_tree.DEPTH_LIMIT} levels")


def test_subnets_of_two_scopes_may_overlap():
    text = "subnets: [{name: a, cidr: 10.0.0.0/24}, {name: b, cidr: 10.0.0.0/24, scope: blue}]"
    assert len(read(text).subnets) == 2


def test_a_mapping_has_no_lines():
    with pytest.raises(InvalidTopology) as caught:
        load_topology({"subnets": [{"name": "a", "cidr": "10.0.0.1/24"}]})
    assert caught.value.message.startswith("subnets[0].cidr: '10.0.0.1/24' has host bits set")
    assert caught.value.detail["problems"][0]["line"] is None


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"pools": [None]}, "pools[0]"),
        ({"hosts": {1: {}}}, "hosts"),
        ({"name": 5}, "name"),
        ({"subnets": [{"name": "a", "cidr": 5}]}, "subnets[0].cidr"),
        ({"hosts": {"h": {"rack": True}}}, "hosts.h.rack"),
        ({"hosts": {"h": {"rack": 1.5}}}, "hosts.h.rack"),
        ({"subnets": [{"name": "a", "cidr": "::/64", "attributes": {"a": {1}}}]}, "subnets[0]"),
        (["a"], ""),
        (None, ""),
    ],
)
def test_a_mapping_with_the_wrong_types_is_refused(source: Any, field: str):
    with pytest.raises(InvalidTopology) as caught:
        load_topology(source)
    assert caught.value.detail["problems"][0]["field"].startswith(field)


def test_a_mapping_that_holds_itself_is_refused():
    made: dict[str, Any] = {}
    made["hosts"] = made
    with pytest.raises(InvalidTopology, match="nested deeper"):
        load_topology(made)


# --- Files that cannot be read ------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidTopology, match=r"net\.yaml: cannot be read: No such file"):
        load_topology(tmp_path / "net.yaml")


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(InvalidTopology, match="cannot be read: Is a directory"):
        load_topology(tmp_path)


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(InvalidTopology, match="cannot be read"):
        load_topology("a\0b")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def deny(*_args: object, **_kwargs: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    # The superuser may read everything, so that the mode of a file would not do.
    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(InvalidTopology, match="cannot be read: Permission denied"):
        load_topology(tmp_path / "net.yaml")


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path):
    file = tmp_path / "net.yaml"
    file.write_bytes(b"name: a\nscopes: [\xe9]\n")
    with pytest.raises(InvalidTopology) as caught:
        load_topology(file)
    (problem,) = caught.value.detail["problems"]
    assert problem["line"] == 2
    assert "not UTF-8" in problem["reason"]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(document, "SIZE_LIMIT", 10)
    file = tmp_path / "net.yaml"
    file.write_text("name: abcde")
    with pytest.raises(InvalidTopology, match="larger than 10 bytes"):
        load_topology(file)


def test_a_file_of_just_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(document, "SIZE_LIMIT", 11)
    file = tmp_path / "net.yaml"
    file.write_text("name: abcde")
    assert load_topology(str(file)).name == "abcde"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a device without end")
def test_a_device_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(document, "SIZE_LIMIT", 1000)
    with pytest.raises(InvalidTopology, match="larger than"):
        load_topology("/dev/zero")


# --- Anything at all ----------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [
        *("name", "subnets", "hosts", "cidr", "10.0.0.0/24", "ranges"),
        *("&a", "*a", "!!", "---", "<<", ": ", "- ", "  ", *"{}[],'\"|>?#\t\n"),
    ]
)


@given(st.lists(_WORDS, max_size=20).map("".join) | st.text(max_size=30))
def test_no_text_raises_anything_else(text: str):
    try:
        read(text)
    except InvalidTopology as error:
        assert error.detail["problems"]  # noqa: PT017  (any text at all: it may well be read)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
_FIELDS = ["name", "cidr", "prefixes", "scope", "gateway", "ranges", "labels", "weight", "quota"]
_OBJECT = st.dictionaries(st.sampled_from([*_FIELDS, "attributes", "cooldown"]), _JSON)


@given(
    st.dictionaries(
        st.sampled_from(["name", "dimensions", "scopes", "pools", "subnets", "hosts"]),
        _JSON | st.lists(_OBJECT, max_size=2) | st.dictionaries(st.just("host"), _JSON),
    )
)
def test_no_mapping_raises_anything_else(source: dict[str, Any]):
    try:
        load_topology(source)
    except InvalidTopology as error:
        assert error.detail["problems"]  # noqa: PT017  (as above)
