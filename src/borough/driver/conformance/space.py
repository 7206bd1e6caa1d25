"""The address space of one test of the kit, on the system of the driver."""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.driver.group import make_group, make_request
from borough.driver.interface import GroupDriver
from borough.engine.views import Allocation, Answer
from borough.errors import BoroughError, NotAllocated

#: Space that no network uses: RFC 2544 for IPv4, RFC 3849 for IPv6. Each test has a /22 and a /48 of it.
_UNUSED: Final = {4: (parse_prefix("198.18.0.0/15"), 22), 6: (parse_prefix("2001:db8::/32"), 48)}
_numbers = itertools.count()


class KitSpace:
    """Declares subnets for one test, requests addresses from the driver, and removes both.

    Names here have no prefix; the driver gets them with the prefix of the test.
    """

    def __init__(self, driver: GroupDriver) -> None:
        self.driver = driver
        # Workers of pytest-xdist share the system of the driver.
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)
        number = next(_numbers) * 4 + worker % 4
        self.prefix = f"kit{number}-"
        self._next = {}
        for family, (unused, length) in _UNUSED.items():
            size = 1 << (32 if family == 4 else 128) - length
            count = unused.size // size
            self._next[family] = unused.base + number % count * size
        self._subnets: list[dict[str, Any]] = []
        self._hosts: dict[str, dict[str, Any]] = {}
        self._dimensions: dict[str, dict[str, Any]] = {}
        self._scopes: set[str] = set()
        self._allocated: list[Allocation] = []

    # --- Declaring ------------------------------------------------------------------------------

    def cidr(self, length: int, family: int = 4) -> str:
        """The next aligned prefix of the space of this test."""
        size = 1 << (32 if family == 4 else 128) - length
        base = -(-self._next[family] // size) * size
        self._next[family] = base + size
        return str(Prefix(6 if family == 6 else 4, base, length))

    def add(
        self,
        name: str,
        length: int = 30,
        *,
        family: int = 4,
        cidr: str = "",
        scope: str = "",
        network: str | None = "n",
        settings: dict[str, Any] | None = None,
        **labels: Any,
    ) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """Add a subnet for :meth:`declare`; return its prefix."""
        cidr = cidr or self.cidr(length, family)
        made: dict[str, Any] = {"name": self.prefix + name, "cidr": cidr, **(settings or {})}
        made["labels"] = {key: value for key, value in labels.items() if value is not None}
        if network is not None:
            made["labels"]["network"] = self.prefix + network
        if scope:
            made["scope"] = self.prefix + scope
            self._scopes.add(made["scope"])
        self._subnets.append(made)
        return ipaddress.ip_network(cidr)

    def full(self, name: str, **more: Any) -> None:
        """Add a subnet of one address, declare all subnets, and allocate that address."""
        self.add(name, 32 if more.get("family", 4) == 4 else 128, **more)
        self.declare()
        self.keep(
            self.driver.allocate(
                make_group(subnets=[self.prefix + name]), make_request(owner="full")
            )
        )

    def host(self, name: str, **labels: Any) -> None:
        """Add a host and the labels that it implies."""
        self._hosts[self.prefix + name] = labels

    def dimension(self, name: str, fallback: str = "any") -> None:
        """Add a dimension after the earlier ones."""
        self._dimensions[name] = {"fallback": fallback}

    def declare(self) -> None:
        """Apply all that was added so far."""
        topology: dict[str, Any] = {"subnets": self._subnets, "hosts": self._hosts}
        if self._dimensions:
            topology["dimensions"] = self._dimensions
        if self._scopes:
            topology["scopes"] = sorted(self._scopes)
        self.driver.apply(topology, name=f"conformance-{self.prefix}")

    # --- Requests -------------------------------------------------------------------------------

    def ask(
        self,
        labels: dict[str, Any] | None = None,
        *,
        host: str | None = None,
        subnets: list[str] | None = None,
        scope: str = "",
        network: str | None = "n",
        **request: Any,
    ) -> Answer:
        """Send a request to the driver."""
        named = dict(labels or {})
        if network is not None and subnets is None:
            named["network"] = self.prefix + network
        group = make_group(
            named,
            host=None if host is None else self.prefix + host,
            subnets=None if subnets is None else [self.prefix + each for each in subnets],
            scope=self.prefix + scope if scope else "default",
        )
        for field in ("owner", "key"):
            if field in request:
                request[field] = self.prefix + request[field]
        return self.keep(self.driver.allocate(group, make_request(**request)))

    def keep(self, answer: Answer) -> Answer:
        """Record the addresses for :meth:`clear`."""
        self._allocated += answer.allocations
        return answer

    def subnets_of(self, *args: Any, **request: Any) -> list[str]:
        """The subnets of the answer to a request."""
        answer = self.ask(*args, **request)
        return [each.subnet.removeprefix(self.prefix) for each in answer.allocations]

    def subnet_of(self, *args: Any, **request: Any) -> str:
        """The subnet of the answer to a request for one address."""
        (found,) = self.subnets_of(*args, **request)
        return found

    def addresses(self, *args: Any, **request: Any) -> list[str]:
        """The addresses of the answer to a request."""
        return [each.address for each in self.ask(*args, **request).allocations]

    def address(self, *args: Any, **request: Any) -> str:
        """The answer to a request for one address."""
        (found,) = self.addresses(*args, **request)
        return found

    # --- Release --------------------------------------------------------------------------------

    def release(self, *addresses: str, **conditions: Any) -> Sequence[Allocation]:
        """Release by address, owner or host."""
        for field in ("owner", "host"):
            if field in conditions:
                conditions[field] = self.prefix + conditions[field]
        return self.driver.release(addresses or None, **conditions)

    def clear(self) -> None:
        """Release all addresses, and remove all declared objects."""
        for each in _distinct(self._allocated):
            try:
                self.driver.release(each.address, scope=each.scope)
            except NotAllocated:
                continue
        self.driver.retry_orphans()
        try:
            self.driver.apply({}, name=f"conformance-{self.prefix}")
        except BoroughError as error:
            raise AssertionError(f"the test left objects behind: {error.message}") from error


def _distinct(allocated: Iterable[Allocation]) -> Iterable[Allocation]:
    return {(each.scope, each.address): each for each in allocated}.values()
