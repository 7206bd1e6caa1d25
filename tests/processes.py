"""The processes of a service, seen from outside."""

from __future__ import annotations

from pathlib import Path


def workers_of(pid: int) -> list[int]:
    """The living processes that a service has started to take requests.

    :param pid: process id of the service.
    """
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if _takes_requests(int(child))]


def _takes_requests(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        # It has ended since the list of children was read.
        return False
    # A process that has ended and was not waited for yet is still a child, without a command line.
    return command != b"" and b"resource_tracker" not in command
