"""The example data that scripts write, and the benchmark tasks made from real data: complete, right and runnable."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from rung.core.evaluation import Answer
from rung.core.registry import create
from rung.experiment.setup import Prepared, prepare

ROOT = Path(__file__).parents[3]
WRITTEN = [
    ("contract-clauses", "make_rows.py", ("clauses.csv", "clauses-zh.csv"), ("task.yaml", "task-zh.yaml")),
    ("desk-dialogue", "make_dialogues.py", ("dialogues.jsonl",), ("task.yaml",)),
]


def gold(prepared: Prepared) -> float:
    """The mean score of the right answers themselves."""
    metric = create("metric", prepared.task.metric, task=prepared.task)
    examples = prepared.every
    found = metric.score(examples, [Answer(e.id, e.references[0]) for e in examples])
    return sum(score.value for score in found) / len(found)


@pytest.mark.parametrize(("name", "script", "files", "tasks"), WRITTEN)
def test_the_script_writes_what_lies_there_and_the_task_can_be_run(
    tmp_path: Path, name: str, script: str, files: tuple[str, ...], tasks: tuple[str, ...]
) -> None:
    source = ROOT / "examples" / name
    shutil.copy(source / script, tmp_path)
    subprocess.run([sys.executable, str(tmp_path / script)], check=True)
    assert [(tmp_path / file).read_bytes() for file in files] == [(source / file).read_bytes() for file in files]
    for task in tasks:
        shutil.copy(source / task, tmp_path)
        prepared = prepare(tmp_path / task)
        assert not prepared.rejects
        assert gold(prepared) == 1
    if name == "desk-dialogue":
        assert all(example.history for example in prepared.every)
        groups = [{example.group for example in prepared.examples[split]} for split in ("train", "dev", "test")]
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Prepared]:
    """Builds a benchmark task and prepares it. Lengths are counted in characters: the tokenizer takes seconds to load."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    tasks = import_module("tuning_tasks")
    monkeypatch.setattr(tasks, "tokens", lambda *texts: sum(map(len, texts)) // 4)

    def built(name: str, folder: Path, **sizes: int) -> Prepared:
        done = tasks.TASKS[name](folder / name, **sizes)
        assert done.reason
        return prepare(done.task)

    return built


@pytest.mark.datasets
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("banking77", {"train": 154, "test": 40}), ("cluener", {"train": 40, "test": 20}), ("gsm8k", {"train": 40, "test": 20}),
        ("mgsm-zh", {"train": 40, "test": 20}), ("ntrex-en-zh", {"rows": 60}), ("ntrex-zh-en", {"rows": 60}), ("alpaca-zh", {"rows": 40}),
        ("xquad-en", {"articles": 8}),
    ],
)  # fmt: skip
def test_real_data_becomes_tasks(
    datasets: Path, build: Callable[..., Prepared], tmp_path: Path, name: str, sizes: dict[str, int]
) -> None:
    prepared = build(name, tmp_path, **sizes)
    assert not prepared.rejects
    assert all(prepared.examples.values())
    assert gold(prepared) == pytest.approx(1)


@pytest.mark.datasets
@pytest.mark.parametrize("name", ["dpo-en", "dpo-zh"])
def test_real_pairs_reach_the_training_rows(
    datasets: Path, build: Callable[..., Prepared], tmp_path: Path, name: str
) -> None:
    prepared = build(name, tmp_path, rows=60)
    assert not prepared.rejects
    assert all(example.rejected for example in prepared.examples["train"])


@pytest.mark.datasets
def test_real_thumbs_are_kept_apart(datasets: Path, build: Callable[..., Prepared], tmp_path: Path) -> None:
    prepared = build("kto-en", tmp_path, rows=100)
    assert not prepared.rejects
    assert prepared.disliked.kept
    assert all(example.liked for example in prepared.every)
