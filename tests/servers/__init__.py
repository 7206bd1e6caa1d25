"""Private database servers for the tests: own folder, own loopback port, removed when the tests end."""

from tests.servers.base import Missing, Server
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer

__all__ = ["MariadbServer", "Missing", "PostgresqlServer", "Server"]
