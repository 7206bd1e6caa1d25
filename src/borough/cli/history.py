"""``borough history``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from borough.cli.command import command
from borough.cli.options import PAGE_LIMIT, gather, labels_option, span, text_option
from borough.cli.output import Column, Page, counted, emit, moment, scope_text, to_json
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.space.events import Event
from borough.engine.events import ago
from borough.engine.face import Face

#: Seconds between two queries of ``--follow``.
_INTERVAL: Final = 0.5

_EVENTS: Final = (
    Column("id", right=True),
    Column("time"),
    Column("event"),
    Column("subject"),
    Column("scope", soft=True),
    Column("detail", soft=True),
)


def _event_detail(event: Event) -> str:
    words = [
        f"{name} {value}"
        for name, value in (
            ("subnet", event.subnet),
            ("owner", event.owner),
            ("host", event.host),
            ("sequence", event.sequence),
            ("by", event.actor),
        )
        if value
    ]
    return ", ".join([*words, event.detail] if event.detail else words)


def show_events(page: Page, events: Sequence[Event]) -> None:
    """Print events."""
    rows = [
        (
            each.id,
            moment(each.at),
            each.act,
            each.subject,
            scope_text(each.scope),
            _event_detail(each),
        )
        for each in events
    ]
    page.table(_EVENTS, rows)


def instant(text: str) -> datetime:
    """A time: RFC 3339, a date, or a span of time before now."""
    try:
        return ago(span(text))
    except click.BadParameter:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "write a time such as 2030-01-31T12:00:00Z, or how long ago it was: 90d, 12h, 30m"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@command("history", example="borough history 10.0.0.60 --since 7d")
@click.argument("what", metavar="[ADDRESS|PREFIX|OWNER|HOST]", required=False)
@text_option("--owner", "OWNER", "Only events of this owner.")
@text_option("--host", "HOST", "Only events of this host.")
@text_option("--subnet", "NAME", "Only events in this subnet, and its own changes.")
@text_option("--scope", "SCOPE", "Only events of one address space (VRF).")
@text_option("--actor", "TOKEN", "Only events by this token.")
@text_option("--act", "ACT", "Only events of this kind, such as released or topology.")
@click.option("--since", type=instant, metavar="TIME", help="Only events of this time or later.")
@click.option("--until", type=instant, metavar="TIME", help="Only events before this time.")
@labels_option("Only events of subnets that had these labels at the time.")
@click.option(
    "--before",
    type=click.IntRange(1),
    metavar="N",
    help="Only events with a smaller id than N: the next page.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, PAGE_LIMIT),
    metavar="N",
    default=100,
    show_default=True,
    help="Most events to list.",
)
@click.option("--follow", is_flag=True, help="Print later events as they happen, until Ctrl-C.")
@pass_state
def history(
    state: GlobalOptions,
    /,
    labels: tuple[tuple[str, str], ...],
    limit: int,
    follow: bool,
    **filters: Any,
) -> None:
    """Show who held an address, and who changed what.

    The newest event comes first.

    A declared change is shown with its old and new values. A time is RFC 3339, a date in UTC, or a
    span before now: 90d, 12h, 30m.
    """
    filters["labels"] = gather(labels)
    with state.open() as ipam:
        start = ipam.newest_event() if follow else 0
        found = ipam.history(limit=limit + 1, **filters)
        shown = found[:limit]
        if not follow:
            _answer(state, shown, shown[-1].id if len(found) > limit else None)
            return
        first = [each for each in reversed(shown) if each.id <= start]
        _print(state, first)
        filters.pop("before")
        for each in _later(ipam, start, filters):
            _print(state, each)


def _answer(state: GlobalOptions, shown: Sequence[Event], before: int | None) -> None:
    def show(page: Page) -> None:
        if not shown:
            page.line("No events.")
            return
        show_events(page, shown)
        more = f"; for more, use --before {before}" if before else ""
        page.line(f"{counted(len(shown), 'event')}{more}.")

    emit(state, {"events": shown, "next": before}, show)


def _later(ipam: Face, after: int, filters: dict[str, Any]) -> Iterator[Sequence[Event]]:
    """Events as they happen, oldest first."""
    while True:
        newest = ipam.newest_event()
        before = newest + 1
        found: list[Event] = []
        while page := ipam.history(after=after, before=before, limit=1000, **filters):
            found += page
            before = page[-1].id
        if found:
            yield found[::-1]
        after = newest
        time.sleep(_INTERVAL)


def _print(state: GlobalOptions, events: Sequence[Event]) -> None:
    """Print events one a line; as JSON, one document a line."""
    write: Callable[[Event], str] = (
        (lambda each: to_json(each, indent=None)) if state.json else _line
    )
    for each in events:
        click.echo(write(each))


def _line(each: Event) -> str:
    words = (moment(each.at), each.act, each.subject, scope_text(each.scope), _event_detail(each))
    return "  ".join(word for word in words if word)
