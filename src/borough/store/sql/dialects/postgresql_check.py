"""The conditions of a correct guess, for the statement that writes its plan on PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from borough.domain.net.addresses import to_bytes
from borough.domain.space.blocks import Block, FreeRange
from borough.store.sql.giving import shape_of
from borough.store.sql.offers import Shape, frontier
from borough.store.sql.probes import ids_of
from borough.store.sql.read_set import Guess, Held, Offered, Within
from borough.store.sql.runner import Runner, Statement, shaped

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]

_VERSION: Final = "(SELECT catalogue_version FROM borough_meta) = %(version)s"

_RESTED: Final = "NOT EXISTS (SELECT 1 FROM borough_allocation WHERE until <= %(now)s)"

_HELD: Final = """(SELECT coalesce(string_agg(concat_ws(' ', subnet_id, encode(base, 'hex'), version),
        ',' ORDER BY subnet_id, base), '') FROM borough_block
    WHERE holder = %(holder)s AND holder <> '' AND {column} = ANY(%(held_in)s)) = %(held)s"""

_FREE_RANGES: Final = """(SELECT count(*) FROM unnest(%(run_subnets)s::bigint[], %(run_bases)s::bytea[],
        %(run_lengths)s::bigint[]) AS place (subnet_id, base, length)
    JOIN borough_free_range AS r ON r.subnet_id = place.subnet_id AND r.base = place.base
        AND r.length = place.length) = %(run_count)s"""

_WITHIN: Final = """(SELECT coalesce(string_agg(concat_ws(' ', subnet_id, encode(base, 'hex'), length),
        ',' ORDER BY base), '') FROM borough_free_range
    WHERE subnet_id = %(within_subnet)s AND base BETWEEN %(within_first)s AND %(within_last)s
        AND length <= %(within_longest)s) = %(within)s"""


def check(runner: Runner, guess: Guess) -> tuple[str, dict[str, Any]]:
    """A condition that begins with AND, and its parameters."""
    conditions = [_VERSION]
    values: dict[str, Any] = {"version": guess.catalogue.version, "now": guess.now}
    if guess.catalogue.cools:
        conditions.append(_RESTED)
    if guess.bind is not None:
        values |= {"key": guess.bind.key, "fingerprint": guess.bind.fingerprint}
    if guess.offered is not None:
        offered = guess.offered
        shape = shape_of(offered.rungs)
        conditions.append(runner.built(_offered(shape, bool(offered.claimant), offered.lowest)))
        values |= _offered_values(offered)
    if guess.held is not None:
        column, ids = ids_of(guess.held.rung)
        conditions.append(_HELD.format(column=column))
        values |= {
            "holder": guess.held.holder,
            "held_in": list(ids),
            "held": ",".join(_holding(block) for block in _in_order(guess.held)),
        }
    if guess.queried:
        conditions.append(_FREE_RANGES)
        values |= {
            "run_subnets": [subnet_id for subnet_id, _ in guess.queried],
            "run_bases": [to_bytes(prefix.family, prefix.base) for _, prefix in guess.queried],
            "run_lengths": [prefix.length for _, prefix in guess.queried],
            "run_count": guess.found,
        }
    if guess.within is not None:
        conditions.append(_WITHIN)
        values |= _within_values(guess.within)
    return "".join(f" AND {condition}" for condition in conditions), values


@shaped
def _offered(shape: Shape, claims: bool, lowest: bool) -> str:
    probes = Statement.of(frontier(shape, claims, lowest), _DIALECT).text
    return (
        "(SELECT concat_ws(' ', kind, subnet_id, encode(base, 'hex'), length) "
        f"FROM ({probes}) AS found ORDER BY rung, part, preference, base LIMIT 1) = %(offered)s"
    )


def _offered_values(offered: Offered) -> dict[str, Any]:
    piece = offered.piece
    values: dict[str, Any] = {
        "claimant": offered.claimant,
        "offered": f"{int(isinstance(piece, FreeRange))} {_at(piece)} {piece.prefix.length}",
    }
    for position, rung in enumerate(offered.rungs):
        ids = ids_of(rung)[1]
        values[f"r{position}"] = ids[0] if len(ids) == 1 else list(ids)
    return values


def _within_values(within: Within) -> dict[str, Any]:
    prefix = within.prefix
    return {
        "within_subnet": within.subnet_id,
        "within_first": to_bytes(prefix.family, prefix.base),
        "within_last": to_bytes(prefix.family, prefix.last),
        "within_longest": within.longest,
        "within": ",".join(
            f"{_at(free_range)} {free_range.prefix.length}" for free_range in within.free_ranges
        ),
    }


def _in_order(held: Held) -> list[Block]:
    return sorted(held.blocks, key=lambda block: (block.subnet_id, block.prefix.base))


def _holding(block: Block) -> str:
    return f"{_at(block)} {block.version}"


def _at(piece: Block | FreeRange) -> str:
    return f"{piece.subnet_id} {to_bytes(piece.prefix.family, piece.prefix.base).hex()}"
