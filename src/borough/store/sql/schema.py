"""The tables, for every SQL database.

Every constraint and index is named, because errors are told apart by these names. All tables start
with ``borough_``, so that they can live in a database that is not theirs alone. Addresses are stored
as 4 or 16 bytes in network order, which every database compares as the addresses compare.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()

#: A number that counts rows; SQLite needs the exact type name to count by itself.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: An address; MariaDB indexes VARBINARY in full but not BLOB.
Packed = sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")

Name = sa.String(255)


def _id() -> sa.Column[int]:
    return sa.Column("id", Id, primary_key=True)


def _ref(column: str, target: str, name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(column, Id, sa.ForeignKey(f"{target}.id", name=name), **more)


meta = sa.Table(
    "borough_meta",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("catalogue_version", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="ck_borough_meta_single"),
)

scope = sa.Table(
    "borough_scope",
    metadata,
    _id(),
    sa.Column("name", Name, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.UniqueConstraint("name", name="uq_borough_scope_name"),
)

dimension = sa.Table(
    "borough_dimension",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.SmallInteger, nullable=False),
    sa.Column("fallback", sa.String(16), nullable=False),
    sa.Column("claims", sa.SmallInteger, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.UniqueConstraint("position", name="uq_borough_dimension_position"),
)

pool = sa.Table(
    "borough_pool",
    metadata,
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

pool_prefix = sa.Table(
    "borough_pool_prefix",
    metadata,
    _id(),
    _ref("pool_id", "borough_pool", "fk_borough_pool_prefix_pool", nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    sa.UniqueConstraint("pool_id", "base", name="uq_borough_pool_prefix_base"),
)

cohort = sa.Table(
    "borough_cohort",
    metadata,
    _id(),
    # The canonical text of what the cohort's subnets share; see domain.model.cohort_key. Its hash
    # is what is unique, because MariaDB cannot index a text of any length.
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.UniqueConstraint("digest", name="uq_borough_cohort_digest"),
)

subnet = sa.Table(
    "borough_subnet",
    metadata,
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
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.UniqueConstraint("name", name="uq_borough_subnet_name"),
    sa.UniqueConstraint("scope_id", "base", name="uq_borough_subnet_scope_base"),
)

subnet_range = sa.Table(
    "borough_subnet_range",
    metadata,
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_subnet_range_subnet", nullable=False),
    sa.Column("first", Packed, nullable=False),
    sa.Column("last", Packed, nullable=False),
    sa.UniqueConstraint("subnet_id", "first", name="uq_borough_subnet_range_first"),
)

subnet_label = sa.Table(
    "borough_subnet_label",
    metadata,
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_subnet_label_subnet", nullable=False),
    sa.Column("dimension", sa.String(64), nullable=False),
    sa.Column("value", Name, nullable=False),
    sa.UniqueConstraint("subnet_id", "dimension", "value", name="uq_borough_subnet_label_value"),
)

host = sa.Table(
    "borough_host",
    metadata,
    _id(),
    sa.Column("name", Name, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.UniqueConstraint("name", name="uq_borough_host_name"),
)

host_label = sa.Table(
    "borough_host_label",
    metadata,
    _id(),
    _ref("host_id", "borough_host", "fk_borough_host_label_host", nullable=False),
    sa.Column("dimension", sa.String(64), nullable=False),
    sa.Column("value", Name, nullable=False),
    sa.UniqueConstraint("host_id", "dimension", "value", name="uq_borough_host_label_value"),
)

run = sa.Table(
    "borough_run",
    metadata,
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_run_subnet", nullable=False),
    sa.Column("cohort_id", Id, nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    # Log2 of the size. It says no more than the length, but lets an index go from small to large and
    # then by address; not every database has descending indexes.
    sa.Column("host_bits", sa.SmallInteger, nullable=False),
    sa.UniqueConstraint("subnet_id", "base", name="uq_borough_run_subnet_base"),
    sa.Index("ix_borough_run_cohort_length", "cohort_id", "length", "base"),
    sa.Index("ix_borough_run_cohort_host_bits", "cohort_id", "host_bits", "base"),
    sa.Index("ix_borough_run_cohort_base", "cohort_id", "base"),
)

block = sa.Table(
    "borough_block",
    metadata,
    _id(),
    _ref("subnet_id", "borough_subnet", "fk_borough_block_subnet", nullable=False),
    sa.Column("cohort_id", Id, nullable=False),
    sa.Column("base", Packed, nullable=False),
    sa.Column("length", sa.SmallInteger, nullable=False),
    # Two's complement of the 64 bits: no database has an unsigned 64-bit type that all others have.
    sa.Column("bitmap", sa.BigInteger, nullable=False),
    sa.Column("free", sa.SmallInteger, nullable=False),
    # Stored, though it says no more than free > 0: an index over free would be rewritten with
    # every address given, one over is_open only when a block fills up or opens again.
    sa.Column("is_open", sa.SmallInteger, nullable=False),
    sa.Column("holder", sa.String(320), nullable=False),
    # Whether there is a holder: "held by somebody, by address" is one range of an index so.
    sa.Column("is_held", sa.SmallInteger, nullable=False),
    sa.Column("region_length", sa.SmallInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.UniqueConstraint("subnet_id", "base", name="uq_borough_block_subnet_base"),
)

_OPEN = block.c.is_open == sa.literal_column("1")
for _index_name, *_columns in (
    ("ix_borough_block_open_held", "cohort_id", "holder", "region_length", "base"),
    ("ix_borough_block_open_base", "cohort_id", "is_held", "base"),
    ("ix_borough_block_open_subnet_held", "subnet_id", "holder", "region_length", "base"),
    ("ix_borough_block_open_subnet_base", "subnet_id", "is_held", "base"),
):
    sa.Index(
        _index_name,
        *(block.c[_column] for _column in _columns),
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
sa.Index(
    "ix_borough_block_held",
    block.c.holder,
    block.c.cohort_id,
    sqlite_where=block.c.holder != sa.literal_column("''"),
    postgresql_where=block.c.holder != sa.literal_column("''"),
)

allocation = sa.Table(
    "borough_allocation",
    metadata,
    # The id of the event that gave the address: the sequence number of rule 8, never used again.
    sa.Column("sequence", Id, primary_key=True, autoincrement=False),
    _ref("scope_id", "borough_scope", "fk_borough_allocation_scope", nullable=False),
    sa.Column("address", Packed, nullable=False),
    _ref("subnet_id", "borough_subnet", "fk_borough_allocation_subnet", nullable=False),
    sa.Column("owner", Name, nullable=False),
    sa.Column("host", Name, nullable=False),
    sa.Column("attributes", sa.Text),
    sa.Column("at", sa.BigInteger, nullable=False),
    # Null while allocated; the time when a cooling address is free again.
    sa.Column("until", sa.BigInteger),
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

idempotency_key = sa.Table(
    "borough_idempotency_key",
    metadata,
    sa.Column("key", Name, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("sequences", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index("ix_borough_idempotency_key_at", "at"),
)

# Ids are sequence numbers (rule 8). SQLite counts on from the largest id there is, so whoever prunes
# this table keeps its newest row; AUTOINCREMENT would be one more page to write with every commit.
event = sa.Table(
    "borough_event",
    metadata,
    _id(),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("act", sa.String(16), nullable=False),
    sa.Column("subject", Name, nullable=False),
    sa.Column("subnet", Name, nullable=False),
    sa.Column("owner", Name, nullable=False),
    sa.Column("host", Name, nullable=False),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("detail", sa.Text, nullable=False),
)
