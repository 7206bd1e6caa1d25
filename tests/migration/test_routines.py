"""The routines of the database servers: installation, rights, and the character set of the database."""

from __future__ import annotations

import pytest

import borough
from borough.errors import AccessDenied, SchemaTooOld
from borough.store.sql import routines
from borough.store.sql.open import resolve
from tests.servers.base import Server
from tests.servers.shared import shared_server

pytestmark = pytest.mark.server

L = {"network": "n"}
SUBNET = {"name": "s", "cidr": "10.0.0.0/24", "labels": L}

SERVERS = {"postgresql": "FUNCTION", "mariadb": "PROCEDURE"}


def _run(url: str, *statements: str) -> None:
    parsed, dialect = resolve(url)
    engine = dialect.engine(parsed, create=False)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    return shared_server(request.param)


def _kind(server: Server) -> str:
    return "postgresql" if server.user == "postgres" else "mariadb"


def test_init_makes_the_routines_that_a_dump_lacked(server: Server) -> None:
    """A restored database has the tables of this release, and lacks routines on MariaDB."""
    url, kind = server.fresh(), _kind(server)
    with borough.open(url, create=True) as ipam:
        ipam.apply({"subnets": [SUBNET]})
    _run(url, *(f"DROP {SERVERS[kind]} {name}" for name in routines.texts(kind)))
    with borough.open(url) as ipam:
        ipam.catalogue()
        with pytest.raises(SchemaTooOld, match=r"lacks a routine .* run `borough init`"):
            ipam.allocate(labels=L, host="h1")
    with borough.open(url, create=True) as ipam:
        assert ipam.allocate(labels=L, host="h1").address
        assert ipam.audit() == []


def test_a_login_that_may_not_execute_a_routine_is_denied(server: Server) -> None:
    """With all rights on the tables."""
    url, kind = server.fresh(), _kind(server)
    with borough.open(url, create=True) as ipam:
        ipam.apply({"subnets": [SUBNET]})
        ipam.allocate(labels=L)
    login = f"borough_teller_{url.rpartition('_')[2]}"
    rest = url.partition("@")[2]
    database = url.rpartition("/")[2]
    if kind == "postgresql":
        _run(
            url,
            f"CREATE ROLE {login} LOGIN",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {login}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {login}",
            "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC",
        )
        theirs = f"postgresql://{login}@{rest}"
    else:
        _run(
            url,
            f"CREATE USER {login}@'%%'",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO {login}@'%%'",
        )
        theirs = f"mysql://{login}@{rest}"
    with borough.open(theirs) as ipam:
        ipam.catalogue()
        with pytest.raises(AccessDenied, match="lacks a right"):
            ipam.allocate(labels=L, host="h1")
    if kind == "postgresql":
        _run(url, f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {login}")
    else:
        _run(url, f"GRANT EXECUTE ON {database}.* TO {login}@'%%'")
    with borough.open(theirs) as ipam:
        ipam.catalogue()
        assert ipam.allocate(labels=L, host="h1").address
    if kind == "postgresql":
        _run(url, f"DROP OWNED BY {login}", f"DROP ROLE {login}")
    else:
        _run(url, f"DROP USER {login}@'%%'")


def test_every_text_is_kept_in_a_database_of_another_character_set() -> None:
    """A routine of MariaDB has the character set of its database where its text names none."""
    server = shared_server("mariadb")
    url = server.fresh()
    database = url.rpartition("/")[2]
    _run(url, f"ALTER DATABASE {database} CHARACTER SET latin1")
    owner, host, note = "výdej-東京", "hôte-Ω", "„ключ“ 🗝"
    with borough.open(url, create=True) as ipam:
        ipam.apply({"subnets": [SUBNET]})
        for _ in range(3):
            ipam.allocate(labels=L, host=host, owner=owner, note=note, attributes={"é": "Ω"})
        for _ in range(16):
            ipam.allocate(labels=L, host=host, owner=owner, note=note, key=f"ключ-{_}")
        held = ipam.allocations(owner=owner)
        assert {(each.host, each.note) for each in held} == {(host, note)}
        assert len(held) == 19
        assert {event.host for event in ipam.events()} == {"", host}
        assert {block.holder for block in ipam.blocks() if block.holder} == {f"host={host}"}
        assert ipam.audit() == []


def test_routines_are_files_that_ship() -> None:
    """One for each of the two jobs, on each server, named with its version."""
    for kind, sort in SERVERS.items():
        found = routines.texts(kind)
        assert sorted(found) == ["borough_facts_1", "borough_write_1"]
        for name, text in found.items():
            assert f"CREATE {sort} {name}(" in text
    assert routines.texts("sqlite") == {}
