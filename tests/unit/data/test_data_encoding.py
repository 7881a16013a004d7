"""Encodings: told, proved or guessed, and never garbled in silence."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.data.fields import ReadSpec
from rung.data.read import read_examples

REVIEWS = [
    "早餐太差，无论去多少人都不加食品。",
    "房间很大，床有两米宽，整体感觉经济实惠不错！",
    "距离地铁站较近，服务员很热情。",
    "下次还会再来，推荐给大家。",
]
TRADITIONAL = [
    "早餐太差，無論去多少人都不加食品。",
    "房間很大，床有兩米寬，整體感覺經濟實惠不錯！",
    "距離捷運站較近，服務員很熱情。",
]
ENGLISH = ["The café was naïve about prices: £5 for a crème brûlée", "don’t go there", "plain text"]
SPEC = ReadSpec(("text",), "label", "label", max_bad_ratio=0.5)


def table(texts: list[str]) -> str:
    return "text,label\n" + "".join(f"{text},{n % 2}\n" for n, text in enumerate(texts))


def saved(folder: Path, content: bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("texts", "codec", "found"),
    [
        (REVIEWS, "utf-8", "utf-8"),
        (REVIEWS, "utf-8-sig", "utf-8-sig"),
        (REVIEWS, "gb18030", "gb18030"),
        (REVIEWS, "gbk", "gb18030"),
        (REVIEWS, "utf-16", "utf-16"),
        (REVIEWS, "utf-16-le", "utf_16_le"),
        (REVIEWS, "utf-16-be", "utf_16_be"),
        (REVIEWS, "utf-32", "utf-32"),
        (TRADITIONAL, "big5", "big5hkscs"),
        (ENGLISH, "utf-16-le", "utf_16_le"),
        (ENGLISH, "cp1252", "cp1252"),
        (["好评", "差评", "一般"], "gbk", "gb18030"),
        (["plain", "ascii", "text"], "ascii", "utf-8"),
    ],
)
def test_the_encoding_is_detected_and_reported(tmp_path: Path, texts: list[str], codec: str, found: str) -> None:
    content = table(texts).encode(codec)
    for path in (saved(tmp_path, content), saved(tmp_path, gzip.compress(content), "rows.csv.gz")):
        result = read_examples(path, SPEC)
        assert [example.text for example in result.examples] == texts
        assert result.encoding.name == found
        assert not result.rejects


def test_a_guess_from_little_text_is_called_a_guess(tmp_path: Path) -> None:
    assert read_examples(saved(tmp_path, table(["好评", "差评"]).encode("gbk")), SPEC).encoding.guessed
    assert not read_examples(saved(tmp_path, table(REVIEWS * 3).encode("gbk")), SPEC).encoding.guessed


def test_a_named_encoding_is_taken_at_its_word(tmp_path: Path) -> None:
    named = ReadSpec(("text",), "label", "label", encoding="big5")
    assert read_examples(saved(tmp_path, table(TRADITIONAL).encode("big5")), named).examples[0].text == TRADITIONAL[0]
    with pytest.raises(DataError) as caught:
        read_examples(saved(tmp_path, b"text,label\n"), ReadSpec(("text",), "label", "label", encoding="utf9"))
    assert caught.value.code == "E2105"


def test_rows_in_a_second_encoding_are_rejected_one_by_one(tmp_path: Path) -> None:
    lines = [f"{text},a\n".encode() for text in REVIEWS * 3]
    lines[5] = "混入的一行,b\n".encode("gb18030")
    result = read_examples(saved(tmp_path, b"text,label\n" + b"".join(lines)), SPEC)
    assert result.encoding.name == "utf-8"
    assert [(reject.line, reject.code) for reject in result.rejects] == [(7, "E2201")]
    assert len(result.examples) == 11


def test_a_late_character_settles_the_encoding(tmp_path: Path) -> None:
    texts = ["plain ascii text, repeated".replace(",", "")] * 20_000 + REVIEWS
    result = read_examples(saved(tmp_path, table(texts).encode("gb18030")), SPEC)
    assert (result.encoding.name, result.examples[-1].text) == ("gb18030", REVIEWS[-1])


def test_line_ends_of_old_programs(tmp_path: Path) -> None:
    content = table(REVIEWS).replace("\n", "\r").encode("gbk")
    result = read_examples(saved(tmp_path, content), SPEC)
    assert [example.text for example in result.examples] == REVIEWS
    assert list(result.lines.values()) == [2, 3, 4, 5]


@pytest.mark.datasets
def test_real_files_in_chinese_encodings(datasets: Path) -> None:
    from rung.data.encoding import detect_encoding

    for folder, codec in (("GB2312", "gb18030"), ("Big5", "big5hkscs")):
        for path in sorted((datasets / "docs_dirty" / "encodings" / folder).iterdir()):
            assert detect_encoding(lambda path=path: path.open("rb"), path.name).name == codec, path.name  # type: ignore[misc]
