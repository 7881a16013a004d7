"""JSON read strictly: what a lenient parser lets pass, and every later reader stumbles over, is refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 64
_SIGN = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


class RefusedJson(ValueError):
    """Well-formed, but not to be trusted: a repeated key, a number that is not finite, nesting too deep, half a
    character. `zh` says in Chinese what the message says in English."""

    def __init__(self, message: str, zh: str) -> None:
        super().__init__(message)
        self.zh = zh


def read_json(text: str) -> Any:
    """The value of a JSON text.

    Raises RefusedJson for a repeated key, NaN or an infinity, more than `MAX_DEPTH` levels, a lone surrogate or an
    integer of thousands of digits; ValueError for a text that is not JSON.
    """
    start = len(text) - len(text.lstrip())
    if text.startswith(("{", "["), start):
        find_end(text, start)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_float, parse_constant=_refuse_constant)
    except (RefusedJson, json.JSONDecodeError):
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedJson("a number is too long", "数字过长") from error
    try:
        write_json(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise RefusedJson("a string holds half a character", "字符串中有半个字符（孤立代理项）") from error
    return value


def write_json(value: Any) -> str:
    """The canonical text: keys sorted, no spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def find_end(text: str, start: int, deepest: float = MAX_DEPTH) -> int | None:
    """Where the object or array that opens at `start` ends (exclusive); None when it never closes.

    Raises RefusedJson where it nests deeper than `deepest`: counted here, before any recursive reader sees it.
    """
    depth, quoted = 0, False
    for sign in _SIGN.finditer(text, start):
        mark = sign.group()
        if mark == '"':
            quoted = not quoted
        elif quoted or mark.startswith("\\"):
            continue
        elif mark in "{[":
            depth += 1
            if depth > deepest:
                raise RefusedJson(f"it nests deeper than {MAX_DEPTH} levels", f"嵌套超过 {MAX_DEPTH} 层")
        else:
            depth -= 1
            if depth == 0:
                return sign.end()
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedJson("a key is repeated", "键名重复")
    return found


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RefusedJson("a number is not finite", "数字不是有限值")
    return value


def _refuse_constant(name: str) -> Any:
    raise RefusedJson(f"{name} is not a JSON number", f"{name} 不是 JSON 数字")
