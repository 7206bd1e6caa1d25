"""``netbox``: addresses kept in NetBox 4, over its REST interface.

One call gives an address of one prefix (``available-ips``), so groups go through the shim.
"""

from borough.drivers.netbox.driver import NetboxDriver

__all__ = ["NetboxDriver"]
