"""All errors, named for the reaction of the caller.

Five branches, one for each reaction. Every error has a stable ``code``, a ``message`` for a person and a
``detail`` mapping for a program. The branch determines the exit code and the HTTP status.
"""

from __future__ import annotations

from typing import Any, ClassVar


class BoroughError(Exception):
    """Base of every error that Borough raises on purpose.

    :ivar code: stable identifier, part of the public interface.
    :ivar message: one sentence for a person: the fault and a remedy.
    :ivar detail: facts for a program, in JSON types.
    :ivar exit_code: exit code of the command line.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, /, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = detail


# --- Fix the input: the same request fails again ---------------------------------------------


class FixInput(BoroughError):
    """The request itself is wrong. Nothing was changed; correct it and send it again."""

    code = "invalid_input"
    exit_code = 2


class InvalidAddress(FixInput):
    """Text that is not an address, or an address of the wrong family."""

    code = "invalid_address"


class InvalidPrefix(FixInput):
    """Text that is not a prefix, or one with host bits set."""

    code = "invalid_prefix"


class InvalidMac(FixInput):
    """Text that is not a 48-bit MAC address (EUI-48)."""

    code = "invalid_mac"


class InvalidLabel(FixInput):
    """A label that is empty, too long, or holds characters that cannot be stored."""

    code = "invalid_label"


class UnknownDimension(FixInput):
    """A request or a label names a dimension that does not exist."""

    code = "unknown_dimension"


class UnknownObject(FixInput):
    """The request names a subnet, pool, scope, host or allocation that does not exist."""

    code = "unknown_object"


class AddressOutsideGroup(FixInput):
    """The requested address lies in no subnet that the request may use."""

    code = "address_outside_group"


class AddressUnusable(FixInput):
    """The requested address is never allocated: network, broadcast or subnet-router anycast."""

    code = "address_unusable"


class InvalidTopology(FixInput):
    """A topology that cannot be read; ``detail['problems']`` names line, field and reason of each."""

    code = "invalid_topology"


class UnknownDriver(FixInput):
    """There is no driver of this name, or a package that it needs is not installed."""

    code = "unknown_driver"


class InvalidSettings(FixInput):
    """A setting of a driver is missing, wrong or unknown."""

    code = "invalid_settings"


class NotSupported(FixInput):
    """The driver does not support the request."""

    code = "not_supported"


# --- Needs space: add subnets, release addresses, or widen the group -------------------------


class NeedsSpace(BoroughError):
    """No suitable address is free. Release addresses, add subnets or widen the group."""

    code = "needs_space"
    exit_code = 3


class NoMatchingSubnet(NeedsSpace):
    """The selector admits no subnet; ``detail['explanation']`` names the boundary of each one."""

    code = "no_matching_subnet"


class Exhausted(NeedsSpace):
    """Every subnet of the group is full; ``detail['explanation']`` lists them."""

    code = "exhausted"


class PoolExhausted(NeedsSpace):
    """A pool has no free prefix of the requested length."""

    code = "pool_exhausted"


class QuotaExceeded(NeedsSpace):
    """The project would exceed its quota in the pool."""

    code = "quota_exceeded"


# --- Re-evaluate: the state differs from the caller's view -----------------------------------


class Reevaluate(BoroughError):
    """The request conflicts with the present state. Read the state and decide again."""

    code = "conflict"
    exit_code = 4


class AddressInUse(Reevaluate):
    """The requested address has an owner."""

    code = "address_in_use"


class StaleSequence(Reevaluate):
    """The sequence number of a release is not that of the present allocation (ABA)."""

    code = "stale_sequence"


class StaleVersion(Reevaluate):
    """The declared objects have changed since the version that the request names."""

    code = "stale_version"


class NotAllocated(Reevaluate):
    """The address to release is not allocated."""

    code = "not_allocated"


class NotReserved(Reevaluate):
    """The addresses are not reserved, or not for this owner."""

    code = "not_reserved"


class KeyReused(Reevaluate):
    """The idempotency key was used before, with another request."""

    code = "idempotency_key_reused"


class KeySpent(Reevaluate):
    """The idempotency key was used before, and its addresses have been released since."""

    code = "idempotency_key_spent"


class EventsPruned(Reevaluate):
    """Events after the named one have been pruned, so the reader has missed some.

    ``detail['pruned']`` is the last pruned id. Read the state again, then continue after the newest event;
    ``after=0`` begins with the oldest event that is kept.
    """

    code = "events_pruned"


class Overlap(Reevaluate):
    """A subnet or a pool would overlap another one of its scope."""

    code = "overlap"


class WouldStrand(Reevaluate):
    """Addresses would lie in no subnet that can hold them; ``detail['allocations']`` lists the first 20."""

    code = "would_strand"


class InUse(Reevaluate):
    """The object cannot be removed: other objects refer to it."""

    code = "in_use"


# --- Retry later: the same request may succeed -----------------------------------------------


class RetryLater(BoroughError):
    """A temporary condition. The same request may succeed later; nothing was changed."""

    code = "retry_later"
    exit_code = 5


class Contended(RetryLater):
    """Other transactions held a lock for longer than the timeout."""

    code = "contended"


class Unavailable(RetryLater):
    """The database cannot be reached, or the connection was lost.

    ``detail['outcome']`` is ``not_done`` when nothing was changed, and ``unknown`` when the answer of a
    commit was lost: repeat the request with its idempotency key. It is ``partial`` when a call of several
    transactions (reclaim, repair, pruning) had committed some: ``detail['done']`` counts them.
    """

    code = "unavailable"


class DeadlineExceeded(RetryLater):
    """A request took longer than the deadline of the service.

    ``detail['outcome']`` is ``not_done`` when nothing was changed, and ``unknown`` when the request may
    still be carried out: repeat it with its idempotency key.
    """

    code = "deadline_exceeded"


class DriverUnavailable(RetryLater):
    """The system behind a driver did not answer, or is temporarily unable to.

    ``detail`` names ``driver`` and ``subnet``. ``detail['outcome']`` is ``not_done`` when nothing was
    changed there, and ``unknown`` when it may hold an address although the answer was lost.
    """

    code = "driver_unavailable"


class SourceChanged(RetryLater):
    """The source of a copy was written to meanwhile. Stop its writers and run the copy again."""

    code = "source_changed"


# --- Needs an operator: neither a retry nor another request helps ----------------------------


class NeedsOperator(BoroughError):
    """The installation has a fault that an operator must correct."""

    code = "failed"
    exit_code = 1


class NotOurDatabase(NeedsOperator):
    """The database holds tables, but not Borough's."""

    code = "not_our_database"


class NotInitialised(NeedsOperator):
    """The database does not exist or is empty: run ``borough init``."""

    code = "not_initialised"


class UnfinishedCopy(NeedsOperator):
    """The database is the target of an unfinished copy: run ``borough copy`` again."""

    code = "unfinished_copy"


class TargetInUse(NeedsOperator):
    """The target of a copy is not empty."""

    code = "target_in_use"


class SchemaTooNew(NeedsOperator):
    """The schema was made by a newer release than this one."""

    code = "schema_too_new"


class SchemaTooOld(NeedsOperator):
    """The schema was made by an older release: run ``borough init`` to upgrade it."""

    code = "schema_too_old"


class AccessDenied(NeedsOperator):
    """The database refuses the login, or the login lacks a privilege."""

    code = "access_denied"


class TokenRefused(NeedsOperator):
    """The token is missing, unknown, expired or removed."""

    code = "token_refused"


class NotPermitted(NeedsOperator):
    """The token lacks the permission: ask the operator of the service for one that has it."""

    code = "not_permitted"


class ReadOnlyDatabase(NeedsOperator):
    """The database is read-only."""

    code = "database_read_only"


class DiskFull(NeedsOperator):
    """The disk of the database is full."""

    code = "disk_full"


class StatementTooLarge(NeedsOperator):
    """The statement exceeds the limit of the database server, which is too low."""

    code = "statement_too_large"


class DriverFault(NeedsOperator):
    """The system behind a driver refuses access, or breaks its contract.

    Examples: a malformed answer, an address outside the subnet, the same address twice. ``detail`` names
    ``driver`` and ``subnet``.
    """

    code = "driver_fault"


class Corrupt(NeedsOperator):
    """The stored state contradicts itself: run ``borough audit``."""

    code = "corrupt"
