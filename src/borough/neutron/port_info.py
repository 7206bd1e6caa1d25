"""The port of an address, in any of the forms that Neutron uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings

#: Longest text that a column takes.
_LONGEST: Final = 255


@dataclass(frozen=True)
class PortInfo:
    """The facts about a port that are stored with its address.

    :ivar owner: the port's id.
    :ivar host: the host to which the port is or will be bound.
    """

    owner: str = ""
    host: str = ""
    device_owner: str = ""
    project: str = ""

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the allocation."""
        found = {"device_owner": self.device_owner, "project": self.project}
        return {name: value for name, value in found.items() if value}

    @classmethod
    def of(cls, port: Any) -> PortInfo:
        """Read a port: a dictionary, a row of Neutron, or a versioned object."""
        if isinstance(port, Mapping):
            host = port.get(portbindings.HOST_ID)
        else:
            bindings = getattr(port, "bindings", None) or getattr(port, "port_bindings", None) or ()
            # During a migration a port has a binding for each host.
            active = (each.host for each in bindings if each.status == constants.ACTIVE)
            host = next(active, None)
        return cls(
            owner=_text(_get(port, "id")),
            host=_text(host),
            device_owner=_text(_get(port, "device_owner")),
            project=_text(_get(port, "project_id") or _get(port, "tenant_id")),
        )


NO_PORT: Final = PortInfo()


def _get(port: Any, name: str) -> Any:
    # A versioned object raises for a field that was not loaded.
    try:
        return port.get(name) if isinstance(port, Mapping) else getattr(port, name, None)
    except NotImplementedError:
        return None


def _text(value: Any) -> str:
    # A field without a value is a sentinel object.
    return value[:_LONGEST] if isinstance(value, str) else ""
