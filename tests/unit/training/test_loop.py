"""The loop: it learns, stops as told, survives memory running out, and goes on to the same bits."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_model import easy_rows, tiny_parts

from rung.core.errors import BackendError, DataError, UsageError
from rung.training import quantise
from rung.training.attach import add_noise, attach, base_of, spare_activations
from rung.training.forward import Forward
from rung.training.loop import Loop
from rung.training.objective import TargetLoss
from rung.training.optimise import rate_at
from rung.training.settings import TrainSettings

DEV = easy_rows(6, seed=9)


def loop_of(rows=None, *, score=True, noise=0.0, sparing=False, **given):
    settings = TrainSettings(**{"epochs": 4, "learning_rate": 0.02, "rank": 4, "save_steps": 3, **given})
    module = attach(tiny_parts(), settings)
    objective = TargetLoss(Forward(base_of(module)), rows or easy_rows(40), DEV, settings)
    if noise:
        add_noise(module, noise, 10.0)
    if sparing:
        spare_activations(module)
    dev = (lambda _: -objective.dev_loss()) if score else None
    return Loop(module, objective, settings, score_dev=dev)


def weights(loop):
    return {name: weight.detach().clone() for name, weight in loop.masters.weights.items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(("adapter", "share"), [("lora", 0.95), ("dora", 0.95), ("full", 0.6)])
def test_it_learns(adapter, share):
    loop = loop_of(adapter=adapter, epochs=6)
    before = loop.objective.dev_loss()
    result = loop.run()
    assert result.stopped in {"epochs", "early"}
    assert result.converged
    assert loop.objective.dev_loss() < share * before
    assert result.curve[-1]["step"] == result.step


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "adafactor", "rmsprop", "sgd", "adagrad", "nadam"])
def test_every_optimiser_resumes_to_the_same_bits(optimiser, tmp_path):
    whole = loop_of(optimiser=optimiser, dropout=0.1, noise=3.0)
    whole.run()
    for kill_at in (4, 11):
        folder = tmp_path / f"{optimiser}-{kill_at}"
        first = loop_of(optimiser=optimiser, dropout=0.1, noise=3.0)

        def die(progress, planned, last=kill_at):
            if progress.step == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            first.run(folder, report=die)
        second = loop_of(optimiser=optimiser, dropout=0.1, noise=3.0)
        second.run(folder)
        assert same(weights(whole), weights(second))
        assert [point["loss"] for point in whole.progress.curve] == [point["loss"] for point in second.progress.curve]


def test_another_setting_does_not_take_over_a_checkpoint(tmp_path):
    loop_of(epochs=1).run(tmp_path)
    other = loop_of(epochs=1, rank=2)
    other.run(tmp_path)
    assert other.progress.step == other.planned
    assert {w.shape[0] for name, w in weights(other).items() if "lora_A" in name} == {2}


def test_another_seed_gives_other_weights_and_the_same_seed_the_same():
    first, again, other = loop_of(epochs=1), loop_of(epochs=1), loop_of(epochs=1, seed=1)
    for loop in (first, again, other):
        loop.run()
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))


def test_asked_to_stop_it_keeps_a_checkpoint_and_goes_on(tmp_path):
    whole = loop_of()
    whole.run()
    first = loop_of()
    assert first.run(tmp_path, stopping=lambda: first.progress.step >= 5).stopped == "interrupted"
    second = loop_of()
    assert second.run(tmp_path).step == whole.progress.step
    assert same(weights(whole), weights(second))


def test_no_progress_on_dev_ends_early_with_the_best_weights():
    scores = iter([0.5, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0])
    loop = loop_of(score=False, patience=2)
    kept = []

    def score(_):
        kept.append(weights(loop))
        return next(scores)

    loop._score_dev = score
    result = loop.run()
    assert (result.stopped, result.best, result.best_step) == ("early", 0.5, result.curve[0]["step"] + 2)
    assert same(weights(loop), kept[0])


def test_a_loss_that_is_not_finite_stops_it_and_keeps_the_last_checkpoint(tmp_path):
    loop = loop_of()
    real = loop.objective.loss_sum
    loop.objective.loss_sum = lambda rows: real(rows) * (math.nan if loop.progress.step == 7 else 1.0)
    with pytest.raises(DataError) as caught:
        loop.run(tmp_path)
    assert caught.value.code == "E2802"
    assert [path.name for path in sorted(tmp_path.glob("step-*"))][-1] == "step-00000006"


def test_where_memory_runs_out_parts_are_halved_and_the_result_is_nearly_the_same():
    whole = loop_of(epochs=1, micro_tokens=256)
    whole.run()
    loop = loop_of(epochs=1, micro_tokens=256)
    real, failures = loop.objective.loss_sum, []

    def short(rows):
        if len(rows) > 6:
            failures.append(len(rows))
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"
            )
        return real(rows)

    loop.objective.loss_sum = short
    result = loop.run()
    assert failures
    assert result.notes == [
        {"kind": "memory", "step": 1, "micro_tokens": tokens} for tokens in (128, 64, 32)[: len(result.notes)]
    ]
    for name, weight in weights(whole).items():
        assert torch.allclose(weight, weights(loop)[name], atol=5e-3), name


def test_with_no_memory_at_all_it_says_so():
    loop = loop_of()

    def never(rows):
        raise MemoryError

    loop.objective.loss_sum = never
    with pytest.raises(BackendError) as caught:
        loop.run()
    assert caught.value.code == "E3021"


def test_an_error_that_is_not_about_memory_is_not_hidden():
    loop = loop_of()

    def broken(rows):
        raise RuntimeError("shapes do not match")

    loop.objective.loss_sum = broken
    with pytest.raises(RuntimeError, match="shapes"):
        loop.run()


def test_sparing_activations_changes_nothing_but_memory():
    plain, sparing = loop_of(epochs=1), loop_of(epochs=1, sparing=True)
    plain.run()
    sparing.run()
    for name, weight in weights(plain).items():
        assert torch.allclose(weight, weights(sparing)[name], atol=1e-5), name


def test_smoothing_raises_the_training_loss_and_not_the_dev_loss():
    plain, smooth = loop_of(), loop_of(label_smoothing=0.2)
    rows = [0, 1, 2]
    assert float(smooth.objective.loss_sum(rows).detach()) != float(plain.objective.loss_sum(rows).detach())
    assert smooth.objective.dev_loss() == pytest.approx(plain.objective.dev_loss(), rel=1e-6)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "inverse_sqrt"])
def test_the_learning_rate_rises_and_then_does_not(schedule):
    settings = TrainSettings(schedule=schedule, warmup=0.1, learning_rate=1.0)
    rates = [rate_at(share, settings) for share in (0.0, 0.05, 0.1, 0.5, 0.9, 1.0)]
    assert rates[0] < rates[1] < rates[2] == 1.0
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] >= (1.0 if schedule == "constant" else 0.02)


def test_rows_that_are_too_long_are_left_out_and_too_many_of_them_refused():
    rows = easy_rows(10)
    settings = TrainSettings(max_length=sorted(row.length for row in rows)[7])
    objective = TargetLoss(Forward(tiny_parts().module), rows, [], settings)
    assert 0 < objective.skipped < 5
    with pytest.raises(DataError) as caught:
        TargetLoss(Forward(tiny_parts().module), rows, [], TrainSettings(max_length=8))
    assert caught.value.code == "E2801"


@pytest.mark.parametrize(("name", "value"), [("optimiser", "adm"), ("dropout", 2.0), ("rank", 0), ("adapter", "loar")])
def test_a_setting_that_cannot_be_is_refused(name, value):
    with pytest.raises(UsageError) as caught:
        TrainSettings(**{name: value})
    assert caught.value.code == "E2460"


def test_a_4_bit_base_is_not_sharded():
    with pytest.raises(UsageError) as caught:
        TrainSettings(adapter="qlora", sharded=True)
    assert caught.value.code == "E2467"


def test_layers_that_are_not_there_and_a_4_bit_base_without_its_package_are_refused(monkeypatch):
    monkeypatch.setattr(quantise.importlib.util, "find_spec", lambda name: None)
    for given, code in (({"targets": "nothing_here"}, "E2462"), ({"adapter": "qlora"}, "E2461")):
        with pytest.raises(UsageError) as caught:
            attach(tiny_parts(), TrainSettings(**given))
        assert caught.value.code == code
