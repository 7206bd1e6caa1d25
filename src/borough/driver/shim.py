"""The shim: any classic driver, unmodified, as a group driver.

It tries subnet by subnet in the order of the rules. After a full subnet it tries the next one; any other
error ends the request. It allocates all addresses of a request or none. Its ledger keeps the rest.
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

#: Features that no wrapped driver has.
_WITHOUT: Mapping[Feature, str] = {
    Feature.COOLDOWN: "the system may allocate a released address again at once",
    Feature.CLAIMS: "the system has no blocks; a host returns to the subnets that it used last",
}


def _now() -> int:
    return time.time_ns() // 1000


class Shim(GroupDriver):
    """A classic driver as a group driver.

    :param driver: the wrapped driver.
    :param ledger: the store for the data that the driver does not keep.
    :param attempts: attempts at a call before its failure is reported.
    :param sleep: waits a number of seconds.
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
        """Wrap an open driver.

        :param name: its name in errors and orphans; its class by default.
        :param ledger: URL of the store of the ledger; an empty store gets its tables.
        :param options: see the class.
        """
        store = open_store(ledger, create=True)
        made = Ledger(store, name or type(driver).__name__, options.pop("clock", _now))
        return cls(driver, made, **options)

    @classmethod
    def from_settings(cls, settings: Settings, wrapped: type[SubnetDriver] | None = None) -> Self:
        """Open a driver, and wrap it.

        Settings of the shim: ``ledger``, the URL of its store (``memory:``, which ends with the process);
        ``attempts`` at a call (3).
        """
        if wrapped is None:
            raise settings.refuse("driver", "must name the classic driver to wrap")
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
        """Calls to the wrapped driver so far."""
        return self._calls.made

    # --- Declared objects -----------------------------------------------------------------------

    def apply(
        self, source: Topology | Mapping[str, Any] | str, *, name: str | None = None
    ) -> Changes:
        """Apply a topology to the ledger, and its subnets to the system where the driver can.

        The system gets a subnet before the ledger declares it, and loses it after the ledger has removed
        it. So the system has every declared subnet.
        """
        topology = apply_module.load(source, name)
        with self._applying:
            changes = self.ledger.apply(topology, dry_run=True)
            after = [*changes.subnets_added, *(new for _, new in changes.subnets_changed)]
            for subnet in after:
                self._update(subnet, "add_subnet")
            changes = self.ledger.apply(topology, dry_run=False)
            for subnet in changes.subnets_removed:
                self._update(subnet, "remove_subnet")
        return changes

    def _update(self, subnet: Subnet, method: str) -> None:
        if getattr(type(self.driver), method) is not getattr(SubnetDriver, method):
            self._calls.repeated(subnet, lambda: getattr(self.driver, method)(subnet))

    # --- Allocate -------------------------------------------------------------------------------

    def allocate(self, group: Group, request: Request) -> Answer:
        """See :meth:`borough.driver.interface.GroupDriver.allocate`."""
        for what, is_asked in (("leases", request.lease), ("shared addresses", request.shared)):
            if is_asked:
                raise NotSupported(
                    f"driver {self.name} lacks {what}: its system does not know when they end",
                    driver=self.name,
                    feature=what,
                )
        whole = group.narrow(request)
        if whole.key:
            replayed = self.ledger.replay(whole)
            if replayed is not None:
                return replayed
        resolved = self.ledger.resolve(whole)
        self._refuse_lacking(resolved)
        taken = self._take_all(resolved)
        with self._taker.releasing(taken, whole.owner):
            try:
                answer = self.ledger.record(whole, taken)
            except AddressInUse as error:
                raise self._allocated_twice(taken, error) from error
        if answer.replayed:
            # A request with the same key was faster.
            self._taker.release(taken, whole.owner)
            return answer
        for each in taken:
            self._affinity.note(resolved.selector.claimant, each.subnet.id)
        self._taker.retry_orphans_when_due()
        return answer

    def _allocated_twice(self, taken: list[DriverAddress], error: AddressInUse) -> DriverFault:
        """The error for an address that has a holder; the holder keeps it, so it leaves ``taken``."""
        address = error.detail.get("address", "")
        (wrong,) = [each for each in taken if each.address == address]
        taken.remove(wrong)
        owner = error.detail.get("owner") or "an unnamed owner"
        return self._calls.fault(
            wrong.subnet, f"allocated {address}, which {owner} holds", address=address
        )

    def _take_all(self, resolved: ResolvedRequest) -> list[DriverAddress]:
        """All addresses of a request, from the best placement group that has them (rule 5).

        :raises Exhausted: no placement group has them all.
        :raises AddressInUse: the requested address is held.
        """
        request = resolved.request
        self._refuse_held(resolved)
        asked: list[str] = []
        orphans: list[str] = []
        refused: AddressInUse | None = None
        for placement_group in resolved.ladder.placement_groups:
            taken: list[DriverAddress] = []
            try:
                with self._taker.releasing(taken, request.owner):
                    for family in resolved.ladder.families:
                        for each in self._family(resolved, placement_group, family, asked):
                            self._add(taken, each)
                    return taken
            except (Exhausted, AddressInUse) as error:
                refused = error if isinstance(error, AddressInUse) else refused
                orphans += error.detail.get("orphans", ())
        refusal = refused or self.ledger.refusal(resolved)
        # The ledger's own count of free addresses is not that of the system.
        refusal.detail["explanation"] = {"asked": list(dict.fromkeys(asked))}
        refusal.detail |= {"driver": self.name} | ({"orphans": orphans} if orphans else {})
        raise refusal

    def _add(self, taken: list[DriverAddress], new: DriverAddress) -> None:
        if any(each.address == new.address for each in taken):
            raise self._calls.fault(
                new.subnet, f"allocated {new.address} twice", address=new.address
            )
        taken.append(new)

    def _family(
        self,
        resolved: ResolvedRequest,
        placement_group: PlacementGroup,
        family: Family,
        asked: list[str],
    ) -> Iterator[DriverAddress]:
        """The addresses of one family from one placement group.

        :raises Exhausted: it has too few of them; the caller releases those yielded before.
        """
        request = resolved.request
        known = request.kind in (Kind.SPECIFIC, Kind.GATEWAY)
        known = known or (request.kind is Kind.EUI64 and family == 6)
        recent = self._affinity.recent(resolved.selector.claimant, request.host)
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
        missing = request.count
        for subnet in order:
            asked.append(subnet.name)
            while missing:
                try:
                    taken = self._taker.take(subnet, _subnet_request(request))
                except Exhausted:
                    break
                missing -= 1
                yield taken
            if not missing:
                return
        raise Exhausted("the subnets of this placement group are full")

    def _known(
        self, resolved: ResolvedRequest, subnets: list[Subnet], asked: list[str]
    ) -> DriverAddress:
        """An address that the request determines: by name, from a MAC address, the gateway."""
        members = {each.id for each in subnets}
        refused: AddressInUse | None = None
        for subnet, address in named_addresses(resolved):
            if subnet.id not in members:
                continue
            asked.append(subnet.name)
            text = format_address(subnet.family, address)
            try:
                return self._taker.take(subnet, _subnet_request(resolved.request, text))
            except AddressInUse as error:
                refused = error
            except Exhausted:
                continue
        raise refused or Exhausted("no subnet of this placement group can have such an address")

    def _refuse_held(self, resolved: ResolvedRequest) -> None:
        """Refuse a request when the ledger has a holder for every address that would answer it."""
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

    # --- Requests that the driver decides, and features that it lacks ----------------------------

    def _is_decided(self, resolved: ResolvedRequest) -> bool:
        request, decides = resolved.request, self.driver.decides
        several = request.count > 1 or len(resolved.ladder.families) > 1
        counting = [
            each for each in resolved.catalogue.dimensions if resolved.selector.counts(each)
        ]
        return (
            request.kind in decides.kinds
            and request.tiers is None
            and (decides.several or not several)
            and (decides.hosts or not request.host)
            and all(each.fallback in decides.fallbacks for each in counting)
        )

    def _whole(self, subnets: list[Subnet], request: Request) -> Iterator[DriverAddress]:
        """Addresses of one call for the whole group."""
        asked = replace(_subnet_request(request), token=make_token())
        answered = self._taker.take_whole(subnets, request.count, asked)
        unused = list(answered)
        try:
            for each in answered:
                yield self._taker.check(each.subnet, asked, each.address)
                unused.remove(each)
        except BoroughError as error:
            # The check has released the address at fault.
            self._taker.release(unused[1:], request.owner, error)
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

    # --- Release --------------------------------------------------------------------------------

    def _release(self, request: ReleaseRequest) -> tuple[Allocation, ...]:
        # A subnet may be removed as soon as its last address is released.
        subnets = dict(self.ledger.catalogue.by_name)
        released = self.ledger.release(request)
        subnets |= self.ledger.catalogue.by_name
        done: list[str] = []
        for allocation, orphan in released:
            try:
                self._calls.deallocate(subnets[allocation.subnet], allocation.address)
            except BoroughError as error:
                self.ledger.keep_orphan(orphan._replace(reason=error.message))
            else:
                done.append(orphan.token)
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
