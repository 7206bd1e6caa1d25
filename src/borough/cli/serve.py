"""``borough serve``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.command import command
from borough.cli.options import span
from borough.cli.state import GlobalOptions, pass_state
from borough.errors import FixInput


@command("serve", example="borough serve --port 8080")
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. One that other machines reach needs --tokens.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=8080,
    show_default=True,
    help="Port to listen on; 0 for any free port.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of processes, about one a core.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    metavar="N",
    default=16,
    show_default=True,
    help="Threads of each process, and so its concurrent requests.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 60),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="Most time of retries after conflicts and lost connections.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(1, 3600),
    metavar="SECONDS",
    default=30.0,
    show_default=True,
    help="Most time of a request; ten times as much for an administrator.",
)
@click.option(
    "--reclaim-every",
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    default=300.0,
    show_default=True,
    help="Interval at which idle claims return to the pool; 0 for never.",
)
@click.option(
    "--keep-events",
    type=span,
    metavar="TIME",
    help="Prune events of a greater age, such as 90d, after each reclaim. By default none.",
)
@click.option("--tokens", "requires_token", is_flag=True, help="Require a token of every request.")
@click.option(
    "--tls-certificate",
    "certificate",
    metavar="FILE",
    help="Certificate chain in PEM form, for TLS.",
)
@click.option("--tls-key", "key", metavar="FILE", help="Private key of the certificate.")
@click.option("--access-log", is_flag=True, help="Log every request; otherwise only faults.")
@pass_state
def serve(state: GlobalOptions, /, **options: Any) -> None:
    """Serve the HTTP API, and the page for people.

    After SIGTERM or Ctrl-C it finishes the requests under way, and exits.
    """
    try:
        from borough.api import serve as service
    except ModuleNotFoundError as error:
        raise FixInput(
            f"the service needs {error.name}; run: pip install 'borough[serve]'"
        ) from None
    from borough.api.settings import ServiceSettings

    options["keep_events"] = options["keep_events"] or 0
    settings = ServiceSettings(database=state.url, **options)
    if settings.keep_events and not settings.reclaim_every:
        raise FixInput(
            "events are pruned after each reclaim: --keep-events needs --reclaim-every above 0"
        )
    if settings.workers > 1 and state.url == "memory:":
        raise FixInput("each process would have its own memory: store; use one worker")
    with state.open_database() as ipam:
        service.check(settings, has_tokens=lambda: bool(ipam.tokens()))
        service.warn(ipam.risks())
    listener = service.bind(settings)
    scheme = "https" if settings.certificate else "http"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    click.echo(f"Serving on {scheme}://{shown}:{listener.getsockname()[1]}/", err=True)
    service.run(settings, listener)
