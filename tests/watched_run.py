"""A run of a labelling task with its test answers, written down without any model, and traffic that is like them or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.durable import write_json
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row, Score, Summary
from rung.core.model import Failure, ModelRef
from rung.core.task import Example
from rung.store.runs import RunFolder
from rung.store.traffic.records import Trace, new_id

LABELS = ("rent", "repairs", "deposit", "keys", "noise")
SHARES = (0.4, 0.25, 0.2, 0.1, 0.05)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_SAID = "when is the rent due for my flat and who repairs heating door lock deposit back noise neighbour key lost"
_WORDS = tuple(_SAID.split())
_CHINESE = "房租什么时候交钥匙丢了怎么办押金退还邻居太吵暖气坏了谁来修理"


class World:
    """Where questions and answers come from. Two worlds of one seed ask alike, and not the same."""

    def __init__(self, seed: int, *, shares: Sequence[float] = SHARES) -> None:
        self.rng = np.random.default_rng(seed)
        self.shares = shares

    def question(self, *, longer: float = 1.0, chinese: float = 0.1) -> str:
        words = max(2, round(float(self.rng.lognormal(2.0, 0.4)) * longer))
        if self.rng.random() < chinese:
            return "".join(self.rng.choice(list(_CHINESE), words * 2))
        return " ".join(self.rng.choice(_WORDS, words)) + "?"

    def label(self) -> str:
        return str(self.rng.choice(LABELS, p=self.shares))

    def confidence(self) -> float:
        return float(self.rng.beta(8, 2))

    def seconds(self) -> float:
        return float(self.rng.lognormal(-1.5, 0.5))

    def traces(self, n: int, candidate: str, *, days: float = 7.0, until: datetime = NOW, **how: Any) -> list[Trace]:
        """Spread evenly over some days."""
        step = timedelta(days=days) / n
        return [self.trace(candidate, until - step * (n - i), **how) for i in range(n)]

    def trace(
        self, candidate: str, at: datetime, *, fails: float = 0.01, slower: float = 1.0, **question: Any
    ) -> Trace:
        failed = self.rng.random() < fails
        seconds = self.seconds() * slower
        return Trace(
            id=new_id("rq"),
            at=at,
            route="/v1/chat/completions",
            candidate=candidate,
            inputs={"question": self.question(**question)},
            answer="" if failed else self.label(),
            failure="timeout" if failed else "",
            confidence=None if failed else self.confidence(),
            tokens_in=40,
            tokens_out=2,
            seconds_engine=seconds,
            seconds_total=seconds,
        )


def label_candidate() -> Candidate:
    return Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="fake"),
        prompt=PromptSlot(instruction="Name the topic.", fields=("question",)),
        output=OutputSlot(choices=LABELS, constrain=True),
    )


def write_watched_run(folder: Path, *, n: int = 300, seed: int = 1) -> tuple[RunFolder, Candidate]:
    """A run whose winner answered n test questions."""
    world, run, candidate = World(seed), RunFolder(folder), label_candidate()
    examples = [Example(f"t{i:04}", {"question": world.question()}, ("rent",)) for i in range(n)]
    rows = []
    for example in examples:
        failed = world.rng.random() < 0.01
        answer = Answer(
            example.id,
            "" if failed else world.label(),
            failure=Failure("timeout") if failed else None,
            confidence=None if failed else world.confidence(),
            tokens_in=40,
            tokens_out=2,
        )
        rows.append(Row(answer, {"accuracy": Score("scored", 1.0, {"correct": 1.0})}))
    times = np.array([world.seconds() for _ in range(60)])
    run.write_run({"id": folder.name, "task": {"name": "topics"}, "seed": 0})
    run.write_examples({"test": examples})
    write_json(
        run.candidate_folder(candidate.id) / "candidate.json",
        {"id": candidate.id, **candidate.model_dump(mode="json")},
    )
    header = EvaluationHeader(
        candidate=candidate.id, method="prompt", model="fake", split="test", split_hash="x", n=n, metrics=("accuracy",)
    )
    summary = Summary(metric="accuracy", value=1.0, n=n, scored=n, failed=0, unscored=0)
    resources = Resources(
        latency_p50=float(np.median(times)), latency_p95=float(np.quantile(times, 0.95)), latency_n=60
    )
    run.write_evaluation(Evaluation(header, tuple(rows), {"accuracy": summary}, resources))
    return run, candidate


def relabelled(traces: Sequence[Trace], before: str, after: str, *, every: int = 1) -> list[Trace]:
    """Every so many answers of one label turned into another."""
    return [replace(t, answer=after) if t.answer == before and i % every == 0 else t for i, t in enumerate(traces)]


def decide_for(run: RunFolder, candidate: Candidate) -> None:
    """Make a candidate the run's winner."""
    decision = {
        "mode": "compare", "verdict": "winner", "winner": candidate.id, "metric": "accuracy", "margin": 0.02, "draws": 10,
        "seed": 0, "n": 300, "groups": 300, "standings": [], "reason": {"en": "x", "zh": "x"},
    }  # fmt: skip
    write_json(run.path / "decision.json", decision)
