"""``borough init``."""

from __future__ import annotations

from borough.cli.command import command
from borough.cli.output import emit
from borough.cli.state import GlobalOptions, pass_state
from borough.errors import NotInitialised, SchemaTooOld


@command("init", example="borough --db sqlite:///borough.db init")
@pass_state
def init(state: GlobalOptions) -> None:
    """Make the database, or upgrade it to this release.

    It is safe to run again: a database that is ready is left as it is.
    """
    done = "unchanged"
    try:
        state.open_database().close()
    except NotInitialised:
        done = "created"
    except SchemaTooOld:
        done = "upgraded"
    if done != "unchanged":
        state.open_database(create=True).close()
    said = {
        "created": "Made the database",
        "upgraded": "Upgraded the database",
        "unchanged": "Nothing to do, the database is ready:",
    }[done]
    emit(
        state,
        {"database": state.shown_url, "action": done},
        lambda page: page.line(f"{said} {state.shown_url}"),
    )
