"""From one format to another: what is carried, and what is said of the rest; BEIR folders, the schema, labels on import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rung.core.errors import DataError
from rung.data.formats.codec import known_formats
from rung.data.formats.import_checks import check_labels, merge_labels, read_merges
from rung.data.formats.read import read_records
from rung.data.formats.schema import kept_schema, make_schema
from rung.data.formats.write import convert, write_records
from rung.data.record import Record, Span, Turn

CALL = {"type": "function", "function": {"name": "find", "arguments": '{"n": 1}'}}
QA = Record(id="qa", inputs={"question": "问"}, answers=("答",), system="s")
TALK = Record(
    id="talk",
    messages=(
        Turn(role="user", content="a"),
        Turn(role="assistant", content="", calls=(CALL,)),
        Turn(role="tool", content="1"),
        Turn(role="assistant", content="b"),
    ),
    tools=({"name": "find", "parameters": {}},),
)
PAIR = Record(id="pair", messages=(Turn(role="user", content="a"),), answers=("good",), rejected=("bad",))
VOTE = Record(id="vote", inputs={"question": "q"}, answers=("a",), liked=False)
TRIPLET = Record(id="t", inputs={"query": "q"}, positives=("p",), negatives=("n1", "n2"))
MARKED = Record(id="m", inputs={"text": "张三来了"}, spans=(Span(start=0, end=2, label="人名"),))


def _lost(record: Record, format: str) -> set[str]:
    return {f.values["field"] for f in convert([record], Path("x.jsonl"), format).findings if f.code == "E2253"} - {
        "id"
    }


@pytest.mark.parametrize(
    ("record", "format"),
    [
        *(
            (QA, name)
            for name in ("alpaca", "sharegpt", "openai", "swift", "swift-query", "trl", "table", "llamafactory")
        ),
        *((TALK, name) for name in ("sharegpt", "openai", "swift", "trl", "llamafactory", "table")),
        *(
            (PAIR, name)
            for name in ("alpaca", "sharegpt", "trl-preference", "openai-preference", "llamafactory", "table")
        ),
        *((VOTE, name) for name in ("alpaca", "openai", "swift", "trl", "llamafactory", "table")),
        *((TRIPLET, name) for name in ("sentence-transformers", "bge", "beir", "table")),
        *((MARKED, name) for name in ("doccano", "label-studio", "spans", "cluener", "table")),
    ],
)
def test_formats_that_have_a_place_for_it_lose_nothing(record: Record, format: str) -> None:
    assert _lost(record, format) == set()


@pytest.mark.parametrize(
    ("record", "format", "lost"),
    [
        (PAIR, "openai", {"rejected"}),
        (VOTE, "sharegpt", set()),
        (VOTE, "trl-text", {"inputs", "liked"}),
        (MARKED, "alpaca", {"spans"}),
        (TRIPLET, "openai", {"positives", "negatives"}),
        (QA.model_copy(update={"group": "g", "synthetic": True, "extra": {"x": 1}}), "alpaca", {"group", "synthetic"}),
        (QA.model_copy(update={"answers": ("a", "b")}), "openai", {"further answers"}),
        (QA.model_copy(update={"inputs": {"a": "1", "b": "2"}}), "openai", {"input fields"}),
        (PAIR.model_copy(update={"rejected": ("x", "y")}), "trl-preference", {"further rejected"}),
    ],
)
def test_what_is_not_carried_is_said(record: Record, format: str, lost: set[str]) -> None:
    assert _lost(record, format) == lost


def test_rows_without_a_place_stop_the_export_or_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write_records([QA, TALK], tmp_path / "a.json", format="alpaca")
    assert caught.value.code == "E2236"
    assert "1 of 2" in str(caught.value)
    assert "对话含工具调用" in "".join(caught.value.lines("zh"))
    path = write_records([QA, TALK], tmp_path / "a.json", format="alpaca", skip_unfit=True)
    assert len(json.loads(path.read_text("utf-8"))) == 1


def test_calls_of_tools_keep_their_meaning_between_chat_formats(tmp_path: Path) -> None:
    sharegpt = read_records(write_records([TALK], tmp_path / "a.json", format="sharegpt")).records[0]
    openai = write_records([sharegpt], tmp_path / "b.jsonl", format="openai")
    row = json.loads(openai.read_text("utf-8"))
    call = row["messages"][1]["tool_calls"][0]
    assert call["function"] == CALL["function"]
    assert row["messages"][2]["tool_call_id"] == call["id"]
    assert row["tools"][0]["function"]["name"] == "find"


def test_masking_a_record_leaves_no_copy_of_the_text_in_its_row(tmp_path: Path) -> None:
    value = {"start": 0, "end": 2, "text": "张三", "labels": ["人名"]}
    result = {"type": "labels", "from_name": "l", "to_name": "text", "value": value}
    task = {"data": {"text": "张三来了"}, "annotations": [{"id": 1, "completed_by": 2, "result": [result]}]}
    spans = {"text": "张三来了", "spans": [{"start": 0, "end": 2, "type": "人名", "text": "张三"}]}
    for name, row in (("label-studio", task), ("spans", spans)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps([row]), "utf-8")
        record = read_records(path).records[0]
        masked = record.model_copy(update={"inputs": {"text": "李四来了"}})
        assert "张三" not in json.dumps(masked.to_json(), ensure_ascii=False)
        out = write_records([masked], tmp_path / f"{name}-out.json", format=name).read_text("utf-8")
        assert "张三" not in out
        assert "李四" in json.loads(out)[0].get("spans", [{"text": out}])[0]["text"]


def test_a_changed_label_is_written_instead_of_the_old_annotation(tmp_path: Path) -> None:
    chosen = {"type": "choices", "from_name": "c", "to_name": "text", "value": {"choices": ["x"]}}
    task = {"data": {"text": "a"}, "annotations": [{"id": 1, "completed_by": 2, "result": [chosen]}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([task]), "utf-8")
    record = read_records(path).records[0].model_copy(update={"answers": ("y",)})
    out = json.loads(write_records([record], tmp_path / "b.json", format="label-studio").read_text("utf-8"))
    assert [a["result"][0]["value"]["choices"] for a in out[0]["annotations"]] == [["y"]]


def _beir(folder: Path) -> Path:
    corpus = [
        {"_id": "d1", "title": "T", "text": "one"},
        {"_id": "d2", "title": "", "text": "two"},
        {"_id": "d3", "text": "3"},
    ]
    queries: list[dict[str, Any]] = [
        {"_id": "q1", "text": "first", "metadata": {"k": 1}},
        {"_id": "q2", "text": "second"},
    ]
    folder.mkdir()
    (folder / "qrels").mkdir()
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n", "utf-8")
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td2\t1\n", "utf-8")
    return folder


def test_beir_folders_come_back(tmp_path: Path) -> None:
    read = read_records(_beir(tmp_path / "a"))
    first, second = read.records
    assert (first.positives, first.negatives, first.documents, first.split) == (
        ("T\none",),
        ("two",),
        ("d1", "d2"),
        "test",
    )
    assert (second.positives, second.split) == (("two",), "train")
    assert [finding.values["n"] for finding in read.findings if finding.code == "E2263"] == [1]
    again = read_records(write_records(read.records, tmp_path / "b", format="beir"))
    assert [r.model_copy(update={"source": ""}) for r in again.records] == [
        r.model_copy(update={"source": ""}) for r in read.records
    ]
    assert (tmp_path / "b/qrels/test.tsv").read_text("utf-8") == (tmp_path / "a/qrels/test.tsv").read_text("utf-8")


def test_beir_judgements_of_what_is_not_there_are_rejected(tmp_path: Path) -> None:
    folder = _beir(tmp_path / "a")
    with (folder / "qrels/test.tsv").open("a", encoding="utf-8") as file:
        file.write("q1\tnope\t1\nq9\td1\t1\nq1\td1\tmuch\n")
    rejects = read_records(folder, max_bad_ratio=1).rejects
    assert len(rejects) == 3
    assert {reject.code for reject in rejects} == {"E2230"}


def test_the_kept_schema_is_that_of_the_record_and_holds_every_record() -> None:
    assert kept_schema() == make_schema(), "renew it with: python -m rung.data.formats.schema"
    schema = json.loads(kept_schema())
    validator = Draft202012Validator(schema)
    for record in (QA, TALK, PAIR, VOTE, TRIPLET, MARKED):
        validator.validate(record.to_json())
    assert not validator.is_valid({"id": "a", "unknown": 1})
    assert set(schema["properties"]) == set(Record.model_fields)


def test_the_reference_pages_name_every_field_and_format() -> None:
    docs = Path(__file__).resolve().parents[4] / "docs" / "reference"
    for name in ("data-format.md", "data-format.zh-CN.md"):
        text = (docs / name).read_text("utf-8")
        assert [field for field in Record.model_fields if f"`{field}`" not in text] == []
        assert [format for format in known_formats() if f"`{format}`" not in text] == []
        for block in text.split("```json\n")[1:]:
            for line in block.split("```")[0].strip().split("\n"):
                Record.model_validate(json.loads(line))


def _labelled(*answers: str) -> list[Record]:
    return [Record(id=f"r{n}", inputs={"q": f"q{n}"}, answers=(a,) if a else ()) for n, a in enumerate(answers)]


def test_labels_are_counted_by_kind_and_merged_only_by_hand(tmp_path: Path) -> None:
    records = _labelled(
        "是", "是", "是", "是 ", *["否"] * 8, "否", "否", "nan", "", "ＯＫ", "ok", "ok", "是; 否", "None"
    )
    checked = check_labels(records)
    assert {f.code for f in checked.findings} == {"E2255", "E2256", "E2162", "E2163"}
    assert checked.merges == {"是 ": "是", "ＯＫ": "ok"}
    assert [record.answer for record in records][3] == "是 "
    path = tmp_path / "merges.json"
    path.write_text(json.dumps(checked.merges), "utf-8")
    merged = merge_labels(records, read_merges(path))
    assert [record.answer for record in merged.records][3] == "是"
    assert (merged.step.touched, merged.step.counts) == (2, {"是 ": 1, "ＯＫ": 1})


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', "{", '{"a": "b", "b": "c"}'])
def test_merge_maps_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read_merges(tmp_path / "m.json")
    assert caught.value.code == "E2247"


def test_free_text_is_not_taken_for_labels_and_contradictions_are_listed() -> None:
    texts = [Record(id=str(n), inputs={"q": "same" if n < 2 else str(n)}, answers=(f"text {n}",)) for n in range(8)]
    assert [(f.code, f.rows) for f in check_labels(texts).findings] == [("E2264", ("0", "1"))]
