"""The option group ``[borough]`` of Neutron's configuration."""

from __future__ import annotations

from typing import Any, Final

from oslo_config import cfg


def _group() -> Any:
    """The group, anew each time: it holds the values that are set, and would share them between files."""
    return cfg.OptGroup(
        "borough",
        title="Borough",
        help="The IPAM drivers borough, borough_remote and borough_shim.",
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
    cfg.URIOpt(
        "url",
        schemes=["http", "https"],
        help="The HTTP service that borough_remote asks, such as https://ipam.example:8080.",
    ),
    cfg.StrOpt(
        "token",
        secret=True,
        help="The service's token for borough_remote, one that may administer; not needed where the "
        "service asks for none.",
    ),
    cfg.StrOpt(
        "token_file",
        help="A file that holds the token, instead of the token itself; it is read at every use.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10.0,
        min=0.1,
        max=600.0,
        help="Seconds that borough_remote waits for an answer, and for which it asks again when the "
        "service is away. Neutron's transaction is open meanwhile.",
    ),
    cfg.StrOpt(
        "cloud",
        default="neutron",
        help="What the topologies of this cloud are called by at the service. Clouds that share a "
        "service need different ones.",
    ),
)


def register(conf: Any) -> None:
    """Make the options known; safe to do again."""
    conf.register_group(_group())
    conf.register_opts(OPTIONS, group="borough")


def list_opts() -> list[tuple[Any, list[Any]]]:
    """What ``oslo-config-generator --namespace borough`` prints."""
    return [(_group(), list(OPTIONS))]
