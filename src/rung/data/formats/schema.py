"""The standard as JSON Schema: made from `Record`, kept in record.schema.json for other programs."""

from __future__ import annotations

import ast
import inspect
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rung.data.record import Record, Span, Turn

FILE = Path(__file__).with_name("record.schema.json")


def kept_schema() -> str:
    """The text of record.schema.json."""
    return FILE.read_text("utf-8")


def make_schema() -> str:
    """The same, made anew; a test holds the two equal. To renew the file: python -m rung.data.formats.schema."""
    schema = Record.model_json_schema()
    definitions = schema.pop("$defs")
    for name, model in (("Turn", Turn), ("Span", Span)):
        _explain(definitions[name], model)
    _explain(schema, Record)
    schema["title"] = "Rung record"
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": definitions}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _explain(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the text under each field of the class into the schema."""
    schema["description"] = inspect.getdoc(model) or ""
    told = _field_docs(model)
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if name in told:
            field["description"] = told[name]


def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    body = ast.parse(inspect.getsource(model)).body[0]
    found: dict[str, str] = {}
    fields = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in pairwise(fields):
        named = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        told = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        if named and told:
            found[field.target.id] = inspect.cleandoc(text.value.value)  # type: ignore[attr-defined, union-attr]
    return found


if __name__ == "__main__":
    FILE.write_text(make_schema(), "utf-8")
