"""Every real dirty document: read or refused as its manifest expects, and nothing garbled in silence."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from rung.data.parsing.blocks import Parsed, to_document
from rung.data.parsing.parse import parse
from rung.data.parsing.refusal import Unreadable

REFUSED = {
    "office/random.bin": "E2323",
    "office/MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "E2325",
    "pdf/password-example.pdf": "E2320",
    "pdf/empty.pdf": "E2322",
    "encodings/EUC-TW/_ude_euc-tw1.txt": "E2328",
}
# The codec that reads what files of a folder hold; a folder's own name where it is not here.
CODECS = {
    "GB2312": "gb18030",
    "Big5": "big5hkscs",
    "SHIFT_JIS": "cp932",
    "EUC-KR": "cp949",
    "windows-1251-russian": "cp1251",
}


@pytest.fixture(scope="module")
def folder(datasets: Path) -> Path:
    return datasets / "docs_dirty"


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Parsed | Unreadable]:
    found: dict[str, Parsed | Unreadable] = {}
    for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        # A tenth of the English pages: the benchmark reads all of them.
        if row["kind"] == "expected" or (row["kind"] == "html.gz" and row["bytes"] % 10):
            continue
        path = folder / row["file"]
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        try:
            found[row["file"]] = parse(raw, path.name.removesuffix(".gz"))
        except Unreadable as refusal:
            found[row["file"]] = refusal
    return found


def words(parsed: Parsed | Unreadable) -> str:
    assert isinstance(parsed, Parsed)
    return to_document(parsed, "a", "a").text


@pytest.mark.datasets
def test_the_right_files_are_refused_for_the_right_reason(results: dict[str, Parsed | Unreadable]) -> None:
    assert {name: found.code for name, found in results.items() if isinstance(found, Unreadable)} == REFUSED


@pytest.mark.datasets
def test_every_other_file_has_text_and_no_lost_characters(results: dict[str, Parsed | Unreadable]) -> None:
    for name, found in results.items():
        if isinstance(found, Parsed):
            assert words(found).strip(), name
            if "\ufffd" in words(found):
                assert {"E2342", "E2332"} & {remark.code for remark in found.remarks}, name


@pytest.mark.datasets
def test_encodings_are_detected_into_an_equivalent_codec(folder: Path, results: dict[str, Parsed | Unreadable]) -> None:
    wrong = []
    for name, found in results.items():
        if name.startswith("encodings/") and isinstance(found, Parsed):
            raw, true = (folder / name).read_bytes(), name.split("/")[1]
            if raw.decode(found.meta["encoding"]) != raw.decode(CODECS.get(true, true)):
                wrong.append(name)
    assert wrong == []


@pytest.mark.datasets
def test_what_each_trap_is_about(results: dict[str, Parsed | Unreadable]) -> None:
    def codes(name: str) -> set[str]:
        found = results[name]
        assert isinstance(found, Parsed)
        return {remark.code for remark in found.remarks}

    assert "E2336" in codes("office/test_with_comment.docx")
    assert "a/λ=m/" in words(results["office/equations.docx"])
    assert "E2339" in codes("office/rlink.docx")
    assert "| 13 | 14 | 15 | affc7dad-52dc-4b98-9b5d-51e65d8a8ad0 |" in words(results["office/test.xlsx"])
    assert words(results["office/test.xls"]) == words(results["office/test.xlsx"])
    assert "1b92870d-e3b5-4e65-8153-919f4ff45592" in words(results["office/test.pptx"])
    assert "This is the body of the test email message" in words(results["office/test_outlook_msg.msg"])
    assert "| 佐藤太郎 | 30 | 東京 |" in words(results["office/test_mskanji.csv"])
    assert "E2343" in codes("html_zh/people_1.html")
    assert "2018 年第一季度报告" in words(results["pdf/issue-67-example.pdf"])
    assert "| 营业收入（元） | 4,755,785.11 | 5,699,227.63 | -16.55% |" in words(results["pdf/issue-67-example.pdf"])
    assert "| 白细胞计数(WBC) | 仪器法 | ↓ 3.9 | E+9/L | [4.0-10.0] |" in words(results["pdf/issue-461-example.pdf"])
    assert "| SKU-7728 | A-08 | 920 |" in words(results["office/SPARSE-2024-INV-1234_borderless_table.pdf"])
    upright, turned = (
        Counter(words(results[f"pdf/nics-background-checks-2015-11{end}.pdf"]).split()) for end in ("", "-rotated")
    )
    assert upright == turned


@pytest.mark.datasets
def test_chinese_pages_hold_their_article_and_not_their_menus(
    folder: Path, results: dict[str, Parsed | Unreadable]
) -> None:
    for line in (folder / "html_zh" / "checks.jsonl").read_text("utf-8").splitlines():
        check = json.loads(line)
        text = "".join(words(results[check["file"]]).split())
        for phrase in check["must_contain"]:
            assert "".join(phrase.split()) in text, check["file"]
        for phrase in check["must_not_contain"]:
            assert "".join(phrase.split()) not in text, check["file"]
