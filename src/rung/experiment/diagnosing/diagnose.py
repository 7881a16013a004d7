"""Two-axis diagnosis: dev questions asked plainly, with the gold passage, with examples of the form, and with both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rung.core.answer import Opened, open_candidate
from rung.core.candidate import Candidate
from rung.core.errors import DataError, InterruptedRun, UsageError
from rung.core.evaluation import Answer, Metric
from rung.core.hashing import hash_json
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.model import Model
from rung.core.registry import create
from rung.core.task import Example
from rung.experiment.diagnosing.arms import (
    LEANING,
    PASSAGES,
    SHOTS,
    Items,
    format_examples,
    gold_passages,
    lean_anew,
    mark_answers,
    open_arm,
)
from rung.experiment.diagnosing.axes import LEAST, ArmAnswers, Subject, find_axis, missing
from rung.experiment.diagnosing.kept import Repeated, answers_kept, is_deterministic
from rung.experiment.diagnosing.recorded_arms import diagnose_task_recordings
from rung.experiment.diagnosing.reopen import reopen
from rung.experiment.diagnosing.retrieval_failures import failures_of
from rung.experiment.limits import Limits
from rung.experiment.meter import Stopwatch
from rung.experiment.plan import Bench, fit_data, open_bench
from rung.experiment.setup import Prepared
from rung.methods.slots import new_candidate, prompt_slot, seeded_sample
from rung.models.openai_request import rough_tokens
from rung.store.diagnosis import Diagnosis, RetrievalFailures
from rung.store.records import Outcome
from rung.store.runs import RunFolder

QUESTIONS = 100


def diagnose_task(
    source: Path,
    *,
    runs: Path | None = None,
    questions: int = QUESTIONS,
    model: str = "",
    arms: Mapping[str, Path] | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Diagnose a task's errors on dev, and keep `diagnosis.json` in its run folder. Stopped, the same call goes on.

    `source`: a task file, a run, or a folder of runs. `questions`: at most so many, a seeded sample of dev. `model`: the
    name of one of several models; the first by default. `arms`: recordings by arm, instead of `arms` in task.yaml; with
    either, no model is asked. `max_cost`: money for endpoints over the whole run, in place of its budget's. Raises UsageError E4201, E4202, E4206 (no such model), E2403 (no language model); DataError
    E4203-E4205; InterruptedRun when stopped.
    """
    found = reopen(source, runs)
    prepared, run = Limits(max_cost).applied(found.prepared), found.run
    recorded = arms or {name: prepared.config.path(path) for name, path in prepared.config.arms.named.items()}
    metric: Metric = create("metric", prepared.task.metric, task=prepared.task)
    with folder_lock(run.path):
        if recorded:
            dev = prepared.examples["dev"]
            seed = prepared.config.data.seed
            run.write_diagnosis(diagnose_task_recordings(recorded, prepared.task, metric, dev, seed))
            return run
        try:
            run.write_diagnosis(_ask(prepared, run, metric, questions, model, progress or Silent()))
        except KeyboardInterrupt as error:
            raise InterruptedRun("E4001", run=run.path) from error
    return run


@dataclass(frozen=True)
class _Session:
    """One diagnosis at work."""

    prepared: Prepared
    run: RunFolder
    metric: Metric
    questions: tuple[Example, ...]
    plain: Opened
    folder: Path
    """Where answers are kept until all arms are done."""
    progress: Progress


def _ask(
    prepared: Prepared, run: RunFolder, metric: Metric, questions: int, label: str, progress: Progress
) -> Diagnosis:
    sample = seeded_sample(prepared.examples["dev"], questions, prepared.config.data.seed, "diagnosis")
    if len(sample) < LEAST:
        raise DataError("E4203", n=len(sample), least=LEAST)
    watch = Stopwatch()
    bench = open_bench(prepared, run.path)
    before = bench.purse.spent
    label, model = _model(bench, label)
    outcome = _made_by("prompt", label, run)
    candidate = _plain(prepared, run, outcome, model)
    stamp = _stamp(prepared, candidate, sample)
    session = _Session(
        prepared, run, metric, sample, _open(run, candidate, model), run.path / "diagnosis" / stamp, progress
    )
    arms, partly = _arms(session, outcome)
    bench.release()
    subject = Subject(
        name=prepared.task.name,
        metric=metric.name,
        questions=sample,
        candidate=candidate.id if outcome and outcome.candidate == candidate.id else "",
        model=label,
        seed=prepared.config.data.seed,
        partly=partly,
    )
    gold = next((arm for arm in arms if arm.name == "gold" and arm.is_there), None)
    retrieval = _retrieval(session, label, gold)
    spent = watch.spend(money=bench.purse.spent - before)
    return find_axis(subject, arms, retrieval=retrieval, spent=spent)


def _stamp(prepared: Prepared, candidate: Candidate, sample: Sequence[Example]) -> str:
    """Everything that the arms' answers depend on: kept answers to anything else are not gone on with."""
    data = [*sample, *prepared.examples["train"]]
    documents = [[d.id, d.text] for d in prepared.documents.documents]
    return hash_json([candidate.id, [[e.hash, e.documents, e.group] for e in data], documents, SHOTS, PASSAGES], 12)


def _model(bench: Bench, label: str) -> tuple[str, Model]:
    label = label or next(iter(bench.models))
    if label not in bench.models:
        raise UsageError("E4206", model=label, known=", ".join(bench.models))
    model = bench.models[label]
    if not model.capabilities.language_model:
        raise UsageError("E2403")
    return label, model


def _made_by(method: str, label: str, run: RunFolder) -> Outcome | None:
    made = [o for o in run.outcomes() if o.status == "done" and o.cell.method == method and o.cell.model == label]
    return made[0] if made else None


def _plain(prepared: Prepared, run: RunFolder, outcome: Outcome | None, model: Model) -> Candidate:
    """What the prompt rung made; before it has run, the bare instruction."""
    if outcome is not None:
        candidate = run.read_candidate(outcome.candidate)
        if candidate.model == model.ref:
            return candidate
    fit = fit_data(prepared, run.path, run.path / "diagnosis", "prompt")
    return new_candidate(fit, model, "prompt", prompt_slot(prepared.task))


def _open(run: RunFolder, candidate: Candidate, model: Model) -> Opened:
    return open_candidate(candidate, run.candidate_folder(candidate.id), run.indexes, model=model)


def _arms(session: _Session, outcome: Outcome | None) -> tuple[list[ArmAnswers], bool]:
    """All arms, asked one after another; whether some scores lie between 0 and 1."""
    prepared, plain, task = session.prepared, session.plain, session.prepared.task
    train, seed = prepared.examples["train"], prepared.config.data.seed
    beside = (*session.questions, *seeded_sample(train, LEANING, seed, "leaning"))
    longest = max(rough_tokens(task.instruction) + 2 * rough_tokens(e.text) for e in session.questions)
    context = plain.model.capabilities.context_tokens
    room = max(1.0, context - task.output.max_tokens - longest) if context else 0.0
    passages = gold_passages(beside, prepared.documents.documents, room)
    shots = format_examples(task, train, beside, seed)
    with_gold = [e for e in session.questions if e.text in passages]
    with_form = [e for e in session.questions if e.text in shots]
    with_both = [e for e in with_gold if e.text in shots]
    marked: list[bool] = []

    def arm(name: str, opened: Callable[[], Opened], examples: Sequence[Example]) -> ArmAnswers:
        answers = answers_kept(
            session.folder / f"{name}.jsonl",
            opened(),
            examples,
            session.progress,
            note=name,
            known=_evaluated(session, outcome) if name == "plain" else None,
        )
        found = mark_answers(task, session.metric, examples, answers)
        marked.append(found.partly)
        return ArmAnswers(name, "asked", found.marks, answers)

    def shown(gold: Items | None, form: Items | None) -> Callable[[], Opened]:
        return lambda: lean_anew(open_arm(plain, gold, form), train, seed)

    arms = [arm("plain", lambda: plain, session.questions)]
    if is_deterministic(plain.model):
        arms.append(replace(arms[0], name="control", source="copied"))
    else:
        again = replace(plain, model=Repeated(plain.model, 1))
        arms.append(arm("control", lambda: again, session.questions))
    few = {"least": LEAST}
    enough = {"gold": len(with_gold) >= LEAST, "format": len(with_form) >= LEAST, "both": len(with_both) >= LEAST}
    arms.append(
        arm("gold", shown(passages, None), with_gold) if enough["gold"] else missing("gold", "missing_documents", **few)
    )
    arms.append(
        arm("format", shown(None, shots), with_form) if enough["format"] else missing("format", "missing_examples")
    )
    arms.append(
        arm("both", shown(passages, shots), with_both) if enough["both"] else missing("both", "missing_one_of_two")
    )
    return arms, any(marked)


def _evaluated(session: _Session, outcome: Outcome | None) -> dict[str, Answer]:
    """Answers that the prompt rung has given to these questions already, on dev."""
    done = session.run.read_evaluation(outcome.candidate, "dev") if outcome else None
    if done is None or outcome is None or session.plain.candidate.id != outcome.candidate:
        return {}
    wanted = {example.id for example in session.questions}
    return {row.answer.example: row.answer for row in done.rows if row.answer.example in wanted}


def _retrieval(session: _Session, label: str, gold: ArmAnswers | None) -> list[RetrievalFailures]:
    """Where the rag rung's errors on dev come from, if it has run."""
    made = _made_by("rag", label, session.run)
    done = session.run.read_evaluation(made.candidate, "dev") if made else None
    if made is None or done is None:
        return []
    answers = {row.answer.example: row.answer for row in done.rows}
    examples = [e for e in session.prepared.examples["dev"] if e.id in answers]
    marks = mark_answers(session.prepared.task, session.metric, examples, answers).marks
    return [failures_of(made.candidate, examples, answers, marks, gold.marks if gold else None)]
