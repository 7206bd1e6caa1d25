"""``borough init``."""

from __future__ import annotations

from borough.cli.command import command
from borough.cli.output import emit
from borough.cli.state import GlobalOptions, pass_state
from borough.errors import NotInitialised, SchemaTooOld


@command("init", example="borough --db sqlite:///borough.db init")
@pass_state
def init(state: GlobalOptions) -> None:
    """Create the database, or upgrade it to this release.

    The command can be run again: it does not change a database that is ready.
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
    text = {
        "created": "Created the database",
        "upgraded": "Upgraded the database",
        "unchanged": "Nothing to do, the database is ready:",
    }[done]
    data = {"database": state.shown_url, "action": done}
    emit(state, data, lambda page: page.line(f"{text} {state.shown_url}"))
