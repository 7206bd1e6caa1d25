"""A Neutron database whose addresses a service keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import uuidutils

from borough.engine.views import Allocation
from borough.neutron import options
from borough.neutron.adopt import Report
from borough.neutron.adopt_remote import reconcile
from borough.neutron.database import Database
from borough.neutron.service import configured
from tests.neutron.cloud import Cloud
from tests.neutron.serving import Front, Served
from tests.servers.shared import shared_server

GIVE = ("POST", "/v1/allocations")
FREE = ("POST", "/v1/releases")


class RemoteCloud(Cloud):
    """See :class:`Cloud`; its driver is ``borough_remote``.

    :ivar served: the service.
    :ivar front: what stands before it.
    """

    def __init__(self, url: str, served: Served, front: Front) -> None:
        self.served = served
        self.front = front
        super().__init__(url, "borough_remote", tables=False)

    def use(self) -> None:
        """See :meth:`Cloud.use`."""
        options.register(cfg.CONF)
        super().use()
        cfg.CONF.set_override("url", self.front.url, group="borough")
        cfg.CONF.set_override("timeout", 10.0, group="borough")

    def calm(self) -> None:
        """Let the front pass everything on, and forget what it has seen."""
        self.front.calm()
        cfg.CONF.set_override("timeout", 10.0, group="borough")

    def held(self, subnet: str) -> list[Allocation]:
        """What the service holds of a subnet, by address."""
        found = self.served.ipam.allocations(subnet=subnet)
        return sorted(found, key=lambda each: each.address)

    def addresses(self, subnet: str) -> list[str]:
        """The addresses that the service holds of a subnet."""
        return [each.address for each in self.held(subnet)]

    def audit(self, *, write: bool = False, grace: int = 0) -> Report:
        """Compare both sides."""
        return reconcile(Database(self.url), configured(cfg.CONF), write=write, grace=grace)

    def store(self, network: str, subnet: str, address: str, owner: str) -> str:
        """Write the port of an address into Neutron's tables."""
        return self.port(network, subnet, address, owner=owner)

    def execute(self, *statements: str) -> None:
        """Run statements in Neutron's database."""
        with self.engine.begin() as connection:
            for text in statements:
                connection.execute(sa.text(text))


def port(host: str = "", device_owner: str = "compute:nova") -> dict[str, str]:
    """A port that is about to be made."""
    made = {"id": uuidutils.generate_uuid(), "device_owner": device_owner, "project_id": "p"}
    return {**made, "binding:host_id": host} if host else made


@contextmanager
def remote_cloud(kind: str, folder: Path, *options: str) -> Iterator[RemoteCloud]:
    """A cloud for as long as the block runs."""
    url = shared_server(kind).fresh()
    served = Served(folder, *options)
    try:
        front = Front(folder, served.port)
        try:
            made = RemoteCloud(url, served, front)
            yield made
            made.engine.dispose()
        finally:
            front.close()
    finally:
        served.close()


def give(cloud: RemoteCloud, context: Any, subnets: Sequence[str], **more: Any) -> str:
    """Ask for one address inside a transaction."""
    return cloud.allocate_in(context, subnets, **more)[0]
