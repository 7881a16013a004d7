"""Names of files as people see them: other encodings decoded, invisible characters out, and none taken twice."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rung.core.errors import DataError
from rung.data.encoding import detect_encoding
from rung.data.parsing.blocks import Remark
from rung.data.parsing.hidden import find_orders
from rung.text.unseen import strip_unseen

_EAST_ASIAN = frozenset({"gb18030", "big5hkscs", "cp932", "euc_jp", "cp949"})
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc]{2}")
_UNICODE_PATH = 0x7075
_BLANK = re.compile(r"[\t\n\r\u2028\u2029]")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Name:
    """The id that a document gets from its file's name, and what to tell about the name."""

    id: str
    original: str = ""
    """The name as it was found, with escapes for what cannot be shown; '' where the id is the name."""
    remarks: tuple[Remark, ...] = ()


def name_of(found: str) -> Name:
    """The id of a file by its path below the folder, as the file system gives it.

    A name that is not UTF-8 is decoded; what cannot be seen is taken out, and a hash in the name keeps it apart from
    others. Remarks E2356 on a name that was changed, E2357 on one that gives a model orders.
    """
    raw = found.encode("utf-8", "surrogateescape")
    seen = shown(found)
    remarks = []
    name = Name(seen)
    if seen != found:
        head, _, last = seen.rpartition("/")
        path = PurePosixPath(last or "unnamed")
        marked = f"{path.stem}~{hashlib.sha256(raw).hexdigest()[:8]}{path.suffix}"
        original = "".join(_escaped(char) for char in found)
        remarks.append(Remark("E2356", {"name": original}))
        name = Name(f"{head}/{marked}" if head else marked, original)
    if orders := find_orders(seen.replace("_", " ").replace("-", " ")):
        remarks.append(Remark("E2357", {"example": orders[0]}))
    return Name(name.id, name.original, tuple(remarks))


def shown(found: str) -> str:
    """A name as a person sees it: decoded where it is not UTF-8, on one line, without what cannot be seen."""
    decoded = decode_names([found.encode("utf-8", "surrogateescape")])[0]
    return _BLANK.sub(" ", strip_unseen(decoded))


def _escaped(char: str) -> str:
    if unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029":
        return char
    return char.encode("unicode_escape").decode("ascii")


def suffix_of(name: str) -> str:
    """The kind of file that a name claims, such as '.pdf'; '' where it claims none."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def decode_names(raw: Sequence[bytes]) -> list[str]:
    """Names of one archive whose encoding nobody tells: UTF-8, else what Windows writes in China, Japan, Korea or Europe."""
    together = b"\n".join(raw)
    encoding = _encoding(together)
    return [name.decode(encoding, "backslashreplace") for name in raw]


def _encoding(raw: bytes) -> str:
    if _reads(raw, "utf-8"):
        return "utf-8"
    if _everyday_chinese(raw):
        return "gb18030"
    if _reads(raw, "cp932") and _KANA.search(raw.decode("cp932")):
        return "cp932"
    if all(
        char.isascii() or (char.isalpha() and unicodedata.name(char).startswith("LATIN"))
        for char in raw.decode("cp437")
    ):
        return "cp437"
    try:
        found = detect_encoding(lambda: io.BytesIO(raw), "").name
    except DataError:
        return "cp437"
    return found if found in _EAST_ASIAN else "cp437"


def _reads(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _everyday_chinese(raw: bytes) -> bool:
    """Whether all is ASCII, marks and level-1 characters of GB 2312, which other encodings seldom look like."""
    if not _reads(raw, "gb2312"):
        return False
    leads = [char.encode("gb2312")[0] for char in raw.decode("gb2312") if not char.isascii()]
    return all(0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7 for lead in leads)


def unicode_path(extra: bytes, raw: bytes) -> str:
    """The name that a ZIP entry's extra field holds in UTF-8 (APPNOTE 4.6.9), where it is of this name; else ''."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(field) > 5 and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(raw):
            return field[5:].decode("utf-8", "replace")
    return ""
