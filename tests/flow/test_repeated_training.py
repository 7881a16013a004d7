"""Seeds, a search and a trial that is stopped, with real training processes on a tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from small_fit import Notebook, fit, task
from tiny_llama import write_model

from rung.core.answer import answer_many, open_candidate
from rung.core.method import Budget
from rung.methods.named import method_named
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.trainings import RowCourse, Trainings
from rung.methods.tuning import open_for
from rung.methods.watching import Moment, Stopped
from rung.models.transformers_local import TransformersModel
from rung.training.rows import render_rows
from rung.training.settings import TrainSettings
from rung.training.work import Job

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TransformersModel:
    base = write_model(tmp_path_factory.mktemp("base") / "tiny", max_position_embeddings=512)
    return TransformersModel(str(base), precision="fp32", device="cpu")


def test_a_search_and_two_seeds_end_in_one_candidate_that_answers(tmp_path: Path, model: TransformersModel) -> None:
    data = fit(tmp_path, asked=task("label"), n=16)
    data.folder.mkdir()
    hints = {"rank": 2, "epochs": 2.0, "evaluations": 2, "seeds": 2}
    hints["search"] = {"trials": 2, "learning_rate": [1e-4, 1e-2], "rank": [2, 4]}
    notebook = Notebook()
    made = method_named("fine_tune").adapt(replace(data, hints=hints), model, Budget(notebook))
    assert made.adapter is not None
    notes = notebook.notes
    assert [trial["state"] for trial in notes["search"]["trials"]] == ["done", "done"]
    assert [seed["seed"] for seed in notes["seeds"]] == [0, 1]
    assert notes["training"]["best_dev"] == max(seed["best_dev"] for seed in notes["seeds"])
    assert {"rate", "dev_loss"} <= set(notes["curve"][-1])
    job = json.loads((data.folder / "training" / "job.json").read_text("utf-8"))
    best = notes["search"]["trials"][notes["search"]["best"]]["values"]
    assert job["settings"]["learning_rate"] == pytest.approx(best["learning_rate"])
    assert not (data.folder / "search").exists()
    answers = answer_many(open_candidate(made, data.folder, tmp_path / "indexes"), data.dev[:2])
    assert [answer.failure for answer in answers] == [None, None]


def test_a_trial_that_is_stopped_leaves_no_process_and_can_go_on(tmp_path: Path, model: TransformersModel) -> None:
    data = fit(tmp_path, asked=task("label"), n=16)
    data.folder.mkdir()
    candidate = new_candidate(data, model, "fine_tune", prompt_slot(data.task, layout="compact"))
    opened = open_for(data, candidate, model)
    rows, dev = render_rows(opened, data.train), render_rows(opened, data.dev)
    settings = TrainSettings(rank=2, epochs=50.0, batch_size=4, evaluations=50, patience=0)
    course = RowCourse(Job(model.ref, candidate, data.task, settings), rows, dev)
    trainings = Trainings(data.folder, course, Budget(Notebook()))
    seen: list[Moment] = []

    def watch(moment: Moment) -> None:
        seen.append(moment)
        if moment.dev is not None:
            raise Stopped

    with pytest.raises(Stopped):
        trainings.one(data.folder / "training", settings, watch=watch)
    assert seen[-1].memory_gib
    assert [child for child in psutil.Process().children() if "rung.training.runner" in " ".join(child.cmdline())] == []
    assert list((data.folder / "training" / "checkpoints").glob("step-*"))
    seen.clear()
    shorter = replace(settings, max_seconds=1.0)
    result = trainings.one(data.folder / "training", shorter, watch=seen.append).result
    assert result.step > 1
    assert result.stopped == "budget"
