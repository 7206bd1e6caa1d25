"""Import of addresses that are in use already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Any, Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.addresses import WIDTH, Family, format_address, parse_held_address
from borough.domain.net.prefixes import enclosing
from borough.domain.policy.named import take_named
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.text import check_text
from borough.engine.partial import telling
from borough.engine.request import NOTE_LIMIT, optional_text, parse_attributes
from borough.errors import FixInput
from borough.store.port import ReadUnit, Unit

#: Most addresses of one transaction.
PIECE: Final = 2_000

#: Most conflicts that an answer lists.
LISTED: Final = 1_000

#: Log2 of the addresses whose present allocations are read at once.
_CHUNK_BITS: Final = 11


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """One address to import, parsed."""

    scope: str
    family: Family
    address: int
    owner: str = ""
    host: str = ""
    attributes: Mapping[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImportConflict:
    """An address that was not imported.

    :ivar reason: ``held``, ``cooling``, ``reserved``, ``no_subnet``, ``unusable`` or ``twice``.
    :ivar owner: the present owner of a held address; ``host`` likewise.
    """

    address: str
    scope: str
    reason: str
    subnet: str = ""
    owner: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """Outcome of an import.

    :ivar added: addresses that were allocated, or would be.
    :ivar unchanged: addresses that were held so already.
    :ivar refused: addresses with a conflict; the first of them are in ``conflicts``.
    """

    added: int = 0
    unchanged: int = 0
    refused: int = 0
    conflicts: tuple[ImportConflict, ...] = ()
    dry_run: bool = False

    def and_then(self, more: Imported) -> Imported:
        """The outcome of two pieces."""
        return Imported(
            self.added + more.added,
            self.unchanged + more.unchanged,
            self.refused + more.refused,
            (*self.conflicts, *more.conflicts)[:LISTED],
            self.dry_run,
        )


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Addresses to import in one transaction."""

    entries: tuple[ImportEntry, ...]
    dry_run: bool = False


def parse_entry(
    address: str,
    *,
    owner: str = "",
    host: str = "",
    scope: str = "default",
    attributes: Mapping[str, Any] | None = None,
    note: str = "",
) -> ImportEntry:
    """Parse one address to import; its subnet is the one of the scope that contains it.

    :param address: also with the length of its prefix, which is not compared.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    return ImportEntry(
        check_text("scope", scope or "default"),
        *parse_held_address(address),
        optional_text("owner", owner),
        optional_text("host", host),
        parse_attributes(attributes or None),
        optional_text("note", note, NOTE_LIMIT),
    )


def parse_entries(entries: Iterable[Mapping[str, Any]]) -> Iterator[ImportEntry]:
    """Parse addresses to import.

    :raises FixInput: (or a subclass) with the number of the entry, beginning with 1.
    """
    for number, each in enumerate(entries, 1):
        try:
            yield parse_entry(**each)
        except FixInput as error:
            error.detail["entry"] = number
            error.args = (f"entry {number}: {error.message}",)
            error.message = f"entry {number}: {error.message}"
            raise
        except TypeError:
            known = "address, owner, host, scope, attributes, note"
            raise FixInput(
                f"entry {number} has the fields {', '.join(map(str, each))}, but an address to import "
                f"has {known}",
                entry=number,
            ) from None


def in_pieces(
    entries: Iterable[ImportEntry],
    run: Callable[[ImportRequest], Imported],
    dry_run: bool,
    progress: Callable[[Imported], None] | None,
) -> Imported:
    """Import piece by piece, each in a transaction; an error says under ``done`` what came before.

    An address that is held so already is left alone, so an import that was interrupted is run again.
    """
    source, total = iter(entries), Imported(dry_run=dry_run)
    with telling(lambda: {"added": total.added} if total.added and not dry_run else {}):
        while piece := tuple(islice(source, PIECE)):
            total = total.and_then(run(ImportRequest(piece, dry_run)))
            if progress is not None:
                progress(total)
    return total


def import_piece(
    unit: Unit, request: ImportRequest, now: int, seen: Collection[str] | None = None
) -> Imported:
    """See :meth:`borough.engine.face.Face.import_allocations`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    sorter = _Sorter(unit, now, seen)
    wanted = sorter.sort_out(request.entries)
    if not request.dry_run:
        # A plan for each scope: its rows find their events by the address, which two scopes may share.
        for _, rows in groupby(wanted, key=lambda each: each.scope):
            unit.commit(take_named(unit.catalogue, unit, list(rows)), now)
    conflicts = sorter.conflicts
    return Imported(
        len(wanted), sorter.unchanged, len(conflicts), tuple(conflicts[:LISTED]), request.dry_run
    )


class _Sorter:
    """Finds the subnets of addresses, and what keeps some from being imported."""

    def __init__(self, unit: ReadUnit, now: int, seen: Collection[str] | None) -> None:
        self._unit = unit
        self._catalogue: Catalogue = unit.catalogue
        self._now = now
        self._seen = seen
        self.unchanged = 0
        self.conflicts: list[ImportConflict] = []

    def sort_out(self, entries: Sequence[ImportEntry]) -> list[AllocationRow]:
        """The allocations to add."""
        wanted: list[AllocationRow] = []
        ordered = sorted(entries, key=_place)
        for (scope, family), group in groupby(ordered, key=lambda each: (each.scope, each.family)):
            some = list(group)
            present = self._present(scope, family, [each.address for each in some])
            previous = None
            for each in some:
                if each.address == previous:
                    self._refuse(each, "twice")
                    continue
                previous = each.address
                row = self._row(each, present.get(each.address))
                if row is not None:
                    wanted.append(row)
        return wanted

    def _present(
        self, scope: str, family: Family, addresses: Sequence[int]
    ) -> dict[int, AllocationRow]:
        """Present allocations at addresses, read in few queries when they lie close together."""
        if scope not in self._catalogue.scopes:
            return {}
        length = WIDTH[family] - _CHUNK_BITS
        prefixes = dict.fromkeys(enclosing(family, address, length) for address in addresses)
        return {
            row.address: row
            for prefix in prefixes
            for row in self._unit.allocations(Filter(scope=scope, within=prefix))
        }

    def _row(self, each: ImportEntry, present: AllocationRow | None) -> AllocationRow | None:
        subnet = None
        if each.scope in self._catalogue.scopes:
            subnet = self._catalogue.subnet_at(each.scope, each.family, each.address)
        if subnet is None or (self._seen is not None and subnet.name not in self._seen):
            self._refuse(each, "no_subnet")
            return None
        row = AllocationRow(
            subnet.scope,
            each.family,
            each.address,
            subnet.id,
            each.owner,
            each.host,
            attributes=each.attributes or {},
            note=each.note,
            at=self._now,
        )
        if each.address in subnet.never:
            self._refuse(each, "unusable", subnet.name)
        elif present is None:
            return row
        elif present.state is State.COOLING:
            self._refuse(each, "cooling", subnet.name)
        elif present.state is State.RESERVED:
            self._refuse(each, "reserved", subnet.name, present)
        elif _kept(present) == _kept(row):
            self.unchanged += 1
        else:
            self._refuse(each, "held", subnet.name, present)
        return None

    def _refuse(
        self,
        each: ImportEntry,
        reason: str,
        subnet: str = "",
        present: AllocationRow | None = None,
    ) -> None:
        made = ImportConflict(format_address(each.family, each.address), each.scope, reason, subnet)
        if present is not None:
            made = replace(made, owner=present.owners_text, host=present.host)
        self.conflicts.append(made)


def _place(each: ImportEntry) -> tuple[str, int, int]:
    return each.scope, each.family, each.address


def _kept(row: AllocationRow) -> tuple[object, ...]:
    return row.owners_text, row.host, dict(row.attributes), row.note
