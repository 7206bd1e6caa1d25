"""Allocate and release addresses of a system that may fail.

Every address that the system allocated is used, released, or kept as an orphan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address, parse_address
from borough.domain.request import Kind
from borough.domain.space.orphans import GRACE, Orphan
from borough.driver.calls import Calls
from borough.driver.interface import DriverAddress, SubnetRequest
from borough.driver.ledger import Ledger, make_token
from borough.errors import (
    AddressInUse,
    BoroughError,
    DriverFault,
    DriverUnavailable,
    Exhausted,
    InvalidAddress,
)

#: Most characters of a wrong answer that an error repeats.
_SHOWN = 80


@dataclass
class Taker:
    """Allocates addresses of one driver.

    :ivar has_orphans: False when there are none; at first an earlier process may have left some.
    """

    calls: Calls
    ledger: Ledger
    has_orphans: bool = True
    _tried: int = 0

    def take(self, subnet: Subnet, request: SubnetRequest) -> DriverAddress:
        """Allocate one address of one subnet.

        :raises Exhausted: the subnet has none.
        :raises AddressInUse: the requested address is held.
        :raises DriverUnavailable: the system answered no attempt.
        :raises DriverFault: the system broke its contract.
        """
        place = self.calls.subnet(subnet)
        lost: dict[str, Exception] = {}

        def attempt() -> DriverAddress:
            tried = replace(request, token=make_token())
            try:
                text: object = self.calls.once(subnet, lambda: place.allocate(tried))
            except DriverUnavailable as error:
                found = self._lost(subnet, tried, error)
                if found is None:
                    lost[tried.token] = error
                    raise
                text = found
            except (Exhausted, AddressInUse):
                # An earlier attempt whose answer was lost may have taken the last address.
                late = self._late(subnet, lost)
                if late is None:
                    raise
                tried, text = replace(tried, token=late.token), late.address
            except DriverFault as error:
                if error.detail.get("outcome") == "unknown":
                    self._trace(subnet, tried, error)
                raise
            return self.check(subnet, tried, text)

        return self.calls.retry.run(
            attempt, DriverUnavailable, unless=lambda error: error not in lost.values()
        )

    def take_whole(
        self, subnets: Sequence[Subnet], count: int, request: SubnetRequest
    ) -> list[DriverAddress]:
        """Allocate addresses of a group in one call; the caller checks each address.

        :raises Exhausted: the group has too few.
        :raises DriverFault: addresses of other subnets, or another number of them; all are released.
        """
        first = subnets[0]
        driver = self.calls.driver
        try:
            answered = list(
                self.calls.once(first, lambda: driver.allocate_from(subnets, count, request))
            )
        except (DriverUnavailable, DriverFault) as error:
            if error.detail.get("outcome") != "not_done":
                self._trace_whole(subnets, request, error)
            raise
        members = {each.name: each for each in subnets}
        strangers = [each for each in answered if each.subnet.name not in members]
        # An address that was returned twice is released once.
        answered = list({each.address: each for each in answered}.values())
        if strangers or len(answered) != count:
            what = f"allocated {len(answered)} addresses, not {count}"
            if strangers:
                what = f"allocated {strangers[0].address}, which is outside the group"
            fault = self.calls.fault(strangers[0].subnet if strangers else first, what)
            self.release(answered, request.owner, fault)
            raise fault
        return [each._replace(subnet=members[each.subnet.name]) for each in answered]

    def check(self, subnet: Subnet, request: SubnetRequest, text: object) -> DriverAddress:
        """Check an answer.

        :raises DriverFault: it is no address, or not a valid one for the request.
        """
        shown = repr(text)[:_SHOWN]
        try:
            if not isinstance(text, str):
                raise InvalidAddress(shown)
            family, number = parse_address(text)
        except InvalidAddress:
            fault = self.calls.fault(subnet, f"answered {shown}, which is not an address")
            self._trace(subnet, request, fault)
            raise fault from None
        taken = DriverAddress(subnet, format_address(family, number), request.token)
        wrong = _wrong(subnet, request, family, number)
        if wrong:
            fault = self.calls.fault(
                subnet, f"allocated {taken.address}, {wrong}", address=taken.address
            )
            self.release([taken], request.owner, fault)
            raise fault
        return taken

    # --- Release --------------------------------------------------------------------------------

    @contextmanager
    def releasing(self, taken: Iterable[DriverAddress], owner: str) -> Iterator[None]:
        """Release addresses when the block fails."""
        try:
            yield
        except BaseException as error:
            self.release(taken, owner, error if isinstance(error, BoroughError) else None)
            raise

    def release(
        self, taken: Iterable[DriverAddress], owner: str, error: BoroughError | None = None
    ) -> None:
        """Release addresses; one that cannot be released becomes an orphan.

        :param error: the error that the caller raises; its ``detail['orphans']`` lists the orphans.
        """
        for each in taken:
            try:
                self.calls.deallocate(each.subnet, each.address)
            except BoroughError as failed:
                self.keep_orphan(each.subnet, owner, each.token, failed.message, each.address)
                if error is not None:
                    error.detail["orphans"] = [*error.detail.get("orphans", ()), each.address]

    def keep_orphan(
        self, subnet: Subnet, owner: str, token: str, reason: str, address: str = ""
    ) -> None:
        """Make an orphan, and keep it."""
        made = self.ledger.orphan(subnet.scope, subnet.name, owner, token, reason)
        self.ledger.keep_orphan(made._replace(address=address))
        self.has_orphans = True

    # --- Lost answers ---------------------------------------------------------------------------

    def _lost(self, subnet: Subnet, request: SubnetRequest, error: DriverUnavailable) -> str | None:
        """The address that a call without an answer allocated; None when it can be repeated.

        :raises DriverUnavailable: it is unknown, so that another call could take a second address.
        """
        if error.detail.get("outcome") == "not_done":
            return None
        found = self._find(subnet, request.token)
        if found is None:
            error.detail["outcome"] = "unknown"
            self.keep_orphan(subnet, request.owner, request.token, error.message)
            raise error
        if not found:
            # The system may still work on the first attempt; its address is found later.
            self.keep_orphan(subnet, request.owner, request.token, error.message)
            return None
        self.release(
            [DriverAddress(subnet, each, request.token) for each in found[1:]], request.owner
        )
        return found[0]

    def _late(self, subnet: Subnet, lost: Iterable[str]) -> DriverAddress | None:
        for token in lost:
            found = self._find(subnet, token)
            if found:
                self.ledger.discard_orphan([token])
                return DriverAddress(subnet, found[0], token)
        return None

    def _find(self, subnet: Subnet, token: str) -> list[str] | None:
        try:
            found = self.calls.find(subnet, token)
        except BoroughError:
            return None
        return None if found is None else list(found)

    def _trace_whole(
        self, subnets: Sequence[Subnet], request: SubnetRequest, error: BoroughError
    ) -> None:
        for subnet in subnets:
            if self._find(subnet, request.token) is None:
                # The system cannot find addresses: one orphan is enough for the whole group.
                error.detail["outcome"] = "unknown"
                self.keep_orphan(subnet, request.owner, request.token, error.message)
                return
        for subnet in subnets:
            self._trace(subnet, request, error)

    def _trace(self, subnet: Subnet, request: SubnetRequest, error: BoroughError) -> None:
        """Release the addresses that an attempt allocated without an answer."""
        found = self._find(subnet, request.token)
        if found is None:
            self.keep_orphan(subnet, request.owner, request.token, error.message)
        else:
            self.release(
                [DriverAddress(subnet, each, request.token) for each in found], request.owner, error
            )

    def retry_orphans_when_due(self) -> None:
        """Try orphans again after a call that succeeded, at most once a minute."""
        now = self.ledger.clock()
        if self.has_orphans and now - self._tried > GRACE:
            with suppress(BoroughError):
                self.retry_orphans()

    def retry_orphans(self) -> int:
        """Try again to release the orphans; return the number that remains."""
        self._tried = self.ledger.clock()
        kept = self.ledger.orphans()
        subnets = self.ledger.catalogue.by_name
        done: list[str] = []
        for each in kept:
            subnet = subnets.get(each.subnet)
            if subnet is None or not each.is_due(self._tried):
                continue
            try:
                if self._retried(subnet, each):
                    done.append(each.token)
            except BoroughError as failed:
                self.ledger.keep_orphan(each._replace(reason=failed.message))
        self.ledger.discard_orphan(done)
        self.has_orphans = len(kept) > len(done)
        return len(kept) - len(done)

    def _retried(self, subnet: Subnet, orphan: Orphan) -> bool:
        found = [orphan.address] if orphan.address else self.calls.find(subnet, orphan.token)
        if found is None or (not found and orphan.may_be_under_way(self._tried)):
            # The system cannot find addresses, or may still work on the attempt.
            return False
        for each in found:
            # An address with a holder was free meanwhile, and was allocated again.
            if self.ledger.holder(subnet, parse_address(each)[1]) is None:
                self.calls.deallocate(subnet, each)
        return True


def _wrong(subnet: Subnet, request: SubnetRequest, family: int, number: int) -> str:
    """The reason why an address does not answer a request; empty when it does."""
    if family != subnet.family or not subnet.prefix.holds(number):
        return f"which is outside {subnet.prefix}"
    if number in subnet.never:
        return f"which is no usable address of {subnet.prefix}"
    if request.address is not None:
        right = parse_address(request.address)[1] == number
        return "" if right else f"instead of {request.address}"
    if request.kind in (Kind.ANY, Kind.NEXT) and not subnet.is_usable(number):
        return "which is the gateway or outside the allocation ranges"
    return ""
