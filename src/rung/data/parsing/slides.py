"""Presentations (PPTX): titles, text, tables, charts and notes of every slide in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.grid import markdown_table
from rung.data.parsing.office_math import linear
from rung.data.parsing.package import Package, core_facts, ignored_remark
from rung.data.parsing.refusal import Unreadable

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_DEPTH = 30
_SILENT = frozenset({"dt", "ftr", "sldNum", "hdr"})
"""Placeholders of a slide's own furniture."""


def parse_pptx(raw: bytes) -> Parsed:
    """Slides in the order they are shown. Raises Unreadable as Package and `read_xml`, E2329 without text."""
    package = Package(raw)
    left_out: Counter[str] = Counter()
    blocks: list[Block] = []
    slides = list(_slides(package))
    for number, name in enumerate(slides, 1):
        blocks += _slide_blocks(package, name, f"slide {number}", left_out)
    if not blocks:
        raise Unreadable("E2329")
    title, facts = core_facts(package)
    first = next((block.text for block in blocks if block.kind == "heading"), "")
    remarks = []
    for code, kind in (("E2338", "pictures"), ("E2334", "hidden"), ("E2336", "comments")):
        if left_out[kind]:
            remarks.append(Remark(code, {"count": left_out[kind]}))
    if ignored := ignored_remark(package):
        remarks.append(ignored)
    # Programs write their own words where nobody gave a title.
    usual = title.lower() in ("powerpoint presentation", "powerpoint 演示文稿", "presentation")
    meta = {"format": "pptx", "slides": str(len(slides)), **facts}
    return Parsed(first if usual or not title else title, tuple(blocks), tuple(remarks), meta)


def _slides(package: Package) -> Iterator[str]:
    links = package.relations("").values()
    main = next(
        (link.target for link in links if link.kind == "officeDocument" and not link.external), "ppt/presentation.xml"
    )
    root = package.xml(main)
    if root is None:
        raise Unreadable("E2321", detail="PPTX")
    targets = package.relations(main)
    for entry in root.iter(f"{_P}sldId"):
        link = targets.get(entry.get(f"{_R}id") or "")
        if link is not None and not link.external and link.target in package.names:
            yield link.target


def _slide_blocks(package: Package, name: str, label: str, left_out: Counter[str]) -> list[Block]:
    root = package.xml(name)
    tree = root.find(f"{_P}cSld/{_P}spTree")
    links = package.relations(name)
    found: list[tuple[bool, list[Block]]] = []
    if tree is not None:
        for shape in _shapes(tree, left_out, 0):
            found.append(
                (_placeholder(shape) in ("title", "ctrTitle"), list(_shape_blocks(shape, package, links, label)))
            )
    # The title is read first wherever it is drawn.
    blocks = [block for is_title, part in sorted(found, key=lambda pair: not pair[0]) for block in part]
    for link in links.values():
        if link.kind == "comments" and not link.external:
            comments = package.xml(link.target)
            left_out["comments"] += len(comments) if comments is not None else 0
        if link.kind == "notesSlide" and not link.external:
            notes = package.xml(link.target)
            for shape in notes.iter(f"{_P}sp") if notes is not None else ():
                if _placeholder(shape) == "body":
                    text = "\n".join(text for text, _ in _paragraphs(shape))
                    if text.strip():
                        blocks.append(Block("note", text, page=label))
    return blocks


def _shapes(tree: Any, left_out: Counter[str], depth: int) -> Iterator[Any]:
    if depth > _DEPTH:
        raise Unreadable("E2324", limit=_DEPTH)
    for shape in tree:
        tag = shape.tag
        if tag == f"{_P}grpSp":
            yield from _shapes(shape, left_out, depth + 1)
        elif tag == f"{_MC}AlternateContent":
            choice = shape.find(f"{_MC}Choice")
            yield from _shapes(choice if choice is not None else shape, left_out, depth + 1)
        elif tag == f"{_P}pic":
            left_out["pictures"] += 1
        elif tag in (f"{_P}sp", f"{_P}graphicFrame", f"{_P}cxnSp"):
            properties = next(shape.iter(f"{_P}cNvPr"), None)
            if properties is not None and properties.get("hidden") in ("1", "true"):
                left_out["hidden"] += 1
            elif _placeholder(shape) not in _SILENT:
                yield shape


def _placeholder(shape: Any) -> str:
    """The role of a shape on its slide: title, body, ...; '' where it has none."""
    for element in shape.iter(f"{_P}ph"):
        return element.get("type") or "body"
    return ""


def _shape_blocks(shape: Any, package: Package, links: Any, label: str) -> Iterator[Block]:
    for table in shape.iter(f"{_A}tbl"):
        rows = [
            [" ".join(text for text, _ in _paragraphs(cell)) for cell in row.iter(f"{_A}tc")]
            for row in table.iter(f"{_A}tr")
        ]
        if text := markdown_table(rows):
            yield Block("table", text, page=label)
        return
    for chart in shape.iter(f"{_C}chart"):
        link = links.get(chart.get(f"{_R}id") or "")
        root = package.xml(link.target) if link is not None and not link.external else None
        if root is not None:
            yield from _chart_blocks(root, label)
        return
    role = _placeholder(shape)
    paragraphs = [(text, level) for text, level in _paragraphs(shape) if text.strip()]
    if role in ("title", "ctrTitle"):
        if paragraphs:
            yield Block("heading", " ".join(text for text, _ in paragraphs), 1, label)
    elif role == "body" and len(paragraphs) > 1:
        for text, level in paragraphs:
            yield Block("item", text, level, label)
    else:
        for text, _ in paragraphs:
            yield Block("paragraph", text, page=label)


def _paragraphs(shape: Any) -> Iterator[tuple[str, int]]:
    """Text and indent of each paragraph."""
    for paragraph in shape.iter(f"{_A}p"):
        properties = paragraph.find(f"{_A}pPr")
        level = (properties.get("lvl") or "0") if properties is not None else "0"
        parts: list[str] = []
        for child in paragraph:
            name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
            if name in ("r", "fld"):
                parts.append(child.findtext(f"{_A}t") or "")
            elif name == "br":
                parts.append("\n")
            elif name == "AlternateContent" or child.tag == f"{_A}m":
                parts += [
                    f" {linear(math)} "
                    for math in child.iter()
                    if isinstance(math.tag, str) and math.tag.endswith("}oMath")
                ]
        yield "".join(parts).strip(), int(level) if level.isdigit() else 0


def _chart_blocks(root: Any, label: str) -> Iterator[Block]:
    """A chart's title, and its series as a table."""
    title = "".join(text.text or "" for element in root.iter(f"{_C}title") for text in element.iter(f"{_A}t"))
    if title.strip():
        yield Block("paragraph", title.strip(), page=label)
    columns: list[tuple[str, dict[int, str]]] = []
    names: dict[int, str] = {}
    for series in root.iter(f"{_C}ser"):
        heading = " ".join(
            value.text or "" for element in series.findall(f"{_C}tx") for value in element.iter(f"{_C}v")
        )
        names |= _points(series.find(f"{_C}cat"))
        values = series.find(f"{_C}val")
        columns.append((heading, _points(values if values is not None else series.find(f"{_C}yVal"))))
    places = sorted({place for _, values in columns for place in values} | set(names))[:1000]
    if columns and places:
        rows = [["", *(heading for heading, _ in columns)]]
        rows += [[names.get(place, ""), *(values.get(place, "") for _, values in columns)] for place in places]
        if text := markdown_table(rows):
            yield Block("table", text, page=label)


def _points(element: Any) -> dict[int, str]:
    found = {}
    for point in element.iter(f"{_C}pt") if element is not None else ():
        place = point.get("idx") or ""
        if place.isdigit():
            found[int(place)] = point.findtext(f"{_C}v") or ""
    return found
