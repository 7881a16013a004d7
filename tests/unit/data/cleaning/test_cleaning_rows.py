"""Rows: what is touched, dropped, kept, counted and sampled."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from rung.data.cleaning.run import Cleaned, are_labels, clean_records
from rung.data.cleaning.wanted import Wanted
from rung.data.record import Record, Span, Turn


def step(cleaned: Cleaned, name: str):  # type: ignore[no-untyped-def]
    return next(step for step in cleaned.steps if step.name == f"clean.{name}")


def rows(*texts: str, answer: str = "a long answer, in words of its own") -> list[Record]:
    return [
        Record(id=str(n), inputs={"q": text}, answers=(f"{answer} {n} " + "x" * 80,)) for n, text in enumerate(texts)
    ]


def test_counts_rows_and_shows_samples() -> None:
    cleaned = clean_records(rows("房\u200b间", "好<br>的", "plain", "a\u200bb"))
    assert [record.inputs["q"] for record in cleaned.records] == ["房间", "好\n的", "plain", "ab"]
    unseen = step(cleaned, "invisible")
    assert (unseen.touched, unseen.counts, unseen.rows_before, unseen.rows_after) == (2, {"U+200B": 2}, 4, 4)
    assert (unseen.samples[0].id, unseen.samples[0].before, unseen.samples[0].after) == ("0", "房\u200b间", "房间")
    assert step(cleaned, "html").touched == 1


def test_keeps_five_samples_cut_to_the_change() -> None:
    cleaned = clean_records(rows(*("很长" * 300 + "\u200b" + "的话" * 300 for _ in range(50))))
    samples = step(cleaned, "invisible").samples
    assert len(samples) == 5
    assert all("\u200b" in sample.before and len(sample.before) < 220 for sample in samples)


def test_missing_questions_and_blank_answers_are_dropped() -> None:
    said = ["ok", "", " \u3000", "nan", "N/A", "无", "空", "无线网络很好", "None of them"]
    cleaned = clean_records([*rows(*said), Record(id="blank", inputs={"q": "why"}, answers=(" ",))])
    assert [record.id for record in cleaned.records] == ["0", "7", "8"]
    assert step(cleaned, "missing").counts == {"says it is missing": 4, "no question": 2, "blank answer": 1}


def test_a_label_that_says_none_and_an_unlabelled_row_stay() -> None:
    records = [Record(id=str(n), inputs={"q": f"text {n}"}, answers=("None",)) for n in range(30)]
    records.append(Record(id="open", inputs={"q": "not labelled yet"}))
    assert len(clean_records(records).records) == 31


def test_tool_calls_are_no_blank_answers() -> None:
    calls = Turn(role="assistant", content="", calls=({"name": "f"},))
    asked = Turn(role="user", content="call it")
    assert len(clean_records([Record(id="1", messages=(asked, calls))]).records) == 1
    empty = Turn(role="assistant", content=" ")
    assert not clean_records([Record(id="1", messages=(asked, empty))]).records


def test_labels_are_changed_only_when_asked() -> None:
    records = [Record(id=str(n), inputs={"q": f"第 {n} 行"}, answers=("Ａ " if n % 2 else "B",)) for n in range(40)]
    kept = clean_records(records)
    assert kept.labels
    assert [record.answers for record in kept.records] == [record.answers for record in records]
    assert not kept.changed
    changed = clean_records(records, Wanted(answers=True))
    assert {record.answers[0] for record in changed.records} == {"A", "B"}


def test_answers_of_open_questions_are_cleaned_with_their_context() -> None:
    records = [Record(id=str(n), inputs={"context": f"高度为１{n}米。"}, answers=(f"１{n}米",)) for n in range(10, 40)]
    assert not are_labels(records)
    for record in clean_records(records).records:
        assert record.answers[0] in record.inputs["context"]


def test_labels_merge_by_map_only() -> None:
    records = [Record(id=str(n), inputs={"q": f"row {n}"}, answers=(("是 ", "是", "否")[n % 3],)) for n in range(30)]
    assert not clean_records(records).changed
    merged = clean_records(records, Wanted(merge={"是 ": "是"}))
    assert {record.answers[0] for record in merged.records} == {"是", "否"}
    assert step(merged, "labels").counts == {"是  -> 是": 10}
    assert step(merged, "labels").touched == 10


def test_spans_move_with_their_text() -> None:
    text = "<p>住在\u200b　北京</p>的Ｇ\u200b２０酒店"
    spans = (
        Span(start=text.index("北"), end=text.index("北") + 2, label="地"),
        Span(start=text.index("Ｇ"), end=text.index("酒"), label="会"),
    )
    cleaned = clean_records([Record(id="1", inputs={"text": text}, spans=spans)]).records[0]
    new = cleaned.inputs["text"]
    assert [new[span.start : span.end] for span in cleaned.spans] == ["北京", "G20"]


def test_a_text_whose_spans_cannot_be_moved_is_left_alone_and_counted() -> None:
    text = "价格\u200b好"
    cleaned = clean_records([Record(id="1", inputs={"text": text}, spans=(Span(start=2, end=3, label="x"),))])
    assert cleaned.records[0].inputs["text"] == text
    assert step(cleaned, "invisible").counts == {"spans in the way": 1}
    assert step(cleaned, "invisible").touched == 0


def test_language_and_length() -> None:
    cleaned = clean_records(rows("房间很好", "The room", "Хорошо", "12"), Wanted(languages=("zh", "en")))
    assert [record.id for record in cleaned.records] == ["0", "1", "3"]
    assert step(cleaned, "language").counts == {"ru": 1}
    short = clean_records(rows("好", "房间很好"), Wanted(min_chars=2))
    assert [record.id for record in short.records] == ["1"]
    long = clean_records(rows("x" * 500, "房间很好"), Wanted(max_chars=300))
    assert step(long, "length").counts == {"long": 1}


def test_a_row_about_html_is_spared_whole() -> None:
    answer = "<table><tr><td>1</td></tr></table>" + " and so on" * 10
    about = Record(id="1", inputs={"q": "Write an HTML table"}, answers=(answer,))
    scraped = about.model_copy(update={"id": "2", "inputs": {"q": "What is in the room?"}})
    kept, stripped = clean_records([about, scraped]).records
    assert kept.answers == (answer,)
    assert "<td>" not in stripped.answers[0]


def test_script_on_request() -> None:
    cleaned = clean_records(rows("房間很乾淨"), Wanted(script="simplified"))
    assert cleaned.records[0].inputs["q"] == "房间很干净"
    assert step(cleaned, "script").arguments == {"to": "simplified"}


def test_boilerplate_goes_on_request_only() -> None:
    said = [
        "Sure, here is the list: red and blue, and then some more of them",
        "Sure!",
        "红色和蓝色都有，还有很多别的颜色。希望对你有帮助。",
    ]
    records = [Record(id=str(n), inputs={"q": f"q {n}"}, answers=(text + " " * n,)) for n, text in enumerate(said)]
    records += rows("plain")
    assert "here is" in clean_records(records).records[0].answers[0]
    cleaned = clean_records(records, Wanted(steps=("boilerplate",)))
    assert [record.answers[0].strip() for record in cleaned.records[:3]] == [
        "red and blue, and then some more of them",
        "Sure!",
        "红色和蓝色都有，还有很多别的颜色。",
    ]
    assert clean_records(cleaned.records, Wanted(steps=("boilerplate",))).records == cleaned.records


@pytest.mark.datasets
def test_real_reviews_lose_nothing_but_noise(datasets: Path) -> None:
    with gzip.open(datasets / "sentiment_zh_hotel" / "ChnSentiCorp_htl_all.csv.gz", "rt", encoding="utf-8") as file:
        records = [
            Record(id=str(n), inputs={"text": row["review"]}, answers=(row["label"],))
            for n, row in enumerate(csv.DictReader(file))
        ]
    cleaned = clean_records(records)
    touched = {step.name.removeprefix("clean."): step.touched for step in cleaned.steps}
    assert cleaned.labels
    assert len(cleaned.records) == 7765
    assert touched == {
        "encoding": 3,
        "html": 3,
        "invisible": 0,
        "unicode": 0,
        "width": 87,
        "ruby": 0,
        "space": 0,
        "missing": 0,
    }
    assert "卫生间没有打扫干净" in next(record for record in cleaned.records if record.id == "5537").inputs["text"]
