"""The connection of an agent with the service: the stream of its host's routes, and its reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from borough.agent.reconcile import TableReport
from borough.client.ipam import RemoteIpam
from borough.client.transport import ServerEvent, Transport, segment
from borough.domain.net.announce import NO_PREFIXES, Prefixes
from borough.domain.net.prefixes import parse_prefix
from borough.engine.announcements import tag_of
from borough.errors import RetryLater

#: Seconds without a sign of the service after which a stream is given up; it sends one every 15 seconds.
SILENCE: Final = 40.0

#: Seconds that the service may leave a report without an answer.
TIMEOUT: Final = 15.0


class ServiceLink:
    """The service, as the agent of one host uses it.

    :ivar tag: the tag of the last picture; it resumes the stream.
    :ivar horizon: the id of an event up to which all changes are in the last picture.
    """

    def __init__(self, url: str, token: str | None, ca_file: str | None, host: str, scope: str):
        self._http = Transport(url, token, TIMEOUT, ca_file=ca_file)
        self._ipam = RemoteIpam(self._http)
        self._host = host
        self._scope = scope
        self._prefixes: Prefixes = NO_PREFIXES
        self.tag = ""
        self.horizon = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def follow(self) -> Iterator[Prefixes | None]:
        """Yield the prefixes of the host after each change; None for a sign of life.

        :raises BoroughError: the service refuses, or cannot be reached.
        """
        path = f"/v1/hosts/{segment(self._host)}/routes"
        events = self._http.stream(path, {"scope": self._scope}, last=self.tag, silence=SILENCE)
        for event in events:
            if event.name in ("picture", "difference"):
                self._take(event)
                yield self._prefixes
            else:
                yield None

    def _take(self, event: ServerEvent) -> None:
        """Take a picture or a difference.

        :raises RetryLater: the difference leads to another picture than that of the service.
        """
        data = json.loads(event.data)
        if event.name == "picture":
            made = frozenset(map(parse_prefix, data["prefixes"]))
        else:
            made = self._prefixes.union(map(parse_prefix, data["announce"])).difference(
                map(parse_prefix, data["withdraw"])
            )
        if tag_of(made) != data["tag"]:
            self.tag = ""
            raise RetryLater("the difference does not fit the last picture")
        self._prefixes, self.tag, self.horizon = made, data["tag"], data["horizon"]

    def report(self, report: TableReport) -> None:
        """Report the table to the service.

        :raises BoroughError: the service refuses, or cannot be reached.
        """
        self._ipam.acknowledge(
            self._host,
            [str(each) for each in sorted(report.installed)],
            settling=[str(each) for each in sorted(report.settling)],
            scope=self._scope,
            problems={str(each): reason for each, reason in report.problems.items()},
        )
