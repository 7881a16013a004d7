"""Which encoding bytes are in: told by a mark, proved by UTF-8, or guessed and said to be a guess."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from rung.core.errors import DataError

BLOCK = 1 << 18
# Encodings that Chinese and English files come in; narrower ones that charset-normalizer tells apart are widened to these.
_CANDIDATES = ["gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1252", "cp1251", "utf_16_le", "utf_16_be", "utf_32"]
_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_MAGIC = (
    b"PK\x03\x04",
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\xd0\xcf\x11\xe0",
    b"\x7fELF",
    b"SQLite format 3",
)
# Codecs of seven bits, which read as ASCII where their switches go unseen: a switch, and the codec that it belongs to.
_SWITCHES = [
    (re.compile(rb"\x1b\$\([@BDO-Q]|\x1b\$[@B]|\x1b\([IJ]"), ("iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_ext")),
    (re.compile(rb"\x1b\$\)C"), ("iso2022_kr",)),
    (re.compile(rb"~\{(?:[!-w][!-~]){2,}~\}"), ("hz",)),
]
_RARE = ("johab",)
"""Codecs tried where no usual one fits."""
_CONTROLS = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_SURE = 64
"""Bytes outside ASCII below which a guess stays a guess."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A Python codec name, and how sure it is."""

    name: str
    guessed: bool = False
    """Told from too little text, or other encodings read it as well: worth a look."""
    others: tuple[str, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Whether a line end takes more than one byte."""
        return self.name.replace("_", "-").startswith(("utf-16", "utf-32"))


def named_encoding(name: str) -> Encoding:
    """An encoding that the user has named. Raises DataError E2105 for one that Python does not know."""
    try:
        plain = codecs.lookup(name).name
        "".encode(plain)
    except LookupError as error:
        raise DataError("E2105", name=name) from error
    return Encoding("utf-8-sig" if plain == "utf-8" else plain)


def detect_encoding(opened: Callable[[], BinaryIO], where: str) -> Encoding:
    """Look at the bytes of a file; `opened` yields it from the start.

    Raises DataError E2103 for a binary file, E2104 where no encoding fits.
    """
    with opened() as file:
        head = file.read(BLOCK)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return Encoding(name)
        if switched := _switched(head):
            return switched
        sample = head
        if not _looks_binary(head):
            odd = _first_block_not_utf8(head, file)
            if odd is None:
                return Encoding("utf-8")
            if _mostly_utf8(odd):
                return Encoding("utf-8", guessed=True)
            sample = odd
    guess = _guess(sample)
    if _looks_binary(head) and (guess is None or not guess.is_wide):
        raise DataError("E2103", where)
    if guess is None:
        raise DataError("E2104", where)
    return guess


def _switched(head: bytes) -> Encoding | None:
    """A codec whose switches stand in text that is otherwise ASCII, and which reads it as letters."""
    if not head.isascii():
        return None
    for switch, names in _SWITCHES:
        if switch.search(head):
            for name in names:
                try:
                    text = codecs.getincrementaldecoder(name)().decode(head)
                except UnicodeDecodeError:
                    continue
                if any(char.isalpha() and not char.isascii() for char in text):
                    return Encoding(name)
    return None


def _looks_binary(head: bytes) -> bool:
    if head.startswith(_MAGIC):
        return True
    return len(head) - len(head.translate(None, _CONTROLS)) > len(head) * 0.02


def _first_block_not_utf8(block: bytes, rest: BinaryIO) -> bytes | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        following = rest.read(BLOCK)
        try:
            decoder.decode(block, final=not following)
        except UnicodeDecodeError:
            return block
        if not following:
            return None
        block = following


def _mostly_utf8(block: bytes) -> bool:
    """Whether a few lines in another encoding have strayed into a UTF-8 file."""
    good = bad = 0
    for line in block.split(b"\n"):
        if not line.isascii():
            try:
                line.decode("utf-8")
                good += 1
            except UnicodeDecodeError:
                bad += 1
    return good > bad


def _guess(sample: bytes) -> Encoding | None:
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=_CANDIDATES)
    names = [_widened(match.encoding) for match in matches]
    others = tuple(dict.fromkeys(name for name in names[1:] if name != names[0]))
    unsure = sum(byte >= 128 for byte in sample[:BLOCK]) < _SURE
    if names and (names[0].startswith(("utf_16", "utf_32")) or not unsure):
        settled = names[0] == "gb18030" and _everyday_chinese(sample)
        return Encoding(names[0]) if settled else Encoding(names[0], bool(others), others)
    # On a handful of characters the guess is a coin toss; text of everyday Chinese characters only is taken for Chinese.
    if _everyday_chinese(sample):
        return Encoding("gb18030", True, tuple(name for name in dict.fromkeys(names) if name != "gb18030"))
    return Encoding(names[0], True, others) if names else _rare(sample)


def _rare(sample: bytes) -> Encoding | None:
    for name in _RARE:
        try:
            text = codecs.getincrementaldecoder(name)().decode(sample)
        except UnicodeDecodeError:
            continue
        letters = [char for char in text if char >= "\x80"]
        if sum("\uac00" <= char <= "\ud7a3" for char in letters) > len(letters) / 2:
            return Encoding(name, guessed=True)
    return None


def _widened(name: str) -> str:
    return {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949"}.get(
        name, name
    )


def _everyday_chinese(sample: bytes) -> bool:
    """Whether every character outside ASCII is a level-1 character or a mark of GB 2312 (rows 1-3 and 16-55)."""
    try:
        text = sample.decode("gb2312")
    except UnicodeDecodeError:
        return False
    return all(
        char < "\x80" or 0xA1 <= char.encode("gb2312")[0] <= 0xA3 or 0xB0 <= char.encode("gb2312")[0] <= 0xD7
        for char in text
    )
