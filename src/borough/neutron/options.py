"""The option group ``[borough]`` of Neutron's configuration."""

from __future__ import annotations

from typing import Any, Final

from oslo_config import cfg

GROUP: Final = cfg.OptGroup(
    "borough", title="Borough", help="The IPAM drivers borough and borough_shim."
)

OPTIONS: Final = (
    cfg.BoolOpt(
        "host_affinity",
        default=True,
        help="Whether addresses of ports on one host are kept together in aligned blocks, so that a "
        "host can advertise them as few prefixes. It never keeps a port from getting an address.",
    ),
    cfg.StrOpt(
        "delegate",
        default="internal",
        help="The IPAM driver that borough_shim asks, by its name in the entry point group "
        "neutron.ipam_drivers.",
    ),
)


def register(conf: Any) -> None:
    """Make the options known; safe to do again."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """What ``oslo-config-generator --namespace borough`` prints."""
    return [(GROUP, list(OPTIONS))]
