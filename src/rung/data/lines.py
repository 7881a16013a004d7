"""The physical lines of a file, decoded one at a time, plain or gzipped, with a limit on how long one may grow."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from rung.core.errors import DataError
from rung.data.encoding import detect_encoding, named_encoding
from rung.data.rejects import BadRow

MAX_LINE = 1 << 24
"""Bytes of one line; a longer one is rejected and skipped, never held."""
_PIECE = 1 << 16
"""Characters of a line that are read at a time."""
_SHOWN = 1000
"""Characters that are kept of a line too long to be used."""
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""That of UTF-32 LE begins as that of UTF-16 LE does."""
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
        return io.TextIOWrapper(
            open_bytes(self.path), encoding=self.encoding.name, errors=self._errors, newline=newline
        )

    @property
    def _errors(self) -> str:
        # Bytes that do not decode become marks, so that one bad row does not take the file with it.
        return "replace" if self.encoding.is_wide else "surrogateescape"

    def __iter__(self) -> Iterator[Line]:
        with self._whole_archive(), self._text(self.newline) as file:
            number = 0
            while text := file.readline(_PIECE):
                number += 1
                if len(text) < _PIECE or text.endswith(self.newline):
                    yield Line(number, text, self._problem(text))
                else:
                    yield self._long_line(file, text, number)

    def _long_line(self, file: io.TextIOWrapper, text: str, number: int) -> Line:
        """A line of several pieces; beyond the limit its beginning, and why it cannot be used."""
        pieces, size = [text], self._bytes(text)
        while size <= MAX_LINE and (piece := file.readline(_PIECE)):
            pieces.append(piece)
            size += self._bytes(piece)
            if piece.endswith(self.newline):
                break
        if size <= MAX_LINE:
            line = "".join(pieces)
            return Line(number, line, self._problem(line))
        ended = pieces[-1].endswith(self.newline)
        pieces.clear()
        while not ended and (piece := file.readline(_PIECE)):
            ended = piece.endswith(self.newline)
        return Line(number, text[:_SHOWN], BadRow("E2202", limit=MAX_LINE, offset=self._offset(number)))

    def _bytes(self, text: str) -> int:
        # Some codecs begin every text with a byte order mark.
        mark = len("".encode(self.encoding.name))
        return len(text.encode(self.encoding.name, self._errors)) - mark

    def _offset(self, number: int) -> int:
        """The byte that a line begins with, from 0; counted anew, as few files hold a line that asks for it."""
        with open_bytes(self.path) as raw:
            marked = raw.read(4).startswith(_BYTE_ORDER_MARKS)
        with self._text(self.newline) as file:
            at = len("".encode(self.encoding.name)) if marked else 0
            seen = 1
            while seen < number and (text := file.readline(_PIECE)):
                at += self._bytes(text)
                seen += text.endswith(self.newline)
        return at

    def whole(self, limit: int) -> str:
        """All of the text as one, however long its lines are.

        Raises DataError E2111 for more than `limit` characters; E2201 and E2203, with the line, for what no line may hold.
        """
        with self._whole_archive(), self._text(self.newline) as file:
            text = file.read(limit + 1)
        if len(text) > limit:
            raise DataError("E2111", self.path.name, limit=limit)
        if self._problem(text) is not None:
            for number, line in enumerate(text.split(self.newline), 1):
                if problem := self._problem(line):
                    found = problem.reject(self.path.name, number, "").problem
                    raise DataError(found.code, problems=[found])
        return text

    @contextmanager
    def _whole_archive(self) -> Iterator[None]:
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError("E2102", self.path.name, detail=error) from error

    def _problem(self, text: str) -> BadRow | None:
        if "\0" in text:
            return BadRow("E2203")
        if text.isascii():
            return None
        undecoded = "\ufffd" in text if self.encoding.is_wide else _UNDECODED.search(text)
        return BadRow("E2201", encoding=self.encoding.name) if undecoded else None
