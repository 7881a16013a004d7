"""Inserting whole rows as they are stored, as fast as each kind of database takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

_VARIABLES = 999
"""In one statement, which every SQLite takes (sqlite.org/limits.html)."""
_ROW = re.compile(r"(?<= VALUES )(\([^)]*\))")


@dataclass(frozen=True)
class _Inserting:
    """`one`: the statement for one row. `many`: for `rows` at once, '' where the driver sends rows in bulk by itself. `form`: a row
    as the driver takes it.
    """

    one: str
    many: str
    rows: int
    form: Callable[[dict[str, Any]], Any]


_KNOWN: dict[tuple[str, str], _Inserting] = {}
"""By table and kind of database."""


def put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; one whose id is there already changes nothing.

    Rows go to the driver as they are: to have SQLAlchemy look at each of a trace's forty values costs more than all the rest.
    """
    kind = (table.name, connection.dialect.name)
    inserting = _KNOWN.get(kind) or _KNOWN.setdefault(kind, _inserting(table, connection.dialect))
    formed = [inserting.form(row) for row in rows]
    n = inserting.rows
    bulk = len(formed) - len(formed) % n if inserting.many else 0
    for start in range(0, bulk, n):
        values = tuple(chain.from_iterable(formed[start : start + n]))
        connection.exec_driver_sql(inserting.many, values)
    if formed[bulk:]:
        connection.exec_driver_sql(inserting.one, formed[bulk:])


def _inserting(table: Table, dialect: Dialect) -> _Inserting:
    """SQLite's driver lets all other threads go first at every statement: with one a row, a busy server leaves its traces behind."""
    insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    compiled = insert(table).on_conflict_do_nothing().compile(dialect=dialect)
    order = getattr(compiled, "positiontup", None)
    if order is None:
        return _Inserting(str(compiled), "", 1, dict)
    head, row, tail = _ROW.split(str(compiled), maxsplit=1)
    rows = max(1, _VARIABLES // len(order))
    return _Inserting(str(compiled), head + ", ".join([row] * rows) + tail, rows, itemgetter(*order))
