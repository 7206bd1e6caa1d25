"""The public methods that allocate, release and change addresses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from borough.domain.net.addresses import parse_held_address
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.engine.edits import (
    EditRequest,
    Transferred,
    parse_edit,
    parse_transfer,
    transfer_all,
)
from borough.engine.exchange.write import write
from borough.engine.faces.reading import ReadingFace
from borough.engine.faces.takes import takes
from borough.engine.imports import Imported, in_pieces, parse_entries
from borough.engine.leases import Renewed, RenewRequest, parse_renew
from borough.engine.owners import Missing, Reconciled, reconcile
from borough.engine.request import (
    ReleaseRequest,
    parse_release,
    parse_request,
)
from borough.engine.reservations import (
    CancelRequest,
    ReserveRequest,
    parse_cancel,
    parse_reserve,
)
from borough.engine.views import (
    Allocation,
    Answer,
    Released,
    Reservations,
)


class AddressFace(ReadingFace):
    """Methods of addresses."""

    @takes(parse_request)
    def allocate(self, request: Request) -> Answer:
        """Allocate all addresses of a request, or none.

        Repeated sticky requests of an owner get the same addresses under any key and on any host: reassign
        moves an address to another host.

        Parameters: see :func:`borough.engine.request.parse_request`.

        :raises FixInput: the request is malformed.
        :raises NoMatchingSubnet: the group admits no subnet.
        :raises Exhausted: the group has too few free addresses.
        :raises AddressInUse: the requested address is held.
        :raises KeyReused: another request has used the key.
        :raises KeySpent: the key's addresses have been released.
        :raises Contended: conflicts lasted longer than the timeout; try again.
        """
        return self._allocate(request)

    @takes(parse_request)
    def explain(self, request: Request) -> Explanation:
        """Explain the decision that :meth:`allocate` would make now, without making it.

        :raises FixInput: the request is malformed.
        """
        return self._explain(request)

    @takes(parse_release)
    def release(self, request: ReleaseRequest) -> Released:
        """Release addresses by name, or all of an owner, or all on a host; all or none.

        Parameters: see :func:`borough.engine.request.parse_release`.

        :return: the addresses as they were; of an owner or a host the first 10,000.
        :raises NotAllocated: an address is not allocated, or has another owner or host.
        :raises StaleSequence: the address was allocated again meanwhile.
        :raises UnknownObject: there is no such scope.
        """
        return self._release(request)

    @takes(parse_renew)
    def renew(self, request: RenewRequest) -> Renewed:
        """Renew the lease of an address, or the leases of all that an idempotency key was given.

        The lease then ends its duration from now; never earlier than before. Sequence number, key, host and
        claim stay. A lease that is over is not renewed: its address may have another holder.

        Parameters: see :func:`borough.engine.leases.parse_renew`.

        :raises NotAllocated: the address is not allocated, or its lease is over.
        :raises StaleSequence: the address was allocated again meanwhile, or without the key.
        :raises KeySpent: addresses of the key are released.
        :raises FixInput: an address has no lease.
        :raises UnknownObject: there is no such scope.
        """
        return self._renew(request)

    @takes(parse_reserve)
    def reserve(self, request: ReserveRequest) -> Reservations:
        """Reserve addresses for an owner, or for nobody; all or none.

        A reserved address is not free. Its owner gets it by name, and a release leaves the reservation.
        An address that the owner holds already stays allocated. An address that never is allocated, such
        as the network address of a prefix, is left out.

        Parameters: see :func:`borough.engine.reservations.parse_reserve`.

        :raises AddressInUse: an address is held by another owner, or reserved for one.
        :raises AddressOutsideGroup: an address lies in no subnet, or in a closed one.
        :raises UnknownObject: there is no such scope.
        """
        return self._reserve(request)

    @takes(parse_cancel)
    def cancel(self, request: CancelRequest) -> Reservations:
        """Cancel the reservations of addresses, or all of an owner; all or none.

        A reserved address is free again after the cool-down of its subnet. An allocated one stays
        allocated, and its release leaves no reservation.

        Parameters: see :func:`borough.engine.reservations.parse_cancel`.

        :return: the addresses as they were.
        :raises NotReserved: addresses named are not reserved, or not for this owner.
        :raises UnknownObject: there is no such scope.
        """
        return self._cancel(request)

    def import_allocations(
        self,
        entries: Iterable[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        progress: Callable[[Imported], None] | None = None,
    ) -> Imported:
        """Allocate addresses that are in use already, by name.

        Each entry has an ``address`` and may have ``owner``, ``host``, ``scope``, ``attributes`` and
        ``note``. Its subnet is the one of the scope that contains the address. Hosts claim nothing.
        An address that is held otherwise, or that no subnet may give, is a conflict and is left out. Of 2,000
        addresses all others are added in one transaction. An import that was interrupted is run again.

        :param dry_run: only find out what would be added.
        :param progress: called after each transaction with the outcome so far.
        :raises FixInput: an entry is malformed; the error has its number and, under ``done``, the number
            of addresses that were added before.
        """
        return in_pieces(parse_entries(entries), self._import, dry_run, progress)

    def export(
        self,
        form: str = "csv",
        *,
        zone: str = "",
        scope: str | None = None,
        owner: str | None = None,
        host: str | None = None,
        subnet: str | None = None,
    ) -> Iterator[str]:
        """Iterate over allocated addresses as lines in the format of another program.

        :param form: ``csv`` or ``jsonl`` (see :meth:`import_allocations`), ``dns``, ``hosts``, ``kea``,
            ``dnsmasq`` or ``ansible``.
        :param zone: the DNS zone of the names.
        :raises FixInput: there is no such format, or the zone is no name.
        """
        found = self.each_allocation(scope=scope, owner=owner, host=host, subnet=subnet)
        return write(found, form, zone)

    def reconcile_owners(
        self,
        living: Collection[str],
        before: Missing | None = None,
        now: datetime | None = None,
        *,
        grace: timedelta = timedelta(hours=1),
        owner_prefix: str | None = None,
        scope: str | None = None,
        dry_run: bool = False,
    ) -> Reconciled:
        """Compare the owners of addresses with a list of living ones, and release what two checks miss.

        An allocation is known by its sequence number. So an address that was released and allocated again
        between two checks is a new one. Addresses without an owner stay, and shared ones while one of their
        owners lives. Each release is a transaction, guarded by owner and sequence number: an interrupted
        check is made again.

        :param before: ``missing`` of the check before; empty for the first one.
        :param now: the time of this check; None for the present.
        :param grace: least time between the two checks.
        :param owner_prefix: only owners whose name begins so; others are not in the list.
        :raises FixInput: the list is empty, which would release everything.
        """
        return reconcile(
            self.each_allocation,
            lambda each, owner: self.release(
                each.address, owner=owner, sequence=each.sequence, scope=each.scope
            ),
            living,
            before or {},
            now or datetime.now(UTC),
            grace=grace,
            owner_prefix=owner_prefix,
            scope=scope,
            dry_run=dry_run,
        )

    def show(self, address: str, *, scope: str = "default") -> Allocation:
        """The allocation of an address, which may be written with the length of its prefix.

        :raises NotAllocated: the address is neither allocated nor cooling.
        """
        return self._show(scope, *parse_held_address(address))

    @takes(parse_edit)
    def edit(self, request: EditRequest) -> Allocation:
        """Change owner, note and attributes of a held address, each only when it is named.

        The address, its host, its claim, its sequence number and its idempotency key stay.

        Parameters: see :func:`borough.engine.edits.parse_edit`.

        :raises NotAllocated: the address is not allocated.
        :raises StaleSequence: the address was allocated again meanwhile.
        :raises UnknownObject: there is no such scope.
        """
        return self._edit(request)

    def transfer(
        self,
        owner: str,
        to: str,
        *,
        scope: str | None = None,
        progress: Callable[[Transferred], None] | None = None,
    ) -> Transferred:
        """Transfer all addresses of an owner to another owner.

        Of 2,000 addresses each change in one transaction. A transfer that was interrupted is run again.
        Addresses that cool down stay with the owner that released them.

        :param to: the new owner.
        :param scope: only those of one scope.
        :param progress: called after each transaction with the outcome so far.
        :raises FixInput: both owners are the same.
        :raises UnknownObject: there is no such scope.
        """
        return transfer_all(parse_transfer(owner, to, scope=scope), self._transfer, progress)
