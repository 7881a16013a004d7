"""Bytes to text: what the file proves, what it declares, else a guess that is told as one."""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass

from rung.core.errors import DataError
from rung.data.encoding import Encoding, detect_encoding
from rung.data.parsing.blocks import Remark
from rung.data.parsing.refusal import Unreadable

_HEAD = 4096
_DECLARED = re.compile(
    rb"""(?:encoding\s*=\s*["']|charset\s*=\s*["']?\s*)([A-Za-z][A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE
)
# The wider codec that a declared name stands for in practice (WHATWG Encoding Standard, "Names and labels").
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz": "hz",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
}
_CJK_CODECS = frozenset({"gb18030", "big5hkscs", "cp932", "euc_jp", "cp949"})
_DAMAGE = 0.02
"""Share of U+FFFD above which a declared encoding is not believed."""


@dataclass(frozen=True)
class Decoded:
    """The text of a file with line ends as '\\n', the codec that read it, and what to tell of it."""

    text: str
    encoding: str
    remarks: tuple[Remark, ...] = ()


def decode(raw: bytes, declared: str = "") -> Decoded:
    """Text of bytes. A byte order mark or valid UTF-8 proves itself; else `declared` holds where it fits; else a guess.

    Raises Unreadable E2322 for nothing but white space, E2323 for binary content, E2328 where no encoding fits.
    """
    if not raw.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise Unreadable("E2322")
    found = _choose(raw, declared)
    text = raw.decode(found.name, "replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    remarks = []
    if declared and found.name not in (wanted := _codec(declared), f"{wanted}-sig") and not raw.isascii():
        remarks.append(Remark("E2343", {"declared": declared, "encoding": found.name}))
    if found.guessed and "\ufffd" not in text:
        remarks.append(Remark("E2341", {"encoding": found.name, "others": ", ".join(found.others) or "-"}))
    if lost := text.count("\ufffd") - raw.count(b"\xef\xbf\xbd") * (found.name in ("utf-8", "utf-8-sig")):
        remarks.append(Remark("E2342", {"count": lost, "encoding": found.name}))
    return Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), found.name, tuple(remarks))


def declared_encoding(raw: bytes) -> str:
    """The encoding that an XML declaration or an HTML meta element names; '' where none does."""
    match = _DECLARED.search(raw[:_HEAD])
    return match[1].decode("ascii") if match else ""


def _codec(name: str) -> str:
    try:
        plain = codecs.lookup(name).name
    except LookupError:
        return ""
    return _WIDER.get(plain, plain)


def _choose(raw: bytes, declared: str) -> Encoding:
    wanted = _codec(declared) if declared else ""
    try:
        found: Encoding | None = detect_encoding(lambda: io.BytesIO(raw), "")
    except DataError as error:
        if error.code == "E2103":
            raise Unreadable("E2323", found="-") from error
        found = None
    if found is not None and (not wanted or found.name.startswith(("utf", "iso2022", "hz"))):
        return found
    if not wanted:
        raise Unreadable("E2328")
    # A declaration is believed where the bytes bear it out: a codec of one byte a character would read anything.
    if found is not None and found.name in _CJK_CODECS and wanted not in _CJK_CODECS and not found.guessed:
        return found
    damage = raw.decode(wanted, "replace").count("\ufffd")
    if damage > max(3, len(raw) * _DAMAGE):
        if found is None:
            raise Unreadable("E2328")
        return found
    return Encoding(wanted)
