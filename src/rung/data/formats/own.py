"""Rung's own records, one JSON object a line: the standard that all other formats map to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rung.data.record import Record
from rung.data.rejects import BadRow

_FIELDS = frozenset(Record.model_fields)
_TELLING = _FIELDS - {
    "id",
    "messages",
    "system",
    "tools",
    "rejected",
    "source",
    "language",
    "split",
    "group",
    "synthetic",
}
"""Fields of which at least one must be there: the others have the same name in other formats."""


class Own:
    name = "rung"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        if not isinstance(row.get("id"), str) or not set(row) <= _FIELDS:
            return False
        inputs, extra = row.get("inputs", {}), row.get("extra", {})
        lists = [row.get(name, []) for name in ("answers", "positives", "negatives", "spans", "documents")]
        return (
            bool(set(row) & _TELLING or (row["id"] and len(row) == 1))
            and isinstance(inputs, dict)
            and isinstance(extra, dict)
            and all(isinstance(items, list) for items in lists)
        )

    def decode(self, row: Mapping[str, Any]) -> Record:
        try:
            record = Record.model_validate({"id": "", **row})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise BadRow("E2230", place, format=self.name, detail=f"{place}: {first['msg']}") from error
        if any("\0" in text for _, text in record.texts()):
            raise BadRow("E2203")
        return record

    def encode(self, record: Record) -> dict[str, Any]:
        return record.to_json()
