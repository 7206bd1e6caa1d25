"""``netbox``: addresses kept in NetBox 4, over its REST interface.

One call allocates an address of one prefix (``available-ips``), so groups need the shim.
"""

from borough.drivers.netbox.driver import NetboxDriver

__all__ = ["NetboxDriver"]
