"""Word files: headings, lists, tables, text boxes, footnotes and equations, without comments and deleted text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.grid import markdown_table
from rung.data.parsing.office_math import linear
from rung.data.parsing.package import Package, core_facts, ignored_remark
from rung.data.parsing.refusal import Unreadable

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_HEADING = re.compile(r"(?:heading|标题|標題|überschrift|titre|título|見出し)\s*([1-9])", re.IGNORECASE)
_DEPTH = 40


def parse_docx(raw: bytes) -> Parsed:
    """The body in order, then footnotes and endnotes. Raises Unreadable as Package and `read_xml`, E2329 without text."""
    package = Package(raw)
    reader = _Reader(package)
    blocks = reader.blocks()
    if not blocks:
        raise Unreadable("E2329")
    title, facts = core_facts(package)
    heading = next((block.text for block in blocks[:8] if block.kind == "heading"), "")
    return Parsed(title or heading, tuple(blocks), tuple(reader.remarks()), {"format": "docx", **facts})


class _Reader:
    """Walks the parts of one file and counts what it leaves out."""

    def __init__(self, package: Package) -> None:
        self._package = package
        targets = package.relations("").values()
        main = next(
            (link.target for link in targets if link.kind == "officeDocument" and not link.external),
            "word/document.xml",
        )
        self._root = package.xml(main)
        if self._root is None:
            raise Unreadable("E2321", detail="DOCX")
        links = package.relations(main).values()
        self._parts = {link.kind: link.target for link in links if not link.external}
        for element in self._root.iter():
            # Files saved in the strict form use another name for the same elements.
            if isinstance(element.tag, str) and element.tag.startswith(_STRICT):
                element.tag = W + element.tag[len(_STRICT) :]
        self._styles = self._read_styles()
        self._numbers = self._read_numbers()
        self._counted: Counter[tuple[str, int]] = Counter()
        self.left_out: Counter[str] = Counter()

    def blocks(self) -> list[Block]:
        body = self._root.find(f"{W}body")
        found = list(self._flow(body, 0)) if body is not None else []
        for kind in ("footnotes", "endnotes"):
            root = self._package.xml(self._parts[kind]) if kind in self._parts else None
            for note in root if root is not None else ():
                if note.get(f"{W}type") in ("separator", "continuationSeparator", "continuationNotice"):
                    continue
                text = "\n".join(block.text for block in self._flow(note, 0))
                if text.strip():
                    found.append(Block("note", f"[{note.get(f'{W}id')}] {text.strip()}"))
        return found

    def remarks(self) -> Iterator[Remark]:
        comments = self._package.xml(self._parts["comments"]) if "comments" in self._parts else None
        if comments is not None and (count := len(comments)):
            yield Remark("E2336", {"count": count})
        for code, kind in (("E2337", "deleted"), ("E2334", "hidden"), ("E2338", "pictures")):
            if self.left_out[kind]:
                yield Remark(code, {"count": self.left_out[kind]})
        if ignored := ignored_remark(self._package):
            yield ignored

    def _flow(self, parent: Any, depth: int) -> Iterator[Block]:
        if depth > _DEPTH:
            raise Unreadable("E2324", limit=_DEPTH)
        for element in parent:
            tag = element.tag
            if tag == f"{W}p":
                yield from self._paragraph(element, depth)
            elif tag == f"{W}tbl":
                if text := self._table(element, depth):
                    yield Block("table", text)
            elif tag in (f"{W}del", f"{W}moveFrom"):
                self.left_out["deleted"] += 1
            elif tag == f"{W}sdt":
                content = element.find(f"{W}sdtContent")
                if content is not None:
                    yield from self._flow(content, depth + 1)
            elif tag in (f"{W}ins", f"{W}moveTo", f"{W}customXml", f"{W}smartTag"):
                yield from self._flow(element, depth + 1)

    def _paragraph(self, element: Any, depth: int) -> Iterator[Block]:
        boxes: list[Any] = []
        text = _tidied("".join(self._inline(element, boxes, 0)))
        if text:
            yield self._placed(element, text)
        for box in boxes:
            yield from self._flow(box, depth + 1)

    def _placed(self, element: Any, text: str) -> Block:
        """A paragraph as heading, list item or plain text, by its style and numbering."""
        properties = element.find(f"{W}pPr")
        style = _value(properties, "pStyle")
        level = self._heading_level(properties, style)
        if level:
            return Block("heading", " ".join(text.split()), level)
        numbering = properties.find(f"{W}numPr") if properties is not None else None
        if numbering is None:
            numbering = self._styles.get(style, {}).get("numbering")
        number = _value(numbering, "numId")
        if number and number != "0":
            depth = int(_value(numbering, "ilvl") or 0)
            form = self._numbers.get((number, depth), "bullet")
            if form in ("bullet", "none"):
                return Block("item", text, depth)
            self._counted[number, depth] += 1
            for deeper in range(depth + 1, 10):
                self._counted.pop((number, deeper), None)
            return Block("item", f"{self._counted[number, depth]}. {text}", depth)
        return Block("paragraph", text)

    def _heading_level(self, properties: Any, style: str) -> int:
        outline = _value(properties, "outlineLvl")
        if outline.isdigit() and int(outline) < 9:
            return int(outline) + 1
        return int(self._styles.get(style, {}).get("level", 0))

    def _inline(self, element: Any, boxes: list[Any], depth: int) -> Iterator[str]:
        """The text of a paragraph. Text boxes are gathered in `boxes` to follow it."""
        if depth > 4 * _DEPTH:
            raise Unreadable("E2324", limit=4 * _DEPTH)
        for child in element:
            tag = child.tag
            if not isinstance(tag, str):
                continue
            name = tag.rpartition("}")[2]
            if tag.startswith(_M):
                yield f" {linear(child)} " if name in ("oMath", "oMathPara") else ""
            elif name == "t" and tag.startswith(W):
                yield child.text or ""
            elif name in ("tab", "ptab"):
                yield "\t"
            elif name in ("br", "cr"):
                yield "\n"
            elif name == "noBreakHyphen":
                yield "-"
            elif name == "sym":
                yield _symbol(child)
            elif name in ("footnoteReference", "endnoteReference"):
                yield f"[{child.get(f'{W}id')}]"
            elif name in ("del", "moveFrom"):
                self.left_out["deleted"] += 1
            elif name == "r":
                if self._is_hidden(child):
                    self.left_out["hidden"] += 1
                else:
                    yield from self._inline(child, boxes, depth + 1)
            elif name == "AlternateContent":
                # The same thing twice, for new and for old programs.
                chosen = child.find(f"{_MC}Choice")
                yield from self._inline(chosen if chosen is not None else child, boxes, depth + 1)
            elif name == "txbxContent":
                boxes.append(child)
            elif name in ("blip", "imagedata"):
                self.left_out["pictures"] += 1
            elif name not in ("pPr", "rPr", "instrText", "delText", "rt", "commentReference", "annotationRef", "txbx"):
                yield from self._inline(child, boxes, depth + 1)
            elif name == "txbx":
                boxes.extend(child.iter(f"{W}txbxContent"))

    def _is_hidden(self, run: Any) -> bool:
        properties = run.find(f"{W}rPr")
        if properties is None or run.find(f"{W}t") is None:
            return False
        vanish = properties.find(f"{W}vanish")
        if vanish is not None and vanish.get(f"{W}val") not in ("0", "false", "off"):
            return True
        size = _value(properties, "sz")
        if size.isdigit() and int(size) <= 2:
            return True
        if (
            _value(properties, "color").upper() != "FFFFFF"
            or properties.find(f"{W}shd") is not None
            or properties.find(f"{W}highlight") is not None
        ):
            return False
        # White on white: not in a table or a box, whose ground a style may colour.
        for above in run.iterancestors():
            if above.tag in (f"{W}tc", f"{W}txbxContent"):
                return False
            if above.tag == f"{W}p":
                shaded = above.find(f"{W}pPr/{W}shd")
                if shaded is not None or _value(above.find(f"{W}pPr"), "pStyle"):
                    return False
        return True

    def _table(self, table: Any, depth: int) -> str:
        rows: list[list[str]] = []
        above: dict[int, str] = {}
        for row in _children(table, "tr"):
            if row.find(f"{W}trPr/{W}del") is not None:
                self.left_out["deleted"] += 1
                continue
            texts: list[str] = []
            for cell in _children(row, "tc"):
                properties = cell.find(f"{W}tcPr")
                wide = _value(properties, "gridSpan")
                merged = properties.find(f"{W}vMerge") if properties is not None else None
                if merged is not None and merged.get(f"{W}val") != "restart":
                    text = above.get(len(texts), "")
                else:
                    text = " ".join(block.text for block in self._flow(cell, depth + 1))
                if merged is not None:
                    above[len(texts)] = text
                texts += [text, *[""] * (min(int(wide), 100) - 1 if wide.isdigit() else 0)]
            rows.append(texts)
        return markdown_table(rows)

    def _read_styles(self) -> dict[str, dict[str, Any]]:
        root = self._package.xml(self._parts["styles"]) if "styles" in self._parts else None
        found: dict[str, dict[str, Any]] = {}
        based: dict[str, str] = {}
        for style in root.iter(f"{W}style") if root is not None else ():
            id = style.get(f"{W}styleId") or ""
            name = _value(style, "name")
            outline = style.find(f"{W}pPr/{W}outlineLvl")
            match = _HEADING.match(name)
            level = int(match[1]) if match else 1 if name.lower() in ("title", "标题") else 0
            if not level and outline is not None and (outline.get(f"{W}val") or "").isdigit():
                level = int(outline.get(f"{W}val")) + 1 if int(outline.get(f"{W}val")) < 9 else 0
            found[id] = {"level": level, "numbering": style.find(f"{W}pPr/{W}numPr")}
            based[id] = _value(style, "basedOn")
        for id, style in found.items():
            parent, steps = based[id], 0
            while parent in found and steps < 20 and not (style["level"] and style["numbering"] is not None):
                style["level"] = style["level"] or found[parent]["level"]
                if style["numbering"] is None:
                    style["numbering"] = found[parent]["numbering"]
                parent, steps = based[parent], steps + 1
        return found

    def _read_numbers(self) -> dict[tuple[str, int], str]:
        """The form of every list at every depth: bullet, decimal, ..."""
        root = self._package.xml(self._parts["numbering"]) if "numbering" in self._parts else None
        if root is None:
            return {}
        forms: dict[str, dict[int, str]] = {}
        for abstract in _children(root, "abstractNum"):
            levels = {int(level.get(f"{W}ilvl") or 0): _value(level, "numFmt") for level in _children(abstract, "lvl")}
            forms[abstract.get(f"{W}abstractNumId") or ""] = levels
        found = {}
        for number in _children(root, "num"):
            for level, form in forms.get(_value(number, "abstractNumId"), {}).items():
                found[number.get(f"{W}numId") or "", level] = form
        return found


def _children(element: Any, name: str) -> Iterator[Any]:
    """Direct children of a name, also those inside a content control or an inserted change."""
    for child in element:
        if child.tag == f"{W}{name}":
            yield child
        elif child.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}customXml"):
            yield from _children(child, name)


def _value(element: Any, name: str) -> str:
    child = element.find(f"{W}{name}") if element is not None else None
    return (child.get(f"{W}val") or "") if child is not None else ""


def _symbol(element: Any) -> str:
    code = element.get(f"{W}char") or ""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    return "•" if 0xF000 <= number <= 0xF0FF else chr(number) if number < 0x110000 else ""


def _tidied(text: str) -> str:
    return re.sub(r"[ \t\xa0]+", " ", re.sub(r"[ \t]*\n[ \t]*", "\n", text)).strip()
