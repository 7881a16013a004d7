"""Measures what a run's documents can give, and keeps it as `ceilings.json` and `health.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rung.core.errors import InterruptedRun, UsageError
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.task import Example, SplitName
from rung.data.documents import DocumentsResult, read_documents
from rung.experiment.diagnosing.axes import RIGHT_AT
from rung.experiment.kept_run import KeptRun, items_in, release
from rung.experiment.knowledge.ceilings import DEPTH, QUESTIONS, ceilings_of, with_known
from rung.experiment.knowledge.gold import Gold, gold_of
from rung.experiment.knowledge.health import CHUNK_WORDS, Retrieved, health_of
from rung.experiment.knowledge.reading import QUESTIONS as READ
from rung.experiment.knowledge.reading import read_gold
from rung.experiment.meter import Stopwatch
from rung.methods.slots import seeded_sample
from rung.store.knowledge import CandidateCeilings, Ceilings, GoldReading, Health
from rung.store.records import Spend
from rung.store.runs import RunFolder

_LOADING = 20.0
"""Seconds to read a model's weights."""


def measure_run(
    source: Path, *, questions: int | None = None, max_cost: float | None = None, progress: Progress | None = None
) -> Ceilings:
    """Measure the ceilings of a run's candidates that read documents, and keep them. Stopped, the same call goes on.

    `questions`: at most so many are asked with the right passage in the prompt; 0: none. `max_cost`: money for endpoints over the
    whole run. Test stays sealed: of it, only passages recorded with its answers are read. Raises UsageError E1301 without a run,
    E2750 where no candidate reads documents, E2751 where nothing tells which document holds an answer; InterruptedRun E4001.
    """
    run = RunFolder.existing(source)
    kept = KeptRun(run, max_cost)
    with folder_lock(run.path):
        try:
            found = find_ceilings(kept, questions=questions, progress=progress or Silent())
        except KeyboardInterrupt as error:
            raise InterruptedRun("E4001", run=run.path) from error
        if found is None:
            raise UsageError("E2751", run=run.path)
        run.write_ceilings(found)
    return found


def find_ceilings(
    kept: KeptRun, *, questions: int | None = None, left: float | None = None, progress: Progress
) -> Ceilings | None:
    """Every candidate's recall and paths, and for the first of them what it reads off the right passage.

    `left`: seconds that reading may take. None where nothing tells which document holds an answer. Raises UsageError
    E2750 where no candidate reads documents.
    """
    if not kept.retrieving:
        raise UsageError("E2750", run=kept.run.path, known=", ".join(kept.run.candidates()))
    watch, before = Stopwatch(), kept.purse.spent
    every: dict[SplitName, list[Example]] = {
        "dev": kept.run.read_examples("dev"),
        "test": kept.run.read_examples("test"),
    }
    examples: dict[SplitName, Sequence[Example]] = {**every, "dev": _sample(kept, every["dev"])}
    golds: dict[str, Gold | None] = {}
    found: list[CandidateCeilings] = []
    for number, name in enumerate(kept.retrieving):
        progress.update(number, len(kept.retrieving), "retrieval")
        index = kept.index(name)
        if index.id not in golds:
            golds[index.id] = gold_of(kept.task, [*examples["dev"], *examples["test"]], items_in(index))
        gold = golds[index.id]
        if gold is None:
            return None
        one = ceilings_of(kept, name, index, gold, examples)
        if number == 0:
            one = one.model_copy(
                update={"reading": _reading(kept, name, gold, examples["dev"], questions, left, progress)}
            )
        found.append(one)
        del index
    basis = next(gold.basis for gold in golds.values() if gold is not None)
    return Ceilings(
        metric=kept.metric.name,
        right_at=RIGHT_AT,
        basis=basis,
        depth=DEPTH,
        questions=len(examples["dev"]),
        unknown=len(examples["dev"]) - max(one.n for one in found),
        candidates=tuple(found),
        spent=Spend(seconds=watch.seconds, cpu_seconds=watch.cpu, money=kept.purse.spent - before),
    )


def _sample(kept: KeptRun, dev: Sequence[Example]) -> list[Example]:
    """Those with an answer first, as the paths are told by answers; then a seeded sample of the others."""
    answered = {
        row.answer.example for name in kept.retrieving if (done := kept.evaluation(name, "dev")) for row in done.rows
    }
    first = [example for example in dev if example.id in answered]
    rest = [example for example in dev if example.id not in answered]
    return [*first, *seeded_sample(rest, max(0, QUESTIONS - len(first)), kept.seed, "ceilings")]


def _reading(
    kept: KeptRun,
    name: str,
    gold: Gold,
    dev: Sequence[Example],
    questions: int | None,
    left: float | None,
    progress: Progress,
) -> GoldReading | None:
    most = READ[kept.task.output.kind] if questions is None else questions
    done = kept.evaluation(name, "dev")
    if not most or done is None or not done.rows:
        return None
    own = {row.answer.example: row.answer for row in done.rows}
    if left is not None:
        each = done.resources.seconds / len(done.rows)
        most = min(most, int((left - _LOADING) / each)) if each else most
    known = with_known([example for example in dev if example.id in own], gold)
    sample = seeded_sample(known, max(0, most), kept.seed, "gold reading")
    if not sample:
        return None
    opened = kept.open(name)
    folder = kept.run.path / "ceilings" / f"{name}.answers"
    try:
        return read_gold(
            opened, kept.task, kept.metric, sample, own, gold.by_document, folder=folder, progress=progress
        )
    finally:
        release(opened.model)


def run_health(kept: KeptRun, documents: DocumentsResult) -> Health:
    """The health of a run's documents, with what its questions retrieved."""
    name = kept.retrieving[0] if kept.retrieving else ""
    candidate = kept.run.read_candidate(name) if name else None
    recipe = candidate.retriever.recipe if candidate and candidate.retriever else None
    return health_of(
        documents,
        source=str(kept.config.get("documents") or ""),
        chunk_words=recipe.chunk_words if recipe else CHUNK_WORDS,
        items=items_in(kept.index(name)) if recipe else None,
        retrieved=_retrieved(kept) if name else None,
    )


def _retrieved(kept: KeptRun) -> list[Retrieved]:
    """What every question of dev and test was shown, over all candidates."""
    examples = {example.id: example for example in kept.run.read_examples()}
    shown: dict[str, set[str]] = {}
    splits: tuple[SplitName, ...] = ("dev", "test")
    for name in kept.retrieving:
        for split in splits:
            done = kept.evaluation(name, split)
            for row in done.rows if done else ():
                shown.setdefault(row.answer.example, set()).update(row.answer.passages)
    return [
        Retrieved(id, frozenset(passages), frozenset(examples[id].documents if id in examples else ()))
        for id, passages in shown.items()
    ]


def health_of_folder(
    source: Path, *, chunk_words: int = CHUNK_WORDS, progress: Callable[[float, float, str], None] | None = None
) -> Health:
    """The health of documents without a run. Raises as `read_documents` does."""
    return health_of(read_documents(source, progress=progress), source=str(source), chunk_words=chunk_words)


def measure_finished(
    run: RunFolder, documents: DocumentsResult, *, left: float | None, progress: Callable[[], Progress]
) -> None:
    """At the end of a run: health of its documents, and ceilings where examples tell what they need; each once.

    `left`: seconds of the budget that are left; recall takes none of a model's, and reading is left out where they do not do.
    """
    if not documents.documents:
        return
    kept = KeptRun(run)
    if run.read_health() is None:
        run.write_health(run_health(kept, documents))
    if kept.retrieving and run.read_ceilings() is None:
        found = find_ceilings(kept, left=left, progress=progress())
        if found is not None:
            run.write_ceilings(found)
