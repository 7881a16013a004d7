"""Taking people out of the traffic: whose traces they are, and their removal with what was said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from rung.store.traffic.records import Feedback, Trace
from rung.store.traffic.tables import feedback, traces
from rung.text.normalise import normalise_label
