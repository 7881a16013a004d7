"""Word, Excel and PowerPoint files: what is kept, what is left out and counted, what is never followed."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.util import Inches

from rung.data.parsing.blocks import Parsed
from rung.data.parsing.parse import parse
from rung.data.parsing.refusal import Unreadable

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def changed(raw: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """The file with one part of it rewritten, or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
        if part not in old.namelist():
            new.writestr(part, change(b""))
    return out.getvalue()


def remarks(parsed: Parsed) -> dict[str, dict[str, Any]]:
    return {remark.code: remark.values for remark in parsed.remarks}


def word(*paragraphs: str) -> Any:
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    return document


def test_a_word_file_keeps_its_structure() -> None:
    document = docx.Document()
    document.add_heading("Renting", 1)
    document.add_paragraph("Before you sign.")
    document.add_heading("Deposit", 2)
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("first", style="List Number")
    document.add_paragraph("second", style="List Number")
    table = document.add_table(2, 2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Month", "Rent", "May", "800 | net"), strict=True
    ):
        cell.text = text
    document.core_properties.title = "Handbook"
    parsed = parse(saved(document), "a.docx")
    assert parsed.title == "Handbook"
    assert [(block.kind, block.level, block.text) for block in parsed.blocks] == [
        ("heading", 1, "Renting"),
        ("paragraph", 0, "Before you sign."),
        ("heading", 2, "Deposit"),
        ("item", 0, "one"),
        ("item", 0, "1. first"),
        ("item", 0, "2. second"),
        ("table", 0, "| Month | Rent |\n| --- | --- |\n| May | 800 \\| net |"),
    ]


def test_comments_deletions_and_hidden_runs_stay_out_and_are_counted() -> None:
    document = word("Kept. ")
    paragraph = document.paragraphs[0]
    document.add_comment(paragraph.runs, text="what a reviewer thinks", author="R")
    for xml in (
        f"<w:del {W}><w:r><w:delText>deleted</w:delText></w:r></w:del>",
        f"<w:ins {W}><w:r><w:t>Inserted.</w:t></w:r></w:ins>",
        f"<w:r {W}><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>",
        f'<w:r {W}><w:rPr><w:color w:val="FFFFFF"/></w:rPr><w:t>white</w:t></w:r>',
    ):
        paragraph._p.append(parse_xml(xml))
    parsed = parse(saved(document), "a.docx")
    assert [block.text for block in parsed.blocks] == ["Kept. Inserted."]
    assert remarks(parsed) == {"E2336": {"count": 1}, "E2337": {"count": 1}, "E2334": {"count": 2}}


def test_equations_text_boxes_and_footnotes_become_text() -> None:
    document = word("We have ")
    document.paragraphs[0]._p.append(
        parse_xml(
            f"<m:oMath {M}><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"
        )
    )
    document.paragraphs[0]._p.append(
        parse_xml(
            f'<w:r {W}><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r>'
        )
    )
    assert [block.text for block in parse(saved(document), "a.docx").blocks] == ["We have (a+b)/2", "In a box"]


def test_a_broken_or_outward_link_is_counted_and_never_followed() -> None:
    link = (
        b'<Relationship Id="rId77" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="NULL"/>'
        b'<Relationship Id="rId78" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"'
        b' Target="http://192.0.2.1/x.png" TargetMode="External"/>'
        b'<Relationship Id="rId79" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/aFChunk" Target="/etc/passwd"/></Relationships>'
    )
    raw = changed(
        saved(word("Text.")), "word/_rels/document.xml.rels", lambda old: old.replace(b"</Relationships>", link)
    )
    parsed = parse(changed(raw, "word/vbaProject.bin", lambda _: b"macro"), "a.docx")
    assert [block.text for block in parsed.blocks] == ["Text."]
    assert remarks(parsed) == {"E2339": {"macros": 1, "embedded": 0, "imported": 1, "links": 1}}


@pytest.mark.parametrize(
    "entity", [b'<!ENTITY x SYSTEM "file:///etc/passwd">', b'<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">']
)
@pytest.mark.parametrize("kind", ["docx", "xlsx", "pptx"])
def test_declared_entities_are_refused(kind: str, entity: bytes) -> None:
    raw, part = {
        "docx": (saved(word("Text.")), "word/document.xml"),
        "xlsx": (workbook([["a"]]), "xl/worksheets/sheet1.xml"),
        "pptx": (saved(pptx.Presentation()), "ppt/presentation.xml"),
    }[kind]

    def bomb(old: bytes) -> bytes:
        return (
            b'<?xml version="1.0"?><!DOCTYPE a [' + entity + b"]>" + old.partition(b"?>")[2]
            if b"?>" in old
            else b"<!DOCTYPE a [" + entity + b"]>" + old
        )

    with pytest.raises(Unreadable) as caught:
        parse(changed(raw, part, bomb), f"a.{kind}")
    assert caught.value.code == "E2326"


def test_a_package_that_swells_is_refused() -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(word("Text.")))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("word/media/zeros.bin", b"\0" * (64 << 20))
    with pytest.raises(Unreadable) as caught:
        parse(out.getvalue(), "a.docx")
    assert caught.value.code == "E2327"


def workbook(rows: list[list[Any]], **sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, more in sheets.items():
        sheet = book.create_sheet(name)
        for row in more:
            sheet.append(row)
    return saved(book)


def test_sheets_become_tables_with_plain_values() -> None:
    when = datetime.datetime(2024, 5, 1)
    parsed = parse(
        workbook(
            [["Date", "Paid", "Share"], [when, True, 0.1 + 0.2], [None, None, None], ["总计", 12.0, 1e20]],
            Second=[["x", "y"], [1, 2]],
        ),
        "a.xlsx",
    )
    assert [(block.kind, block.page) for block in parsed.blocks] == [
        ("heading", "Sheet"),
        ("table", "Sheet"),
        ("heading", "Second"),
        ("table", "Second"),
    ]
    assert parsed.blocks[1].text.splitlines()[2:] == ["| 2024-05-01 | TRUE | 0.3 |", "| 总计 | 12 | 1e+20 |"]


def test_a_merged_cell_speaks_for_every_row_it_covers() -> None:
    book = openpyxl.Workbook()
    for row in (["City", "Year"], ["北京", 2023], [None, 2024]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    assert "| 北京 | 2024 |" in parse(saved(book), "a.xlsx").blocks[1].text


def test_long_cells_are_written_row_by_row() -> None:
    parsed = parse(
        workbook([["question", "answer"], ["How?", "Like this.\n" * 40], ["Why?", "Because.\n" * 40]]), "a.xlsx"
    )
    assert [block.kind for block in parsed.blocks] == ["heading", "paragraph", "paragraph"]
    assert parsed.blocks[2].text.startswith("question: Why?\nanswer: Because.")


def test_a_claim_of_a_whole_sheet_and_a_stray_far_cell_cost_nothing() -> None:
    raw = changed(
        workbook([["a", "b"], [1, 2]]),
        "xl/worksheets/sheet1.xml",
        lambda old: old.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"'),
    )
    assert parse(raw, "a.xlsx").blocks[1].text.endswith("| 1 | 2 |")
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD100000"] = "near", "far"
    parsed = parse(saved(book), "a.xlsx")
    assert parsed.blocks[1].text == "near"
    assert "E2340" in remarks(parsed)


def test_formulas_without_a_value_are_counted() -> None:
    assert remarks(parse(workbook([["sum"], ["=1+1"], ["=2+2"]]), "a.xlsx")) == {"E2347": {"count": 2}}


def test_cells_beyond_the_limit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rung.data.parsing.sheets._Budget.__init__", lambda self: self.__dict__.update(left=5, cut=False)
    )
    parsed = parse(workbook([["a", "b"], [1, 2], [3, 4], [5, 6]]), "a.xlsx")
    assert "| 1 | 2 |" in parsed.blocks[1].text
    assert "3" not in parsed.blocks[1].text
    assert "E2340" in remarks(parsed)


def test_slides_keep_order_titles_tables_and_notes() -> None:
    deck = pptx.Presentation()
    for title, points in (("First", ["one", "two"]), ("Second", [])):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(points)
    shape = slide.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1))
    for n, text in enumerate(("Plan", "Price", "Basic", "5")):
        shape.table.cell(n // 2, n % 2).text = text
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    parsed = parse(saved(deck), "a.pptx")
    assert [(block.kind, block.page, block.text) for block in parsed.blocks] == [
        ("heading", "slide 1", "First"),
        ("item", "slide 1", "one"),
        ("item", "slide 1", "two"),
        ("heading", "slide 2", "Second"),
        ("table", "slide 2", "| Plan | Price |\n| --- | --- |\n| Basic | 5 |"),
        ("note", "slide 2", "Say it slowly."),
    ]


def test_damaged_office_files_are_refused() -> None:
    raw = saved(word("Text."))
    for broken in (
        raw[: len(raw) // 2],
        b"PK\x03\x04" + b"\0" * 100,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    ):
        with pytest.raises(Unreadable) as caught:
            parse(broken, "a.docx")
        assert caught.value.code == "E2321"
