"""Parts of the reference that are made from the code, as Markdown.

A page asks for a part by a line ``<!-- generated: NAME -->``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase

import borough
from borough.agent import metrics as agent
from borough.api.metrics import Numbers
from borough.api.problem import status_of
from borough.api.reclaimer import PRUNED, RECLAIMS
from borough.api.request_log import OUTCOMES, RETRIES, SECONDS, STATEMENTS
from borough.api.settings import ServiceSettings
from borough.cli.reference import commands, error_kinds
from borough.domain.space.events import Event
from borough.errors import BoroughError, FixInput, NeedsOperator, NeedsSpace, Reevaluate, RetryLater
from docs._ext import http
from docs._ext.tables import table

_MARKER: Final = re.compile(r"^<!-- generated: (\w+) -->$", re.M)
_IVAR: Final = re.compile(r":ivar (\w+): (.*?)(?=\n:ivar |\Z)", re.S)


def expand(text: str) -> str:
    """The text of a page with its generated parts."""
    return _MARKER.sub(lambda found: PARTS[found[1]](), text)


def errors() -> str:
    """A table of codes for each branch of the error tree."""
    return "\n".join(
        f"## {branch.__name__}\n\n{_summary(branch)} Exit code {branch.exit_code}.\n\n"
        + table("code", "HTTP status", "class", "meaning", rows=_error_rows(branch))
        for branch in (FixInput, NeedsSpace, Reevaluate, RetryLater, NeedsOperator)
    )


def _error_rows(branch: type[BoroughError]) -> Iterator[tuple[str, ...]]:
    for kind in error_kinds(branch):
        status = status_of(kind(""))
        yield f"`{kind.code}`", str(status), f"`{kind.__name__}`", _summary(kind)


def agent_metrics() -> str:
    """All metrics of an agent."""
    rows = []
    for made in vars(agent).values():
        if isinstance(made, MetricWrapperBase):
            (each,) = made.describe()
            total = "_total" if each.type == "counter" else ""
            labels = ", ".join(f"`{name}`" for name in made._labelnames)
            rows.append((f"`{each.name}{total}`", each.type, labels, each.documentation))
    return table("metric", "type", "labels", "meaning", rows=rows)


def metrics() -> str:
    """All metrics of the service with their labels."""
    with borough.open("memory:") as ipam:
        ipam.add_subnet("192.0.2.0/24")
        gauges = [
            (each.name, "gauge", ", ".join(f"`{name}`" for name in each.samples[0].labels), each)
            for each in Numbers(ipam).collect()
        ]
    counters = []
    for made in (SECONDS, OUTCOMES, RETRIES, STATEMENTS, RECLAIMS, PRUNED):
        (each,) = made.describe()
        name = each.name + ("_total" if each.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in made._labelnames)
        counters.append((name, each.type, labels, each))
    rows = ((f"`{n}`", kind, labels, m.documentation) for n, kind, labels, m in counters + gauges)
    return table("metric", "type", "labels", "meaning", rows=rows)


def settings() -> str:
    """The settings of the service."""
    return table("setting", "default", "meaning", rows=_fields(ServiceSettings))


def event() -> str:
    """The fields of an event."""
    known = dict(_IVAR.findall(inspect.cleandoc(Event.__doc__ or "")))
    rows = (
        (f"`{each.name}`", f"`{each.type}`", _line(known.get(each.name, "")))
        for each in dataclasses.fields(Event)
        if each.repr
    )
    return table("field", "type", "meaning", rows=rows)


def _fields(kind: Any) -> Iterator[tuple[str, str, str]]:
    known = dict(_IVAR.findall(inspect.cleandoc(kind.__doc__ or "")))
    for each in dataclasses.fields(kind):
        default = "" if each.default is dataclasses.MISSING else f"`{each.default}`"
        yield f"`{each.name}`", default, _line(known.get(each.name, ""))


def _summary(kind: type[BoroughError]) -> str:
    return _line(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0])


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


PARTS: Final[dict[str, Callable[[], str]]] = {
    "agent_metrics": agent_metrics,
    "commands": commands,
    "errors": errors,
    "event": event,
    "http": http.operations,
    "schemas": http.schemas,
    "metrics": metrics,
    "settings": settings,
}
