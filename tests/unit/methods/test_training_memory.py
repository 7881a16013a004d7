"""What a training is expected to take: planned by the model's sizes and some rows, shown, and warned about before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_fit import fit, task
from tiny_llama import write_model

from rung.cli.screen import show_plan
from rung.core.model import Model
from rung.experiment import plan as planning
from rung.methods.estimate import training_cost, training_memory
from rung.models.fake import FakeModel
from rung.models.transformers_local import TransformersModel
from rung.store.records import Cell, Plan, Spend
from rung.training.settings import TrainSettings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return TransformersModel(str(write_model(tmp_path_factory.mktemp("model"))), precision="fp32", device="cpu")


def test_sizes_are_known_before_weights_are_read(model: TransformersModel) -> None:
    assert model.capabilities.sizes is not None
    assert model.capabilities.sizes.layers == 2
    assert model._kept is None


def test_the_plan_follows_settings_and_length_of_rows(model: Model, tmp_path: Path) -> None:
    data = fit(tmp_path, asked=task("text"))
    plain = training_memory(data, model, TrainSettings(batch_size=64, micro_tokens=4096))
    assert plain is not None
    longer = training_memory(data, model, TrainSettings(batch_size=64, micro_tokens=4096), rows_longer=3.0)
    full = training_memory(data, model, TrainSettings(adapter="full"))
    assert longer is not None
    assert full is not None
    assert longer.activations > 1.5 * plain.activations
    assert full.disk > 2 * plain.disk


@pytest.mark.parametrize("kind", ["label", "text"])
def test_pairs_and_rewards_are_planned_as_they_are_learned(model: Model, tmp_path: Path, kind: str) -> None:
    data, settings = fit(tmp_path, asked=task(kind)), TrainSettings(adapter="full", beta=0.1)
    plain, pairs, drawn = (
        training_memory(data, model, settings, kind=learned) for learned in ("targets", "preference", "reinforce")
    )
    assert plain is not None
    assert pairs is not None
    assert drawn is not None
    assert (plain.reference, pairs.reference, drawn.reference) == (0, plain.weights, plain.weights)
    assert min(pairs.libraries, drawn.libraries) > plain.libraries


def test_the_cost_of_a_rung_holds_memory_and_disk_by_its_own_settings(model: Model, tmp_path: Path) -> None:
    adapter = training_cost(fit(tmp_path, hints={"rank": 2, "k": 3}), model, epochs=1.0)
    full = training_cost(fit(tmp_path, hints={"adapter": "full"}), model, epochs=1.0)
    assert 0.3 < adapter.memory_gib < 2
    assert full.disk_gib > adapter.disk_gib > 0
    # A model that tells no sizes is taken as it was before there was a plan.
    unknown = FakeModel(default="pos")
    assert training_cost(fit(tmp_path), unknown, epochs=1.0).memory_gib == 3.0


@pytest.mark.parametrize(("language", "word"), [("en", "warning"), ("zh", "警告")])
def test_more_than_the_machine_has_is_said_before_it_starts(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    language: str,
    word: str,
) -> None:
    monkeypatch.setattr(planning, "memory_there", lambda device: 2 << 30)
    assert planning._warnings("fine_tune", Spend(memory_gib=1.9), model) == ()
    warned = planning._warnings("fine_tune", Spend(memory_gib=7.25, disk_gib=1.5), model)
    cell = Cell(method="fine_tune", model="m", rank=1, estimate=Spend(memory_gib=7.25, disk_gib=1.5), warnings=warned)
    kept = Plan.model_validate_json(Plan(mode="compare", cells=(cell,), splits={"train": 3}).model_dump_json())
    show_plan(kept, language)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert "7.2 GiB" in out
    assert "1.5 GiB" in out
    assert "E3023" in out
    assert f"{word}" in err
    assert "7.2 GiB" in err
    assert "2.0 GiB" in err
    assert "gradient_checkpointing" in err
