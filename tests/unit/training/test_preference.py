"""Preference tuning: TRL's losses on our tokens and against the right reference, in our loop and from our checkpoints."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_llama import write_lora
from tiny_work import LETTERS, Steps, paired_rows, row, tiny_base, tiny_work

from rung.core.errors import DataError, UsageError, WriteError
from rung.training import room
from rung.training.attach import save_trained
from rung.training.preference import PairLoss, pairs, thumbs, train_preference
from rung.training.settings import TrainSettings
from rung.training.trl_bridge import split_by_width


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("tiny") / "base")


def settings_of(**given):
    usual = {"rank": 4, "learning_rate": 0.01, "batch_size": 4, "max_steps": 4, "evaluations": 1, "save_steps": 2}
    return TrainSettings(**{**usual, **given})


def work_of(folder, base, *, rows=None, dev=None, **given):
    report = given.pop("report", None)
    start = given.pop("start", "")
    work = tiny_work(
        folder,
        settings_of(**given),
        paired_rows(12) if rows is None else rows,
        paired_rows(4, start=20) if dev is None else dev,
        base=base,
        report=report,
    )
    return replace(work, job=replace(work.job, start=start))


def trained(module):
    return {name: weight.detach().clone() for name, weight in module.named_parameters() if weight.requires_grad}


def log_likelihood(module, work, request, text):
    prompt, target = work.parts.encode(request, text)
    with torch.no_grad():
        logits = module(input_ids=torch.tensor([prompt + target])).logits[0, len(prompt) - 1 : -1]
    return float(torch.log_softmax(logits, -1)[range(len(target)), target].sum())


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"loss": "dpo"}, math.log(2)),
        ({"loss": "dpo", "adapter": "full", "learning_rate": 1e-3}, math.log(2)),
        ({"loss": "ipo", "beta": 0.5}, 1.0),
        ({"loss": "kto"}, 0.5),
    ],
)
def test_before_the_first_step_the_model_is_its_own_reference(tmp_path, base, given, first):
    done = train_preference(work_of(tmp_path, base, **{"max_steps": 2, **given}))
    assert done.result.curve[0]["loss"] == pytest.approx(first, abs=1e-5)
    assert done.result.curve[0]["margin"] == pytest.approx(0.0, abs=1e-6)
    assert done.result.curve[1]["loss"] != pytest.approx(first, abs=1e-5)


def test_the_loss_is_that_of_the_paper_on_the_tokens_that_are_served(tmp_path, base):
    work = work_of(tmp_path, base, beta=0.3, max_steps=6, epochs=9, learning_rate=0.03)
    done = train_preference(work)
    module = done.module.eval()
    losses = []
    for asked in work.dev:
        texts = (asked.target, asked.rejected[0])
        policy = [log_likelihood(module, work, asked.request, text) for text in texts]
        with module.disable_adapter():
            reference = [log_likelihood(module, work, asked.request, text) for text in texts]
        lead = (policy[0] - reference[0]) - (policy[1] - reference[1])
        losses.append(math.log1p(math.exp(-0.3 * lead)))
    said = next(point["dev_loss"] for point in done.result.curve if point["step"] == done.result.best_step)
    assert said == pytest.approx(sum(losses) / len(losses), abs=2e-4)
    assert said < math.log(2) - 0.02
    assert done.result.curve[-1]["dev_margin"] > 0


def test_training_further_measures_from_where_it_began_and_saves_one_adapter(tmp_path, base):
    write_lora(base, tmp_path / "start")
    work = work_of(tmp_path / "job", base, start=str(tmp_path / "start"), max_steps=2)
    done = train_preference(work)
    assert done.result.curve[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    save_trained(done.module, work.parts, work.job.settings, tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


@pytest.mark.parametrize("loss", ["dpo", "kto", "orpo"])
def test_a_killed_training_ends_with_the_bits_of_one_that_never_stopped(tmp_path, base, loss):
    whole = train_preference(work_of(tmp_path / "whole", base, loss=loss, dropout=0.1, max_steps=5))
    with pytest.raises(KeyboardInterrupt):
        train_preference(work_of(tmp_path / "job", base, loss=loss, dropout=0.1, max_steps=5, report=Steps(die_at=3)))
    again = Steps()
    done = train_preference(work_of(tmp_path / "job", base, loss=loss, dropout=0.1, max_steps=5, report=again))
    assert again.seen[0] == 3
    assert done.result.curve[-1]["dev_loss"] == whole.result.curve[-1]["dev_loss"]
    weights = trained(whole.module)
    assert weights.keys() == trained(done.module).keys()
    assert all(torch.equal(weights[name], weight) for name, weight in trained(done.module).items())
    files = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}


def test_pairs_that_teach_nothing_are_left_out_and_counted(tmp_path, base):
    rows = [
        *paired_rows(3),
        row(3, "a", rejected=("a ",)),
        row(4, "b"),
        row(5, "c", rejected=("a", "long " * 200)),
    ]
    work = work_of(tmp_path, base, rows=rows, max_length=60, max_steps=1)
    found = pairs(work, rows)
    assert (len(found.rows), found.of, found.equal, found.too_long, found.alone) == (4, 6, 1, 1, 1)
    prompt, target = work.parts.encode(rows[0].request, rows[0].target)
    assert found.rows[0]["prompt_ids"] == prompt
    assert found.rows[0]["chosen_ids"] == target
    assert target[-1] == work.parts.extra["end"]
    kinds = {note["kind"]: note["rows"] for note in train_preference(work).result.notes}
    assert kinds == {"skipped": 1, "equal": 1, "unpaired": 1}


@pytest.mark.parametrize(
    ("rows", "given", "code"),
    [
        ([row(i, "a", rejected=("a",)) for i in range(4)], {}, "E2882"),
        ([row(i, "a") for i in range(4)], {}, "E2882"),
        ([row(i, "a", liked=True) for i in range(4)], {"loss": "kto"}, "E2883"),
        (paired_rows(4), {"max_length": 8}, "E2801"),
    ],
)
def test_nothing_to_learn_from_is_said(tmp_path, base, rows, given, code):
    with pytest.raises(DataError) as caught:
        train_preference(work_of(tmp_path, base, rows=rows, **given))
    assert caught.value.code == code
    assert "{" not in str(caught.value)


def test_thumbs_are_learned_without_pairs(tmp_path, base):
    rows = [row(i, LETTERS[i % 3], liked=i % 2 == 0) for i in range(8)] + [row(9, "b")]
    work = work_of(tmp_path, base, rows=rows, loss="kto", max_steps=2)
    found = thumbs(work, rows)
    assert [made["label"] for made in found.rows] == [True, False] * 4 + [True]
    assert len(train_preference(work).result.curve) == 2


@pytest.mark.parametrize(("change", "code"), [({"adapter": "prompt"}, "E2422"), ({"processes": 2}, "E2425")])
def test_what_trl_cannot_do_here_is_refused(tmp_path, base, change, code):
    processes = change.pop("processes", 1)
    work = work_of(tmp_path, base, **change)
    with pytest.raises(UsageError) as caught:
        train_preference(replace(work, job=replace(work.job, processes=processes)))
    assert caught.value.code == code


def test_a_loss_that_is_no_number_ends_the_training(tmp_path, base):
    work = work_of(tmp_path, base)
    with torch.no_grad():
        work.parts.module.model.norm.weight.fill_(math.nan)
    with pytest.raises(DataError) as caught:
        train_preference(work)
    assert caught.value.code == "E2802"


def test_it_is_planned_and_takes_fewer_tokens_where_there_is_no_room(tmp_path, base, monkeypatch):
    planned = train_preference(work_of(tmp_path / "free", base, max_steps=1)).result.facts["memory_plan"]
    assert planned["peak"] > planned["logits"] > 0
    monkeypatch.setattr(room, "memory_there", lambda device: 1)
    done = train_preference(work_of(tmp_path / "scarce", base, max_steps=1))
    (note,) = done.result.notes
    assert (note["kind"], note["micro_tokens"]) == ("planned_memory", 32)
    assert done.result.facts["memory_plan"]["micro_tokens"] == 32


def test_a_disk_without_room_is_said_before_the_start(tmp_path, base, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(WriteError) as caught:
        train_preference(work_of(tmp_path, base))
    assert caught.value.code == "E5010"
    assert not (tmp_path / "checkpoints").exists()


def test_where_memory_runs_out_smaller_parts_give_the_same_weights(tmp_path, base, monkeypatch):
    whole = train_preference(work_of(tmp_path / "whole", base, micro_tokens=512, max_steps=2))
    sums = PairLoss.loss_sum

    def scarce(self, rows):
        if len(rows) > 2:
            raise MemoryError
        return sums(self, rows)

    monkeypatch.setattr(PairLoss, "loss_sum", scarce)
    done = train_preference(work_of(tmp_path / "scarce", base, micro_tokens=512, max_steps=2))
    assert {note["kind"] for note in done.result.notes} == {"memory"}
    weights = trained(whole.module)
    assert all(torch.allclose(weights[name], weight, atol=1e-5) for name, weight in trained(done.module).items())


def test_parts_hold_as_many_padded_rows_as_fit():
    assert split_by_width({0: 5, 1: 30, 2: 7, 3: 8}, 48, sequences=2) == [[0, 2, 3], [1]]
    assert split_by_width({}, 48) == []
