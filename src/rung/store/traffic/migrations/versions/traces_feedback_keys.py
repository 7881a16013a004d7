"""The first tables: traces, feedback, keys and settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXTS = (
    "route",
    "run",
    "candidate",
    "role",
    "parent",
    "key",
    "tenant",
    "prompt_hash",
    "inputs",
    "history",
    "answer",
    "raw",
    "failure",
    "finish",
)
_MORE_TEXTS = (
    "passages",
    "index",
    "shots",
    "citations",
    "flags",
    "served_by",
    "input_language",
    "input_hash",
    "answer_hash",
)
_SECONDS = ("seconds_queue", "seconds_engine", "seconds_total", "money")
_COUNTS = ("tokens_in", "tokens_out", "input_chars", "answer_chars")


def upgrade() -> None:
    op.create_table(
        "rung_traces",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*_TEXTS, *_MORE_TEXTS)),
        sa.Column("status", sa.SmallInteger, nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in _SECONDS),
        *(sa.Column(name, sa.Integer, nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("streamed", "cancelled", "consent")),
        sa.Column("confidence", sa.Float(53)),
        sa.Column("signal", sa.Float(53)),
    )
    op.create_index("rung_traces_at", "rung_traces", ["at", "id"])
    op.create_index("rung_traces_key", "rung_traces", ["key", "at"])
    op.create_table(
        "rung_feedback",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("trace", sa.Text, sa.ForeignKey("rung_traces.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("key", "tenant", "corrected", "comment")),
        sa.Column("rating", sa.SmallInteger, nullable=False),
        sa.Column("consent", sa.Boolean, nullable=False),
    )
    op.create_index("rung_feedback_at", "rung_feedback", ["at", "id"])
    op.create_index("rung_feedback_trace", "rung_feedback", ["trace"])
    op.create_table(
        "rung_keys",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "tenant", "scopes", "labels")),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("tokens_per_day", sa.BigInteger),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
        sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "rung_settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
