"""The one error tree, named by what the caller should do next.

Five branches, one per reaction; every error carries a stable ``code``, a ``message`` for a person,
and a ``detail`` mapping for a program. Faces map the branch to an exit code or an HTTP status and
never look at the message text.
"""

from __future__ import annotations

from typing import Any, ClassVar


class BoroughError(Exception):
    """Base of every error that Borough raises on purpose.

    :ivar code: stable identifier, part of the public interface.
    :ivar message: one sentence for a person: what happened and what to try.
    :ivar detail: JSON-ready facts for a program.
    :ivar exit_code: what the command line exits with.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, /, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = detail


# --- Fix the input: asking again unchanged will fail again -----------------------------------


class FixInput(BoroughError):
    """The request itself is wrong. Nothing was changed; correct it and ask again."""

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
    """A subnet, pool, scope, host or allocation that does not exist was named."""

    code = "unknown_object"


class AddressOutsideGroup(FixInput):
    """The address asked for by name lies in no subnet that the request may use."""

    code = "address_outside_group"


class AddressUnusable(FixInput):
    """The address asked for by name can never be held: network, broadcast or subnet-router anycast."""

    code = "address_unusable"


class InvalidTopology(FixInput):
    """A topology that cannot be read; ``detail['problems']`` names line, field and reason of each."""

    code = "invalid_topology"


class UnknownDriver(FixInput):
    """There is no driver of this name, or what it needs is not installed."""

    code = "unknown_driver"


class InvalidSettings(FixInput):
    """A setting of a driver is missing, wrong or not known."""

    code = "invalid_settings"


class NotSupported(FixInput):
    """The driver says itself that it lacks what was asked for."""

    code = "not_supported"


# --- Needs space: add subnets, release addresses, or widen the group -------------------------


class NeedsSpace(BoroughError):
    """Nothing suitable is free. Release addresses, add subnets or ask a wider group."""

    code = "needs_space"
    exit_code = 3


class NoMatchingSubnet(NeedsSpace):
    """The selector admits no subnet at all; ``detail['explanation']`` says what fenced each one off."""

    code = "no_matching_subnet"


class Exhausted(NeedsSpace):
    """Every subnet of the group is full; ``detail['explanation']`` says so subnet by subnet."""

    code = "exhausted"


class PoolExhausted(NeedsSpace):
    """A pool has no free prefix of the length asked for."""

    code = "pool_exhausted"


class QuotaExceeded(NeedsSpace):
    """The project would exceed its quota in the pool."""

    code = "quota_exceeded"


# --- Re-evaluate: the world is not as the caller believed ------------------------------------


class Reevaluate(BoroughError):
    """The request conflicts with the present state. Read again, decide again."""

    code = "conflict"
    exit_code = 4


class AddressInUse(Reevaluate):
    """The address asked for by name is held by somebody."""

    code = "address_in_use"


class StaleSequence(Reevaluate):
    """A release named a sequence number that is not that of the present holder (ABA)."""

    code = "stale_sequence"


class StaleVersion(Reevaluate):
    """Something has been declared otherwise since the version that the request names."""

    code = "stale_version"


class NotAllocated(Reevaluate):
    """The address to release is not allocated."""

    code = "not_allocated"


class KeyReused(Reevaluate):
    """The idempotency key was used before, with another request."""

    code = "idempotency_key_reused"


class KeySpent(Reevaluate):
    """The idempotency key was used before, and what it was given has been released since."""

    code = "idempotency_key_spent"


class EventsPruned(Reevaluate):
    """Events after the one named have been pruned: whoever goes on from it has missed some.

    Its detail says up to which id (``pruned``). Read what there is anew, then go on after the newest event;
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
    """Something that other objects still refer to cannot be removed."""

    code = "in_use"


# --- Retry later: the same request may well succeed ------------------------------------------


class RetryLater(BoroughError):
    """A passing condition. The same request may succeed later; nothing was changed."""

    code = "retry_later"
    exit_code = 5


class Contended(RetryLater):
    """Other transactions held what was needed for longer than the bounded wait."""

    code = "contended"


class Unavailable(RetryLater):
    """The database cannot be reached, or went away in the middle.

    ``detail['outcome']`` says ``not_done`` when nothing was changed, and ``unknown`` when the answer of
    a commit was lost: with an idempotency key the same request finds out. It says ``partial`` when a call
    of several transactions (a sweep, a repair, pruning) had committed some: ``detail['done']`` tells them.
    """

    code = "unavailable"


class DeadlineExceeded(RetryLater):
    """A request took longer than the service lets it.

    ``detail['outcome']`` says ``not_done`` when nothing was changed, and ``unknown`` when the request may
    still be carried out: with an idempotency key the same request finds out.
    """

    code = "deadline_exceeded"


class DriverUnavailable(RetryLater):
    """The system behind a driver did not answer, or said that it cannot now.

    ``detail`` names ``driver`` and ``subnet``; ``detail['outcome']`` says ``not_done`` when nothing was
    changed there, and ``unknown`` when it may have taken an address before the answer was lost.
    """

    code = "driver_unavailable"


class SourceChanged(RetryLater):
    """The source of a move was written to meanwhile. Stop what writes to it and run the move again."""

    code = "source_changed"


# --- Needs an operator: retrying will not help, and the input is not at fault ----------------


class NeedsOperator(BoroughError):
    """Something about the installation is wrong; a person has to look at it."""

    code = "failed"
    exit_code = 1


class NotOurDatabase(NeedsOperator):
    """The database holds tables, but not Borough's."""

    code = "not_our_database"


class NotInitialised(NeedsOperator):
    """The database does not exist or is empty: run ``borough init``."""

    code = "not_initialised"


class UnfinishedCopy(NeedsOperator):
    """The database is the target of a move that has not ended: run ``borough copy`` again."""

    code = "unfinished_move"


class TargetInUse(NeedsOperator):
    """The target of a move has data of its own."""

    code = "target_in_use"


class SchemaTooNew(NeedsOperator):
    """The schema was made by a newer release than this one."""

    code = "schema_too_new"


class SchemaTooOld(NeedsOperator):
    """The schema was made by an older release: run ``borough init`` to upgrade it."""

    code = "schema_too_old"


class AccessDenied(NeedsOperator):
    """The database refuses the login, or what the login may do."""

    code = "access_denied"


class TokenRefused(NeedsOperator):
    """The service needs a token, and none was sent, or one that it does not know (any more)."""

    code = "token_refused"


class NotPermitted(NeedsOperator):
    """The token does not allow that: ask the service's operator for one that does."""

    code = "not_permitted"


class ReadOnlyDatabase(NeedsOperator):
    """The database refuses to be written."""

    code = "database_read_only"


class DiskFull(NeedsOperator):
    """The database has no room to write."""

    code = "disk_full"


class StatementTooLarge(NeedsOperator):
    """The database server accepts no statement as large as this one: its limit is too low."""

    code = "statement_too_large"


class DriverFault(NeedsOperator):
    """The system behind a driver refuses us, or breaks its contract.

    A malformed answer, an address outside the subnet, the same address twice. ``detail`` names
    ``driver`` and ``subnet``.
    """

    code = "driver_fault"


class Corrupt(NeedsOperator):
    """The stored state contradicts itself: run ``borough audit``."""

    code = "corrupt"
