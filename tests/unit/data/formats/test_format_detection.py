"""Which format a file is in, what its columns mean, and what happens to rows that do not fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rung.core.errors import DataError, UsageError
from rung.data.formats.detect import detect
from rung.data.formats.read import read_records
from rung.data.rejects import TooManyRejects

USER, BOT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
SAMPLES: dict[str, dict[str, Any]] = {
    "rung": {"id": "1", "inputs": {"question": "q"}, "answers": ["a"]},
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    "openai": {"messages": [USER, BOT]},
    "openai-preference": {"input": {"messages": [USER]}, "preferred_output": [BOT], "non_preferred_output": [BOT]},
    "swift": {"messages": [USER, {"role": "tool_call", "content": "{}"}]},
    "swift-query": {"query": "q", "response": "a"},
    "trl": {"prompt": [USER], "completion": [BOT]},
    "trl-preference": {"prompt": "q", "chosen": "a", "rejected": "b"},
    "trl-text": {"text": "q"},
    "sentence-transformers": {"anchor": "q", "positive": "p", "negative": "n"},
    "bge": {"query": "q", "pos": ["p"], "neg": []},
    "sentence-pairs": {"sentence1": "a", "sentence2": "b", "score": 0.5},
    "label-studio": {"id": 1, "data": {"text": "q"}, "annotations": []},
    "doccano": {"id": 1, "text": "abc", "label": [[0, 1, "X"]]},
    "cluener": {"text": "abc", "label": {"name": {"a": [[0, 0]]}}},
    "spans": {"text": "abc", "spans": [{"start": 0, "end": 1, "type": "X"}]},
    "table": {"question": "q", "answer": "a"},
}


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("format", SAMPLES)
def test_every_format_is_told_by_its_rows(format: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.jsonl", [SAMPLES[format]] * 4)
    found = detect(path)
    assert (found.format, found.sure, len(found.rows)) == (format, True, 3)
    assert found.why.message("en")
    assert found.why.message("zh")


def test_a_file_of_two_formats_is_a_guess(tmp_path: Path) -> None:
    found = detect(_write(tmp_path / "a.jsonl", [SAMPLES["alpaca"]] * 9 + [SAMPLES["openai"]]))
    assert (found.format, found.sure) == ("alpaca", False)


def test_columns_without_a_telling_name_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,1\n1,1\n1,1\n", "utf-8")
    with pytest.raises(DataError) as caught:
        detect(path)
    assert caught.value.code == "E2232"
    found = detect(path, mapping={"question": "a", "answer": "b"})
    assert dict(found.mapping) == {"inputs.question": "a", "answers": "b"}


def test_a_mapping_to_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", [SAMPLES["table"]])
    with pytest.raises(UsageError) as caught:
        read_records(path, mapping={"answer": "nope"})
    assert caught.value.code == "E2233"


def test_fields_about_a_row_can_be_mapped_in_any_format(tmp_path: Path) -> None:
    rows = [{**SAMPLES["alpaca"], "customer": 7, "part": "validation", "who": "anna"}]
    read = read_records(
        _write(tmp_path / "a.jsonl", rows), mapping={"group": "customer", "split": "part", "subject": "who"}
    )
    record = read.records[0]
    assert (record.group, record.split, record.subject) == ("7", "dev", "anna")


def test_one_bad_row_of_many_is_rejected_with_line_and_field(tmp_path: Path) -> None:
    rows: list[Any] = [{**SAMPLES["openai"], "n": n} for n in range(500)]
    rows[200] = '{"messages": [{"role": "user", "content": "q"'
    rows[300] = {"messages": [{"role": "robot", "content": "q"}]}
    rows[301] = "[" * 100_000
    read = read_records(_write(tmp_path / "a.jsonl", rows))
    assert [(reject.line, reject.code, reject.column) for reject in read.rejects] == [
        (201, "E2206", ""),
        (301, "E2230", "role"),
        (302, "E2207", ""),
    ]
    assert len(read.records) + len(read.rejects) == 500
    assert all(reject.problem.message(language) for reject in read.rejects for language in ("en", "zh"))


def test_above_the_limit_nothing_is_imported(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", [SAMPLES["alpaca"]] * 9 + [{"instruction": "", "output": "a"}])
    with pytest.raises(TooManyRejects) as caught:
        read_records(path)
    assert [reject.code for reject in caught.value.rejects] == ["E2220"]
    assert len(read_records(path, max_bad_ratio=0.1).records) == 9


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "E2230"),
        ({"messages": "hello"}, "E2230"),
        ({"messages": [USER], "rung": 1}, "E2243"),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "E2203"),
        ({"messages": [USER], "tools": "[{"}, "E2230"),
    ],
)
def test_rows_that_do_not_fit_say_why(row: dict[str, Any], code: str, tmp_path: Path) -> None:
    read = read_records(_write(tmp_path / "a.jsonl", [SAMPLES["openai"], row]), format="openai", max_bad_ratio=1)
    assert [reject.code for reject in read.rejects] == [code]


def test_spans_that_lie_elsewhere_are_rejected(tmp_path: Path) -> None:
    rows = [
        SAMPLES["cluener"],
        {"text": "abc", "label": {"name": {"x": [[0, 0]]}}},
        {"text": "a", "label": {"n": {"a": [[0, 5]]}}},
    ]
    read = read_records(_write(tmp_path / "a.jsonl", rows), format="cluener", max_bad_ratio=1)
    assert [reject.code for reject in read.rejects] == ["E2239", "E2239"]


def test_ids_that_repeat_are_listed_or_the_first_is_kept(tmp_path: Path) -> None:
    rows = [{"id": n % 30, "question": f"q{n}", "answer": "a"} for n in range(60)]
    path = _write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError) as caught:
        read_records(path)
    text = str(caught.value)
    assert caught.value.code == "E2241"
    assert "30 ids" in text
    assert text.count("(lines") == 20
    read = read_records(path, dedupe="keep-first")
    assert [record.inputs["question"] for record in read.records] == [f"q{n}" for n in range(30)]
    assert [finding.values["n"] for finding in read.findings if finding.code == "E2257"] == [30]
    assert [finding.values["differing"] for finding in read.findings if finding.code == "E2257"] == [30]
    left_out = [(reject.line, reject.code, reject.values["first"]) for reject in read.rejects]
    assert left_out == [(n, "E2212", n - 30) for n in range(31, 61)]
    assert json.loads(read.rejects[0].raw)["question"] == "q30"
    twins = _write(tmp_path / "b.jsonl", [{"id": "a", "question": "q", "answer": "a"}] * 3)
    assert read_records(twins, dedupe="keep-first").findings[0].values["differing"] == 0


def test_ids_that_are_personal_are_starred_out(tmp_path: Path) -> None:
    rows = [{"id": "13812345678", "question": f"q{n}", "answer": "a"} for n in range(2)]
    with pytest.raises(DataError) as caught:
        read_records(_write(tmp_path / "a.jsonl", rows))
    assert "13812345678" not in str(caught.value)


def test_a_file_without_a_usable_row_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{broken\n" * 3, "utf-8")
    with pytest.raises(TooManyRejects) as caught:
        detect(path)
    assert [problem.code for problem in caught.value.problems] == ["E2122", "E2206", "E2206", "E2206"]


def test_encoding_and_dialect_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("问题;答案\n" + "押金什么时候退还给租客？;退款\n" * 20).encode("gb18030"))
    found = detect(path)
    assert (found.dialect, found.encoding) == ("csv, semicolon", "gb18030")
    path.write_bytes(("问题,答案\n" + "押金什么时候退还？,退款\n" * 300).encode() + "混入一行,退款\n".encode("gbk"))
    assert "E2281" in {finding.code for finding in read_records(path).findings}


def test_rows_that_ask_nothing_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [{"question": "" if n == 3 else f"q{n}", "answer": "a"} for n in range(10)]
    path = _write(tmp_path / "a.jsonl", rows)
    with pytest.raises(TooManyRejects):
        read_records(path)
    read = read_records(path, empty=True)
    assert [record.question for record in read.records] == [row["question"] for row in rows]


def test_rows_without_ids_are_named_after_what_they_say(tmp_path: Path) -> None:
    first = read_records(_write(tmp_path / "a.jsonl", [SAMPLES["openai"], SAMPLES["table"] | {"messages": [USER]}]))
    turned = read_records(_write(tmp_path / "b.jsonl", [SAMPLES["table"] | {"messages": [USER]}, SAMPLES["openai"]]))
    twice = read_records(_write(tmp_path / "c.jsonl", [SAMPLES["alpaca"]] * 2))
    assert {record.id for record in first.records} == {record.id for record in turned.records}
    assert twice.records[1].id == f"{twice.records[0].id}~2"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
def test_chinese_tables_in_other_encodings(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    lines = ["问题,标签", *(f"第{n}个包裹什么时候能送到我这里，请尽快查询物流情况,物流" for n in range(40))]
    path.write_bytes(gzip.compress("\n".join(lines).encode(encoding)))
    read = read_records(path)
    assert dict(read.mapping) == {"inputs.问题": "问题", "answers": "标签"}
    assert read.records[3].inputs["问题"].startswith("第3个包裹")
    assert read.source.encoding == {"utf-8-sig": "utf-8-sig"}.get(encoding, encoding)


def test_label_studio_annotators_who_differ_leave_the_answer_open(tmp_path: Path) -> None:
    def said(who: int, choice: str, **more: Any) -> dict[str, Any]:
        value = {"type": "choices", "from_name": "c", "to_name": "text", "value": {"choices": [choice]}}
        return {"completed_by": who, "result": [value], **more}

    rows = [
        {"id": 1, "data": {"text": "a"}, "annotations": [said(1, "x"), said(2, "x")]},
        {"id": 2, "data": {"text": "b"}, "annotations": [said(1, "x"), said(2, "y")]},
        {"id": 3, "data": {"text": "c"}, "annotations": [said(1, "x"), said(2, "y", ground_truth=True)]},
        {"id": 4, "data": {"text": "d"}, "annotations": [said(1, "x", was_cancelled=True)]},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows), "utf-8")
    agreed, differ, decided, cancelled = read_records(path).records
    assert agreed.answers == ("x",)
    assert (differ.answers, differ.labelled) == ((), {"1": "x", "2": "y"})
    assert decided.answers == ("y",)
    assert cancelled.answers == ()


def test_label_studio_offsets_in_utf16_units_are_put_right(tmp_path: Path) -> None:
    value = {"start": 3, "end": 5, "text": "Bo", "labels": ["P"]}
    result = {"type": "labels", "from_name": "l", "to_name": "text", "value": value}
    rows = [{"data": {"text": "😀 Bo"}, "annotations": [{"result": [result]}]}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows), "utf-8")
    read = read_records(path)
    assert [(span.start, span.end) for span in read.records[0].spans] == [(2, 4)]
    assert not [finding for finding in read.findings if finding.code == "E2252"]


def test_a_folder_of_nothing_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        detect(tmp_path)
    assert caught.value.code == "E2240"


def test_several_data_sets_in_one_folder_are_asked_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps([SAMPLES["alpaca"]]), "utf-8")
    info = {name: {"file_name": f"{name}.json"} for name in ("a", "b")} | {"out": {"file_name": "../secret.json"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), "utf-8")
    with pytest.raises(UsageError) as caught:
        read_records(tmp_path)
    assert caught.value.code == "E2244"
    assert "a, b" in str(caught.value)
    assert len(read_records(tmp_path, mapping={"dataset": "b"}).records) == 1
    with pytest.raises(UsageError):
        read_records(tmp_path, mapping={"dataset": "out"})
