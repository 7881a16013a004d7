"""What was proved of a candidate: its answers to the test questions, its speed then, and the index it read."""

from __future__ import annotations

from dataclasses import dataclass

from rung.core.candidate import Candidate
from rung.core.errors import UsageError
from rung.monitoring.sample import Counting, Sample
from rung.store.runs import RunFolder


@dataclass(frozen=True)
class Baseline:
    """What traffic is held against."""

    run: RunFolder
    candidate: Candidate
    sample: Sample
    latency_p95: float | None
    """Seconds for one answer, one question at a time."""
    latency_n: int
    index: str
    """`<name>@<version>` of the documents that were read; '' where none were."""
    currency: str = "USD"


def read_baseline(run: RunFolder, candidate: str) -> Baseline:
    """Raises UsageError E7060 where the candidate was not evaluated on test."""
    chosen = run.read_candidate(candidate)
    evaluation = run.read_evaluation(candidate, "test")
    if evaluation is None:
        raise UsageError("E7060", candidate=candidate, run=run.path)
    examples = {example.id: example for example in run.read_examples("test")}
    decision = run.read_decision()
    return Baseline(
        run=run,
        candidate=chosen,
        sample=Counting.of(chosen).proof(evaluation.rows, examples),
        latency_p95=evaluation.resources.latency_p95,
        latency_n=evaluation.resources.latency_n,
        index=evaluation.header.index,
        currency=decision.currency if decision else "USD",
    )


def changed_documents(baseline: Baseline, index: str) -> int | None:
    """Documents added, changed and deleted between the version that was proved and another; None where nobody can tell."""
    from rung.retrieval.versions import is_base, numbers, read_version

    (name, _, proved), (other, _, served) = baseline.index.partition("@"), index.partition("@")
    folder = baseline.run.indexes / name
    if name != other or not proved.isdigit() or not served.isdigit() or not is_base(folder):
        return None
    first, last = sorted((int(proved), int(served)))
    between = [number for number in numbers(folder) if first < number <= last]
    if len(between) != last - first:
        return None
    return sum(sum(read_version(folder, number).change.values()) for number in between)


def held_documents(baseline: Baseline) -> int | None:
    """Documents of the version that was proved."""
    from rung.retrieval.versions import is_base, numbers, read_version

    name, _, proved = baseline.index.partition("@")
    folder = baseline.run.indexes / name
    if not proved.isdigit() or not is_base(folder) or int(proved) not in numbers(folder):
        return None
    return read_version(folder, int(proved)).documents
