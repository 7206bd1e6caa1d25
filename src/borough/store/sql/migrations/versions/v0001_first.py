"""The first schema.

Revision: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PACKED = sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")
LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
MARIADB: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_nopad_bin"),
    )
}

# A copy of borough.store.sql.postgresql_floor, as it was at this revision.
FLOOR = (
    f"""
CREATE OR REPLACE FUNCTION borough_event_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Once a transaction: the first floor is the lowest, and locks are few. A rollback of the savepoint or
    -- transaction undoes the setting and the lock together.
    IF coalesce(current_setting('borough.has_floor', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock_shared(
            {0x42524F << 40} + CASE WHEN is_called THEN last_value ELSE 0 END
        ) FROM borough_event_id_seq;
        PERFORM set_config('borough.has_floor', 'yes', true);
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER borough_event_floor BEFORE INSERT ON borough_event
FOR EACH STATEMENT EXECUTE FUNCTION borough_event_floor()
""",
)


def upgrade() -> None:
    """Apply; where data definition is not transactional, :mod:`..migrate` first removes half a schema."""
    _declared()
    _subnets()
    _hosts()
    _space()
    _allocations()
    _events()
    _service()
    _fill()


def _declared() -> None:
    _table(
        "borough_meta",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        _big("catalogue_version"),
        sa.CheckConstraint("id = 1", name="ck_borough_meta_single"),
    )
    _table(
        "borough_scope",
        _id(),
        _text("name"),
        _text("source"),
        sa.UniqueConstraint("name", name="uq_borough_scope_name"),
    )
    _table(
        "borough_dimension",
        sa.Column("name", sa.String(64), primary_key=True),
        _small("position"),
        _text("fallback", 16),
        _small("claims"),
        _text("source"),
        _text("claiming", server_default=""),
        _small("declared", server_default="0"),
        sa.UniqueConstraint("position", name="uq_borough_dimension_position"),
    )
    _table(
        "borough_pool",
        _id(),
        _text("name"),
        _ref("scope_id", "borough_scope", "fk_borough_pool_scope"),
        _small("family"),
        _small("minimum_length"),
        _small("maximum_length"),
        _small("default_length"),
        _big("quota", nullable=True),
        _text("source"),
        sa.UniqueConstraint("name", name="uq_borough_pool_name"),
    )
    _table(
        "borough_pool_prefix",
        _id(),
        _ref("pool_id", "borough_pool", "fk_borough_pool_prefix_pool"),
        _packed("base"),
        _small("length"),
        sa.UniqueConstraint("pool_id", "base", name="uq_borough_pool_prefix_base"),
    )
    _table(
        "borough_change",
        _id(),
        _big("previous"),
        _big("version"),
        _text("kind", 16),
        _big("object_id"),
    )
    op.create_index("ix_borough_change_version", "borough_change", ["version", "kind", "object_id"])


def _subnets() -> None:
    _table(
        "borough_cohort",
        _id(),
        _long("description"),
        _text("digest", 64),
        sa.UniqueConstraint("digest", name="uq_borough_cohort_digest"),
    )
    _table("borough_cohort_labels", _id(), _long("labels"))
    _table(
        "borough_subnet",
        _id(),
        _text("name"),
        _ref("scope_id", "borough_scope", "fk_borough_subnet_scope"),
        _ref("cohort_id", "borough_cohort", "fk_borough_subnet_cohort"),
        _packed("base"),
        _small("length"),
        _packed("gateway", nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        _text("project"),
        _text("pool"),
        sa.Column("cooldown", sa.Integer(), nullable=False),
        _long("attributes"),
        _text("source"),
        _text("claiming", server_default=""),
        _small("ranged", server_default="0"),
        _small("closed", server_default="0"),
        _big("version", server_default="0"),
        _big("outside", server_default="0"),
        sa.UniqueConstraint("name", name="uq_borough_subnet_name"),
        sa.UniqueConstraint("scope_id", "base", name="uq_borough_subnet_scope_base"),
        sqlite_autoincrement=True,
    )
    _table(
        "borough_subnet_range",
        _id(),
        _ref("subnet_id", "borough_subnet", "fk_borough_subnet_range_subnet"),
        _packed("first"),
        _packed("last"),
        _small("excluded", server_default="0"),
        sa.UniqueConstraint("subnet_id", "excluded", "first", name="uq_borough_subnet_range_first"),
    )
    _table(
        "borough_subnet_label",
        _id(),
        _ref("subnet_id", "borough_subnet", "fk_borough_subnet_label_subnet"),
        _text("dimension", 64),
        _text("value"),
        sa.UniqueConstraint(
            "subnet_id", "dimension", "value", name="uq_borough_subnet_label_value"
        ),
    )


def _hosts() -> None:
    _table(
        "borough_host",
        _id(),
        _text("name"),
        _text("source"),
        _text("claiming", server_default=""),
        sa.UniqueConstraint("name", name="uq_borough_host_name"),
    )
    _table(
        "borough_host_label",
        _id(),
        _ref("host_id", "borough_host", "fk_borough_host_label_host"),
        _text("dimension", 64),
        _text("value"),
        sa.UniqueConstraint("host_id", "dimension", "value", name="uq_borough_host_label_value"),
    )


def _space() -> None:
    _table(
        "borough_free_range",
        _id(),
        _ref("subnet_id", "borough_subnet", "fk_borough_free_range_subnet"),
        sa.Column("cohort_id", ID, nullable=False),
        _packed("base"),
        _small("length"),
        _small("host_bits"),
        sa.UniqueConstraint("subnet_id", "base", name="uq_borough_free_range_subnet_base"),
    )
    for name, *columns in (
        ("ix_borough_free_range_cohort_base", "cohort_id", "base"),
        ("ix_borough_free_range_cohort_host_bits", "cohort_id", "host_bits", "base"),
        ("ix_borough_free_range_cohort_length", "cohort_id", "length", "base"),
    ):
        op.create_index(name, "borough_free_range", columns)
    _table(
        "borough_block",
        _id(),
        _ref("subnet_id", "borough_subnet", "fk_borough_block_subnet"),
        sa.Column("cohort_id", ID, nullable=False),
        _packed("base"),
        _small("length"),
        _big("bitmap"),
        _small("free"),
        _small("is_open"),
        _text("holder", 320),
        _small("is_held"),
        _small("region_length"),
        sa.Column("version", sa.Integer(), nullable=False),
        _small("high_water", server_default="64"),
        _small("takeover_rank", server_default="0"),
        _big("idle_since", server_default="0"),
        sa.UniqueConstraint("subnet_id", "base", name="uq_borough_block_subnet_base"),
    )
    _partial_index(
        "ix_borough_block_held", "borough_block", ["holder", "cohort_id"], "holder != ''"
    )
    # Where there are no partial indexes, full blocks stand in an index too, apart from the open ones.
    partial = op.get_context().dialect.name in ("sqlite", "postgresql")
    for name, *columns in (
        ("ix_borough_block_open_base", "cohort_id", "is_held", "base"),
        ("ix_borough_block_open_held", "cohort_id", "holder", "region_length", "base"),
        ("ix_borough_block_open_subnet_base", "subnet_id", "is_held", "base"),
        ("ix_borough_block_open_subnet_held", "subnet_id", "holder", "region_length", "base"),
        ("ix_borough_block_open_takeover_rank", "cohort_id", "is_held", "takeover_rank", "base"),
        (
            "ix_borough_block_open_subnet_takeover_rank",
            "subnet_id",
            "is_held",
            "takeover_rank",
            "base",
        ),
    ):
        _partial_index(
            name, "borough_block", [*(() if partial else ("is_open",)), *columns], "is_open = 1"
        )


def _allocations() -> None:
    _table(
        "borough_allocation",
        sa.Column("sequence", ID, primary_key=True, autoincrement=False),
        _ref("scope_id", "borough_scope", "fk_borough_allocation_scope"),
        _packed("address"),
        _ref("subnet_id", "borough_subnet", "fk_borough_allocation_subnet"),
        _text("owner"),
        _text("host"),
        sa.Column("attributes", LONG),
        sa.Column("note", LONG),
        _big("at"),
        _big("until", nullable=True),
        sa.Column("sticky", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("lease", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sharers", LONG),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
        sa.UniqueConstraint("scope_id", "address", name="uq_borough_allocation_scope_address"),
    )
    for column, condition in (
        ("host", "host != ''"),
        ("owner", "owner != ''"),
        ("until", "until IS NOT NULL"),
    ):
        _partial_index(f"ix_borough_allocation_{column}", "borough_allocation", [column], condition)
    _table(
        "borough_idempotency_key",
        sa.Column("key", sa.String(255), primary_key=True),
        _text("fingerprint", 64),
        _long("sequences"),
        _big("at"),
    )
    op.create_index("ix_borough_idempotency_key_at", "borough_idempotency_key", ["at"])


def _events() -> None:
    _table(
        "borough_event",
        _id(),
        _big("at"),
        _text("act", 16),
        _text("subject"),
        _text("subnet"),
        _text("owner"),
        _text("host"),
        _big("sequence", nullable=True),
        _long("detail"),
        _text("actor", server_default=""),
        sa.Column("cohort_id", ID),
        _text("scope", server_default=""),
        _packed("address", nullable=True),
    )
    op.create_index("ix_borough_event_cohort", "borough_event", ["cohort_id", "id"])
    for column, condition in (
        ("address", "address IS NOT NULL"),
        ("owner", "owner != ''"),
        ("host", "host != ''"),
        ("act", "(act NOT IN ('allocated', 'released'))"),
        ("actor", "(actor NOT IN (''))"),
        ("scope", "(scope NOT IN ('', 'default'))"),
    ):
        name = f"ix_borough_event_{column}"
        _partial_index(name, "borough_event", [column, "id"], condition)
    _table(
        "borough_pruned",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        _big("through"),
        _big("complete"),
        sa.CheckConstraint("id = 1", name="ck_borough_pruned_single"),
    )
    if op.get_context().dialect.name == "postgresql":
        for statement in FLOOR:
            op.execute(statement)


def _service() -> None:
    _table(
        "borough_orphan",
        sa.Column("token", sa.String(64), primary_key=True),
        _big("at"),
        _text("driver"),
        _text("scope"),
        _text("subnet"),
        _text("address", 64),
        _text("owner"),
        _long("reason"),
    )
    _table(
        "borough_agent",
        _id(),
        _text("host"),
        _text("scope"),
        _big("version"),
        _big("seen"),
        _big("changed"),
        _long("installed"),
        _long("settling"),
        _long("problems"),
        sa.UniqueConstraint("host", "scope", name="uq_borough_agent_host"),
    )
    _table(
        "borough_token",
        _id(),
        _text("name"),
        _text("public", 32),
        _text("digest", 64),
        _text("permission", 16),
        _long("labels"),
        _text("host"),
        _big("created"),
        _big("expires", nullable=True),
        sa.UniqueConstraint("name", name="uq_borough_token_name"),
        sa.UniqueConstraint("public", name="uq_borough_token_public"),
    )


def _fill() -> None:
    _insert("borough_meta", {"id": 1, "catalogue_version": 1})
    _insert("borough_pruned", {"id": 1, "through": 0, "complete": 0})
    _insert("borough_scope", {"name": "default", "source": ""})
    for position, (name, fallback, claims) in enumerate(
        (
            ("network", "none", 0),
            ("segment", "none", 0),
            ("service_type", "unlabelled", 0),
            ("host", "any", 1),
        )
    ):
        row = {"name": name, "position": position, "fallback": fallback, "claims": claims}
        _insert("borough_dimension", {**row, "source": ""})


def _insert(table: str, row: dict[str, object]) -> None:
    op.bulk_insert(sa.table(table, *map(sa.column, row)), [row])


def _table(name: str, *parts: Any, **more: Any) -> None:
    op.create_table(name, *parts, **MARIADB, **more)


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    """An index over the rows that meet a condition, where there are such indexes; else over all."""
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _id() -> sa.Column[Any]:
    return sa.Column("id", ID, primary_key=True)


def _ref(column: str, target: str, name: str) -> sa.Column[Any]:
    return sa.Column(column, ID, sa.ForeignKey(f"{target}.id", name=name), nullable=False)


def _text(name: str, length: int = 255, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), **{"nullable": False, **more})


def _long(name: str) -> sa.Column[Any]:
    return sa.Column(name, LONG, nullable=False)


def _packed(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, PACKED, nullable=nullable)


def _small(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.SmallInteger(), nullable=False, **more)


def _big(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), **{"nullable": False, **more})
