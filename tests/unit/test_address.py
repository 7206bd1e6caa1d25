"""Addresses, families, MAC addresses and EUI-64, at the edge between text and integers."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.net.addresses import (
    WIDTH,
    eui64,
    format_address,
    from_bytes,
    parse_address,
    parse_family,
    parse_held_address,
    parse_mac,
    to_bytes,
)
from borough.errors import FixInput, InvalidAddress, InvalidMac

V4 = st.integers(0, 2**32 - 1)
V6 = st.integers(0, 2**128 - 1)
ADDRESSES = st.tuples(st.just(4), V4) | st.tuples(st.just(6), V6)
MACS = st.integers(0, 2**48 - 1)


@pytest.mark.parametrize("family", [4, 6])
def test_a_family_is_four_or_six(family: int) -> None:
    """4 and 6 are families and stay what they are."""
    assert parse_family(family) == family


@pytest.mark.parametrize("family", [0, 5, 32, -4])
def test_another_number_is_no_family(family: int) -> None:
    """Any other number is refused, and named in the detail."""
    with pytest.raises(FixInput) as caught:
        parse_family(family)
    assert caught.value.detail == {"family": family}


@pytest.mark.parametrize(
    ("text", "family", "number"),
    [
        ("0.0.0.0", 4, 0),
        ("255.255.255.255", 4, 2**32 - 1),
        ("10.64.0.1", 4, 0x0A400001),
        ("::", 6, 0),
        ("::1", 6, 1),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 6, 2**128 - 1),
        ("2001:DB8::A", 6, 0x20010DB8_00000000_00000000_0000000A),
        ("2001:0db8:0:0:0:0:0:a", 6, 0x20010DB8_00000000_00000000_0000000A),
        ("::ffff:192.0.2.1", 6, 0xFFFF_C0000201),
    ],
)
def test_an_address_is_read(text: str, family: int, number: int) -> None:
    """Text in usual notation gives the family and the number; IPv6 in any case, padded or not."""
    assert parse_address(text) == (family, number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10.0.0",
        "10.0.0.0.0",
        "10.0.0.256",
        "10.0.0.-1",
        "10.0.0.01",  # octal to some, decimal to others
        "010.0.0.1",
        "0x0a.0.0.1",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1\n",
        "10.0.0.1/32",
        "10.0.0.\u0661",  # ARABIC-INDIC DIGIT ONE
        "\uff11\uff10.0.0.1",  # FULLWIDTH DIGIT ONE, ZERO
        "167772161",
        ":",
        ":::",
        "1::2::3",
        "12345::",
        "::g",
        "::1\n",
        " ::1",
        "[::1]",
        "::1/128",
        "fe80::1%eth0",
        "fe80::1%",
        "::ffff:192.0.2.01",
        "2001:db8::\uff11",
        "host.example",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    """No blanks, leading zeros, zone indices, masks, or digits of other scripts."""
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert caught.value.detail == {"address": text}
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", [5, 0, b"\x0a\x00\x00\x01", None, ["10.0.0.1"], True])
def test_a_value_other_than_text_is_no_address(value: Any) -> None:
    """An integer or bytes of the right length do not pass as an address by accident."""
    with pytest.raises(InvalidAddress):
        parse_address(value)


@given(ADDRESSES)
def test_text_round_trips_and_python_reads_it_alike(address: tuple[int, int]) -> None:
    """Written text reads back as the same address, in Borough and in ``ipaddress``."""
    family, number = address
    text = format_address(family, number)
    assert parse_address(text) == address
    parsed = ipaddress.ip_address(text)
    assert (parsed.version, int(parsed)) == address


@given(V4)
def test_ipv4_text_equals_that_of_the_system(number: int) -> None:
    """Dotted decimal as ``inet_ntop`` writes it."""
    assert format_address(4, number) == socket.inet_ntop(socket.AF_INET, number.to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "::"),
        (1, "::1"),
        (0x20010DB8_00000000_00000000_00000001, "2001:db8::1"),
        # RFC 5952: no leading zeros (4.1), "::" not for a single zero (4.2.2), the longest run, and
        # the first of two equals (4.2.3), lower case (4.3).
        (0x20010DB8_00000001_00010001_00010001, "2001:db8:0:1:1:1:1:1"),
        (0x20010000_00000001_00000000_00000001, "2001:0:0:1::1"),
        (0x20010DB8_00000000_00010000_00000001, "2001:db8::1:0:0:1"),
        (0x20010DB8_00000000_00000000_0000ABCD, "2001:db8::abcd"),
        # IPv4-mapped in mixed notation (5), on every version of Python; its neighbours are not.
        (0xFFFF_C0000201, "::ffff:192.0.2.1"),
        (0xFFFE_C0000201, "::fffe:c000:201"),
        (0x1_0000_C0000201, "::1:0:c000:201"),
    ],
)
def test_ipv6_text_is_canonical(number: int, text: str) -> None:
    """IPv6 is written as RFC 5952, section 4, wants it; mapped IPv4 as section 5 does."""
    assert format_address(6, number) == text


@given(st.sampled_from([4, 6]), st.data())
def test_bytes_sort_as_addresses_do(family: int, data: st.DataObject) -> None:
    """The packed form has the family's width, comes back, and orders as the numbers do."""
    numbers = st.integers(0, 2 ** WIDTH[family] - 1)
    one, other = data.draw(numbers), data.draw(numbers)
    assert len(to_bytes(family, one)) == {4: 4, 6: 16}[family]
    assert from_bytes(to_bytes(family, one)) == one
    assert (to_bytes(family, one) < to_bytes(family, other)) == (one < other)
    assert to_bytes(family, one) == ipaddress.ip_address(format_address(family, one)).packed


@pytest.mark.parametrize(
    "text",
    [
        "00:11:22:aa:bb:cc",
        "00-11-22-aa-bb-cc",
        "00:11:22:AA:bb:CC",
        "00-11-22-AA-BB-CC",
        "0011.22aa.bbcc",
        "001122-AABBCC",
        "001122aabbcc",
    ],
)
def test_a_mac_is_read_in_every_usual_notation(text: str) -> None:
    """As Linux, Windows, Cisco and HP print it, in upper or lower case."""
    assert parse_mac(text) == 0x001122AABBCC


@given(MACS, st.sampled_from(":-"), st.booleans())
def test_every_mac_is_read(mac: int, separator: str, upper: bool) -> None:
    """All 48 bits come back, in order."""
    text = mac.to_bytes(6, "big").hex(separator)
    assert parse_mac(text.upper() if upper else text) == mac


@pytest.mark.parametrize(
    "text",
    [
        "",
        "001122aabbc",
        "0011.22aabbcc",
        "0011:22aa:bbcc",
        "00:11:22-aa-bb-cc",  # one separator throughout
        "00:11:22:aa:bb",
        "00:11:22:aa:bb:cc:dd",
        "00:11:22:ff:fe:aa:bb:cc",  # an EUI-64
        "0:11:22:aa:bb:cc",
        "00:11:22:aa:bb:cg",
        " 00:11:22:aa:bb:cc",
        "00:11:22:aa:bb:cc\n",
        "00:11:22:aa:bb:c\uff10",  # FULLWIDTH DIGIT ZERO
        "00 11 22 aa bb cc",
    ],
)
def test_anything_else_is_no_mac(text: str) -> None:
    """Other lengths, separators and blanks are refused, and named in the detail."""
    with pytest.raises(InvalidMac) as caught:
        parse_mac(text)
    assert caught.value.detail == {"mac": text}


@pytest.mark.parametrize("value", [0x001122AABBCC, 123456789012, None, b"00:11:22:aa:bb:cc"])
def test_a_value_other_than_text_is_no_mac(value: Any) -> None:
    """A number is refused as any other bad spelling is."""
    with pytest.raises(InvalidMac):
        parse_mac(value)


@pytest.mark.parametrize(
    ("mac", "identifier"),
    [
        # The example of RFC 2464, section 4.
        ("34-56-78-9A-BC-DE", 0x3656_78FF_FE9A_BCDE),
        ("00:00:00:00:00:00", 0x0200_00FF_FE00_0000),
        ("02:00:00:00:00:01", 0x0000_00FF_FE00_0001),  # local: the inverted bit becomes 0
        ("ff:ff:ff:ff:ff:ff", 0xFDFF_FFFF_FEFF_FFFF),
        ("fa:16:3e:00:00:01", 0xF816_3EFF_FE00_0001),
    ],
)
def test_eui64_known_answers(mac: str, identifier: int) -> None:
    """A published example, and the ends of the range, by the rule of RFC 4291, appendix A."""
    assert eui64(parse_mac(mac)) == identifier


@given(MACS)
def test_eui64_is_made_octet_by_octet(mac: int) -> None:
    """FF FE goes between the third and fourth octet, and bit 0x02 of the first is inverted."""
    octets = mac.to_bytes(6, "big")
    expected = bytes([octets[0] ^ 0x02]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    assert eui64(mac).to_bytes(8, "big") == expected


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.60", "10.0.0.60"),
        ("10.0.0.60/24", "10.0.0.60"),
        ("10.0.0.0/31", "10.0.0.0"),
        ("10.0.0.4/32", "10.0.0.4"),
        ("2001:db8::5/64", "2001:db8::5"),
    ],
)
def test_an_address_is_read_as_tables_print_it(text: str, address: str) -> None:
    assert parse_held_address(text) == parse_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/24",
        "2001:db8::/64",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/24/24",
        "10.0.0.1/٢٤",
        "10.0.0.1/0x18",
        "/24",
        "10.0.0.1 /24",
    ],
)
def test_a_prefix_is_no_held_address(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_held_address(text)
