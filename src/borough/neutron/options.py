"""The option group ``[borough]`` of Neutron's configuration."""

from __future__ import annotations

from typing import Any, Final

from oslo_config import cfg


def _group() -> Any:
    """A new group each time: a group holds values, and a shared one would share them between files."""
    return cfg.OptGroup(
        "borough",
        title="Borough",
        help="The IPAM drivers borough, borough_remote and borough_shim.",
    )


OPTIONS: Final = (
    cfg.BoolOpt(
        "host_affinity",
        default=True,
        help="Allocate addresses of ports on one host from aligned blocks, so that the host can "
        "advertise them as few prefixes. The option never makes an allocation fail.",
    ),
    cfg.StrOpt(
        "delegate",
        default="internal",
        help="The IPAM driver behind borough_shim, by its name in the entry point group "
        "neutron.ipam_drivers.",
    ),
    cfg.URIOpt(
        "url",
        schemes=["http", "https"],
        help="The HTTP service of borough_remote, such as https://ipam.example:8080.",
    ),
    cfg.StrOpt(
        "token",
        secret=True,
        help="The token of borough_remote, with the permission to administer; only for a service "
        "that requires tokens.",
    ),
    cfg.StrOpt(
        "token_file",
        help="A file with the token, instead of the token itself; it is read at every use.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10.0,
        min=0.1,
        max=600.0,
        help="Seconds for which borough_remote waits for an answer, and for which it repeats a call "
        "to an unavailable service. Neutron's transaction is open meanwhile.",
    ),
    cfg.StrOpt(
        "cloud",
        default="neutron",
        help="The prefix of the names of this cloud's topologies at the service. Clouds that share a "
        "service need different prefixes.",
    ),
)


def register(conf: Any) -> None:
    """Register the options; safe to repeat."""
    conf.register_group(_group())
    conf.register_opts(OPTIONS, group="borough")


def list_opts() -> list[tuple[Any, list[Any]]]:
    """The options for ``oslo-config-generator --namespace borough``."""
    return [(_group(), list(OPTIONS))]
