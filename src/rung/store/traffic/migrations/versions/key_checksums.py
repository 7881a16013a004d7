"""A sum of each key's row. Keys that are there already get none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("rung_keys", sa.Column("checksum", sa.BigInteger))
