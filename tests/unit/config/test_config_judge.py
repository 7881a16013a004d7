"""The judge block: in task.yaml and in a file of its own, with every mistake named where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.config.judge import load_judge
from rung.core.errors import UsageError

KNOWN = ("professional", "specific", "practical")


def written(folder: Path, text: str) -> Path:
    path = folder / "judge.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_judge_may_stand_alone(tmp_path: Path) -> None:
    spec = load_judge(
        written(tmp_path, "judge:\n  model: smollm2-135m\n  dimensions: [practical]\n  scale: [bad, good]\n"),
        known=KNOWN,
    )
    assert (spec.model.kind, spec.model.id, spec.endpoint) == ("transformers", "smollm2-135m", False)
    assert (spec.dimensions, spec.scale, spec.language, spec.reference) == (
        {"practical": ""},
        ("bad", "good"),
        "en",
        True,
    )


def test_dimensions_may_have_definitions_and_the_model_all_fields_of_a_model(tmp_path: Path) -> None:
    text = (
        "judge:\n  language: zh\n  dimensions:\n    warm: 语气友好\n    specific:\n"
        "  model: {kind: openai, id: m, base_url: 'http://localhost:1/v1', api_key_env: KEY}\n"
    )
    text = text.replace("    specific:\n", "    specific: ''\n")
    spec = load_judge(written(tmp_path, text), known=KNOWN)
    assert spec.dimensions == {"warm": "语气友好", "specific": ""}
    assert spec.scale == ("1", "2", "3", "4", "5")
    assert (spec.endpoint, spec.language, spec.model.options["base_url"]) == (True, "zh", "http://localhost:1/v1")


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("judge:\n  model: m\n  dimensions: [warm]\n", "E4314", "judge.yaml:3"),
        ("judge:\n  model: m\n  scale: [good]\n", "E4315", "judge.yaml:3"),
        ("judge:\n  model: m\n  scale: [good, Good]\n", "E4315", "judge.yaml:3"),
        ("judge:\n  model: m\n  colour: red\n", "E1210", "judge.yaml:3"),
        ("judge:\n  dimensions: [practical]\n", "E4312", ""),
        ("judge:\n  model: m\n  language: fr\n", "E1213", "judge.yaml:3"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, code: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_judge(written(tmp_path, text), known=KNOWN)
    assert caught.value.code == code
    assert caught.value.problems[0].where.startswith(where)


def test_a_task_may_hold_its_judge(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("q,a\n" + "".join(f"q{i},a{i}\n" for i in range(20)), "utf-8")
    task = tmp_path / "task.yaml"
    text = "instruction: 请回答问题。\ninputs: [q]\noutput: {kind: text, column: a}\ndata: {examples: q.csv}\n"
    task.write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        load_judge(task, known=KNOWN)
    assert caught.value.code == "E4312"
    task.write_text(text + "judge: {model: smollm2-135m}\n", "utf-8")
    spec = load_judge(task, known=KNOWN)
    assert (spec.language, tuple(spec.dimensions)) == ("zh", KNOWN)


@pytest.mark.parametrize(("definition", "language"), [("语气友好，不吓人", "zh"), ("it does not alarm", "en")])
def test_a_judge_of_its_own_speaks_as_its_definitions_do(tmp_path: Path, definition: str, language: str) -> None:
    text = f"judge:\n  model: smollm2-135m\n  dimensions:\n    calm: {definition}\n"
    assert load_judge(written(tmp_path, text), known=KNOWN).language == language
