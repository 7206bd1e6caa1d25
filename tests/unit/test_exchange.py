"""Address lists in the formats of other programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from borough.domain.encode import utc
from borough.engine.exchange.foreign import read_foreign
from borough.engine.exchange.read import read_csv, read_json_lines
from borough.engine.exchange.write import FORMS, write
from borough.engine.views import Allocation
from borough.errors import FixInput


def allocation(address: str, owner: str = "", **more: Any) -> Allocation:
    values: dict[str, Any] = {
        "address": address,
        "scope": "default",
        "subnet": "s",
        "owner": owner,
        "host": "",
        "sequence": 1,
        "state": "allocated",
        "attributes": {},
        "note": "",
        "at": utc(0),
        "until": None,
        **more,
    }
    known = Allocation.__dataclass_fields__
    made = {name: value for name, value in values.items() if name in known}
    for name, each in known.items():
        if name not in made:
            made[name] = 4 if "int" in str(each.type) else ""
    return Allocation(**made)


FOUND = [
    allocation(
        "10.0.0.5", "web-1", host="h1", attributes={"mac": "00:11:22:33:44:55"}, note="a, b"
    ),
    allocation("2001:db8::5", "web-1", attributes={"mac": "00:11:22:33:44:55"}),
    allocation("10.0.0.6", "no name", attributes={"hostname": "db-1"}),
    allocation("10.0.0.7", "not/a/name"),
    allocation("10.0.0.8", "gone", state="cooling"),
]


def test_csv_and_json_lines_are_read_back():
    for form, read in (("csv", read_csv), ("jsonl", read_json_lines)):
        entries = list(read(write(FOUND, form)))
        assert [each["address"] for each in entries] == [each.address for each in FOUND[:4]]
        assert entries[0]["note"] == "a, b"
        assert entries[0]["attributes"] == {"mac": "00:11:22:33:44:55"}
        assert entries[3]["owner"] == "not/a/name"


def test_lines_that_do_not_fit_are_named():
    for lines, said in (
        (["ip,owner", "10.0.0.1,x"], "columns are address"),
        (["address,owner", "10.0.0.1"], "line 2"),
        (["address,attributes", "10.0.0.1,nothing"], "line 2"),
    ):
        with pytest.raises(FixInput, match=said):
            list(read_csv(lines))
    with pytest.raises(FixInput, match="line 2"):
        list(read_json_lines(['{"address": "10.0.0.1"}', "[]"]))


def test_names_for_dns_hosts_and_inventory():
    assert list(write(FOUND, "dns", "example.org")) == [
        "web-1.example.org. IN A 10.0.0.5",
        "5.0.0.10.in-addr.arpa. IN PTR web-1.example.org.",
        "web-1.example.org. IN AAAA 2001:db8::5",
        "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
        " IN PTR web-1.example.org.",
        "db-1.example.org. IN A 10.0.0.6",
        "6.0.0.10.in-addr.arpa. IN PTR db-1.example.org.",
    ]
    assert next(iter(write(FOUND, "hosts", "example.org"))) == "10.0.0.5 web-1.example.org web-1"
    (text,) = write(FOUND, "ansible")
    assert json.loads(text)["all"]["hosts"]["web-1"] == {
        "ansible_host": "10.0.0.5",
        "borough_host": "h1",
    }
    with pytest.raises(FixInput):
        write(FOUND, "bind")
    with pytest.raises(FixInput):
        write(FOUND, "dns", "exa mple")


def test_reservations_of_dhcp_servers():
    assert list(write(FOUND, "dnsmasq")) == [
        "dhcp-host=00:11:22:33:44:55,10.0.0.5,web-1",
        "dhcp-host=00:11:22:33:44:55,[2001:db8::5],web-1",
    ]
    kea = json.loads("\n".join(write(FOUND, "kea")))
    assert kea["Dhcp4"]["reservations"] == [
        {"hw-address": "00:11:22:33:44:55", "ip-address": "10.0.0.5", "hostname": "web-1"}
    ]
    assert kea["Dhcp6"]["reservations"][0]["ip-addresses"] == ["2001:db8::5"]
    assert set(FORMS) == {"csv", "jsonl", "dns", "hosts", "kea", "dnsmasq", "ansible"}


def test_netbox_prefixes_become_a_topology():
    answer = {
        "count": 3,
        "results": [
            {"prefix": "10.0.0.0/16", "vrf": None, "status": {"value": "container"}},
            {
                "prefix": "10.0.0.0/24",
                "vrf": None,
                "role": {"name": "web"},
                "tags": [{"name": "t"}],
            },
            {"prefix": "10.0.0.0/20", "vrf": None, "status": {"value": "active"}},
            {"prefix": "10.0.0.0/24", "vrf": {"name": "red"}},
        ],
    }
    addresses = [
        {
            "address": "10.0.0.9/24",
            "vrf": {"name": "red"},
            "dns_name": "a.example.org",
            "description": "first\nline",
            "assigned_object": {"name": "eth0", "device": {"name": "sw1"}},
        }
    ]
    found = read_foreign("netbox", [json.dumps(answer), json.dumps(addresses)])
    assert [each["name"] for each in found.topology["subnets"]] == [
        "10.0.0.0/24",
        "red:10.0.0.0/24",
    ]
    assert found.topology["subnets"][0]["labels"] == {"role": "web", "tag": ["t"]}
    assert set(found.topology["dimensions"]) == {"role", "tag"}
    assert found.topology["scopes"] == ["red"]
    assert found.entries == [
        {
            "address": "10.0.0.9",
            "owner": "a.example.org",
            "host": "sw1",
            "scope": "red",
            "note": "first line",
            "attributes": {"hostname": "a.example.org"},
        }
    ]


def test_phpipam_and_calico():
    found = read_foreign(
        "phpipam",
        [
            json.dumps({"data": [{"id": "7", "subnet": "10.1.0.0", "mask": "24", "vrfId": "2"}]}),
            json.dumps(
                {"data": [{"ip": "10.1.0.4", "subnetId": "7", "hostname": "db", "mac": "aa"}]}
            ),
        ],
    )
    assert [(each["cidr"], each["scope"]) for each in found.topology["subnets"]] == [
        ("10.1.0.0/24", "vrf-2")
    ]
    assert (found.entries[0]["scope"], found.entries[0]["owner"]) == ("vrf-2", "db")
    blocks = {
        "items": [
            {"kind": "IPPool", "spec": {"cidr": "10.244.0.0/16"}},
            {
                "kind": "IPAMBlock",
                "spec": {
                    "cidr": "10.244.1.0/30",
                    "allocations": [None, 0, None, 1],
                    "attributes": [
                        {
                            "handle_id": "x",
                            "secondary": {"namespace": "n", "pod": "p", "node": "w"},
                        },
                        {"handle_id": "ipip-tunnel-addr-w"},
                    ],
                },
            },
        ]
    }
    found = read_foreign("calico", [json.dumps(blocks)])
    assert [(each["address"], each["owner"], each["host"]) for each in found.entries] == [
        ("10.244.1.1", "n/p", "w"),
        ("10.244.1.3", "ipip-tunnel-addr-w", ""),
    ]
    with pytest.raises(FixInput, match="neither a prefix nor an address"):
        read_foreign("calico", ["{}"])
