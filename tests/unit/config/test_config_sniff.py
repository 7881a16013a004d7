"""propose_config: the roles and the kind of answer are read off the rows, and what it writes loads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rung.config import Config, load_config, propose_config
from rung.core.errors import UsageError


def proposed(
    folder: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], documents: bool = False
) -> Config:
    (folder / "rows.csv").write_text("", "utf-8")
    (folder / "documents").mkdir(exist_ok=True)
    text = propose_config(columns, rows, "documents" if documents else None, "rows.csv")
    (folder / "task.yaml").write_text(text, "utf-8")
    return load_config(folder / "task.yaml")


def test_labels_are_recognised_with_their_metrics(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": f"message {n} about cards", "category": f"c{n % 7}"} for n in range(60)]
    config = proposed(tmp_path, ["id", "text", "category"], rows)
    assert (config.inputs, config.output.column, config.output.kind) == (("text",), "category", "label")
    assert (config.data.id, config.metrics, config.language) == ("id", ("accuracy", "macro_f1"), "en")


def test_column_names_need_not_be_known(tmp_path: Path) -> None:
    rows = [{"a": f"a longer sentence, number {n}", "b": random.Random(n).choice(["1", "2", "3"])} for n in range(50)]
    config = proposed(tmp_path, ["b", "a"], rows)
    assert (config.inputs, config.output.column, config.output.kind) == (("a",), "b", "label")


def test_a_date_is_no_label(tmp_path: Path) -> None:
    rows = [{"问题": f"第{n}个问题是什么？", "队列": f"q{n % 3}", "日期": f"2026-0{1 + n % 4}-01"} for n in range(60)]
    config = proposed(tmp_path, ["问题", "队列", "日期"], rows)
    assert (config.inputs, config.output.column, config.output.kind) == (("问题",), "队列", "label")


def test_chinese_questions_over_documents(tmp_path: Path) -> None:
    rows = [
        {
            "编号": n,
            "问题": f"第{n}个问题是什么？",
            "答案": "文档中没有说明。" if n % 10 == 0 else f"第{n}条",
            "文档": "a.md",
            "主题": "租金",
        }
        for n in range(40)
    ]
    config = proposed(tmp_path, ["编号", "问题", "答案", "文档", "主题"], rows, documents=True)
    assert (config.inputs, config.output.column, config.output.kind) == (("问题",), "答案", "text")
    assert (config.language, config.data.id, config.data.document) == ("zh", "编号", "文档")
    assert config.output.abstain == "文档中没有说明。"
    assert config.output.abstain in config.instruction
    assert config.documents == "documents"


def test_json_answers_get_a_schema_that_fits_them(tmp_path: Path) -> None:
    rows = [{"text": f"order {n}", "output": {"item": "pen", "count": n}} for n in range(20)]
    rows.append({"text": "order x", "output": '{"item": null}'})
    config = proposed(tmp_path, ["text", "output"], rows)
    assert config.output.kind == "json"
    assert config.output.json_schema == {
        "type": "object",
        "properties": {"item": {"type": ["null", "string"]}, "count": {"type": "integer"}},
        "required": ["item"],
    }


def test_long_answers_get_room(tmp_path: Path) -> None:
    rows = [{"question": f"why {n}?", "answer": f"because {n} " * 40} for n in range(20)]
    config = proposed(tmp_path, ["question", "answer"], rows)
    assert (config.output.kind, config.output.max_tokens) == ("text", 256)


@pytest.mark.parametrize(
    "name", ["a: b", "#x", "null", "-", "x\u2028y", '"', "it's", "列 一", "no", "1", "{a}", "\x85"]
)
def test_any_column_name_survives_the_writing(tmp_path: Path, name: str) -> None:
    rows = [{name: f"some text {n}", "label": "ab"[n % 2]} for n in range(20)]
    assert proposed(tmp_path, [name, "label"], rows).inputs == (name,)


def test_one_column_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        propose_config(["text", "empty"], [{"text": "a", "empty": " "}], None, "rows.csv")
    assert caught.value.code == "E1241"


def test_a_worse_answer_and_a_thumb_are_named(tmp_path: Path) -> None:
    rows = [
        {"question": f"How long is lease {n}?", "answer": f"{n} months", "rejected": f"{n} years", "thumbs up": "yes"}
        for n in range(20)
    ]
    config = proposed(tmp_path, ["question", "answer", "rejected", "thumbs up"], rows)
    assert (config.inputs, config.output.column) == (("question",), "answer")
    assert (config.output.rejected, config.output.liked) == ("rejected", "thumbs up")


@pytest.mark.parametrize("written", [list, json.dumps])
@pytest.mark.parametrize(("role", "content"), [("role", "content"), ("from", "value")])
def test_dialogues_are_seen_in_either_form_and_their_column_is_no_group(
    tmp_path: Path, written: Callable[[Any], Any], role: str, content: str
) -> None:
    rows = [
        {
            "conversation": written(
                [{role: "user", content: f"押金什么时候退？{n}"}, {role: "assistant", content: "三十天内。"}]
            ),
            "customer": f"c{n}",
        }
        for n in range(20)
    ]
    config = proposed(tmp_path, ["conversation", "customer"], rows)
    assert (config.data.messages, config.data.group) == ("conversation", "customer")
    assert (config.inputs, config.output.kind, config.language) == (("question",), "text", "zh")
