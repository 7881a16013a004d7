"""A whole run whose model OpenVINO answers: tuned by transformers, evaluated and opened again from the merged weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_task import QUESTIONS, write_task
from tiny_llama import write_model

import rung
from rung.core.answer import answer_many, open_candidate
from rung.core.task import Example
from rung.models.openvino_local import OpenVINOModel
from rung.store.runs import RunFolder

pytest.importorskip("openvino_genai", reason="openvino-genai is not installed (rung[openvino])")


@pytest.mark.slow
def test_what_openvino_answered_in_the_run_is_what_it_answers_when_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    write_model(tmp_path / "base")
    task = write_task(
        tmp_path,
        models=[{"kind": "openvino", "path": "base", "precision": "f16"}],
        methods=["prompt", "fine_tune"],
        settings={"fine_tune": {"epochs": 1, "batch_size": 8, "micro_tokens": 256}},
        budget={"probe": False, "aftermath": False},
    )
    result = rung.run(task)
    run = RunFolder(result.path)
    tuned = {id: found for id in run.candidates() if (found := run.read_candidate(id)).adapter is not None}
    assert len(tuned) == 1
    ((id, candidate),) = tuned.items()
    assert candidate.model.kind == "openvino"
    assert candidate.model.engine.startswith("openvino-20")
    assert (candidate.model.precision, bool(candidate.model.weights)) == ("f16", True)
    opened = open_candidate(candidate, run.candidate_folder(id), run.indexes)
    assert isinstance(opened.model, OpenVINOModel)
    evaluation = run.read_evaluation(id, "dev")
    assert evaluation is not None
    asked = {row.answer.example: row.answer.text for row in evaluation.rows}
    examples = [Example(f"q{n:03}", {"question": question}, ()) for n, question in enumerate(QUESTIONS)]
    again = answer_many(opened, [example for example in examples if example.id in asked])
    assert {answer.example: answer.text for answer in again} == asked
    # The base and the merged weights, each with its own file.
    assert (
        len([path for path in (tmp_path / "cache").iterdir() if path.is_dir() and path.name.startswith("openvino-")])
        == 2
    )
