"""A sum of each answer's and each word's row. Rows that are there already get none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("rung_traces", "rung_feedback"):
        op.add_column(table, sa.Column("checksum", sa.BigInteger))
