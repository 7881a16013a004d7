"""Which kind of document bytes are: told by their content, and by the name only where the content leaves it open."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePath

from rung.data.parsing.refusal import Unreadable

_HEAD = 1 << 16
_SUFFIXES: dict[str, tuple[str, ...]] = {
    "pdf": (".pdf",),
    "docx": (".docx", ".docm", ".dotx", ".dotm"),
    "xlsx": (".xlsx", ".xlsm", ".xltx", ".xltm"),
    "xls": (".xls", ".xlt"),
    "pptx": (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
    "msg": (".msg",),
    "epub": (".epub",),
    "html": (".html", ".htm", ".xhtml", ".shtml"),
    "xml": (".xml", ".rss", ".atom", ".rdf", ".svg"),
    "eml": (".eml", ".mht", ".mhtml"),
    "md": (".md", ".markdown", ".mdown", ".mkd"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "json": (".json",),
    "jsonl": (".jsonl", ".ndjson"),
    "txt": (".txt", ".text", ".log"),
}
_KIND = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes}
SUFFIXES = frozenset(_KIND)
"""Endings of the names of files that are read; a text of any other name is read as well."""
# Kinds whose content cannot be told from other text: what the name says is taken.
_BY_NAME = frozenset({"md", "csv", "tsv", "json", "jsonl", "txt"})
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "RAR"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"RIFF", "RIFF"),
    (b"\x7fELF", "ELF"),
    (b"MZ\x90\0", "EXE"),
    (b"SQLite format 3", "SQLite"),
    (b"{\\rtf", "RTF"),
    (b"%!PS", "PostScript"),
    (b"PAR1", "Parquet"),
    (b"ID3", "MP3"),
)
_OFFICE = (
    (b"wordprocessingml", b".main+xml", "docx"),
    (b"ms-word.", b".main+xml", "docx"),
    (b"spreadsheetml", b".main+xml", "xlsx"),
    (b"ms-excel.sheet.macroEnabled", b".main+xml", "xlsx"),
    (b"ms-excel.template.macroEnabled", b".main+xml", "xlsx"),
    (b"presentationml", b".main+xml", "pptx"),
    (b"ms-powerpoint.", b".main+xml", "pptx"),
)
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*){0,5}<(?:!doctype\s+html|html|head|body|title|meta|div|table|p|h[1-6]|script|center|font)\b",
    re.IGNORECASE | re.DOTALL,
)
_XHTML = re.compile(rb"<html[\s>]", re.IGNORECASE)
_XML = re.compile(rb"\s*<(?:\?xml|!DOCTYPE|rss|feed|rdf:RDF|svg)\b", re.IGNORECASE)
_HEADER = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]{1,60}:[^\n]*\n(?:[ \t]+[^\n]*\n)*){2,}\r?\n")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{1,60}:")
_MAIL_FIELD = re.compile(
    rb"^(?:received|return-path|message-id|mime-version|delivered-to|from|to|subject|date):",
    re.IGNORECASE | re.MULTILINE,
)


def sniff(raw: bytes, name: str) -> str:
    """The kind: a key such as pdf, docx, html, eml, csv or txt.

    Raises Unreadable E2322 for an empty file, E2320 for a locked Office file, E2321 for a broken ZIP or OLE container,
    E2323 for a kind that is not read.
    """
    if not raw:
        raise Unreadable("E2322")
    if b"%PDF-" in raw[:1024]:
        return "pdf"
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(raw)
    if raw.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _compound(raw)
    for magic, found in _MAGIC:
        if raw.startswith(magic):
            raise Unreadable("E2323", found=found)
    return _texts(raw, kind_of_name(name))


def kind_of_name(name: str) -> str:
    """What a file's name promises; '' where it promises nothing."""
    return _KIND.get(PurePath(name).suffix.lower(), "")


def _zipped(raw: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                kind = archive.read("mimetype").strip()
                if kind == b"application/epub+zip":
                    return "epub"
                if kind.startswith(b"application/vnd.oasis.opendocument"):
                    raise Unreadable("E2323", found="OpenDocument")
            if "META-INF/container.xml" in names:
                return "epub"
            if "[Content_Types].xml" not in names:
                raise Unreadable("E2323", found="ZIP")
            with archive.open("[Content_Types].xml") as file:
                types = file.read(1 << 20)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Unreadable("E2321", detail=f"ZIP: {error}") from error
    for first, second, kind_name in _OFFICE:
        if any(first in part and second in part for part in types.split(b'ContentType="')):
            return kind_name
    raise Unreadable("E2323", found="OOXML")


def _compound(raw: bytes) -> str:
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(raw)) as ole:
            names = {"/".join(parts).lower() for parts in ole.listdir(streams=True, storages=True)}
    except Exception as error:
        # The reader raises whatever a damaged sector table makes it stumble over.
        raise Unreadable("E2321", detail=f"OLE: {type(error).__name__}") from error
    if "encryptedpackage" in names or "encryptioninfo" in names:
        raise Unreadable("E2320")
    if "workbook" in names or "book" in names:
        return "xls"
    if "__properties_version1.0" in names:
        return "msg"
    if "worddocument" in names:
        raise Unreadable("E2323", found="DOC (Word 97-2003)")
    if "powerpoint document" in names:
        raise Unreadable("E2323", found="PPT (PowerPoint 97-2003)")
    raise Unreadable("E2323", found="OLE")


def _texts(raw: bytes, named: str) -> str:
    head = raw[:_HEAD].removeprefix(b"\xef\xbb\xbf")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        wide = "utf-32" if head.startswith((b"\xff\xfe\0\0",)) else "utf-16"
        head = head.decode(wide, "ignore").encode("utf-8", "ignore").removeprefix(b"\xef\xbb\xbf")
    if named in ("md", "csv", "tsv", "jsonl"):
        return named
    if _HTML.match(head) or (_XML.match(head) and _XHTML.search(head[:2000])):
        return "html"
    if _XML.match(head):
        return "xml"
    mail = _HEADER.match(head.replace(b"\r\n", b"\n"))
    if (named == "eml" and _FIELD.match(head)) or (
        mail and len(set(map(bytes.lower, _MAIL_FIELD.findall(mail.group())))) >= 3
    ):
        return "eml"
    if named == "json" or (named not in _BY_NAME and head.lstrip().startswith((b"{", b"["))):
        return "json"
    if named in _BY_NAME or named in ("html", "xml"):
        return named
    return "txt"
