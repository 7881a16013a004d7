"""Server-sent events from bytes as they arrive (WHATWG HTML, section 9.2.6): lines, fields and events, wherever the bytes are split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `kind` is 'message' where the server names none."""

    data: str
    kind: str = "message"


def read_events(blocks: Iterable[bytes]) -> Iterator[Event]:
    """The events of a body. An event that the body ends in the middle of is given out too, as far as its lines are whole.

    Raises UnicodeDecodeError for a line that is not UTF-8.
    """
    data: list[str] = []
    kind = ""
    for line in _lines(blocks):
        if not line:
            if data:
                yield Event("\n".join(data), kind or "message")
            data, kind = [], ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
    if data:
        yield Event("\n".join(data), kind or "message")


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Lines that end with CR LF, LF or CR, decoded whole, so that no character is cut; comments come as lines without a name."""
    rest = b""
    first, after_cr = True, False
    for block in blocks:
        if after_cr and block.startswith(b"\n"):
            block, after_cr = block[1:], False
        if not block:
            continue
        # A CR at the end of a block may be half of a CR LF.
        after_cr = block.endswith(b"\r")
        *whole, rest = (rest + block).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield _decoded(line, first)
            first = False
    if rest:
        yield _decoded(rest, first)


def _decoded(line: bytes, first: bool) -> str:
    text = line.decode("utf-8")
    return text.removeprefix(_MARK) if first else text
