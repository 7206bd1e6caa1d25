"""Families, addresses as integers, EUI-64, MAC addresses.

Inside Borough an address is a plain ``int`` beside its family (4 or 6); text exists at the edges
only. Parsing is strict: one spelling rule, no leading zeros in IPv4, no zone index in IPv6.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

from borough.errors import FixInput, InvalidAddress, InvalidMac

Family = Literal[4, 6]

#: Width of an address in bits, by family.
WIDTH: Final[dict[int, int]] = {4: 32, 6: 128}

_MAC = re.compile(
    r"[0-9A-F]{2}([:-])[0-9A-F]{2}(?:\1[0-9A-F]{2}){4}"
    r"|[0-9A-F]{4}\.[0-9A-F]{4}\.[0-9A-F]{4}|[0-9A-F]{6}-?[0-9A-F]{6}",
    re.IGNORECASE | re.ASCII,
)


def parse_family(value: int) -> Family:
    """Narrow an integer to a family.

    :raises FixInput: when it is neither 4 nor 6.
    """
    if value == 4:
        return 4
    if value == 6:
        return 6
    raise FixInput(f"an address family is 4 or 6, not {value!r}", family=value)


def parse_address(text: str) -> tuple[Family, int]:
    """Read an address in its usual notation.

    :return: the family and the address as an integer.
    :raises InvalidAddress: for anything else, a zone index (``%eth0``) included.
    """
    text = str(text)  # ipaddress would take a stray integer or bytes for an address
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidAddress(f"{text!r} is not an IP address", address=text) from None
    if isinstance(parsed, ipaddress.IPv4Address):
        return 4, int(parsed)
    if parsed.scope_id is not None:
        raise InvalidAddress(
            f"{text!r} carries a zone index; write the address alone", address=text
        )
    return 6, int(parsed)


def parse_held_address(text: str) -> tuple[Family, int]:
    """Read an address, with or without the length of its subnet's prefix, as tables print it.

    :return: the family and the address as an integer.
    :raises InvalidAddress: for anything else, and for the first address of a prefix, which no host can have.
    """
    alone, slash, length = str(text).partition("/")
    family, address = parse_address(alone)
    if slash:
        if not (length.isascii() and length.isdigit() and int(length) <= WIDTH[family]):
            raise InvalidAddress(f"{text!r} is not an IP address", address=text)
        bits = WIDTH[family] - int(length)
        if bits > 1 and not address % (1 << bits):
            raise InvalidAddress(f"{text} is a prefix; name one address of it", address=text)
    return family, address


def format_address(family: int, address: int) -> str:
    """Write an address in canonical text (RFC 5952 for IPv6)."""
    if family == 4:
        return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
    if address >> 32 == 0xFFFF:
        # IPv4-mapped (RFC 5952, 5): the standard library writes it so from Python 3.13 on only.
        return "::ffff:" + format_address(4, address & 0xFFFFFFFF)
    return str(ipaddress.IPv6Address(address))


def format_interval(family: int, first: int, last: int) -> str:
    """Write a closed interval of addresses in canonical text: ``first-last``, or the one address."""
    text = format_address(family, first)
    return text if first == last else f"{text}-{format_address(family, last)}"


def to_bytes(family: int, address: int) -> bytes:
    """The network byte order form, 4 or 16 bytes, which sorts as the addresses do."""
    return address.to_bytes(WIDTH[family] // 8, "big")


def from_bytes(packed: bytes) -> int:
    """Undo :func:`to_bytes`."""
    return int.from_bytes(packed, "big")


def parse_mac(text: str) -> int:
    """Read a MAC address (EUI-48) in a usual notation.

    They are ``00:11:22:33:44:55``, ``00-11-22-33-44-55``, ``0011.2233.4455``, ``001122-334455`` and
    ``001122334455``.

    :raises InvalidMac: for anything else.
    """
    # A number of twelve digits would look like a MAC address without separators.
    is_text = isinstance(text, str)
    text = str(text)
    if not is_text or not _MAC.fullmatch(text):
        raise InvalidMac(f"{text!r} is not a MAC address; write it as 00:11:22:33:44:55", mac=text)
    return int(re.sub("[:.-]", "", text), 16)


def format_mac(mac: int) -> str:
    """Write a MAC address with colons."""
    return mac.to_bytes(6, "big").hex(":")


def eui64(mac: int) -> int:
    """The modified EUI-64 interface identifier of a MAC address (RFC 4291, appendix A).

    :param mac: a 48-bit MAC address.
    :return: 64 bits: ``ff:fe`` in the middle, the universal/local bit inverted.
    """
    high, low = mac >> 24, mac & 0xFFFFFF
    return (high << 40 | 0xFFFE << 24 | low) ^ 1 << 57
