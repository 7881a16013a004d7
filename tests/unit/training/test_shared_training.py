"""A training that two processes share, from the job folder to the published adapter."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from small_fit import Notebook, fit, task
from tiny_llama import write_model

from rung.core.method import Budget
from rung.methods.named import method_named
from rung.models.transformers_local import TransformersModel


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("label", {}),
        pytest.param("label", {"sharded": True}, marks=pytest.mark.slow),
        pytest.param("text", {"sharded": True, "adapter": "full"}, marks=pytest.mark.slow),
    ],
    ids=["summed", "sharded", "sharded, all weights, written answers"],
)
def test_two_processes_publish_what_one_would(kind, more, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    base = write_model(tmp_path / "tiny", max_position_embeddings=512)
    curves, best = {}, {}
    for processes in (1, 2):
        model = TransformersModel(str(base), precision="fp32", device="cpu")
        data = fit(tmp_path / str(processes), asked=task(kind), n=24)
        data.folder.mkdir(parents=True)
        hints = {"rank": 2, "epochs": 2.0, "evaluations": 3, "micro_tokens": 64, "patience": 0, "learning_rate": 0.01}
        hints |= more if processes > 1 else {key: value for key, value in more.items() if key != "sharded"}
        notebook = Notebook()
        made = method_named("fine_tune").adapt(replace(data, hints=hints), model, Budget(notebook, processes=processes))
        job = json.loads((data.folder / "training" / "job.json").read_text())
        assert (job["processes"], job["settings"]["sharded"]) == (processes, processes > 1 and "sharded" in more)
        assert any((data.folder / "adapter").glob("*model.safetensors"))
        assert made.adapter is not None
        # By the task's own metric, the loss being another number.
        points = [point for point in notebook.notes["curve"] if "dev" in point]
        assert len(points) > 1
        assert all(point["dev"] != -point["dev_loss"] for point in points)
        curves[processes] = [
            (point["step"], round(point["loss"], 3), point.get("dev")) for point in notebook.notes["curve"]
        ]
        best[processes] = notebook.notes["training"]["best_step"]
    assert curves[1] == curves[2]
    assert best[1] == best[2]
