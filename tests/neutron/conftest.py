"""These tests run in an environment that has Neutron: ``./test-neutron``."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("neutron") else ["test_*.py"]
