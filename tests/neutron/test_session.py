"""``borough``: the driver in Neutron's own transaction."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from tests.neutron.cloud import Cloud, port


@contextmanager
def counted(cloud: Cloud) -> Iterator[list[str]]:
    """The statements that are sent inside the block."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    sa.event.listen(cloud.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(cloud.engine, "before_cursor_execute", note)


def test_allocation_is_one_statement_for_any_group(session_cloud: Cloud):
    cloud = session_cloud
    network = cloud.network()
    full = [cloud.subnet(f"10.0.{at}.0/29", network=network) for at in range(8)]
    for name in full:
        for _ in range(5):
            cloud.allocate([name])
    group = [*full, cloud.subnet("10.1.0.0/16", network=network)]
    for host in ("", "node-1"):
        for _ in range(3):
            cloud.allocate(group, port=port(host))
        with counted(cloud) as sent:
            address, subnet = cloud.allocate(group, port=port(host))
        assert subnet == group[-1]
        assert ipaddress.ip_address(address) in ipaddress.ip_network("10.1.0.0/16")
        assert len(sent) == 1, sent
    assert not cloud.pool(cloud.context).needs_rollback()
