"""Reading YAML strictly: values with the line each was written on, and every slip of the pen named."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rung.core.errors import Problem, UsageError

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
Loc = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?\d{1,300}")
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Plain(str):
    """A scalar written without quotes. It stays text until a field asks for a number: `labels: [yes, 01]` keeps both."""

    __slots__ = ()


def resolve(value: Any) -> Any:
    """The value of unquoted scalars where no field says what they are: null, true, false, numbers, else text (YAML 1.2)."""
    if isinstance(value, Mapping):
        return {str(key): resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item) for item in value]
    if not isinstance(value, Plain):
        return value
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _NUMBER.fullmatch(value) else str(value)


@dataclass(frozen=True)
class Source:
    """Where a configuration was read from: file, and the line of every field."""

    file: Path = Path("task.yaml")
    lines: Mapping[Loc, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.file.parent

    def where(self, loc: Loc) -> str:
        """'task.yaml:12 output.kind'; the line is that of the nearest field written in the file."""
        path = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)
        line = next((self.lines[loc[:n]] for n in range(len(loc), -1, -1) if loc[:n] in self.lines), None)
        return " ".join(
            part
            for part in (f"{self.file.name}:{line}" if line else self.file.name if self.lines else "", path)
            if part
        )


@dataclass(frozen=True)
class Document:
    """A YAML mapping as written, with its source and the mistakes in its form."""

    values: dict[str, Any]
    source: Source
    problems: list[Problem]


def read_yaml(path: Path) -> Document:
    """Read one YAML mapping.

    Raises UsageError: E1201 no such file, E1202 too large, E1203 not UTF-8, E1204 a tab as indentation, E1205 not YAML,
    E1206 an anchor or alias, E1207 a tag or a key that is not plain text, E1209 not a mapping. Duplicate keys (E1208)
    are collected, so that they are reported with all other mistakes.
    """
    text = _read_text(path)
    try:
        _check_events(path, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _syntax_error(path, text, error) from error
    if not isinstance(root, yaml.MappingNode):
        raise UsageError("E1209", path.name)
    lines: dict[Loc, int] = {}
    problems: list[Problem] = []
    values = _convert(root, (), Source(path, lines), lines, problems)
    return Document(values, Source(path, lines), problems)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError("E1201", path=path, reason=error.strerror or error) from error
    if len(raw) > MAX_BYTES:
        raise UsageError("E1202", path.name, limit=MAX_BYTES >> 20)
    try:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            return raw.decode("utf-16")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError("E1203", f"{path.name}:{line}") from error


def _check_events(path: Path, text: str) -> None:
    """Refuse what can blow up or run something, before a tree is built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = f"{path.name}:{event.start_mark.line + 1}" if event.start_mark else path.name
        anchor = getattr(event, "anchor", None)
        if anchor:
            raise UsageError("E1206", place, name=anchor)
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            raise UsageError("E1207", place, found=tag)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UsageError("E1205", place, detail=f"nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _syntax_error(path: Path, text: str, error: yaml.YAMLError) -> UsageError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        return UsageError("E1205", f"{path.name}:{line}", detail=getattr(error, "reason", None) or str(error))
    rows = text.splitlines()
    written = rows[mark.line] if mark.line < len(rows) else ""
    place = f"{path.name}:{mark.line + 1}"
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return UsageError("E1204", place)
    detail = " ".join(str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    return UsageError("E1205", f"{place}:{mark.column + 1}", detail=detail)


def _convert(node: yaml.Node, loc: Loc, source: Source, lines: dict[Loc, int], problems: list[Problem]) -> Any:
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(item, (*loc, i), source, lines, problems) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        text = str(node.value)
        if isinstance(node, yaml.ScalarNode) and node.style is not None:
            return text
        return None if _WORDS.get(text.lower(), "") is None else Plain(text)
    values: dict[Hashable, Any] = {}
    for key, item in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.append(Problem("E1207", f"{source.file.name}:{line}", {"found": "a key that is not plain text"}))
            continue
        here = (*loc, str(key.value))
        if key.value in values:
            problems.append(Problem("E1208", f"{source.file.name}:{line}", {"key": key.value, "first": lines[here]}))
            continue
        lines[here] = line
        values[key.value] = _convert(item, here, source, lines, problems)
    return values
