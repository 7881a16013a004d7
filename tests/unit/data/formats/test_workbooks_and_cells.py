"""Excel files as people send them, and exports that a spreadsheet cannot be made to run."""

from __future__ import annotations

import csv
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from rung.core.errors import DataError, UsageError
from rung.data.fields import ReadSpec
from rung.data.formats.containers import NEUTRALISED
from rung.data.formats.read import read_records
from rung.data.formats.workbook import open_sheet
from rung.data.formats.write import write_records
from rung.data.read import read_examples
from rung.data.record import Record

RISKY = ["=1+1", "+86 10", "-5", "@SUM(A1)", "\tx", "\rx", "＝1", "＋1", "－1", "＠1", "'=kept", "plain"]


def _book(path: Path, rows: list[list[Any]], merges: tuple[str, ...] = ()) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for area in merges:
        book.active.merge_cells(area)
    book.save(path)
    return path


def test_titles_merged_cells_and_dates(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["客服问题汇总"],
        ["问题", "类别", "日期", "n"],
        ["a", "退款", date(2024, 3, 5), 1],
        ["b", None, datetime(2024, 3, 5, 14, 30), 2.5],
        ["c", None, None, True],
        ["d", "物流", None, None],
    ]
    read = read_records(_book(tmp_path / "a.xlsx", rows, ("A1:D1", "B3:B5")))
    assert [record.answer for record in read.records] == ["退款", "退款", "退款", "物流"]
    assert [record.time for record in read.records] == ["2024-03-05", "2024-03-05T14:30:00", "", ""]
    assert [record.extra.get("n") for record in read.records] == [1, 2.5, True, None]
    assert {finding.code for finding in read.findings} == {"E2260", "E2262"}
    assert read.records[0].source == "a.xlsx:3"


def _with_dimension(path: Path, claim: str) -> Path:
    out = path.with_name("claimed.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                start = data.index(b"<dimension ref=")
                data = data[:start] + b'<dimension ref="' + claim.encode() + data[data.index(b'"/>', start) :]
            new.writestr(name, data)
    return out


def test_the_size_that_a_sheet_claims_costs_nothing(tmp_path: Path) -> None:
    path = _with_dimension(_book(tmp_path / "a.xlsx", [["question", "answer"], ["q", "a"]]), "A1:XFD1048576")
    assert len(read_records(path).records) == 1


def test_cells_far_away_meet_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.data.formats.workbook.MAX_CELLS", 10_000)
    book = Workbook()
    book.active.append(["question", "answer"])
    for row in range(2, 5):
        book.active.cell(row, 16_384, "x")
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError) as caught:
        read_records(tmp_path / "a.xlsx")
    assert caught.value.code == "E2234"


def test_a_password_and_damage_are_told_apart(tmp_path: Path) -> None:
    locked, broken, bomb = tmp_path / "a.xlsx", tmp_path / "b.xlsx", tmp_path / "c.xlsx"
    locked.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512 + "EncryptedPackage".encode("utf-16-le"))
    broken.write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * (1 << 28) + b"0")
    codes = []
    for path in (locked, broken, bomb):
        with pytest.raises(DataError) as caught:
            read_records(path)
        codes.append(caught.value.code)
    assert codes == ["E2231", "E2235", "E2235"]


def test_entities_in_a_workbook_are_refused(tmp_path: Path) -> None:
    path = _book(tmp_path / "a.xlsx", [["question", "answer"], ["q", "a"]])
    out = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                head = data.index(b"<worksheet")
                data = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + data[head:].replace(
                    b"<v>0</v>", b"<v>&e;</v>"
                )
            new.writestr(name, data)
    with pytest.raises(DataError) as caught:
        read_records(out)
    assert caught.value.code == "E2235"


def test_formulas_without_values_and_further_sheets_are_told(tmp_path: Path) -> None:
    book = Workbook()
    for row in (["question", "answer", "n"], ["q", "a", "=1+1"]):
        book.active.append(row)
    other = book.create_sheet("更多")
    other.append(["question"])
    book.save(tmp_path / "a.xlsx")
    read = read_records(tmp_path / "a.xlsx")
    assert {finding.code: finding.values for finding in read.findings} == {
        "E2259": {"used": "Sheet", "names": "更多"},
        "E2261": {"n": 1},
    }


def test_twice_the_same_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_records(_book(tmp_path / "a.xlsx", [["question", "a", "a"], ["q", "1", "2"]]))
    assert caught.value.code == "E2107"


def test_tasks_read_workbooks_and_parquet_as_they_read_csv(tmp_path: Path) -> None:
    records = [Record(id=f"r{n}", inputs={"question": f"q{n}"}, answers=("7",)) for n in range(3)]
    spec = ReadSpec(("question",), "answer", "label", id="id")
    read = [
        read_examples(write_records(records, tmp_path / name, format="table"), spec).examples
        for name in ("a.csv", "a.xlsx", "a.parquet", "a.jsonl")
    ]
    assert read[0] == read[1] == read[2] == read[3]
    assert len(read[0]) == 3


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_cells_of_an_export_run_nothing(name: str, tmp_path: Path) -> None:
    records = [Record(id=f"r{n}", inputs={"text": text}, answers=(text,)) for n, text in enumerate(RISKY)]
    records[0] = records[0].model_copy(update={"extra": {"=HYPERLINK(1)": "x"}})
    path = write_records(records, tmp_path / name)
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.reader(file, delimiter="\t" if name.endswith("tsv") else ","))
    assert NEUTRALISED in cells[0]
    for row in cells:
        assert not [cell for cell in row if cell.startswith(tuple("=+-@\t\r＝＋－＠"))]
    read = read_records(path).records
    assert [record.inputs["text"] for record in read] == RISKY
    assert [record.answers[0] for record in read] == RISKY
    assert read[0].extra["=HYPERLINK(1)"] == "x"


def test_cells_of_a_workbook_are_texts(tmp_path: Path) -> None:
    records = [Record(id=f"r{n}", inputs={"text": text}, answers=("a",)) for n, text in enumerate(RISKY)]
    path = write_records(records, tmp_path / "a.xlsx")
    cells = [cell for row in load_workbook(path).active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.quotePrefix for cell in cells if str(cell.value).startswith(("=", "+", "＝")))
    assert [record.inputs["text"] for record in read_records(path).records] == RISKY


def test_jsonl_is_left_as_it_is(tmp_path: Path) -> None:
    path = write_records([Record(id="a", inputs={"text": "=1+1"})], tmp_path / "a.jsonl")
    assert '"=1+1"' in path.read_text("utf-8")


def test_apostrophes_in_files_of_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n'=1,a\n'quoted',b\n", "utf-8")
    assert [record.inputs["text"] for record in read_records(path).records] == ["'=1", "'quoted'"]


def test_a_cell_that_excel_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write_records([Record(id="a", inputs={"text": "x" * 32_768})], tmp_path / "a.xlsx")
    assert caught.value.code == "E2238"
    assert not (tmp_path / "a.xlsx").exists()


def test_a_name_without_a_kind_is_refused(tmp_path: Path) -> None:
    for name in ("a", "a.xls", "a.parquet.gz"):
        with pytest.raises(UsageError) as caught:
            write_records([Record(id="a", inputs={"text": "x"})], tmp_path / name)
        assert caught.value.code == "E2249"


@pytest.mark.datasets
def test_the_old_format_reads_as_the_new_one(datasets: Path) -> None:
    old, new = (open_sheet(datasets / "docs_dirty/office" / name) for name in ("test.xls", "test.xlsx"))
    assert old.columns == new.columns
    assert [dict(row.values) for row in old] == [dict(row.values) for row in new]
