"""CSV, TSV, JSON and JSONL read as documents: a table, or a block for each row where rows are long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from rung.data.csv_rows import MAX_COLUMNS, find_delimiter, read_rows
from rung.data.lines import MAX_LINE, Line
from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.grid import markdown_table, record_lines
from rung.data.parsing.refusal import Unreadable
from rung.data.parsing.text_bytes import decode
from rung.data.rejects import BadRow
from rung.text.strict_json import RefusedJson, read_json

LONG_ROW = 300
"""Characters of an average row from which rows are written one by one, by name and value."""
_SAMPLE = 100


def parse_csv(raw: bytes, suffix: str) -> Parsed:
    """`suffix`: '.csv' or '.tsv', which settles a tie between delimiters. Raises Unreadable as `decode`."""
    decoded = decode(raw)
    lines = [
        Line(number, text + "\n", BadRow("E2202", limit=MAX_LINE) if len(text) >= MAX_LINE else None)
        for number, text in enumerate(decoded.text.split("\n"), 1)
    ]
    delimiter = find_delimiter(list(islice((line for line in lines if line.text.strip()), _SAMPLE)), suffix)
    head = next((row.cells for row in read_rows(lines, delimiter) if row.problem is None), ())
    rows: list[Sequence[str]] = []
    spoilt = 0
    for row in read_rows(lines, delimiter, len(head)):
        if row.problem is None:
            rows.append(row.cells[:MAX_COLUMNS])
        else:
            # As a document a line that is no good row is still text.
            spoilt += 1
            rows.append([row.raw[:MAX_LINE].strip()])
    remarks = [*decoded.remarks]
    if spoilt:
        remarks.append(Remark("E2348", {"count": spoilt}))
    meta = {"format": suffix[1:], "encoding": decoded.encoding, "rows": str(max(0, len(rows) - 1))}
    return Parsed("", tuple(table_blocks(rows)), tuple(remarks), meta)


def table_blocks(rows: Sequence[Sequence[str]], page: str = "") -> Iterator[Block]:
    """One Markdown table; a block a row where rows are long or hold several lines."""
    if not rows:
        return
    body = rows[1:]
    size = sum(len(cell) for row in body for cell in row)
    lined = sum(any("\n" in cell.strip() for cell in row) for row in body)
    if body and (size > LONG_ROW * len(body) or lined > len(body) / 4):
        names = [" ".join(name.split()) for name in rows[0]]
        for row in body:
            if text := record_lines(names, row):
                yield Block("paragraph", text, page=page)
    elif text := markdown_table(rows):
        yield Block("table", text, page=page)


def parse_json(raw: bytes, lines: bool) -> Parsed:
    """JSON, or JSONL where `lines`. Raises Unreadable as `decode`, E2321 for no JSON at all, E2324 nested too deeply."""
    decoded = decode(raw)
    remarks = [*decoded.remarks]
    meta = {"format": "jsonl" if lines else "json", "encoding": decoded.encoding}
    if not lines:
        try:
            return Parsed("", tuple(_value_blocks(read_json(decoded.text))), tuple(remarks), meta)
        except RefusedJson as error:
            raise _refused(error) from error
        except ValueError as error:
            if not decoded.text.lstrip().startswith("{"):
                raise Unreadable("E2321", detail=f"JSON: {error}") from error
            meta["format"] = "jsonl"
    values: list[Any] = []
    spoilt = 0
    for line in decoded.text.split("\n"):
        if line.strip():
            try:
                values.append(read_json(line))
            except ValueError:
                spoilt += 1
                values.append(line.strip())
    if spoilt == len(values):
        raise Unreadable("E2321", detail="JSON")
    if spoilt:
        remarks.append(Remark("E2348", {"count": spoilt}))
    return Parsed("", tuple(_value_blocks(values)), tuple(remarks), meta)


def _refused(error: RefusedJson) -> Unreadable:
    return Unreadable("E2324", limit=64) if "deeper" in str(error) else Unreadable("E2321", detail=f"JSON: {error}")


def _value_blocks(value: Any) -> Iterator[Block]:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        names = list(dict.fromkeys(name for item in value for name in item))
        flat = all(not isinstance(inner, dict | list) for item in value for inner in item.values())
        if flat and len(names) <= MAX_COLUMNS:
            yield from table_blocks([names, *([_scalar(item.get(name)) for name in names] for item in value)])
        else:
            yield from (Block("paragraph", "\n".join(_outlined(item, 0))) for item in value if item)
    elif isinstance(value, dict):
        yield from _object_blocks(value)
    elif isinstance(value, list):
        for item in value:
            lines = list(_outlined(item, 0))
            yield Block("item", lines[0]) if len(lines) == 1 else Block("paragraph", "\n".join(lines))
    elif text := _scalar(value):
        yield Block("paragraph", text)


def _object_blocks(value: dict[str, Any]) -> Iterator[Block]:
    """Simple members together, then each member with a structure below its name."""
    simple = [f"{name}: {_scalar(item)}" for name, item in value.items() if not isinstance(item, dict | list)]
    if simple:
        yield Block("paragraph", "\n".join(simple))
    for name, item in value.items():
        if isinstance(item, dict | list) and item:
            yield Block("heading", name, 2)
            inner = (
                _value_blocks(item)
                if isinstance(item, list)
                else iter([Block("paragraph", "\n".join(_outlined(item, 0)))])
            )
            yield from inner


def _outlined(value: Any, level: int) -> Iterator[str]:
    """Nested values as lines, set in by level."""
    space = "  " * level
    if isinstance(value, dict):
        pairs: Iterable[tuple[str, Any]] = ((f"{name}:", item) for name, item in value.items())
    elif isinstance(value, list):
        pairs = (("-", item) for item in value)
    else:
        yield space + _scalar(value)
        return
    for mark, item in pairs:
        if isinstance(item, dict | list):
            yield f"{space}{mark}"
            yield from _outlined(item, level + 1)
        else:
            yield f"{space}{mark} {_scalar(item)}"


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
