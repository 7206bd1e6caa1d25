"""The shim: any classic driver, unmodified, as a group driver.

It asks subnet by subnet in the order of the rules, tells a full subnet (ask the next one) from any
other error (stop), gives all addresses of a request or none, and keeps what a classic driver does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, Self

from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology
from borough.domain.net.addresses import Family, format_address, format_mac
from borough.domain.policy.allocate import ResolvedRequest, named_addresses
from borough.domain.policy.selection import PlacementGroup
from borough.domain.request import Kind, Request
from borough.driver.calls import ATTEMPTS, Calls
from borough.driver.feature import Feature
from borough.driver.group import Group
from borough.driver.interface import DriverAddress, GroupDriver, SubnetDriver, SubnetRequest
from borough.driver.ledger import Ledger, make_token
from borough.driver.settings import Settings
from borough.driver.take import Taker
from borough.driver.walk import Affinity, walk
from borough.engine.request import ReleaseRequest
from borough.engine.topology import apply as apply_module
from borough.engine.views import Allocation, Answer
from borough.errors import AddressInUse, BoroughError, DriverFault, Exhausted, NotSupported
from borough.retry import Retry
from borough.store.open import open_store

#: What no wrapped driver can tell, and the shim does without.
_WITHOUT: Mapping[Feature, str] = {
    Feature.COOLDOWN: "the system may give a released address again at once",
    Feature.CLAIMS: "the system knows no blocks; a host comes back to the subnets that it used last",
}


def _now() -> int:
    return time.time_ns() // 1000


class Shim(GroupDriver):
    """A classic driver as a group driver.

    :param driver: what is wrapped.
    :param ledger: where the shim keeps what the driver does not.
    :param attempts: how often a call is made before its failure is told.
    :param sleep: waits so many seconds.
    """

    def __init__(
        self,
        driver: SubnetDriver,
        ledger: Ledger,
        *,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = ledger.driver
        self.driver = driver
        self.ledger = ledger
        self._calls = Calls(driver, ledger.driver, Retry(attempts, sleep=sleep))
        self._taker = Taker(self._calls, ledger)
        self._affinity = Affinity(ledger.last_used)
        self._applying = Lock()

    @classmethod
    def wrap(
        cls, driver: SubnetDriver, *, name: str = "", ledger: str = "memory:", **options: Any
    ) -> Self:
        """Wrap a driver that is open already.

        :param name: what errors and leftovers call it; its class when left out.
        :param ledger: URL of the store for what the driver does not keep; made when it is empty.
        :param options: see the class.
        """
        store = open_store(ledger, create=True)
        book = Ledger(store, name or type(driver).__name__, options.pop("clock", _now))
        return cls(driver, book, **options)

    @classmethod
    def from_settings(cls, settings: Settings, wrapped: type[SubnetDriver] | None = None) -> Self:
        """Open a driver with the shim around it.

        Settings of the shim: ``ledger``, URL of its store, ``memory:`` unless several processes use the
        system or the bookkeeping shall outlive them; ``attempts``, how often a call is made.
        """
        if wrapped is None:
            raise settings.refuse("driver", "must say which classic driver to wrap")
        ledger = settings.text("ledger", "memory:")
        attempts = int(settings.number("attempts", ATTEMPTS, low=1, high=100))
        driver = wrapped.from_settings(settings)
        try:
            return cls.wrap(driver, name=settings.driver, ledger=ledger, attempts=attempts)
        except BaseException:
            driver.close()
            raise

    @property
    def lacks(self) -> Mapping[Feature, str]:
        """See :attr:`borough.driver.interface.GroupDriver.lacks`."""
        return {**_WITHOUT, **self.driver.lacks}

    @property
    def round_trips(self) -> int:
        """Calls made to the wrapped driver so far."""
        return self._calls.made

    # --- Declared objects -----------------------------------------------------------------------

    def apply(
        self, source: Topology | Mapping[str, Any] | str, *, name: str | None = None
    ) -> Changes:
        """Declare objects here, and subnets in the system as well where the driver can.

        A subnet is made there before it is declared here, and removed there after it is gone here, so
        that whatever is declared is there.
        """
        wanted = apply_module.load(source, name)
        with self._applying:
            changes = self.ledger.apply(wanted, dry_run=True)
            after = [*changes.subnets_added, *(new for _, new in changes.subnets_changed)]
            for subnet in after:
                self._tell(subnet, "add_subnet")
            changes = self.ledger.apply(wanted, dry_run=False)
            for subnet in changes.subnets_removed:
                self._tell(subnet, "remove_subnet")
        return changes

    def _tell(self, subnet: Subnet, what: str) -> None:
        if getattr(type(self.driver), what) is not getattr(SubnetDriver, what):
            self._calls.repeated(subnet, lambda: getattr(self.driver, what)(subnet))

    # --- Giving ---------------------------------------------------------------------------------

    def allocate(self, group: Group, request: Request) -> Answer:
        """See :meth:`borough.driver.interface.GroupDriver.allocate`."""
        whole = group.narrow(request)
        if whole.key:
            replayed = self.ledger.replay(whole)
            if replayed is not None:
                return replayed
        resolved = self.ledger.resolve(whole)
        self._refuse_lacking(resolved)
        given = self._take_all(resolved)
        try:
            answer = self.ledger.record(whole, given)
        except AddressInUse as error:
            raise self._given_twice(whole, given, error) from error
        except BoroughError as error:
            self._taker.give_back(given, whole.owner, error)
            raise
        except BaseException:
            self._taker.give_back(given, whole.owner)
            raise
        if answer.replayed:
            # Somebody with the same key was faster.
            self._taker.give_back(given, whole.owner)
            return answer
        for each in given:
            self._affinity.note(resolved.want.claimant, each.subnet.id)
        self._taker.retry_orphans_when_due()
        return answer

    def _given_twice(
        self, request: Request, given: list[DriverAddress], error: AddressInUse
    ) -> DriverFault:
        """An address that the system gave has a holder, who keeps it; the others are given back."""
        address = error.detail.get("address", "")
        (wrong,) = [each for each in given if each.address == address]
        fault = self._calls.fault(
            wrong.subnet,
            f"gave {address}, which it had given before to {error.detail.get('owner') or 'somebody'}",
            address=address,
        )
        rest = [each for each in given if each is not wrong]
        self._taker.give_back(rest, request.owner, fault)
        return fault

    def _take_all(self, resolved: ResolvedRequest) -> list[DriverAddress]:
        """All addresses of a request, from the best home that has them (rule 5).

        :raises Exhausted: no home has them all.
        :raises AddressInUse: the address that was asked for is held.
        """
        request = resolved.request
        self._refuse_held(resolved)
        asked: list[str] = []
        left: list[str] = []
        refused: AddressInUse | None = None
        for placement_group in resolved.ladder.placement_groups:
            taken: list[DriverAddress] = []
            try:
                for family in resolved.ladder.families:
                    for given in self._family(resolved, placement_group, family, asked):
                        self._keep(taken, given)
            except (Exhausted, AddressInUse) as error:
                refused = error if isinstance(error, AddressInUse) else refused
                self._taker.give_back(taken, request.owner, error)
                left += error.detail.get("left", ())
            except BoroughError as error:
                self._taker.give_back(taken, request.owner, error)
                raise
            except BaseException:
                self._taker.give_back(taken, request.owner)
                raise
            else:
                return taken
        refusal = refused or self.ledger.refusal(resolved)
        # The ledger's own count of free addresses is not what the system has.
        refusal.detail["explanation"] = {"asked": list(dict.fromkeys(asked))}
        refusal.detail |= {"driver": self.name} | ({"left": left} if left else {})
        raise refusal

    def _keep(self, taken: list[DriverAddress], given: DriverAddress) -> None:
        if any(each.address == given.address for each in taken):
            raise self._calls.fault(
                given.subnet, f"gave {given.address} twice", address=given.address
            )
        taken.append(given)

    def _family(
        self,
        resolved: ResolvedRequest,
        placement_group: PlacementGroup,
        family: Family,
        asked: list[str],
    ) -> Iterator[DriverAddress]:
        """The addresses of one family from one home.

        :raises Exhausted: it has too few of them; those yielded before are to be given back.
        """
        request = resolved.request
        known = request.kind in (Kind.SPECIFIC, Kind.GATEWAY)
        known = known or (request.kind is Kind.EUI64 and family == 6)
        recent = self._affinity.recent(resolved.want.claimant, request.host)
        order = walk(resolved, placement_group, family, recent)
        if known:
            yield self._known(resolved, list(order), asked)
        elif self._is_decided(resolved):
            subnets = list(order)
            asked += [each.name for each in subnets]
            yield from self._whole(subnets, request)
        else:
            yield from self._any(order, request, asked)

    def _any(
        self, order: Iterable[Subnet], request: Request, asked: list[str]
    ) -> Iterator[DriverAddress]:
        left = request.count
        wanted = _subnet_request(request)
        for subnet in order:
            asked.append(subnet.name)
            while left:
                try:
                    given = self._taker.take(subnet, wanted)
                except Exhausted:
                    break
                left -= 1
                yield given
            if not left:
                return
        raise Exhausted("the subnets of this home are full")

    def _known(
        self, resolved: ResolvedRequest, subnets: list[Subnet], asked: list[str]
    ) -> DriverAddress:
        """An address that is known beforehand: by name, from a MAC address, the gateway."""
        members = {each.id for each in subnets}
        refused: AddressInUse | None = None
        for subnet, address in named_addresses(resolved):
            if subnet.id not in members:
                continue
            asked.append(subnet.name)
            wanted = _subnet_request(resolved.request, format_address(subnet.family, address))
            try:
                return self._taker.take(subnet, wanted)
            except AddressInUse as error:
                refused = error
            except Exhausted:
                continue
        raise refused or Exhausted("no subnet of this home can give such an address")

    def _refuse_held(self, resolved: ResolvedRequest) -> None:
        """Refuse an address that is known beforehand when the ledger has holders for all it can be."""
        holders = [
            self.ledger.holder(subnet, address) for subnet, address in named_addresses(resolved)
        ]
        if holders and all(holders):
            (first, *_) = (each for each in holders if each)
            raise AddressInUse(
                f"{first.text} is held by {first.owner or 'an unnamed owner'}"
                + (f" on host {first.host}" if first.host else ""),
                address=first.text,
                owner=first.owner,
                host=first.host,
                sequence=first.sequence,
                asked=resolved.request.kind,
            )

    # --- What the driver decides itself, and what it lacks ---------------------------------------

    def _is_decided(self, resolved: ResolvedRequest) -> bool:
        request, decides = resolved.request, self.driver.decides
        several = request.count > 1 or len(resolved.ladder.families) > 1
        counting = [each for each in resolved.catalogue.dimensions if resolved.want.counts(each)]
        return (
            request.kind in decides.kinds
            and request.tiers is None
            and (decides.several or not several)
            and (decides.hosts or not request.host)
            and all(each.fallback in decides.fallbacks for each in counting)
        )

    def _whole(self, subnets: list[Subnet], request: Request) -> Iterator[DriverAddress]:
        """Ask the driver for the group as a whole."""
        wanted = replace(_subnet_request(request), token=make_token())
        answered = self._taker.take_whole(subnets, request.count, wanted)
        unused = list(answered)
        try:
            for given in answered:
                yield self._taker.check(given.subnet, wanted, given.address)
                unused.remove(given)
        except BoroughError as error:
            # The one at fault has been dealt with.
            self._taker.give_back(unused[1:], request.owner, error)
            raise

    def _refuse_lacking(self, resolved: ResolvedRequest) -> None:
        request = resolved.request
        needed = {
            Feature.NEXT: request.kind is Kind.NEXT,
            Feature.SPECIFIC: request.kind is Kind.SPECIFIC,
            Feature.EUI64: request.kind is Kind.EUI64,
            Feature.GATEWAY: request.kind is Kind.GATEWAY,
            Feature.BULK: request.count > 1,
            Feature.DUAL_STACK: len(resolved.ladder.families) > 1,
            Feature.IPV6: 6 in resolved.ladder.families,
        }
        for feature, is_needed in needed.items():
            if is_needed and feature in self.driver.lacks:
                raise NotSupported(
                    f"driver {self.name} lacks {feature.value}: {self.driver.lacks[feature]}",
                    driver=self.name,
                    feature=feature.name.lower(),
                )

    # --- Taking back ----------------------------------------------------------------------------

    def _release(self, request: ReleaseRequest) -> tuple[Allocation, ...]:
        # A subnet may be removed as soon as its last address is off the book.
        subnets = dict(self.ledger.catalogue.by_name)
        released = self.ledger.release(request)
        subnets |= self.ledger.catalogue.by_name
        done: list[str] = []
        for allocation, left in released:
            try:
                self._calls.deallocate(subnets[allocation.subnet], allocation.address)
            except BoroughError as error:
                self.ledger.keep_orphan(left._replace(reason=error.message))
            else:
                done.append(left.token)
        self.ledger.discard_orphan(done)
        self._taker.has_orphans = self._taker.has_orphans or len(done) < len(released)
        self._taker.retry_orphans_when_due()
        return tuple(allocation for allocation, _ in released)

    def retry_orphans(self) -> int:
        """See :meth:`borough.driver.interface.GroupDriver.retry_orphans`."""
        return self._taker.retry_orphans()

    def close(self) -> None:
        """Close the driver and the ledger."""
        self.driver.close()
        self.ledger.close()


def _subnet_request(request: Request, address: str | None = None) -> SubnetRequest:
    return SubnetRequest(
        kind=request.kind if address is not None or request.kind is Kind.NEXT else Kind.ANY,
        address=address,
        mac=format_mac(request.mac) if address is not None and request.mac is not None else None,
        owner=request.owner,
        host=request.host,
        attributes=request.attributes,
        note=request.note,
    )
