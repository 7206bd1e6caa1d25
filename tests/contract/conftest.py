"""The kit's asserts tell what they compared here as well."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"borough.driver.conformance.test_{part}" for part in ("addresses", "groups", "holding"))
)
