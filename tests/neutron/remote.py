"""A Neutron database whose addresses a service keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oslo_config import cfg

from borough import Ipam
from borough.neutron import options
from borough.neutron.commands.database import Database
from borough.neutron.commands.reconcile import Side
from borough.neutron.commands.sides import ServiceSide
from borough.neutron.service.client import configured
from tests.neutron.cloud import Cloud
from tests.neutron.serving import Served, ServiceProxy
from tests.servers.shared import shared_server

ALLOCATE = ("POST", "/v1/allocations")
RELEASE = ("POST", "/v1/releases")


class RemoteCloud(Cloud):
    """See :class:`Cloud`; its driver is ``borough_remote``.

    :ivar served: the service.
    :ivar proxy: the proxy before it.
    """

    def __init__(self, url: str, served: Served, proxy: ServiceProxy) -> None:
        self.served = served
        self.proxy = proxy
        super().__init__(url, "borough_remote", tables=False)

    def use(self) -> None:
        """See :meth:`Cloud.use`."""
        options.register(cfg.CONF)
        super().use()
        cfg.CONF.set_override("url", self.proxy.url, group="borough")
        cfg.CONF.set_override("timeout", 10.0, group="borough")

    def reset(self) -> None:
        """Let the proxy forward everything, and forget the requests seen."""
        self.proxy.reset()
        cfg.CONF.set_override("timeout", 10.0, group="borough")

    @contextmanager
    def ipam(self) -> Iterator[Ipam]:
        """See :meth:`Cloud.ipam`."""
        yield self.served.ipam

    def side(self, database: Database) -> Side:
        """See :meth:`Cloud.side`."""
        return ServiceSide(database, configured(cfg.CONF))

    def forget(self, subnet: str) -> None:
        """See :meth:`Cloud.forget`."""
        self.served.ipam.remove_subnet(subnet)

    def age(self, seconds: int) -> None:
        """See :meth:`Cloud.age`."""
        self.served.age(seconds)


@contextmanager
def remote_cloud(kind: str, folder: Path, *options: str) -> Iterator[RemoteCloud]:
    """A cloud for the duration of a block."""
    url = shared_server(kind).fresh()
    served = Served(folder, *options)
    try:
        proxy = ServiceProxy(folder, served.port)
        try:
            made = RemoteCloud(url, served, proxy)
            yield made
            made.close()
        finally:
            proxy.close()
    finally:
        served.close()
