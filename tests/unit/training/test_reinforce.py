"""Reinforcement: drawn as served, rewarded by the metric, taken up again to the same bits, given up where nothing differs."""

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

from rung.core.candidate import StepRef
from rung.core.errors import DataError, WriteError
from rung.core.evaluation import Score
from rung.core.model import Message
from rung.training import room
from rung.training.reinforce import PolicyLoss, train_reinforce
from rung.training.reward import Reward
from rung.training.settings import TrainSettings


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("tiny") / "base")


def work_of(folder, base, *, labelled=False, rows=None, metric="chrf", report=None, **given):
    usual = {
        "rank": 4,
        "learning_rate": 0.02,
        "batch_size": 4,
        "max_steps": 4,
        "evaluations": 1,
        "save_steps": 2,
        "beta": 0.0,
        "generations": 4,
        "epochs": 30,
    }
    choices = LETTERS if labelled else ()
    return tiny_work(
        folder,
        TrainSettings(**{**usual, **given}),
        rows or paired_rows(12, choices=choices),
        paired_rows(4, start=20, choices=choices),
        base=base,
        kind="reinforce",
        labelled=labelled,
        metric="accuracy" if labelled else metric,
        report=report,
    )


def trained(module):
    return {name: weight.detach().clone() for name, weight in module.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("policy", ["grpo", "rloo"])
def test_rewarded_labels_become_likelier(tmp_path, base, policy):
    rows = [row(i, "b", choices=LETTERS) for i in range(12)]
    work = work_of(tmp_path, base, labelled=True, policy=policy, rows=rows, max_steps=6, learning_rate=0.03)
    done = train_reinforce(replace(work, dev=rows[:2]))
    rewards = [point["reward"] for point in done.result.curve]
    assert sum(rewards[3:]) > sum(rewards[:3]) + 0.3
    facts = done.result.facts
    assert (facts["answers_drawn"], facts["answers_failed"]) == (6 * 4 * 4, 0)
    assert facts["memory_plan"]["peak"] > facts["memory_plan"]["scoring"] > 0


def test_without_room_it_takes_fewer_tokens_and_without_disk_it_does_not_begin(tmp_path, base, monkeypatch):
    monkeypatch.setattr(room, "memory_there", lambda device: 1)
    done = train_reinforce(work_of(tmp_path / "scarce", base, max_steps=1))
    assert [(note["kind"], note["micro_tokens"]) for note in done.result.notes] == [("planned_memory", 32)]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(WriteError) as caught:
        train_reinforce(work_of(tmp_path / "full", base, max_steps=1))
    assert caught.value.code == "E5010"
    assert not (tmp_path / "full" / "checkpoints").exists()


@pytest.mark.parametrize("policy", ["grpo", "rloo"])
def test_a_killed_training_ends_with_the_bits_of_one_that_never_stopped(tmp_path, base, policy):
    given = {"policy": policy, "beta": 0.05, "max_steps": 4}
    whole = train_reinforce(work_of(tmp_path / "whole", base, **given))
    with pytest.raises(KeyboardInterrupt):
        train_reinforce(work_of(tmp_path / "job", base, report=Steps(die_at=3), **given))
    again = Steps()
    done = train_reinforce(work_of(tmp_path / "job", base, report=again, **given))
    assert again.seen[0] == 3
    assert done.result.curve[-1]["dev_loss"] == whole.result.curve[-1]["dev_loss"]
    assert [point["reward"] for point in done.result.curve] == [point["reward"] for point in whole.result.curve]
    weights = trained(whole.module)
    assert all(torch.equal(weights[name], weight) for name, weight in trained(done.module).items())
    assert {path.suffix for path in Path(tmp_path).rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_training_further_stays_near_where_it_began(tmp_path, base):
    write_lora(base, tmp_path / "start")
    work = work_of(tmp_path / "job", base, beta=0.1, max_steps=2)
    done = train_reinforce(replace(work, job=replace(work.job, start=str(tmp_path / "start"))))
    # Nothing has moved at the first step, whatever the adapter had learned before.
    assert done.result.curve[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert done.result.curve[1]["kl"] != 0.0
    assert not any(".ref." in name for name, _ in done.module.named_parameters())


def test_answers_end_at_the_end_token_or_at_the_task_s_limit(tmp_path, base, monkeypatch):
    seen = []
    draw = PolicyLoss.draw

    def watched(self, batch, step):
        written = draw(self, batch, step)
        seen.append(self._batch)
        return written

    monkeypatch.setattr(PolicyLoss, "draw", watched)
    work = work_of(tmp_path, base, max_steps=2, temperature=5.0)
    train_reinforce(work)
    end = work.parts.extra["end"]
    ours = {tuple(work.parts.encode(asked.request)[0]) for asked in work.rows}
    for batch in seen:
        assert batch["completion_ids"].shape[1] <= 6
        for ids, mask in zip(batch["prompt_ids"].tolist(), batch["prompt_mask"].tolist(), strict=True):
            assert tuple(ids[-sum(mask) :]) in ours
        for ids, mask in zip(batch["completion_ids"].tolist(), batch["completion_mask"].tolist(), strict=True):
            answer = ids[: sum(mask)]
            assert end not in answer[:-1]
            assert len(answer) == 6 or answer[-1] == end


def test_a_model_that_is_never_right_is_sent_to_fine_tuning(tmp_path, base):
    rows = [row(i, "an answer that nobody draws") for i in range(12)]
    report = Steps()
    with pytest.raises(DataError) as caught:
        train_reinforce(
            work_of(tmp_path, base, rows=rows, metric="exact_match", batch_size=12, max_steps=9, report=report)
        )
    assert caught.value.code == "E2885"
    assert caught.value.problems[0].values == {"groups": 24, "reward": "0.00"}
    assert report.seen == [1]


def test_prompts_without_room_for_an_answer_are_refused_or_counted(tmp_path, base):
    with pytest.raises(DataError) as caught:
        train_reinforce(work_of(tmp_path / "none", base, max_length=10))
    assert caught.value.code == "E2884"
    asked = row(6, "a")
    long = replace(asked.request, messages=(Message("user", "long " * 300),))
    rows = [*paired_rows(5), replace(asked, request=long)]
    done = train_reinforce(work_of(tmp_path / "some", base, rows=rows, max_steps=1))
    assert {"kind": "skipped", "rows": 1, "of": 6} in done.result.notes


def test_weights_that_are_no_numbers_end_the_training(tmp_path, base):
    for labelled in (True, False):
        work = work_of(tmp_path / str(labelled), base, labelled=labelled)
        with torch.no_grad():
            work.parts.module.model.norm.weight.fill_(math.nan)
        with pytest.raises(DataError) as caught:
            train_reinforce(work)
        assert caught.value.code == "E2802"


class _Errors:
    """A metric where lower is better, and that does not apply to every answer."""

    better = "lower"

    def score(self, examples, answers):
        kinds = {"skip": Score("unscored"), "fail": Score("failed")}
        return [kinds.get(answer.text, Score("scored", 0.25)) for answer in answers]


def test_a_failure_is_worth_no_more_than_a_wrong_answer_and_is_counted(tmp_path, base):
    work = work_of(tmp_path, base)
    reward = Reward(work.job)
    reward._metric = _Errors()
    rows = [work.rows[0]] * 3
    assert reward(rows, ["fine", "fail", "skip"]) == [-0.25, -1.0, None]
    assert reward.failed == 1


def test_answers_are_read_as_they_are_when_served(tmp_path, base):
    job = work_of(tmp_path, base, metric="exact_match").job
    steps = (StepRef(name="first_line"), StepRef(name="strip_marks"))
    output = job.candidate.output.model_copy(update={"steps": steps})
    job = replace(job, candidate=job.candidate.model_copy(update={"output": output}))
    reward = Reward(job)
    asked = row(1, "blue")
    assert reward([asked] * 3, ['"blue"\nand more', "red", "  "]) == [1.0, 0.0, 0.0]
    assert reward.failed == 1
