"""The metrics of an agent, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from borough.errors import FixInput

CONNECTED = Gauge("borough_agent_connected", "1 while the service streams routes.")
ROUTES = Gauge("borough_agent_routes", "Routes of the agent in the routing table.")
MISSING = Gauge("borough_agent_missing_routes", "Routes that could not be installed.")
PROBLEMS = Gauge("borough_agent_problems", "Prefixes with an error or a route of another program.")
HORIZON = Gauge("borough_agent_horizon", "Id of the event up to which the routes are complete.")
CHANGES = Counter("borough_agent_route_changes", "Routes that were added and removed.")
CORRECTIONS = Counter(
    "borough_agent_corrections", "Routes that another program had removed or added, corrected."
)
ERRORS = Counter("borough_agent_errors", "Failed attempts.", ["what"])
APPLY = Histogram(
    "borough_agent_apply_seconds",
    "Time from a change in the stream to the routing table.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)


def expose(address: str, port: int) -> None:
    """Answer requests of Prometheus, in a thread.

    :raises FixInput: the address cannot be used.
    """
    try:
        start_http_server(port, address)
    except OSError as error:
        raise FixInput(f"{address} port {port} cannot be used: {error.strerror}") from None
