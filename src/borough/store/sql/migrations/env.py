"""Alembic's environment: the steps run on the connection that :mod:`..migrate` hands over."""

from __future__ import annotations

from alembic import context

context.run_migrations()
