"""output.steps and output.shown of task.yaml: strict, every mistake with its line, and part of the Task."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.config import load_config, to_task
from rung.config.schema import field_docs
from rung.core.errors import UsageError
from rung.core.task import StepRef

HEAD = """\
name: desk
instruction: Answer the question.
inputs: [question]
output:
  kind: {kind}
  column: answer
"""
TAIL = """\
data:
  examples: rows.csv
"""


def task_file(folder: Path, lines: str, kind: str = "text") -> Path:
    (folder / "rows.csv").write_text("question,answer\na,b\n", "utf-8")
    path = folder / "task.yaml"
    path.write_text(HEAD.format(kind=kind) + lines + TAIL, "utf-8")
    return path


def test_steps_become_part_of_the_task_with_their_arguments(tmp_path: Path) -> None:
    config = load_config(
        task_file(
            tmp_path,
            "  steps:\n    - mask_personal\n    - {name: forbidden, terms: [no, 01], action: mask}\n"
            "  shown:\n    - {name: disclaimer, text: No advice.}\n    - ai_mark\n",
        )
    )
    output = to_task(config).output
    assert output.steps == (
        StepRef(name="mask_personal"),
        StepRef(name="forbidden", arguments={"terms": ["no", "01"], "action": "mask"}),
    )
    assert output.shown == (
        StepRef(name="disclaimer", arguments={"sentence": "No advice."}),
        StepRef(name="ai_mark", arguments={"language": "en"}),
    )
    assert output.safe == "I cannot answer that."
    assert to_task(load_config(task_file(tmp_path, ""))).output.safe == ""


@pytest.mark.parametrize(
    ("lines", "line", "code"),
    [
        ("  steps: [nonsense]\n", 7, "E7101"),
        ("  steps:\n    - {name: mask_personal, terms: [x]}\n", 8, "E7102"),
        ("  steps:\n    - forbidden\n", 8, "E7103"),
        ("  steps:\n    - mask_personal\n    - {name: disclaimer, text: x}\n", 9, "E7104"),
        ("  steps:\n    - strip_marks\n", 8, "E7105"),
        ("  shown:\n    - {name: label_map, mapping: {a: b}}\n", 8, "E7106"),
        ("  safe_message: Sorry.\n", 7, "E7109"),
        ("  steps:\n    - name: forbidden\n      patterns:\n        - a\n        - '('\n", 11, "E7100"),
        ("  steps:\n    - {name: mask_personal, kinds: [shoe_size]}\n", 8, "E2910"),
        ("  steps:\n    - {name: limit_length, wrds: 5}\n", 8, "E1210"),
        ("  steps:\n    - {name: forbidden, terms: x, action: shout}\n", 8, "E1213"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, lines: str, line: int, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(task_file(tmp_path, lines))
    told = {problem.code: problem for problem in caught.value.problems}
    assert code in told, list(told)
    assert told[code].where.startswith(f"task.yaml:{line} output.")
    for language in ("en", "zh"):
        assert "{" not in told[code].message(language) + told[code].hint(language)


def test_labels_of_a_map_are_checked(tmp_path: Path) -> None:
    lines = "  labels: [rent, deposit]\n  shown:\n    - {name: label_map, mapping: {rent: R1, repairs: X}}\n"
    with pytest.raises(UsageError) as caught:
        load_config(task_file(tmp_path, lines, kind="label"))
    assert [problem.code for problem in caught.value.problems] == ["E7107", "E7108"]


def test_every_field_of_a_step_is_documented() -> None:
    for language in ("en", "zh"):
        docs = field_docs(language)  # type: ignore[arg-type]
        assert docs["output.steps.terms"]
        assert docs["serving.auto_promote"]
