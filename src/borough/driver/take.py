"""Taking one address from a system that may fail, and giving it back.

Whatever happens, an address that the system gave is used, given back, or kept on the list of leftovers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
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
_TOLD = 80


@dataclass
class Taker:
    """Takes addresses from one driver.

    :ivar has_left: whether there may be leftovers; an earlier process may have left some.
    """

    calls: Calls
    ledger: Ledger
    has_orphans: bool = True
    _tried: int = 0

    def take(self, subnet: Subnet, wanted: SubnetRequest) -> DriverAddress:
        """Take one address from one subnet.

        :raises Exhausted: the subnet has none.
        :raises AddressInUse: the address asked for is held.
        :raises DriverUnavailable: the system did not answer, however often it was asked.
        :raises DriverFault: the system broke its contract.
        """
        place = self.calls.subnet(subnet)
        lost: dict[str, Exception] = {}

        def attempt() -> DriverAddress:
            request = replace(wanted, token=make_token())
            try:
                text: object = self.calls.once(subnet, lambda: place.allocate(request))
            except DriverUnavailable as error:
                found = self._lost(subnet, request, error)
                if found is None:
                    lost[request.token] = error
                    raise
                text = found
            except (Exhausted, AddressInUse):
                # The last address may have gone to our own attempt whose answer was lost.
                late = self._late(subnet, lost)
                if late is None:
                    raise
                request, text = replace(request, token=late.token), late.address
            except DriverFault as error:
                if error.detail.get("outcome") == "unknown":
                    self._trace(subnet, request, error)
                raise
            return self.check(subnet, request, text)

        return self.calls.retry.run(
            attempt, DriverUnavailable, unless=lambda error: error not in lost.values()
        )

    def take_whole(
        self, subnets: Sequence[Subnet], count: int, request: SubnetRequest
    ) -> list[DriverAddress]:
        """Ask the driver for addresses of a group in one call; each has still to be checked.

        :raises Exhausted: the group has too few.
        :raises DriverFault: addresses of other subnets, or another number of them; all given back.
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
        # The same address twice can be given back once.
        answered = list({each.address: each for each in answered}.values())
        if strangers or len(answered) != count:
            what = f"gave {len(answered)} addresses, not {count}"
            if strangers:
                what = f"gave {strangers[0].address}, which is outside the group"
            fault = self.calls.fault(strangers[0].subnet if strangers else first, what)
            self.give_back(answered, request.owner, fault)
            raise fault
        return [each._replace(subnet=members[each.subnet.name]) for each in answered]

    def check(self, subnet: Subnet, request: SubnetRequest, text: object) -> DriverAddress:
        """Accept an answer.

        :raises DriverFault: it is no address, or none that the subnet may give.
        """
        told = repr(text)[:_TOLD]
        try:
            if not isinstance(text, str):
                raise InvalidAddress(told)
            family, number = parse_address(text)
        except InvalidAddress:
            fault = self.calls.fault(subnet, f"answered {told}, which is not an address")
            self._trace(subnet, request, fault)
            raise fault from None
        given = DriverAddress(subnet, format_address(family, number), request.token)
        wrong = _wrong(subnet, request, family, number)
        if wrong:
            fault = self.calls.fault(
                subnet, f"gave {given.address}, {wrong}", address=given.address
            )
            self.give_back([given], request.owner, fault)
            raise fault
        return given

    # --- Giving back ----------------------------------------------------------------------------

    def give_back(
        self, given: Iterable[DriverAddress], owner: str, error: BoroughError | None = None
    ) -> None:
        """Give addresses back; what cannot be is kept as a leftover.

        :param error: what the caller will raise; ``detail['left']`` then lists the leftovers.
        """
        for each in given:
            try:
                self.calls.deallocate(each.subnet, each.address)
            except BoroughError as failed:
                self.keep_orphan(each.subnet, owner, each.token, failed.message, each.address)
                if error is not None:
                    error.detail["left"] = [*error.detail.get("left", ()), each.address]

    def keep_orphan(
        self, subnet: Subnet, owner: str, token: str, reason: str, address: str = ""
    ) -> None:
        """Keep a leftover."""
        made = self.ledger.orphan(subnet.scope, subnet.name, owner, token, reason)
        self.ledger.keep_orphan(made._replace(address=address))
        self.has_orphans = True

    # --- Lost answers ---------------------------------------------------------------------------

    def _lost(self, subnet: Subnet, request: SubnetRequest, error: DriverUnavailable) -> str | None:
        """What the system took though it did not answer; None when it is safe to ask again.

        :raises DriverUnavailable: nobody can tell, so that asking again might take a second address.
        """
        if error.detail.get("outcome") == "not_done":
            return None
        found = self._find(subnet, request.token)
        if found is None:
            error.detail["outcome"] = "unknown"
            self.keep_orphan(subnet, request.owner, request.token, error.message)
            raise error
        if not found:
            # It may still be at work on the first attempt; what comes of that is found later.
            self.keep_orphan(subnet, request.owner, request.token, error.message)
            return None
        self.give_back(
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
                # Nobody can tell; one line on the list is enough for the whole group.
                error.detail["outcome"] = "unknown"
                self.keep_orphan(subnet, request.owner, request.token, error.message)
                return
        for subnet in subnets:
            self._trace(subnet, request, error)

    def _trace(self, subnet: Subnet, request: SubnetRequest, error: BoroughError) -> None:
        """Give back what an attempt took without telling."""
        found = self._find(subnet, request.token)
        if found is None:
            self.keep_orphan(subnet, request.owner, request.token, error.message)
        else:
            self.give_back(
                [DriverAddress(subnet, each, request.token) for each in found], request.owner, error
            )

    def retry_orphans_when_due(self) -> None:
        """Try leftovers again, now and then, on the way of a call that went well."""
        now = self.ledger.clock()
        if self.has_orphans and now - self._tried > GRACE:
            with suppress(BoroughError):
                self.retry_orphans()

    def retry_orphans(self) -> int:
        """Give back what was left; return how much is left still."""
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

    def _retried(self, subnet: Subnet, left: Orphan) -> bool:
        found = [left.address] if left.address else self.calls.find(subnet, left.token)
        if found is None or (not found and left.may_be_under_way(self._tried)):
            # Nobody can tell, or the attempt may still be on its way.
            return False
        for each in found:
            # What has a holder by now was free, and was given again.
            if self.ledger.holder(subnet, parse_address(each)[1]) is None:
                self.calls.deallocate(subnet, each)
        return True


def _wrong(subnet: Subnet, request: SubnetRequest, family: int, number: int) -> str:
    """Why an address is no answer to a request; empty when it is one."""
    if family != subnet.family or not subnet.prefix.holds(number):
        return f"which is outside {subnet.prefix}"
    if number in subnet.never:
        return f"which nobody can hold in {subnet.prefix}"
    if request.address is not None:
        right = parse_address(request.address)[1] == number
        return "" if right else f"not {request.address} as it was asked"
    if request.kind in (Kind.ANY, Kind.NEXT) and not subnet.is_usable(number):
        return "which is the gateway or outside the allocation ranges"
    return ""
