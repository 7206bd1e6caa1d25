"""The table at the end: the features of a driver."""

from __future__ import annotations

from collections import defaultdict

import pytest

from borough.driver.feature import Feature


class Summary:
    """Results by feature."""

    def __init__(self) -> None:
        self._passed: dict[str, int] = defaultdict(int)
        self._failed: dict[str, list[str]] = defaultdict(list)
        self._lacks: dict[str, str] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Count a report of one phase of a test."""
        names = [str(value) for key, value in report.user_properties if key == "feature"]
        for name in names:
            if report.failed:
                self._failed[name].append(report.nodeid.rpartition("::")[2])
            elif report.skipped:
                self._note(name, report)
            elif report.when == "call":
                self._passed[name] += 1

    def _note(self, name: str, report: pytest.TestReport) -> None:
        """Record the feature for which a test is skipped, from its reason."""
        text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        start = f"Skipped: lacks {Feature[name].value}: "
        if text.startswith(start):
            self._lacks[name] = text.removeprefix(start)

    def write(self, terminal: pytest.TerminalReporter, driver: str | None) -> None:
        """Print the table."""
        terminal.section(f"features of driver {driver}")
        for feature in Feature:
            name = feature.name
            if self._failed[name]:
                text, colour = "FAILS " + ", ".join(dict.fromkeys(self._failed[name])), "red"
            elif name in self._lacks:
                text, colour = f"lacks ({self._lacks[name]})", "yellow"
            elif self._passed[name]:
                text, colour = f"yes ({self._passed[name]} tests)", "green"
            else:
                text, colour = "not tested", "yellow"
            terminal.write_line(f"{feature.value:<52} {text}", **{colour: True})
