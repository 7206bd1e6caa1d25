"""``ipam_driver = borough``: Neutron's IPAM interface on the engine, in Neutron's own transaction.

An allocation is mostly one statement, whatever the number of subnets and of addresses that are taken.
"""

from __future__ import annotations

from borough.neutron.driver import NeutronPool
from borough.neutron.session.space import SessionSpace


class BoroughPool(NeutronPool):
    """See :class:`neutron.ipam.driver.Pool`."""

    space_type = SessionSpace

    def needs_rollback(self) -> bool:
        """Whether Neutron must undo by itself what it takes back: no, the transaction does."""
        return False
