"""Addresses: allocate, explain, release, look up."""

from __future__ import annotations

from datetime import timedelta

from borough.api import schema as s
from borough.api.operation import operation
from borough.domain.declared.tokens import Permission
from borough.domain.policy.explain import Explanation
from borough.domain.text import parse_duration
from borough.engine.edits import Transferred, parse_transfer
from borough.engine.exchange.write import write
from borough.engine.face import Face
from borough.engine.imports import Imported
from borough.engine.leases import Renewed
from borough.engine.views import Allocation, Answer, Released, Reservations
from borough.errors import FixInput


@operation("POST", "/v1/allocations", permission=Permission.ALLOCATE, status=201)
def allocate(ipam: Face, body: s.AllocationRequest, key: str | None) -> Answer:
    """Allocate addresses from a group, all of the request or none.

    With an `Idempotency-Key`, the same request gets the same answer again.
    """
    return ipam.allocate(**body.given(), key=key)


@operation("POST", "/v1/imports", permission=Permission.ALLOCATE)
def import_allocations(ipam: Face, body: s.Import) -> Imported:
    """Allocate addresses that are in use already, by name, all but those with a conflict.

    The subnet of an address is the one of its scope that contains it. An address that is held so
    already is left alone, so the request may be repeated.
    """
    entries = [each.given() for each in body.allocations]
    return ipam.import_allocations(entries, dry_run=body.dry_run)


@operation("POST", "/v1/explain", permission=Permission.READ)
def explain(ipam: Face, body: s.Selector) -> Explanation:
    """Explain the addresses that the request would get now, and allocate none."""
    return ipam.explain(**body.given())


@operation("GET", "/v1/allocations", permission=Permission.READ)
def allocations(ipam: Face, query: s.AllocationQuery) -> s.AllocationPage:
    """Allocations by sequence number, cooling ones included, page by page."""
    given = query.given()
    given["attributes"] = s.values_by_name(given.pop("attribute"))
    found = ipam.allocations(**given | {"limit": query.limit + 1})
    shown = found[: query.limit]
    follow = shown[-1].sequence if len(found) > query.limit else None
    return s.AllocationPage(shown, follow)


@operation("GET", "/v1/addresses", permission=Permission.READ)
def addresses(ipam: Face, query: s.LineFilter) -> s.AddressPage:
    """The addresses of a subnet in order: held ones one by one, all others as ranges, page by page."""
    found = ipam.addresses(query.subnet, after=query.after or None, limit=query.limit + 1)
    shown = found[: query.limit]
    return s.AddressPage(shown, shown[-1].last if len(found) > query.limit else None)


@operation("GET", "/v1/export", permission=Permission.READ)
def export(ipam: Face, query: s.ExportQuery) -> s.ExportPage:
    """Allocated addresses in the format of another program, page by page."""
    given = query.given()
    form, zone = given.pop("format"), given.pop("zone")
    found = ipam.allocations(**given | {"limit": query.limit + 1})
    shown = found[: query.limit]
    lines = list(write(shown, form, zone))
    # The header of a table belongs to its first page only.
    first = 1 if form == "csv" and query.after else 0
    follow = shown[-1].sequence if len(found) > query.limit else None
    return s.ExportPage(lines[first:], follow)


@operation("POST", "/v1/reconcile", permission=Permission.ALLOCATE, is_large=True)
def reconcile_owners(ipam: Face, body: s.Living) -> s.OwnersCheck:
    """Release addresses of owners that are not in a list of living ones.

    An address is released when two checks, a grace period apart, miss its owner and it was not allocated
    anew in between. `missing` of the answer goes into the next check.
    """
    try:
        before = {int(sequence): s.read_time(at) for sequence, at in body.missing.items()}
    except ValueError:
        raise FixInput(
            "missing has sequence numbers and times, as an earlier check has given it"
        ) from None
    found = ipam.reconcile_owners(
        body.owners,
        before,
        grace=timedelta(seconds=parse_duration("a grace period", body.grace)),
        owner_prefix=body.owner_prefix,
        scope=body.scope,
        dry_run=body.dry_run,
    )
    missing = {str(sequence): at for sequence, at in found.missing.items()}
    return s.OwnersCheck(found.released, found.waiting, missing)


@operation("GET", "/v1/allocations/{scope}/{address}", permission=Permission.READ)
def show(ipam: Face, path: s.Place) -> Allocation:
    """One allocation."""
    return ipam.show(path.address, scope=path.scope)


@operation("DELETE", "/v1/allocations/{scope}/{address}", permission=Permission.ALLOCATE)
def release_address(
    ipam: Face, path: s.Place, query: s.Condition, if_match: int | None
) -> Released:
    """Release an address if its allocation meets the conditions.

    The sequence may also be in `If-Match`. Without conditions any allocation of the address ends.
    """
    conditions = query.given()
    if query.sequence is None:
        conditions["sequence"] = if_match
    return ipam.release(path.address, scope=path.scope, **conditions)


@operation("PATCH", "/v1/allocations/{scope}/{address}", permission=Permission.ALLOCATE)
def edit(ipam: Face, path: s.Place, body: s.Edit, if_match: int | None) -> Allocation:
    """Change owner, note and attributes of a held address; all else stays.

    The sequence may also be in `If-Match`.
    """
    given = body.given()
    if body.sequence is None:
        given["sequence"] = if_match
    return ipam.edit(path.address, scope=path.scope, **given)


@operation("POST", "/v1/transfers", permission=Permission.ALLOCATE)
def transfer(ipam: Face, body: s.Transfer) -> Transferred:
    """Transfer up to 2,000 addresses of an owner to another owner; repeat until `next` is null."""
    given = body.given()
    return ipam._transfer(parse_transfer(given.pop("owner"), given.pop("to"), **given))


@operation("POST", "/v1/releases", permission=Permission.ALLOCATE)
def release(ipam: Face, body: s.Release) -> Released:
    """Release the addresses named, or all of an owner, or all on a host: all or none.

    By host alone, the claims of the host end too.
    """
    given = body.given()
    return ipam.release(given.pop("addresses"), **given)


@operation("POST", "/v1/renewals", permission=Permission.ALLOCATE)
def renew(ipam: Face, body: s.Renew) -> Renewed:
    """Renew the lease of an address, or the leases of all that an idempotency key was given."""
    given = body.given()
    return ipam.renew(given.pop("address"), **given)


@operation("POST", "/v1/reservations", permission=Permission.ALLOCATE, status=201)
def reserve(ipam: Face, body: s.Reserve) -> Reservations:
    """Reserve addresses for an owner, or for nobody: all or none."""
    given = body.given()
    return ipam.reserve(given.pop("addresses"), **given)


@operation("POST", "/v1/reservations/cancel", permission=Permission.ALLOCATE)
def cancel(ipam: Face, body: s.Cancel) -> Reservations:
    """Cancel the reservations of addresses, or all of an owner: all or none."""
    given = body.given()
    return ipam.cancel(given.pop("addresses"), **given)
