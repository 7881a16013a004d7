"""What is trained several times is estimated so, whatever the method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from letters import register_letters
from small_fit import fit, task

from rung.core.task import Document, OutputSpec
from rung.methods.named import method_named
from rung.models.fake import FakeModel

SEARCH = {"trials": 8, "share": 0.25}
TUNED = ("fine_tune", "fine_tune-dora", "soft_prompt", "preference", "reinforce", "distill", "pretrain")
TUNED = (*TUNED, "few_shot+fine_tune", "rag+fine_tune", "contrastive_labels")


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)


def seconds(folder: Path, name: str, hints: dict[str, Any], kind: str = "label") -> float:
    documents = tuple(Document(f"{n}.md", "", f"The rent of flat {n} is due on the first. " * 30) for n in range(3))
    labels = OutputSpec(kind="label", labels=("pos", "neg")) if kind == "label" else OutputSpec(kind="text")
    data = fit(folder, asked=task(kind, output=labels), n=16, documents=documents)
    return method_named(name).estimate(replace(data, hints=hints), FakeModel()).seconds


@pytest.mark.parametrize("name", TUNED)
def test_seeds_and_trials_are_trainings_like_any_other(tmp_path: Path, name: str) -> None:
    start = 12.0 if name == "contrastive_labels" else 0.0
    once = seconds(tmp_path, name, {}) - start
    assert once > 0
    assert seconds(tmp_path, name, {"seeds": 3}) - start == pytest.approx(3 * once)
    # Two whole trainings of search, and two seeds.
    assert seconds(tmp_path, name, {"seeds": 2, "search": SEARCH}) - start == pytest.approx(4 * once)


def test_stages_count_their_own(tmp_path: Path) -> None:
    name = "fine_tune+preference"
    first = seconds(tmp_path, "fine_tune", {})
    assert seconds(tmp_path, name, {"fine_tune": {"seeds": 3}}) - seconds(tmp_path, name, {}) == pytest.approx(
        2 * first
    )


def test_retrieval_is_tuned_as_often_as_there_are_seeds_and_asked_once(tmp_path: Path) -> None:
    one, two, three = (seconds(tmp_path, "contrastive", {"seeds": n}, "text") for n in (1, 2, 3))
    assert three - two == pytest.approx(two - one)
    assert two > one
