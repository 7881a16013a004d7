"""Runs made of records alone: a finished label run, a finished text run, and pieces to make unfinished ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.append_log import AppendLog
from rung.core.candidate import AdapterSlot, Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot, ShotsSlot
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row, Score, Summary
from rung.core.hashing import seed_from
from rung.core.model import Failure, ModelRef
from rung.core.task import OutputSpec, Task
from rung.store.records import (
    Cell,
    Check,
    Decision,
    Interval,
    Opening,
    Outcome,
    Pair,
    Plan,
    Spend,
    Standing,
    Text,
    TrialRecord,
)
from rung.store.runs import RunFolder

N = 60
MODEL = "smollm2-135m"
HOSTILE = "<script>alert('x')</script> ![x](http://evil.example/p.png) | <img src=http://evil.example/i onerror=alert(1)> {name} \x1b[31m"
LABELS = ("deposit", "repairs", "rent", "notice")
ABSTAIN = "The documents do not say."

Plant = tuple[str, str, float, float, float, float]
LADDER: tuple[Plant, ...] = (
    # method, model, share right, cost per 1000, latency, training cost
    ("baseline", "-", 0.55, 0.00012, 0.002, 0.0001),
    ("prompt", MODEL, 0.48, 0.021, 0.11, 0.0),
    ("few_shot", MODEL, 0.66, 0.064, 0.34, 0.0),
    ("rag", MODEL, 0.81, 0.083, 0.46, 0.0),
    ("fine_tune", MODEL, 0.83, 0.031, 0.12, 0.41),
    ("rag+fine_tune", MODEL, 0.88, 0.118, 0.47, 0.63),
)


def interval(point: float, n: int = N) -> Interval:
    """A Wilson-like interval; the report only shows it."""
    half = 1.96 * float(np.sqrt(max(point * (1 - point), 0.01) / n))
    return Interval(point=point, low=max(0.0, point - half), high=min(1.0, point + half))


def example_lines(kind: str, language: str) -> list[dict[str, Any]]:
    lines = []
    for i in range(N):
        topic = LABELS[i % len(LABELS)]
        question = (
            f"Question {i}: what about the {topic}?" if language == "en" else f"第 {i} 题：关于 {topic} 该怎么办？"
        )
        answer = (
            topic if kind == "label" else (f"See the rules on {topic}." if language == "en" else f"请看{topic}的规定。")
        )
        if kind == "text" and i % 10 == 9:
            answer = ABSTAIN
        lines.append(
            {
                "id": f"q{i:03}",
                "split": "test",
                "inputs": {"question": HOSTILE + f" {i}" if i % 7 == 3 else question},
                "references": [answer],
                "group": f"{topic}-{i // 8}",
                "documents": [] if kind == "label" or answer == ABSTAIN else [f"{topic}.md"],
            }
        )
    return lines


def answer_of(line: dict[str, Any], i: int, right: bool, method: str, kind: str) -> Answer:
    topic = LABELS[i % len(LABELS)]
    reference = line["references"][0]
    failure = Failure("timeout", "no answer after 30 s") if not right and i % 11 == 5 else None
    passages: tuple[str, ...] = ()
    if kind == "text" and "rag" in method:
        passages = (f"{topic}.md#1", "general.md#0") if right or i % 2 else ("general.md#0", "other.md#3")
    wrong = LABELS[(i + 1) % len(LABELS)] if kind == "label" else (ABSTAIN if i % 3 == 0 else HOSTILE)
    return Answer(
        example=line["id"],
        text="" if failure else reference if right else wrong,
        failure=failure,
        passages=passages,
        citations=passages[:1] if right else (),
        tokens_in=180,
        tokens_out=6,
        seconds=0.1,
    )


def evaluation_of(
    candidate: str, plant: Plant, lines: Sequence[dict[str, Any]], kind: str, metrics: Sequence[str]
) -> Evaluation:
    method, model, share, _, latency, _ = plant
    draws = np.random.default_rng(seed_from(method, model)).random(len(lines)) < share
    rows = []
    for i, (line, right) in enumerate(zip(lines, draws, strict=True)):
        answer = answer_of(line, i, bool(right), method, kind)
        score = Score("failed") if answer.failure else Score("scored", float(right), {"correct": float(right)})
        rows.append(Row(answer, dict.fromkeys(metrics, score), line["group"]))
    scored = [row.scores[metrics[0]].value for row in rows if row.scores[metrics[0]].status == "scored"]
    failed = len(rows) - len(scored)
    shown = interval(sum(scored) / len(scored))
    return Evaluation(
        header=EvaluationHeader(
            candidate=candidate,
            method=method,
            model=model,
            split="test",
            split_hash="9f2c1d7a60b3e845",
            n=len(lines),
            metrics=tuple(metrics),
        ),
        rows=tuple(rows),
        summaries={
            name: Summary(
                metric=name,
                value=shown.point,
                low=shown.low,
                high=shown.high,
                n=len(lines),
                scored=len(scored),
                failed=failed,
                unscored=0,
            )
            for name in metrics
        },
        resources=Resources(
            latency_p50=latency, latency_p95=latency * 1.8, latency_n=30, tokens_in=180 * N, tokens_out=6 * N
        ),
    )


def candidate_of(plant: Plant) -> Candidate:
    method, model, *_ = plant
    return Candidate(
        method=method,
        model=ModelRef(
            kind="linear" if method == "baseline" else "transformers",
            id="tfidf+linear" if method == "baseline" else model,
            engine="" if method == "baseline" else "torch",
            precision="" if method == "baseline" else "bfloat16",
        ),
        prompt=PromptSlot(instruction="Answer.", fields=("question",)),
        shots=ShotsSlot(mode="nearest", k=4) if "few_shot" in method else None,
        retriever=RetrieverSlot(recipe=Recipe(k=3), index="ab12@1") if "rag" in method else None,
        adapter=AdapterSlot(sha256="0" * 64, base=model) if "fine_tune" in method else None,
        output=OutputSlot(),
    )


def task_of(kind: str, language: str, **changes: Any) -> Task:
    base: dict[str, Any] = {
        "name": "Tenants' desk <b>" if language == "en" else "租客咨询台 <b>",
        "instruction": f"Answer tenants' questions. {HOSTILE}" if language == "en" else "回答租客的问题，只依据文档。",
        "inputs": ("question",),
        "output": OutputSpec(
            kind="label" if kind == "label" else "text",
            labels=LABELS if kind == "label" else (),
            abstain=ABSTAIN if kind == "text" else None,
        ),
        "metrics": ("accuracy", "macro_f1") if kind == "label" else ("exact_match", "token_f1"),
        "language": language,
        "has_documents": kind == "text",
    }
    return Task(**{**base, **changes})


def start_run(folder: Path, task: Task) -> RunFolder:
    run = RunFolder(folder)
    run.write_run(
        {
            "id": folder.name,
            "name": task.name,
            "created": "2026-11-20T09:30:00+00:00",
            "task": task.model_dump(mode="json"),
            "config": {"task": task.name},
            "versions": {"python": "3.11.7", "rung": "0.1.0", "torch": "2.10.0"},
            "machine": {"cores": 8, "memory_gib": 15.6, "cpu": "x86_64", "gpu": ""},
            "seed": 7,
            "data": {
                "n": {"train": 140, "dev": 40, "test": N},
                "examples_hash": "5be1c3",
                "rejected": 2,
                "duplicates": {"exact": 3, "within": 1, "across": 2},
                "documents": 12,
                "documents_failed": [{"id": "scan.pdf"}],
                "files": {"questions.csv": {"encoding": "utf-8", "rows": 242}},
                "findings": [
                    {"level": "warning", "code": "E2150", "values": {"found": N, "wanted": 100}, "rows": []},
                    {"level": "info", "code": "E9999", "values": {}, "rows": []},
                ],
            },
            "command": "rung run task.yaml --all",
            "wall_seconds": 1312.0,
            "peak_memory_gib": 2.31,
            "currency": "USD",
        }
    )
    return run


def write_examples(run: RunFolder, lines: Sequence[dict[str, Any]]) -> None:
    with AppendLog(run.path / "examples.jsonl") as log:
        log.add(lines)


def outcome_of(cell: Cell, candidate: str, plant: Plant) -> Outcome:
    method, _, share, _, _, training = plant
    notes: dict[str, Any] = {}
    if "fine_tune" in method:
        faster = 1.4 if "rag" in method else 1.0
        notes["converged"] = "rag" not in method
        notes["curve"] = [
            {
                "step": 40 * k,
                "seconds": 30.0 * k,
                "loss": 2.2 * 0.62 ** (k * faster) + 0.2,
                "dev": share * (1 - 0.6 * 0.5**k) if k % 2 == 0 else None,
            }
            for k in range(9)
        ]
    trials = tuple(
        TrialRecord(setting={"phrasing": phrasing, "k": k}, score=share - 0.02 * k, n=40, seconds=12.5)
        for k, phrasing in enumerate(("plain", "polite"))
    )
    return Outcome(
        cell=cell,
        status="done",
        candidate=candidate,
        spent=Spend(seconds=260.0 if training else 12.0, money=training),
        trials=() if method == "baseline" else trials,
        notes=notes,
    )


def standing_of(candidate: str, plant: Plant, evaluation: Evaluation, target: float | None) -> Standing:
    method, model, share, cost, latency, training = plant
    first = next(iter(evaluation.summaries.values()))
    return Standing(
        candidate=candidate,
        method=method,
        model=model,
        quality=Interval(point=first.value, low=first.low, high=first.high),
        dev=share + 0.01,
        scored=first.scored,
        failed=first.failed,
        unscored=first.unscored,
        training_cost=training,
        cost_per_1000=cost,
        latency_p50=latency,
        latency_p95=latency * 1.8,
        checks=(Check(name="max_latency_p95", limit=0.84, value=latency * 1.8, ok=latency * 1.8 <= 0.84),),
        meets_target=None if target is None else (first.low or 0.0) >= target,
        converged=method != "rag+fine_tune",
    )


def pairs_of(standings: Sequence[Standing]) -> tuple[Pair, ...]:
    found = []
    for i, one in enumerate(standings):
        for other in standings[i + 1 :]:
            gap = (one.quality.point or 0.0) - (other.quality.point or 0.0)
            wide = Interval(point=gap, low=gap - 0.13, high=gap + 0.13)
            found.append(
                Pair(
                    candidate=one.candidate,
                    other=other.candidate,
                    difference=wide,
                    p_value=0.0004 if abs(gap) > 0.2 else 0.31,
                )
            )
    return tuple(found)


def finished_run(
    folder: Path,
    kind: str = "label",
    language: str = "en",
    *,
    ladder: Sequence[Plant] = LADDER,
    verdict: str = "winner",
    target: float | None = None,
    winner: str = "fine_tune",
    others: bool = True,
) -> RunFolder:
    """A run to its end: every rung of the ladder tested, and with `others` one blocked, one failed, one skipped."""
    task = task_of(kind, language, target=target)
    run = start_run(folder, task)
    lines = example_lines(kind, language)
    write_examples(run, lines)
    cells = [Cell(method=plant[0], model=plant[1], rank=i) for i, plant in enumerate(ladder)]
    extra = [
        Outcome(cell=Cell(method="preference", model=MODEL, rank=90), status="blocked", reason=f"No pairs. {HOSTILE}"),
        Outcome(cell=Cell(method="reinforce", model=MODEL, rank=91), status="failed", reason="Out of memory."),
        Outcome(
            cell=Cell(method="soft_prompt", model=MODEL, rank=92), status="skipped", reason="The budget was spent."
        ),
    ]
    extra = extra if others else []
    run.write_plan(
        Plan(mode="compare", cells=(*cells, *(o.cell for o in extra)), splits={"train": 140, "dev": 40, "test": N})
    )
    for outcome in extra:
        run.write_outcome(outcome)
    standings = []
    names: dict[str, str] = {}
    for cell, plant in zip(cells, ladder, strict=True):
        candidate = candidate_of(plant)
        names[cell.method] = candidate.id
        where = run.candidate_folder(candidate.id)
        where.mkdir(parents=True)
        (where / "candidate.json").write_text(json.dumps(candidate.model_dump(mode="json") | {"id": candidate.id}))
        run.write_outcome(outcome_of(cell, candidate.id, plant))
        evaluation = evaluation_of(candidate.id, plant, lines, kind, task.metrics)
        run.write_evaluation(evaluation)
        standings.append(standing_of(candidate.id, plant, evaluation, target))
        with AppendLog(run.openings_path) as log:
            opening = Opening(
                time="2026-11-20T10:00:00Z", candidate=candidate.id, split_hash="9f2c1d7a60b3e845", n=N, answered=N
            )
            log.add([opening.model_dump(mode="json")])
    standings.sort(key=lambda standing: standing.cost_per_1000)
    run.write_decision(
        Decision(
            mode="compare",
            verdict=verdict,  # type: ignore[arg-type]
            winner=names[winner] if verdict in {"winner", "tie"} else None,
            ties=(names["rag"],) if verdict in {"winner", "tie"} and "rag" in names else (),
            metric=task.metric,
            target=target,
            margin=0.03,
            draws=10000,
            seed=11,
            n=N,
            groups=32,
            standings=tuple(standings),
            pairs=pairs_of(standings),
            reason=Text(
                en="Fine-tuning answers 8 of 10 test questions correctly. Retrieval does as well as far as this test can tell, but costs nearly three times as much for every answer.",
                zh="微调后的模型在测试集上十题能答对八题。就这次测试而言，检索增强与它不相上下，但每次回答的成本接近三倍。",
            ),
            would_change=(
                Text(
                    en="At less than 400 answers a month, retrieval is cheaper.",
                    zh="如果每月回答不到 400 次，检索增强更省钱。",
                ),
                Text(
                    en="A margin of 10 points would let the few-shot prompt win.",
                    zh="如果容差放宽到 10 个百分点，少样本提示胜出。",
                ),
            ),
            examples_needed=410 if verdict == "unresolved" else None,
            resolvable=0.127,
        )
    )
    return run
