"""Borough: ask once for an IP address from a group of subnets.

>>> import borough
>>> with borough.open("memory:") as ipam:
...     subnet = ipam.add_subnet("10.64.0.0/24", labels={"network": "pods"})
...     answer = ipam.allocate(labels={"network": "pods"}, host="node-1", owner="web-1")
...     answer.address
'10.64.0.1'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from borough.errors import BoroughError

if TYPE_CHECKING:
    from borough.client.ipam import RemoteIpam
    from borough.domain.policy.explain import Explanation
    from borough.engine.ipam import Ipam, open  # noqa: A004  (users read borough.open)
    from borough.engine.views import Allocation, Answer, Route, SubnetView, Usage
    from borough.store.sql.copy import Copied, copy

#: The release.
__version__ = "0.1.0"

#: Module of each name that is imported when it is first used: the engine and its database library take
#: several times as long to import as a small command takes to run.
_MODULES: Final = {
    "Allocation": "borough.engine.views",
    "Answer": "borough.engine.views",
    "Explanation": "borough.domain.policy.explain",
    "Ipam": "borough.engine.ipam",
    "Copied": "borough.store.sql.copy",
    "Route": "borough.engine.views",
    "SubnetView": "borough.engine.views",
    "Usage": "borough.engine.views",
    "copy": "borough.store.sql.copy",
    "open": "borough.engine.ipam",
}


def connect(
    url: str, token: str | None = None, *, timeout: float = 60.0, ca_file: str | None = None
) -> "RemoteIpam":
    """Use address space behind a service, with the library's interface.

    It needs ``pip install 'borough[client]'``.

    :param url: such as ``http://127.0.0.1:8080``; with ``https`` its certificate is verified.
    :param token: what the service's operator gave out; None where it asks for none.
    :param timeout: seconds that the service may leave a request without an answer.
    :param ca_file: PEM file of the authorities to trust; None for those of the system.
    :raises FixInput: the URL or the token cannot be meant so.
    """
    from borough.client.ipam import connect as connect_to

    return connect_to(url, token, timeout=timeout, ca_file=ca_file)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


__all__ = [
    "Allocation",
    "Answer",
    "BoroughError",
    "Copied",
    "Explanation",
    "Ipam",
    "Route",
    "SubnetView",
    "Usage",
    "__version__",
    "connect",
    "copy",
    "open",
]
