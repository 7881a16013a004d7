"""JSON rows: one object a line (JSONL), or a list of objects in one file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator

from rung.core.errors import DataError
from rung.data.lines import Line
from rung.data.rejects import BadRow, Row
from rung.text.strict_json import RefusedJson, find_end, read_json

MAX_LIST = 1 << 28
"""Characters of a JSON list, which is read as a whole; JSONL has no limit."""
_REASONS = {
    "Unterminated string": "起的字符串没有结束",
    "Expecting ',' delimiter": "应为逗号",
    "Expecting ':' delimiter": "应为冒号",
    "Expecting property name": "应为双引号括起的字段名",
    "Expecting value": "应为一个值",
    "Illegal trailing comma": "有多余的逗号",
    "Invalid control character": "有控制字符",
    "Invalid \\": "的转义无效",
}
"""What the JSON reader of Python says, by its beginning, in Chinese."""
_GAP = re.compile(r"[\s,]*")


def read_objects(lines: Iterable[Line]) -> Iterator[Row]:
    """Every line of a JSONL file that is not blank. Lines end at '\\n' only, as U+2028 and its kin may stand in a text."""
    for line in lines:
        raw = line.text.rstrip("\r\n")
        if line.problem is not None:
            yield Row(line.number, {}, raw, line.problem)
        elif raw.strip():
            yield _row(line.number, raw)


def read_list(text: str, where: str) -> Iterator[Row]:
    """Every element of a JSON list, with the line it starts on.

    Raises DataError E2110 for a text that is no list, or in which the end of an element cannot be found.
    """
    line, done = 1, 0
    at = text.find("[") + 1
    if text[: at - 1].strip() or not at:
        raise DataError("E2110", f"{where}:1", detail="the file does not hold a list [ ... ]")
    while True:
        at = _gap_end(text, at)
        line, done = line + text.count("\n", done, at), at
        if text.startswith("]", at):
            if text[at + 1 :].strip():
                raise DataError("E2110", f"{where}:{line}", detail="there is more text after the list")
            return
        if at >= len(text):
            yield Row(
                line, {}, "", BadRow("E2206", detail="the list is not closed with ]", detail_zh="列表没有以 ] 结束")
            )
            return
        end = _element_end(text, at, f"{where}:{line}")
        yield _row(line, text[at:end])
        if end is None:
            return
        at = end


def _gap_end(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return match.end() if match else at


def _element_end(text: str, at: int, where: str) -> int | None:
    """None where the file is cut off inside the element."""
    try:
        if text[at] in "{[":
            return find_end(text, at, math.inf)  # One that nests too deeply costs its own row alone.
        return json.JSONDecoder().raw_decode(text, at)[1]
    except ValueError as error:
        raise DataError("E2110", where, detail=error) from error


def _row(line: int, raw: str) -> Row:
    try:
        value = read_json(raw)
    except RefusedJson as error:
        return Row(line, {}, raw, BadRow("E2207", detail=error, detail_zh=error.zh))
    except ValueError as error:
        return Row(line, {}, raw, _not_json(raw, error))
    if not isinstance(value, dict):
        return Row(line, {}, raw, BadRow("E2209"))
    return Row(line, value, raw)


def _not_json(raw: str, error: ValueError) -> BadRow:
    if not isinstance(error, json.JSONDecodeError):
        return BadRow("E2206", detail=error, detail_zh=error)
    column = error.pos + 1
    if error.msg == "Extra data":
        return BadRow("E2208", column=column)
    reason = next((zh for start, zh in _REASONS.items() if error.msg.startswith(start)), error.msg)
    return BadRow("E2206", detail=f"{error.msg}, column {column}", detail_zh=f"第 {column} 列{reason}")
