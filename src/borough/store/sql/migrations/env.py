"""Alembic's environment: the steps run on the connection of :mod:`..migrate`."""

from __future__ import annotations

from alembic import context

context.run_migrations()
