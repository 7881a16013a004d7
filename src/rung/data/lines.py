"""The physical lines of a file, decoded one at a time, plain or gzipped, with a limit on how long one may grow."""

from __future__ import annotations

import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from rung.core.errors import DataError
from rung.data.encoding import detect_encoding, named_encoding
from rung.data.rejects import BadRow

MAX_LINE = 1 << 24
"""Characters of one line; a longer one is rejected and skipped, never held."""
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its end. `problem` says why it cannot be used."""

    number: int
    text: str
    problem: BadRow | None = None


def open_bytes(path: Path) -> BinaryIO:
    """Open a regular file for reading, through gzip where its name ends in .gz.

    Raises DataError E2101 where it cannot be opened or is no regular file (a pipe or device would block).
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError("E2101", path=path, reason="not a regular file")
        return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise DataError("E2101", path=path, reason=error.strerror or error) from error


class LineFile:
    """A text file ready to be read line by line."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        """Settle the encoding (detected where it is not named) and the line end.

        Raises DataError E2101 unreadable, E2102 damaged gzip, E2103 binary, E2104 or E2105 no such encoding.
        """
        self.path = path
        try:
            self.encoding = (
                named_encoding(encoding) if encoding else detect_encoding(lambda: open_bytes(path), path.name)
            )
            self.newline = self._line_end()
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError("E2102", path.name, detail=error) from error

    def _line_end(self) -> str:
        """'\\n' (which '\\r\\n' ends in as well), or '\\r' for files of very old programs."""
        with self._text() as file:
            head = file.read(1 << 16)
        return "\r" if "\r" in head and "\n" not in head else "\n"

    def _text(self, newline: str = "\n") -> io.TextIOWrapper:
        # Bytes that do not decode become marks, so that one bad row does not take the file with it.
        errors = "replace" if self.encoding.is_wide else "surrogateescape"
        return io.TextIOWrapper(open_bytes(self.path), encoding=self.encoding.name, errors=errors, newline=newline)

    def __iter__(self) -> Iterator[Line]:
        try:
            with self._text(self.newline) as file:
                number = 0
                while text := file.readline(MAX_LINE):
                    number += 1
                    if len(text) == MAX_LINE and not text.endswith(self.newline):
                        self._skip_rest(file)
                        yield Line(number, text[:1000], BadRow("E2202", limit=MAX_LINE))
                    else:
                        yield Line(number, text, self._problem(text))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError("E2102", self.path.name, detail=error) from error

    def _skip_rest(self, file: io.TextIOWrapper) -> None:
        while text := file.readline(MAX_LINE):
            if text.endswith(self.newline):
                return

    def _problem(self, text: str) -> BadRow | None:
        if "\0" in text:
            return BadRow("E2203")
        if text.isascii():
            return None
        undecoded = "\ufffd" in text if self.encoding.is_wide else _UNDECODED.search(text)
        return BadRow("E2201", encoding=self.encoding.name) if undecoded else None
