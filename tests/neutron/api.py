"""A running Neutron: several processes of its API on one database, and a client for them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.servers.base import free_port

_CONFIG = """
[DEFAULT]
core_plugin = ml2
service_plugins = segments
ipam_driver = {driver}
auth_strategy = noauth
transport_url = fake://
api_paste_config = {paste}
state_path = {folder}
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
dhcp_agent_notification = false
[database]
connection = {url}
max_pool_size = 20
[oslo_concurrency]
lock_path = {folder}
[ml2]
type_drivers = local,flat,vlan
tenant_network_types = local
mechanism_drivers = logger
[ml2_type_flat]
flat_networks = *
[ml2_type_vlan]
network_vlan_ranges = rack1:100:400,rack2:100:400
[quotas]
default_quota = -1
quota_port = -1
quota_subnet = -1
quota_network = -1
[borough]
{options}
"""


class Refused(Exception):
    """Neutron answered with an error.

    :ivar status: the HTTP status.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Neutron:
    """A running Neutron."""

    def __init__(
        self, folder: Path, urls: Sequence[str], driver: str, *, options: str = ""
    ) -> None:
        self._log = (folder / "server.log").open("ab")
        self.log = folder / "server.log"
        paste = Path(sys.prefix) / "etc" / "neutron" / "api-paste.ini"
        configs = []
        for at, url in enumerate(urls):
            configs.append(folder / f"neutron-{at}.conf")
            configs[-1].write_text(
                _CONFIG.format(driver=driver, paste=paste, folder=folder, url=url, options=options)
            )
        self._ports = [free_port() for _ in urls]
        self._next = itertools.cycle(self._ports)
        self._processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "ignore",
                    "-m",
                    "tests.neutron.server",
                    str(config),
                    str(port),
                ],
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, "OSLO_LOCK_PATH": str(folder)},
            )
            for config, port in zip(configs, self._ports, strict=True)
        ]

    def wait(self, timeout: float = 240) -> None:
        """Wait until every process answers."""
        deadline = time.monotonic() + timeout
        for port, process in zip(self._ports, self._processes, strict=True):
            while True:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(
                        f"Neutron did not come up:\n{self.log.read_text()[-4000:]}"
                    )
                with contextlib.suppress(OSError, Refused):
                    self._ask("GET", f"http://127.0.0.1:{port}/v2.0/networks", None)
                    break
                time.sleep(0.5)

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the next of the processes.

        :raises Refused: it answered with an error.
        """
        return self._ask(method, f"http://127.0.0.1:{next(self._next)}/v2.0/{path}", body)

    def _ask(self, method: str, url: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text else None

    def make(self, kind: str, **fields: Any) -> Any:
        """Create one object."""
        return self("POST", f"{kind}s", {kind: fields})[kind]


@contextlib.contextmanager
def running(
    folder: Path, urls: Sequence[str], driver: str, *, options: str = ""
) -> Iterator[Neutron]:
    """Run a Neutron for the duration of a block: one process for each URL of its database.

    :param options: lines of the section ``[borough]`` of its configuration.
    """
    made = Neutron(folder, urls, driver, options=options)
    try:
        made.wait()
        yield made
    finally:
        made.stop()
