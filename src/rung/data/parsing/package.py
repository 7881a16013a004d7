"""The parts of a ZIP-based document and their XML: nothing is unpacked without a limit, nothing fetched, no entity read."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rung.data.parsing.blocks import Remark
from rung.data.parsing.refusal import Unreadable

MAX_PARTS = 20_000
MAX_UNPACKED = 1 << 29
MAX_RATIO = 200
"""How much a package may grow when unpacked; below 16 MiB it may grow by more."""
_SMALL = 1 << 24
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


@dataclass(frozen=True, slots=True)
class Relation:
    """A link from one part of an Office file to another, or out of the file."""

    kind: str
    """The last word of its type: 'slide', 'hyperlink', 'aFChunk', ..."""
    target: str
    external: bool


class Package:
    """A ZIP archive as a set of named parts."""

    def __init__(self, raw: bytes) -> None:
        """Raises Unreadable E2320 locked, E2321 damaged, E2327 unpacking to more than the limits."""
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(raw))
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise Unreadable("E2321", detail=f"ZIP: {error}") from error
        parts = self._archive.infolist()
        size = sum(part.file_size for part in parts)
        if len(parts) > MAX_PARTS or size > MAX_UNPACKED or size > max(_SMALL, len(raw) * MAX_RATIO):
            raise Unreadable("E2327", size=size >> 20, parts=len(parts))
        if any(part.flag_bits & 1 for part in parts):
            raise Unreadable("E2320")
        self.names = frozenset(part.filename for part in parts)

    def read(self, name: str) -> bytes:
        """The bytes of a part. Raises KeyError where there is none, Unreadable E2321 where it is damaged."""
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise Unreadable("E2321", detail=f"{name}: {error}") from error

    def xml(self, name: str) -> Any:
        """The root element of a part, None where the part is missing. Raises as `read_xml`."""
        return read_xml(self.read(name)) if name in self.names else None

    def relations(self, name: str) -> Mapping[str, Relation]:
        """The links of a part by their id; a target inside the package is a full part name."""
        folder, base = posixpath.split(name)
        root = self.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, Relation] = {}
        for link in root.iter(_RELATIONS) if root is not None else ():
            external = link.get("TargetMode") == "External"
            target = link.get("Target") or ""
            if not external:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[link.get("Id") or ""] = Relation((link.get("Type") or "").rpartition("/")[2], target, external)
        return found

    @cached_property
    def ignored(self) -> dict[str, int]:
        """What of the file is never opened or followed, counted: macros, embedded files, links out of it."""
        found = dict.fromkeys(("macros", "embedded", "imported", "links"), 0)
        for name in self.names:
            low = name.lower()
            if low.endswith("vbaproject.bin"):
                found["macros"] += 1
            elif "/embeddings/" in low or "/activex/" in low:
                found["embedded"] += 1
            elif low.endswith(".rels"):
                for link in self.relations(part_of(name)).values():
                    found["imported"] += link.kind == "aFChunk"
                    found["links"] += link.external and link.kind not in ("hyperlink", "aFChunk")
        return found


def core_facts(package: Package) -> tuple[str, dict[str, str]]:
    """Title, and author and date, that an Office file states of itself."""
    root = package.xml("docProps/core.xml")
    named: dict[str, str] = {}
    for element in root if root is not None else ():
        if isinstance(element.tag, str) and element.text:
            named[element.tag.rpartition("}")[2]] = " ".join(element.text.split())
    facts = {
        "author": named.get("creator", ""),
        "date": named.get("modified", "")[:10] or named.get("created", "")[:10],
    }
    return named.get("title", ""), {name: value for name, value in facts.items() if value}


def ignored_remark(package: Package) -> Remark | None:
    """What lies in the file and was not opened, as a remark."""
    return Remark("E2339", dict(package.ignored)) if any(package.ignored.values()) else None


def part_of(rels: str) -> str:
    """The part whose links a .rels part holds."""
    folder, base = posixpath.split(rels)
    return posixpath.join(posixpath.dirname(folder), base.removesuffix(".rels"))


def read_xml(raw: bytes | str) -> Any:
    """The root element of XML text, damaged markup repaired; None where there is no element.

    No entity beyond the five of XML is read and nothing is fetched. Raises Unreadable E2326 for XML that declares
    entities, E2324 where it nests too deeply.
    """
    from lxml import etree

    data = _DECLARATION.sub("", raw, count=1).encode("utf-8", "replace") if isinstance(raw, str) else raw
    if _ENTITY.search(data) or (b"\0" in data[:200] and _ENTITY.search(data.replace(b"\0", b""))):
        raise Unreadable("E2326")
    safe: dict[str, Any] = {"resolve_entities": False, "no_network": True, "huge_tree": False, "load_dtd": False}
    if isinstance(raw, str):
        safe["encoding"] = "utf-8"
    try:
        return etree.fromstring(data, etree.XMLParser(**safe))
    except etree.XMLSyntaxError as error:
        if "depth" in str(error).lower():
            raise Unreadable("E2324", limit=256) from error
    except ValueError as error:
        raise Unreadable("E2321", detail="XML") from error
    root = etree.fromstring(data, etree.XMLParser(recover=True, **safe))
    if root is None:
        raise Unreadable("E2321", detail="XML")
    return root


def was_repaired(raw: bytes | str) -> bool:
    """Whether XML text is not well formed, so that `read_xml` had to guess at its end tags."""
    from lxml import etree

    data = _DECLARATION.sub("", raw, count=1).encode("utf-8", "replace") if isinstance(raw, str) else raw
    try:
        etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return True
    return False
