"""Answers from a file: how they are found, and what becomes of lines that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import ask

from rung.core.errors import DataError
from rung.core.model import Completion, Failure, ModelRef
from rung.core.task import Example
from rung.models import recorded
from rung.models.recorded import RecordedModel


def write(path: Path, *lines: Any) -> Path:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


def said(model: RecordedModel, *questions: str) -> list[str]:
    return [completion.text for completion in model.generate([ask(question) for question in questions])]


def test_answers_are_found_by_the_text_of_the_question(tmp_path: Path) -> None:
    rows = [
        {"query": "Who  is\nit?", "answer": "Ann", "label": "gold"},
        {"question": "ＡＢＣ 多少？", "text": "三"},
        {"input": "n", "output": 7},
        {"inputs": {"title": "T", "note": "", "body": "B"}, "prediction": {"a": "是"}},
    ]
    model = RecordedModel(write(tmp_path / "a.jsonl", *rows))
    assert said(model, "Who is it?", "ABC 多少?", "n", "T\nB") == ["Ann", "三", "7", '{"a": "是"}']
    assert model.rejects == ()
    assert not model.capabilities.language_model


def test_the_fields_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"title": "T", "body": "B", "mine": "x", "answer": "gold"})
    model = RecordedModel(path, question=("title", "body"), answer="mine")
    assert said(model, "T\nB") == ["x"]
    assert said(RecordedModel.open(model.ref), "T\nB") == ["x"]


def test_recorded_failures_and_costs_are_kept() -> None:
    model = RecordedModel.from_rows(
        [
            {"query": "a", "failure": {"kind": "timeout", "message": "late"}, "seconds": 9},
            {"query": "b", "failure": "crashed"},
            {
                "query": "c",
                "answer": "",
                "tokens_in": 3,
                "tokens_out": 1,
                "seconds": 0.5,
                "money": 0.01,
                "served_by": "v1",
            },
        ]
    )
    late, crashed, costly = model.generate([ask("a"), ask("b"), ask("c")])
    assert (late.failure, late.seconds) == (Failure("timeout", "late"), 9.0)
    assert crashed.failure == Failure("error", "crashed")
    assert costly == Completion(tokens_in=3, tokens_out=1, seconds=0.5, money=0.01, served_by="v1")


def test_a_question_without_an_answer_is_a_failure() -> None:
    found, missing = RecordedModel.from_rows([{"query": "a", "answer": "1"}]).generate([ask("a"), ask("b")])
    assert found.text == "1"
    assert missing.failure is not None
    assert missing.failure.kind == "error"


BROKEN = [
    (b'{"query": "x", "ans', "not JSON"),
    (b'{"query": "x", "answer": "1"} {"query": "y"}', "Extra data at column 31"),
    (b'["a"]', "not a JSON object"),
    (b'{"query": "x"}', "neither an answer nor a failure"),
    (b'{"query": "x", "answer": null}', "neither an answer nor a failure"),
    (b'{"answer": "1"}', "neither a question nor an id"),
    (b'{"query": "\xff", "answer": "1"}', "not UTF-8"),
    (b'{"query": "x", "answer": NaN}', "NaN"),
    (b'{"query": "x", "query": "y", "answer": "1"}', "key is repeated"),
    (b'{"query": "x", "answer": "1", "seconds": -1}', "'seconds' is not a number"),
    (b'{"query": "x", "answer": "1", "seconds": true}', "'seconds' is not a number"),
    (b'{"query": "good", "answer": "other"}', "another answer to the same question"),
    (b'{"query": "x", "answer": ' + b"[" * 9999 + b"]" * 9999 + b"}", "nests deeper"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_a_broken_line_is_rejected_with_its_place_and_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    path = write(tmp_path / "a.jsonl", {"query": "good", "answer": "1"}, b"", line, {"query": "last", "answer": "2"})
    with pytest.warns(UserWarning, match="1 of the recorded answers"):
        model = RecordedModel(path)
    (reject,) = model.rejects
    assert reject.where == "a.jsonl:3"
    assert reason in reject.reason
    assert said(model, "good", "last") == ["1", "2"]


def test_an_endless_line_is_rejected_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "LONGEST_LINE", 100)
    path = write(tmp_path / "a.jsonl", {"query": "x", "answer": "y" * 350}, {"query": "q", "answer": "1"})
    with pytest.warns(UserWarning, match=r"a\.jsonl:1: the line is longer than 100 bytes"):
        model = RecordedModel(path)
    assert said(model, "q") == ["1"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert said(RecordedModel(write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"query": "q", "answer": "1"}')), "q") == ["1"]


def test_rows_known_by_id_are_found_once_the_examples_are_known(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": "e1", "answer": "one"}, {"id": 2, "answer": "two"})
    model = RecordedModel(path)
    examples = [Example("e1", {"q": "first"}, ()), Example("2", {"q": "second"}, ()), Example("e3", {"q": "third"}, ())]
    assert said(model, "first") == [""]
    assert said(model.for_examples(examples), "first", "second", "third") == ["one", "two", ""]
    assert said(model, "first") == [""]


def test_the_files_content_is_the_models_identity(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"query": "q", "answer": "1"})
    model = RecordedModel(path)
    ref = ModelRef.model_validate_json(model.ref.model_dump_json())
    assert said(RecordedModel.open(ref), "q") == ["1"]
    other = tmp_path / "packed"
    other.mkdir()
    path.rename(other / "a.jsonl")
    assert said(RecordedModel.open(ref, folder=other), "q") == ["1"]
    write(other / "a.jsonl", {"query": "q", "answer": "2"})
    with pytest.raises(DataError) as caught:
        RecordedModel.open(ref, folder=other)
    assert caught.value.code == "E2602"


def test_what_cannot_be_used_at_all_is_an_error(tmp_path: Path) -> None:
    for path, code in (
        (tmp_path / "absent.jsonl", "E2600"),
        (tmp_path, "E2600"),
        (write(tmp_path / "empty.jsonl"), "E2601"),
        (write(tmp_path / "wide.jsonl", '{"query": "q", "answer": "1"}'.encode("utf-16")), "E2601"),
    ):
        with pytest.raises(DataError) as caught:
            RecordedModel(path)
        assert caught.value.code == code
    with pytest.raises(DataError) as caught:
        RecordedModel.open(RecordedModel.from_rows([{"query": "q", "answer": "1"}]).ref)
    assert caught.value.code == "E2603"
