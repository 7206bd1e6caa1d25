"""The tables, for every SQL database.

Every constraint and index is named, because errors are recognised by these names. The names of all tables
begin with ``borough_``, so they can share a database with other tables. Addresses are stored as 4 or 16
bytes in network order, whose order is the order of addresses on every database.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from borough.store.sql import postgresql_floor

metadata = sa.MetaData()

#: A generated row id; SQLite generates ids only for this exact type name.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: An address; MariaDB indexes VARBINARY in full but not BLOB.
Packed = sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")

Name = sa.String(255)

#: Text of any length: MariaDB's TEXT ends at 64 KiB.
Long = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

#: Otherwise MariaDB would ignore case and trailing spaces of names.
_MARIADB: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_nopad_bin"),
    )
}


def _table(name: str, *parts: Any, **more: Any) -> sa.Table:
    return sa.Table(name, metadata, *parts, **_MARIADB, **more)


def _id() -> sa.Column[int]:
    return sa.Column("id", Id, primary_key=True)


def _ref(column: str, target: str, name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(column, Id, sa.ForeignKey(f"{target}.id", name=name), **more)


meta = _table(
    "borough_meta",
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("catalogue_version", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="ck_borough_meta_single"),
)

scope = _table(
    "borough_scope",
    _id(),
    sa.Column("name", Name, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.UniqueConstraint("name", name="uq_borough_scope_name"),
)

dimension = _table(
    "borough_dimension",
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.SmallInteger, nullable=False),
    sa.Column("fallback", sa.String(16), nullable=False),
    sa.Column("claims", sa.SmallInteger, nullable=False),
    sa.Column("source", Name, nullable=False),
    # The differences from the defaults of borough.domain.declared.dimensions.ClaimSettings, as JSON.
    sa.Column("claiming", Name, nullable=False, server_default=""),
    sa.Column("declared", sa.SmallInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("position", name="uq_borough_dimension_position"),
)

pool = _table(
    "borough_pool",
    _id(),
    sa.Column("name", Name, nullable=False),
    _ref("scope_id", "borough_scope", "fk_borough_pool_scope", nullable=False),
    sa.Column("family", sa.SmallInteger, nullable=False),
    sa.Column("minimum_length", sa.SmallInteger, nullable=False),
    sa.Column("maximum_length", sa.SmallInteger, nullable=False),
    sa.Column("default_length", sa.SmallInteger, nullable=False),
    sa.Column("quota", sa.BigInteger),
    sa.Column("source", Name, nullable=False),
    sa.UniqueConstraint("name", name="uq_borough_pool_name"),
)

pool_prefix = _table(
    "borough_pool_prefix",
    _id(),
    _ref("pool_id", "borough_pool", "fk_borough_pool_prefix_pool", nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    sa.UniqueConstraint("pool_id", "base", name="uq_borough_pool_prefix_base"),
)

cohort = _table(
    "borough_cohort",
    _id(),
    # The common key of the cohort's subnets; see borough.domain.declared.records.cohort_key. Its hash is
    # unique, because MariaDB cannot index a text of any length.
    sa.Column("description", Long, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.UniqueConstraint("digest", name="uq_borough_cohort_digest"),
)

#: The labels of cohorts, as JSON. Events name cohorts, and the right to read an event depends on the labels
#: of its time. So a row stays after its cohort until no event names it. Cohorts take their ids from here,
#: so no id is used twice.
cohort_labels = _table(
    "borough_cohort_labels",
    _id(),
    sa.Column("labels", Long, nullable=False),
)

subnet = _table(
    "borough_subnet",
    _id(),
    sa.Column("name", Name, nullable=False),
    _ref("scope_id", "borough_scope", "fk_borough_subnet_scope", nullable=False),
    _ref("cohort_id", "borough_cohort", "fk_borough_subnet_cohort", nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    sa.Column("gateway", Packed),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Column("project", Name, nullable=False),
    sa.Column("pool", Name, nullable=False),
    sa.Column("cooldown", sa.Integer, nullable=False),
    sa.Column("attributes", Long, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.Column("claiming", Name, nullable=False, server_default=""),
    # 1: the rows of borough_subnet_range are all of its ranges; without any it allocates nothing.
    sa.Column("ranged", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("closed", sa.SmallInteger, nullable=False, server_default="0"),
    # Counts of declared changes, and of changes of addresses that lie in no block or free range. Every
    # decision on this subnet compares both. See docs/explanation/architecture.md, "Witnesses".
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("outside", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("name", name="uq_borough_subnet_name"),
    sa.UniqueConstraint("scope_id", "base", name="uq_borough_subnet_scope_base"),
    # An idempotency key stands for the id of a subnet: SQLite would use that of a removed one again.
    sqlite_autoincrement=True,
)

subnet_range = _table(
    "borough_subnet_range",
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_subnet_range_subnet", nullable=False),
    sa.Column("first", Packed, nullable=False),
    sa.Column("last", Packed, nullable=False),
    # Whether the subnet leaves these addresses out.
    sa.Column("excluded", sa.SmallInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("subnet_id", "excluded", "first", name="uq_borough_subnet_range_first"),
)

subnet_label = _table(
    "borough_subnet_label",
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_subnet_label_subnet", nullable=False),
    sa.Column("dimension", sa.String(64), nullable=False),
    sa.Column("value", Name, nullable=False),
    sa.UniqueConstraint("subnet_id", "dimension", "value", name="uq_borough_subnet_label_value"),
)

host = _table(
    "borough_host",
    _id(),
    sa.Column("name", Name, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.Column("claiming", Name, nullable=False, server_default=""),
    sa.UniqueConstraint("name", name="uq_borough_host_name"),
)

host_label = _table(
    "borough_host_label",
    _id(),
    _ref("host_id", "borough_host", "fk_borough_host_label_host", nullable=False),
    sa.Column("dimension", sa.String(64), nullable=False),
    sa.Column("value", Name, nullable=False),
    sa.UniqueConstraint("host_id", "dimension", "value", name="uq_borough_host_label_value"),
)

free_range = _table(
    "borough_free_range",
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_free_range_subnet", nullable=False),
    sa.Column("cohort_id", Id, nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    # Log2 of the size. It repeats the length, for an index from small to large and then by address: not
    # every database has descending indexes.
    sa.Column("host_bits", sa.SmallInteger, nullable=False),
    sa.UniqueConstraint("subnet_id", "base", name="uq_borough_free_range_subnet_base"),
    sa.Index("ix_borough_free_range_cohort_length", "cohort_id", "length", "base"),
    sa.Index("ix_borough_free_range_cohort_host_bits", "cohort_id", "host_bits", "base"),
    sa.Index("ix_borough_free_range_cohort_base", "cohort_id", "base"),
)

block = _table(
    "borough_block",
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_block_subnet", nullable=False),
    sa.Column("cohort_id", Id, nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    # Two's complement of the 64 bits: no database has an unsigned 64-bit type that all others have.
    sa.Column("bitmap", sa.BigInteger, nullable=False),
    sa.Column("free", sa.SmallInteger, nullable=False),
    # Repeats free > 0: an index over free would be rewritten with every allocation, one over is_open only
    # when a block fills up or opens again.
    sa.Column("is_open", sa.SmallInteger, nullable=False),
    sa.Column("holder", sa.String(320), nullable=False),
    # 1 when there is a holder, so all held blocks by address are one range of an index.
    sa.Column("is_held", sa.SmallInteger, nullable=False),
    sa.Column("region_length", sa.SmallInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("high_water", sa.SmallInteger, nullable=False, server_default="64"),
    # Repeats holder, region and high_water: the best block to take over, or to borrow from, is the first of
    # an index. See borough.domain.space.blocks.takeover_rank.
    sa.Column("takeover_rank", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("idle_since", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("subnet_id", "base", name="uq_borough_block_subnet_base"),
)

_OPEN = block.c.is_open == sa.literal_column("1")


#: Databases whose indexes can leave rows out.
PARTIAL_INDEXES = ("sqlite", "postgresql")


def _has_partial_indexes(*_target: Any, dialect: sa.Dialect, **_context: Any) -> bool:
    return dialect.name in PARTIAL_INDEXES


def _lacks_partial_indexes(*_target: Any, dialect: sa.Dialect, **_context: Any) -> bool:
    return not _has_partial_indexes(dialect=dialect)


for _index_name, *_columns in (
    ("ix_borough_block_open_held", "cohort_id", "holder", "region_length", "base"),
    ("ix_borough_block_open_base", "cohort_id", "is_held", "base"),
    ("ix_borough_block_open_takeover_rank", "cohort_id", "is_held", "takeover_rank", "base"),
    ("ix_borough_block_open_subnet_held", "subnet_id", "holder", "region_length", "base"),
    ("ix_borough_block_open_subnet_base", "subnet_id", "is_held", "base"),
    ("ix_borough_block_open_subnet_takeover_rank", "subnet_id", "is_held", "takeover_rank", "base"),
):
    sa.Index(
        _index_name,
        *(block.c[_column] for _column in _columns),
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
        info={"only_on": PARTIAL_INDEXES},
    ).ddl_if(callable_=_has_partial_indexes)
    # Full blocks are then in the index, but apart from the open ones.
    sa.Index(
        _index_name,
        block.c.is_open,
        *(block.c[_column] for _column in _columns),
        info={"only_on": ("mysql", "mariadb")},
    ).ddl_if(callable_=_lacks_partial_indexes)
sa.Index(
    "ix_borough_block_held",
    block.c.holder,
    block.c.cohort_id,
    sqlite_where=block.c.holder != sa.literal_column("''"),
    postgresql_where=block.c.holder != sa.literal_column("''"),
)

allocation = _table(
    "borough_allocation",
    # The id of the event of the allocation: the sequence number of rule 8, never used again.
    sa.Column("sequence", Id, primary_key=True, autoincrement=False),
    _ref("scope_id", "borough_scope", "fk_borough_allocation_scope", nullable=False),
    sa.Column("address", Packed, nullable=False),
    _ref("subnet_id", "borough_subnet", "fk_borough_allocation_subnet", nullable=False),
    sa.Column("owner", Name, nullable=False),
    sa.Column("host", Name, nullable=False),
    sa.Column("attributes", Long),
    sa.Column("note", Long),
    sa.Column("at", sa.BigInteger, nullable=False),
    # Null while allocated without a lease; otherwise the end of the lease or of the cool-down, or the largest
    # integer while reserved.
    sa.Column("until", sa.BigInteger),
    # 1 when a release leaves a reservation.
    sa.Column("sticky", sa.SmallInteger, nullable=False, server_default="0"),
    # Seconds of the lease; 0 without one, while it cools, and while it is reserved.
    sa.Column("lease", sa.BigInteger, nullable=False, server_default="0"),
    # The owners of a shared address as JSON; its column owner then marks it.
    sa.Column("sharers", Long),
    # Counts changes of host, owners, note, attributes, sticky and lease. Every decision on the row compares
    # it.
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("scope_id", "address", name="uq_borough_allocation_scope_address"),
)
for _name in ("owner", "host"):
    sa.Index(
        f"ix_borough_allocation_{_name}",
        allocation.c[_name],
        sqlite_where=allocation.c[_name] != sa.literal_column("''"),
        postgresql_where=allocation.c[_name] != sa.literal_column("''"),
    )
sa.Index(
    "ix_borough_allocation_until",
    allocation.c.until,
    sqlite_where=allocation.c.until.is_not(None),
    postgresql_where=allocation.c.until.is_not(None),
)

idempotency_key = _table(
    "borough_idempotency_key",
    sa.Column("key", Name, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("sequences", Long, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index("ix_borough_idempotency_key_at", "at"),
)

orphan = _table(
    "borough_orphan",
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("driver", Name, nullable=False),
    sa.Column("scope", Name, nullable=False),
    sa.Column("subnet", Name, nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("owner", Name, nullable=False),
    sa.Column("reason", Long, nullable=False),
)

#: The last report of the agent of each host.
agent = _table(
    "borough_agent",
    _id(),
    sa.Column("host", Name, nullable=False),
    sa.Column("scope", Name, nullable=False),
    # Counts the changes of installed and problems, so that one sum shows whether any report changed.
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    # Prefixes, and reasons by prefix as JSON: a report is read whole.
    sa.Column("installed", Long, nullable=False),
    sa.Column("settling", Long, nullable=False),
    sa.Column("problems", Long, nullable=False),
    sa.UniqueConstraint("host", "scope", name="uq_borough_agent_host"),
)

# Ids are sequence numbers (rule 8). SQLite continues from the largest id, so the newest row is never pruned.
# AUTOINCREMENT would write one more page with every commit.
event = _table(
    "borough_event",
    _id(),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("act", sa.String(16), nullable=False),
    sa.Column("subject", Name, nullable=False),
    sa.Column("subnet", Name, nullable=False),
    sa.Column("owner", Name, nullable=False),
    sa.Column("host", Name, nullable=False),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("detail", Long, nullable=False),
    sa.Column("actor", Name, nullable=False, server_default=""),
    # The cohort of the subnet at the time, a row of borough_cohort_labels; null where there is no subnet.
    # No foreign key: each event would lock the row it refers to.
    sa.Column("cohort_id", Id),
    sa.Column("scope", Name, nullable=False, server_default=""),
    # Of the subject, or of its first address.
    sa.Column("address", Packed),
    sa.Index("ix_borough_event_cohort", "cohort_id", "id"),
)
#: Values with so many events that a page is found sooner by id, by column of events. The indexes of these
#: columns leave them out, where the database can.
USUAL: Final[dict[str, tuple[str, ...]]] = {
    "act": ("allocated", "released"),
    "actor": ("",),
    "scope": ("", "default"),
}


def is_seldom(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """True for values that the index of a column of events has everywhere."""
    return column.not_in([sa.literal_column(f"'{each}'") for each in USUAL[column.key or ""]])


for _name, _is_named in (
    ("address", event.c.address.is_not(None)),
    ("owner", event.c.owner != sa.literal_column("''")),
    ("host", event.c.host != sa.literal_column("''")),
    *((each, is_seldom(event.c[each])) for each in USUAL),
):
    sa.Index(
        f"ix_borough_event_{_name}",
        event.c[_name],
        event.c.id,
        sqlite_where=_is_named,
        postgresql_where=_is_named,
    )
for _when, _statement in (
    *(("after_create", _each) for _each in postgresql_floor.CREATE),
    ("after_drop", postgresql_floor.DROP),
):
    _ddl: Any = sa.DDL(_statement)  # type: ignore[no-untyped-call]
    sa.event.listen(event, _when, _ddl.execute_if(dialect="postgresql"))

#: One row: the largest id of a pruned event, or 0.
pruned = _table(
    "borough_pruned",
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("through", sa.BigInteger, nullable=False),
    # Events up to this id are complete. See borough.store.sql.dialects.mariadb_horizon.
    sa.Column("complete", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="ck_borough_pruned_single"),
)

# The changes of each version of the catalogue. See borough.store.sql.catalogue.change_log.
change = _table(
    "borough_change",
    _id(),
    sa.Column("previous", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("object_id", sa.BigInteger, nullable=False),
    sa.Index("ix_borough_change_version", "version", "kind", "object_id"),
)

token = _table(
    "borough_token",
    _id(),
    sa.Column("name", Name, nullable=False),
    sa.Column("public", sa.String(32), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("permission", sa.String(16), nullable=False),
    # As JSON: a token is read whole, and no query looks for a label of one.
    sa.Column("labels", Long, nullable=False),
    # The only host whose routes it may read and acknowledge; empty for all that it permits.
    sa.Column("host", Name, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger),
    sa.UniqueConstraint("name", name="uq_borough_token_name"),
    sa.UniqueConstraint("public", name="uq_borough_token_public"),
)
