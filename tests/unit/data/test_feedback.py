"""Pairs, thumbs and dialogues from files and data sets: read to the last turn, and never taken for right answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rung.core.errors import DataError, UsageError
from rung.core.task import Example, Turn
from rung.data.feedback import check_feedback, demand_feedback
from rung.data.fields import ReadSpec, read_thumb
from rung.data.read import read_examples
from rung.data.record import Record
from rung.data.record import Turn as Message
from rung.data.rejects import BadRow
from rung.experiment.plan import fit_data
from rung.experiment.setup import prepare
from rung.store.runs import RunFolder

CHAT = ReadSpec(("question",), "answer", "text", messages="messages", max_bad_ratio=1)
PAIRS = ReadSpec(("question",), "good", "text", rejected="bad", max_bad_ratio=1)
DIALOGUE = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What deposit?"},
    {"role": "assistant", "content": "A flat or a room?"},
    {"role": "user", "content": "A room."},
    {"role": "assistant", "content": "Two weeks' rent."},
]
HISTORY = (Turn("user", "What deposit?"), Turn("assistant", "A flat or a room?"))


def saved(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_a_dialogue_gives_question_answer_and_history(tmp_path: Path) -> None:
    found = read_examples(saved(tmp_path, [{"messages": DIALOGUE}]), CHAT)
    (example,) = found.examples
    assert (example.inputs, example.references, example.history) == (
        {"question": "A room."},
        ("Two weeks' rent.",),
        HISTORY,
    )
    assert [(f.code, f.values["n"]) for f in found.findings] == [("E2836", 1)]


def test_sharegpt_pairs_are_read_as_they_are(tmp_path: Path) -> None:
    said = [{"from": "human", "value": "还租吗？"}]
    rows = [
        {
            "conversations": said,
            "chosen": {"from": "gpt", "value": "还。"},
            "rejected": {"from": "gpt", "value": "不。"},
        }
    ]
    spec = replace(CHAT, messages="conversations", answer="chosen", rejected="rejected")
    (example,) = read_examples(saved(tmp_path, rows), spec).examples
    assert (example.text, example.references, example.rejected, example.history) == (
        "还租吗？",
        ("还。",),
        ("不。",),
        (),
    )


def test_dialogues_that_cannot_be_used_are_rejected_with_their_reason(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"messages": DIALOGUE},
        {"messages": "no list"},
        {"messages": []},
        {"messages": [{"role": "wizard", "content": "?"}]},
        {"messages": [{"role": "assistant", "content": "Hello."}]},
        {"messages": DIALOGUE[:2]},
    ]
    found = read_examples(saved(tmp_path, rows), CHAT)
    assert [(r.line, r.code) for r in found.rejects] == [
        (2, "E2230"),
        (3, "E2230"),
        (4, "E2230"),
        (5, "E2837"),
        (6, "E2210"),
    ]


def test_dialogues_that_end_alike_are_no_copies_of_each_other(tmp_path: Path) -> None:
    other = [{"role": "user", "content": "May I keep a dog?"}, *DIALOGUE[2:4], {"role": "assistant", "content": "No."}]
    found = read_examples(saved(tmp_path, [{"messages": DIALOGUE}, {"messages": other}]), CHAT)
    assert len({example.id for example in found.examples}) == 2
    assert not any("~" in example.id for example in found.examples)


@pytest.mark.parametrize("last", ["Yes.", "yes.", " ＹＥＳ. "])
def test_a_pair_of_equal_answers_is_dropped_and_counted_and_its_row_stays(tmp_path: Path, last: str) -> None:
    rows = [{"question": "a?", "good": "Yes.", "bad": "No."}, {"question": "b?", "good": "Yes.", "bad": last}]
    found = read_examples(saved(tmp_path, rows), PAIRS)
    assert [example.rejected for example in found.examples] == [("No.",), ()]
    (finding,) = found.findings
    assert (finding.code, finding.values, finding.rows) == ("E2830", {"n": 1, "left": 1}, (found.examples[1].id,))


def test_pairs_that_are_all_equal_are_refused_by_name() -> None:
    told = check_feedback([Example("e", {"q": "?"}, ("Yes",), rejected=("yes",))])
    with pytest.raises(DataError, match=r"of 1 rows, 1 have a worse answer in 'bad'"):
        demand_feedback(told.examples, told.findings, pairs="bad")
    assert demand_feedback([Example("e", {"q": "?"}, ("Yes",))], ()) == ()


@pytest.mark.parametrize(
    ("value", "thumb"),
    [(True, True), (0, False), ("赞", True), ("踩", False), ("Yes", True), ("", None), (None, None), (-1, False)],
)
def test_thumbs(value: Any, thumb: bool | None) -> None:
    assert read_thumb(value, "liked") is thumb


def test_a_thumb_that_is_neither_is_a_bad_row() -> None:
    with pytest.raises(BadRow) as error:
        read_thumb("perhaps", "liked")
    assert error.value.code == "E2832"


FULL = Example(
    "e", {"question": "A room."}, ("Two weeks' rent.",), "g", ("d",), ("Four weeks.",), True, HISTORY
)  # fmt: skip


def test_records_and_run_folders_keep_them(tmp_path: Path) -> None:
    assert Record.from_example(FULL).to_example() == FULL
    run = RunFolder(tmp_path)
    run.write_examples({"train": [FULL, replace(FULL, id="plain", rejected=(), liked=None, history=())]})
    assert run.read_examples("train")[0] == FULL
    lines = [json.loads(line) for line in (tmp_path / "examples.jsonl").read_text("utf-8").splitlines()]
    assert set(lines[0]) - set(lines[1]) == {"rejected", "liked", "history"}


def test_calls_of_tools_stay_in_the_history() -> None:
    call = {"function": {"name": "find", "arguments": "{}"}}
    record = Record(
        id="r",
        messages=(
            Message(role="user", content="Find it."),
            Message(role="assistant", content="", calls=(call,)),
            Message(role="tool", content="found: 3"),
            Message(role="assistant", content="There are 3."),
        ),
    )
    example = record.to_example(("question",))
    assert (example.text, example.references) == ("found: 3", ("There are 3.",))
    assert [turn.role for turn in example.history] == ["user", "assistant"]
    assert "find" in example.history[1].text


TASK = """
instruction: Answer.
inputs: [question]
output: {{kind: text, column: answer{output}}}
data: {{examples: rows.jsonl{data}}}
"""


def task(folder: Path, rows: list[dict[str, Any]], output: str = "", data: str = "") -> Path:
    saved(folder, rows)
    (folder / "task.yaml").write_text(TASK.format(output=output, data=data), "utf-8")
    return folder / "task.yaml"


def thumbed(n: int) -> list[dict[str, Any]]:
    words = ("oven", "sink", "lamp", "kettle", "tap", "shelf", "window", "door", "bed", "stove")
    return [
        {
            "question": f"What about the {words[i % 10]} of house {i}{words[i // 10]}?",
            "answer": f"a{i}",
            "up": i % 3 > 0,
        }
        for i in range(n)
    ]


def test_disliked_rows_are_in_no_split_and_never_ask_what_dev_or_test_asks(tmp_path: Path) -> None:
    rows = thumbed(60)
    first = prepare(task(tmp_path, rows, ", liked: up"))
    assert not any(example.liked is False for example in first.every)
    assert len(first.disliked.kept) == 20
    asked = first.examples["test"][0].text
    again = prepare(task(tmp_path, [*rows, {"question": asked, "answer": "nonsense", "up": False}], ", liked: up"))
    assert len(again.disliked.left_out) == 1
    assert asked not in {example.text for example in again.disliked.kept}
    fit = fit_data(again, tmp_path, tmp_path, "prompt")
    assert fit.disliked == again.disliked.kept
    assert all(example.liked for example in fit.train)
    assert first.hash != prepare(task(tmp_path, [row for row in rows if row["up"]], ", liked: up")).hash


def test_thumbs_that_are_all_down_leave_nothing_to_test_with(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        prepare(task(tmp_path, [row | {"up": False} for row in thumbed(20)], ", liked: up"))
    assert error.value.code == "E2834"


def test_columns_of_a_dialogue_need_not_be_there_but_a_named_one_must(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": "x"}]}
        for row in thumbed(20)
    ]
    assert len(prepare(task(tmp_path, rows, data=", messages: messages")).every) == 20
    with pytest.raises(UsageError) as error:
        prepare(task(tmp_path, rows, output=", rejected: worse", data=", messages: messages"))
    assert error.value.code == "E1240"


def test_a_dialogue_is_one_input(tmp_path: Path) -> None:
    path = task(tmp_path, thumbed(20), data=", messages: question")
    path.write_text(path.read_text("utf-8").replace("[question]", "[question, house]"), "utf-8")
    with pytest.raises(UsageError) as error:
        prepare(path)
    assert "E1238" in {problem.code for problem in error.value.problems}


def test_a_task_without_any_of_this_keeps_the_name_of_its_runs(tmp_path: Path) -> None:
    lines = [f"Question {n} about {'rent' if n % 2 else 'keys'} in house {n * 7}?,{'ab'[n % 2]}\n" for n in range(40)]
    (tmp_path / "rows.csv").write_text("question,kind\n" + "".join(lines), "utf-8")
    text = "name: t\ninstruction: Say which kind.\ninputs: question\noutput: {kind: label, column: kind}\ndata: {examples: rows.csv}\n"
    (tmp_path / "task.yaml").write_text(text, "utf-8")
    prepared = prepare(tmp_path / "task.yaml")
    assert (prepared.hash, prepared.splits.train.hash) == ("53dd7ea9", "0316ba530082ae72")
