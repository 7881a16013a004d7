"""Texts of other data sets, to be compared with: files and folders in whatever form a benchmark comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core.errors import DataError
from rung.core.task import Example
from rung.data.leakage.keys import key_of
from rung.data.lines import LineFile
from rung.data.table import SUFFIXES, DataFile

SHORTEST = 6
"""Characters of a key below which a text is a label, a name or a number, and no question."""
TEXT = frozenset({".txt", ".md"})
_MOST = 5_000_000


def read_elsewhere(path: Path, *, most: int = _MOST) -> dict[str, list[Example]]:
    """Every text of a file, or of each file in a folder, by the file's name; ids are 'line' or 'line/field'.

    Tables and JSON: each text of each row, at any depth, whatever its field is called, because nobody names the columns of a
    benchmark; and all texts of a row that has several as one. Plain text: each line. Texts of fewer than 6 characters are left
    out, and files of other kinds. Raises DataError E2185 where nothing is left, and as DataFile does for a single file.
    """
    folder = path.is_dir()
    files = sorted(p for p in path.rglob("*") if _suffix(p) in {*SUFFIXES, *TEXT} and p.is_file()) if folder else [path]
    found: dict[str, list[Example]] = {}
    for file in files:
        name = file.relative_to(path).as_posix() if folder else file.name
        try:
            texts = list(islice(_texts(file), most))
        except DataError:
            if not folder:
                raise
            continue
        if texts:
            found[name] = [Example(id, {"text": text}, ()) for id, text in texts]
    if not found:
        raise DataError("E2185", path=path)
    return found


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if _suffix(path) in TEXT:
        yield from ((str(line.number), line.text.strip()) for line in LineFile(path) if _said(line.text))
        return
    for row in DataFile(path):
        said = list(_within(row.values, str(row.line)))
        yield from said
        top = [value for value in row.values.values() if isinstance(value, str) and value.strip()]
        if len(top) > 1:
            yield f"{row.line}/*", "\n".join(top)


def _within(value: Any, id: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if _said(value):
            yield id, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _within(item, f"{id}/{name}")
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _within(item, f"{id}/{n}")


def _said(text: str) -> bool:
    return len(text) >= SHORTEST and len(key_of(text)) >= SHORTEST
