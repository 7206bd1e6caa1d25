"""Borough: ask once for an IP address from a group of subnets.

>>> import borough
>>> with borough.open("memory:") as ipam:
...     subnet = ipam.add_subnet("10.64.0.0/24", labels={"network": "pods"})
...     answer = ipam.allocate(labels={"network": "pods"}, host="node-1", owner="web-1")
...     answer.address
'10.64.0.1'
"""

from borough.domain.explain import Explanation
from borough.engine.ipam import Ipam, open  # noqa: A004  (users read borough.open)
from borough.engine.views import Allocation, Answer, Route, SubnetView, Usage
from borough.errors import BoroughError
from borough.store.sql.move import Moved, move

__all__ = [
    "Allocation",
    "Answer",
    "BoroughError",
    "Explanation",
    "Ipam",
    "Moved",
    "Route",
    "SubnetView",
    "Usage",
    "move",
    "open",
]
