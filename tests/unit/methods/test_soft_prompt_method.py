"""The soft-prompt method: what it trains unless told otherwise, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_fit import Notebook, fit

from rung.core.errors import UsageError
from rung.core.method import Budget
from rung.core.model import Capabilities
from rung.core.registry import create
from rung.methods import trainings
from rung.methods.soft_prompt import SoftPrompt
from rung.models.fake import FakeModel
from rung.training.progress import TrainingResult
from rung.training.runner import Trained


def model() -> FakeModel:
    found = FakeModel(default="pos")
    found.capabilities = Capabilities(choices=True, trainable=True)
    return found


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every job that would have been trained."""
    found: list[Any] = []
    (tmp_path / "adapter-made").mkdir()
    result = TrainingResult(True, "epochs", 1, 1, 1, 0.5, 1.0, 1.0, [])

    def train(folder: Path, job: Any, rows: Any, dev: Any, **_: Any) -> Trained:
        found.append(job)
        return Trained(tmp_path / "adapter-made", "0" * 64, result)

    monkeypatch.setattr(trainings, "train", train)
    return found


@pytest.mark.parametrize(
    ("hints", "adapter", "kind"),
    [
        ({}, "prompt", "soft"),
        ({"adapter": "p_tuning"}, "p_tuning", "soft"),
        ({"adapter": "prefix"}, "prefix", "prefix"),
    ],
)
def test_it_trains_a_soft_prompt(
    tmp_path: Path, jobs: list[Any], hints: dict[str, Any], adapter: str, kind: str
) -> None:
    candidate = SoftPrompt().adapt(fit(tmp_path, hints=hints), model(), Budget(Notebook()))
    assert jobs[0].settings.adapter == adapter
    assert candidate.method == "soft_prompt"
    assert candidate.adapter is not None
    assert candidate.adapter.kind == kind


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_an_adapter_that_changes_weights_is_refused_before_anything_is_trained(
    tmp_path: Path, jobs: list[Any], adapter: str
) -> None:
    given = fit(tmp_path, hints={"adapter": adapter})
    for asked in (SoftPrompt().estimate, lambda *a: SoftPrompt().adapt(*a, Budget(Notebook()))):
        with pytest.raises(UsageError) as caught:
            asked(given, model())
        assert caught.value.code == "E2460"
        assert "p_tuning" in str(caught.value)
    assert not jobs


def test_it_runs_only_where_it_is_named() -> None:
    assert create("method", "soft_prompt").opt_in
