"""A training that two processes share, from the job folder to the published adapter."""

from __future__ import annotations

import json
from dataclasses import replace

from small_fit import Notebook, fit, task
from tiny_llama import write_model

from rung.core.method import Budget
from rung.methods.named import method_named
from rung.models.transformers_local import TransformersModel


def test_two_processes_publish_what_one_would(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    base = write_model(tmp_path / "tiny", max_position_embeddings=512)
    curves = {}
    for processes in (1, 2):
        model = TransformersModel(str(base), precision="fp32", device="cpu")
        data = fit(tmp_path / str(processes), asked=task("label"), n=24)
        data.folder.mkdir(parents=True)
        hints = {"rank": 2, "epochs": 2.0, "evaluations": 2, "micro_tokens": 64, "patience": 0}
        notebook = Notebook()
        made = method_named("fine_tune").adapt(replace(data, hints=hints), model, Budget(notebook, processes=processes))
        assert json.loads((data.folder / "training" / "job.json").read_text())["processes"] == processes
        assert (data.folder / "adapter" / "adapter_model.safetensors").is_file()
        assert made.adapter is not None
        curves[processes] = [(point["step"], round(point["loss"], 3)) for point in notebook.notes["curve"]]
    assert curves[1] == curves[2]
