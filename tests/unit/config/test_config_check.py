"""Fields that are right alone and wrong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rung.config import check_columns, load_config
from rung.core.errors import UsageError

HEAD = "instruction: Decide.\ninputs: [text]\n"
DATA = "data: {examples: rows.csv}\n"
LABEL = "output: {kind: label, column: label}\n"


def codes(folder: Path, text: str) -> list[str]:
    (folder / "rows.csv").write_text("text,label\n", "utf-8")
    (folder / "task.yaml").write_text(text, "utf-8")
    lines: list[str] = []
    found: list[str] = []
    try:
        load_config(folder / "task.yaml")
    except UsageError as error:
        lines = [*error.lines("en"), *error.lines("zh")]
        found = [problem.code for problem in error.problems]
    assert not re.search(r"\{\w+\}", "\n".join(lines))
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HEAD + LABEL + DATA, []),
        (HEAD.replace("[text]", "[text, label]") + LABEL + DATA, ["E1224"]),
        (HEAD.replace("[text]", "[text, text]") + LABEL + DATA, ["E1225"]),
        (HEAD.replace("[text]", "[]") + LABEL + DATA, ["E1212"]),
        (HEAD + LABEL + "data: {examples: rows.csv, group: label}\n", ["E1224"]),
        (HEAD + LABEL + "data: {examples: rows.csv, document: doc}\n", ["E1236"]),
        (HEAD + LABEL + "data: {examples: rows.csv, test: rows.csv}\n", ["E1220"]),
        (HEAD + LABEL + "data: {train: rows.csv}\n", ["E1219"]),
        (HEAD + LABEL + "data: {}\n", ["E1219"]),
        (HEAD + LABEL + "data: {train: rows.csv, test: rows.csv}\n", []),
        (HEAD + LABEL + "data: {examples: rows.csv, dev_share: 0.5, test_share: 0.5}\n", ["E1221"]),
        (HEAD + LABEL + "data: {examples: rows.csv, encoding: utf9}\n", ["E1237"]),
        (HEAD + LABEL + "data: {examples: rows.csv, encoding: rot13}\n", ["E1237"]),
        (HEAD + LABEL + "data: {examples: rows.csv, encoding: GBK}\n", []),
        (HEAD + LABEL + DATA + "documents: guides\n", ["E2372"]),
        (HEAD + "output: {kind: label, column: label, labels: [one]}\n" + DATA, ["E1226"]),
        (HEAD + "output: {kind: label, column: label, labels: [a, b, 'a ']}\n" + DATA, ["E1225"]),
        (HEAD + "output: {kind: text, column: label, labels: [a, b]}\n" + DATA, ["E1229"]),
        (HEAD + "output: {kind: json, column: label}\n" + DATA, ["E1227"]),
        (HEAD + "output: {kind: json, column: label, json_schema: {type: thing}}\n" + DATA, ["E1228"]),
        (HEAD + "output: {kind: json, column: label, json_schema: {$ref: 'http://x/y'}}\n" + DATA, ["E1228"]),
        (HEAD + "output: {kind: json, column: label, json_schema: {type: object}}\n" + DATA, []),
        (HEAD + LABEL + DATA + "metrics: [accuracy, accuracy]\n", ["E1225"]),
        (HEAD + LABEL + DATA + "methods: [prompt, ragg]\n", ["E1230"]),
        (HEAD + LABEL + DATA + "methods: prompt\n", []),
        (HEAD + LABEL + DATA + "settings: {promt: {a: 1}}\n", ["E1230"]),
        (HEAD + LABEL + DATA + "settings: {prompt: 4}\n", ["E1215"]),
        (HEAD + LABEL + DATA + "encoder: minilmm\n", ["E1230"]),
        (HEAD + LABEL + DATA + "models: [{kind: linear, id: x}]\n", ["E1230"]),
        (HEAD + LABEL + DATA + "models: [{kind: openai}]\n", ["E1231", "E1231"]),
        (HEAD + LABEL + DATA + "models: [{kind: recorded, path: absent.jsonl}]\n", ["E1222"]),
        (HEAD + LABEL + DATA + "models: [{kind: recorded, path: .}]\n", ["E1222"]),
        (HEAD + LABEL + DATA + "models: [{path: rows.csv}]\n", ["E1223"]),
        (HEAD + LABEL + DATA + "models: [a, a]\n", ["E1234"]),
        (HEAD + LABEL + DATA + "models: []\n", ["E1212"]),
    ],
)
def test_fields_that_do_not_fit_together(tmp_path: Path, text: str, found: list[str]) -> None:
    assert codes(tmp_path, text) == found


def test_a_key_in_the_wrong_place_is_never_repeated(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n", "utf-8")
    models = "models: [{kind: openai, id: m, base_url: 'https://me:hunter2@host/v1', api_key_env: sk-0123456789}]\n"
    (tmp_path / "task.yaml").write_text(HEAD + LABEL + DATA + models, "utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path / "task.yaml")
    assert [problem.code for problem in caught.value.problems] == ["E1232", "E1233"]
    assert "sk-0123456789" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_columns_that_a_file_lacks_are_placed_and_guessed(tmp_path: Path) -> None:
    text = "instruction: Decide.\ninputs: [txt]\n" + LABEL + "data: {examples: rows.csv, id: number}\n"
    assert codes(tmp_path, text) == []
    config = load_config(tmp_path / "task.yaml")
    problems = check_columns(config, ["text", "label"], "rows.csv")
    assert [(p.code, p.where) for p in problems] == [
        ("E1240", "task.yaml:2 inputs.1"),
        ("E1240", "task.yaml:4 data.id"),
    ]
    assert "Did you mean 'text'?" in problems[0].message("en")
    assert check_columns(config, ["txt", "label", "number"], "rows.csv") == []
