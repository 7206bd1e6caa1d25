"""Drivers: one call for an address of a group, in any system that keeps addresses.

>>> from borough.driver import load_driver, make_group, make_request
>>> pods = {"name": "pods-1", "cidr": "10.64.0.0/24", "labels": {"network": "pods"}}
>>> with load_driver("native", {"database": "memory:"}) as driver:
...     changes = driver.apply({"subnets": [pods]})
...     answer = driver.allocate(make_group({"network": "pods"}), make_request(owner="web-1"))
...     answer.address
'10.64.0.1'
"""

from borough.domain.declared.records import Subnet
from borough.driver.feature import Feature
from borough.driver.group import Group, make_group, make_request
from borough.driver.interface import (
    Decides,
    DriverAddress,
    DriverSubnet,
    GroupDriver,
    SubnetDriver,
    SubnetRequest,
)
from borough.driver.registry import drivers, load_driver
from borough.driver.settings import Settings, read_settings
from borough.driver.shim import Shim

__all__ = [
    "Decides",
    "DriverAddress",
    "DriverSubnet",
    "Feature",
    "Group",
    "GroupDriver",
    "Settings",
    "Shim",
    "Subnet",
    "SubnetDriver",
    "SubnetRequest",
    "drivers",
    "load_driver",
    "make_group",
    "make_request",
    "read_settings",
]
