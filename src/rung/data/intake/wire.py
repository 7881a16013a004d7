"""A parsed file as JSON: what comes out of a child process, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from rung.data.parsing.blocks import Block, BlockKind, Parsed, Remark

_KINDS = frozenset(get_args(BlockKind))


def to_json(parsed: Parsed) -> dict[str, Any]:
    return {
        "title": parsed.title,
        "blocks": [[block.kind, block.text, block.level, block.page] for block in parsed.blocks],
        "remarks": [[remark.code, remark.values] for remark in parsed.remarks],
        "meta": dict(parsed.meta),
    }


def from_json(value: Mapping[str, Any]) -> Parsed:
    """Raises ValueError where a value is not what `to_json` writes: a child may say anything."""
    try:
        return Parsed(
            _text(value["title"]),
            tuple(_block(*block) for block in value["blocks"]),
            tuple(Remark(_text(code), dict(values)) for code, values in value["remarks"]),
            {_text(key): _text(said) for key, said in value["meta"].items()},
        )
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a parsed file: {error}") from error


def _block(kind: str, text: str, level: int, page: str) -> Block:
    if kind not in _KINDS or type(level) is not int:
        raise ValueError(f"not a block: {kind!r}, {level!r}")
    return Block(kind, _text(text), level, _text(page))  # type: ignore[arg-type]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value
