"""Measures what tuning did to a candidate of a run besides the task, and keeps it as `aftermath/<candidate>.json`.

Test is never opened: general questions and training rows are asked anew, and dev is read from the answers the run has kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from rung.core.answer import Opened, finish, open_candidate, prepare
from rung.core.candidate import Candidate
from rung.core.errors import InterruptedRun, UsageError
from rung.core.evaluation import Evaluation, Metric, Row
from rung.core.hashing import seed_from
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.model import Completion, Model, Request
from rung.core.registry import create, find
from rung.core.task import Example, Task
from rung.experiment.aftermath import chats, exposure, general, unseen, verbatim
from rung.experiment.aftermath.asking import Sitting, sit
from rung.experiment.aftermath.overfitting import overfitting, read_curve
from rung.experiment.aftermath.unseen import Scored
from rung.experiment.meter import Stopwatch
from rung.methods.canaries import Canary, is_canary, read_canaries
from rung.methods.slots import encoder_named, seeded_sample
from rung.store.aftermath import Aftermath, CanaryPart, Overfitting, Unseen
from rung.store.records import Outcome, Spend
from rung.store.runs import RunFolder, reading
from rung.training.rows import TrainingRow, held_out, read_rows

T = TypeVar("T")
_LOADING = 20.0
"""Seconds to read the weights of both models."""
_MOST_COMPARED = 20_000
"""Training rows that a dev question is compared with; more add little to how near the nearest one is."""


@dataclass(frozen=True)
class Effort:
    """How much is asked. Every number is an upper limit."""

    general: int = 200
    """General questions."""
    rows: int = 100
    """Training rows whose beginning is shown."""
    train: int = 150
    """Training rows that are asked as they stand."""
    light: bool = False


LIGHT = Effort(general=60, rows=40, train=40, light=True)


@dataclass(frozen=True)
class Subject:
    """A tuned candidate of a run."""

    run: RunFolder
    name: str
    candidate: Candidate
    task: Task
    metric: Metric
    seed: int
    encoder: str

    @cached_property
    def folder(self) -> Path:
        return self.run.candidate_folder(self.name)

    @cached_property
    def outcome(self) -> Outcome | None:
        return next((found for found in self.run.outcomes() if found.candidate == self.name), None)

    @cached_property
    def canaries(self) -> tuple[Canary, ...]:
        return read_canaries(self.folder)

    @cached_property
    def rows(self) -> list[TrainingRow]:
        """What it was trained on, canaries left out; empty where its folder does not say."""
        path = self.folder / "training" / "rows.jsonl"
        if not path.is_file():
            return []
        with reading(path):
            return [row for row in read_rows(path) if not is_canary(row.id)]

    @cached_property
    def train(self) -> list[Example]:
        """The examples behind those rows; the whole split where no rows are known. An answer with a thumb down is no reference."""
        ids = {row.id for row in self.rows}
        known = [example for example in self.run.read_examples("train") if example.liked is not False]
        return [example for example in known if not ids or example.id in ids]

    @cached_property
    def dev(self) -> Evaluation | None:
        return self.run.read_evaluation(self.name, "dev")

    def opened(self) -> Opened:
        slots = self.candidate
        encoder = encoder_named(self.encoder) if slots.retriever or slots.shots else None
        return open_candidate(slots, self.folder, self.run.indexes, encoder=encoder)

    def untuned(self) -> Model:
        """The model as it was before tuning."""
        ref = self.candidate.model
        found: Model = find("model", ref.kind).open(ref)
        return found


def subject_of(run: RunFolder, candidate: str = "") -> Subject:
    """A tuned candidate of a run: the one named, else the winner, else the only one there is.

    Raises UsageError E1302 for an unknown candidate, E4700 where none was tuned, E4701 for one that was not, E4702 where
    several were and none is the winner.
    """
    record = run.read_run()
    with reading(run.path / "run.yaml"):
        task = Task.model_validate(record["task"])
    tuned = [name for name in run.candidates() if run.read_candidate(name).adapter is not None]
    decision = run.read_decision()
    name = candidate or (decision.winner if decision and decision.winner in tuned else None) or ""
    if not name:
        if not tuned:
            raise UsageError("E4700", run=run.path)
        if len(tuned) > 1:
            raise UsageError("E4702", run=run.path, known=", ".join(tuned))
        name = tuned[0]
    chosen = run.read_candidate(name)
    if chosen.adapter is None:
        raise UsageError("E4701", candidate=name, known=", ".join(tuned) or "-")
    return Subject(
        run,
        name,
        chosen,
        task,
        create("metric", task.metric, task=task),
        int(record.get("seed", 0)),
        str((record.get("config") or {}).get("encoder") or "minilm"),
    )


def measure_run(
    source: Path, *, candidate: str = "", effort: Effort | None = None, progress: Progress | None = None
) -> Aftermath:
    """Measure a run's tuned candidate (the winner by default), and keep the result. Stopped, the same call goes on.

    Raises UsageError E1301 without a run and what `subject_of` raises; InterruptedRun E4001 when stopped.
    """
    run = RunFolder.existing(source)
    subject = subject_of(run, candidate)
    with folder_lock(run.path):
        try:
            found = measure(subject, effort or Effort(), progress or Silent())
        except KeyboardInterrupt as error:
            raise InterruptedRun("E4001", run=run.path) from error
        run.write_aftermath(found)
    return found


def measure(subject: Subject, effort: Effort, progress: Progress) -> Aftermath:
    """Ask both models, and put everything together."""
    watch, seed, margin = Stopwatch(), subject.seed, subject.task.margin
    opened = subject.opened()
    questions = general.pick(general.general_questions(), effort.general, seed)
    probes = _probes(subject, effort)
    sheets: dict[str, Sequence[Request]] = {
        "general": [general.request_of(question) for question in questions],
        "chats": chats.chat_requests(),
        "verbatim": [probe.request for probe in probes],
    }
    if subject.canaries:
        sheets["ranks"] = exposure.rank_requests(opened, subject.canaries, seed)
        sheets["codes"] = exposure.say_requests(opened, subject.canaries)
    asked = _train_questions(subject, opened, effort)
    folder = subject.run.aftermath_answers(subject.name)
    own: dict[str, Sequence[Request]] = {**sheets, "train": [request for _, request in asked]}
    after = sit(Sitting("after", lambda: opened.model, own), folder, progress)
    before = sit(Sitting("before", subject.untuned, sheets), folder, progress)
    marks = [general.mark(questions, side["general"]) for side in (before, after)]
    outcome = subject.outcome
    notes: Mapping[str, Any] = outcome.notes if outcome else {}
    return Aftermath(
        candidate=subject.name,
        method=subject.candidate.method,
        model=subject.candidate.model.id,
        metric=subject.metric.name,
        language=subject.task.language,
        margin=margin,
        light=effort.light,
        seed=seed,
        questions_hash=general.questions_hash(),
        ability=general.abilities(questions, marks[0], marks[1], margin=margin, seed=seed),
        chats=chats.compare_chats(before["chats"], after["chats"]),
        unseen=_unseen(subject),
        overfitting=_overfitting(subject, opened, asked, after["train"]),
        curve=read_curve(notes.get("curve") or (), (notes.get("training") or {}).get("best_step")),
        verbatim=verbatim.verbatim_parts(probes, before["verbatim"], after["verbatim"], seed) if probes else (),
        repeated_from=verbatim.REPEATED,
        canaries=_canaries(subject, sheets, before, after),
        spent=Spend(seconds=watch.seconds, cpu_seconds=watch.cpu),
    )


def _probes(subject: Subject, effort: Effort) -> list[verbatim.Probe]:
    found: list[verbatim.Probe] = []
    for row in _shuffled(subject.rows, subject.seed, "verbatim"):
        if len(found) == effort.rows:
            break
        probe = verbatim.probe_of(row, subject.task.language)
        found += [probe] if probe else []
    return found


def _shuffled(items: Sequence[T], *names: object) -> list[T]:
    order = np.random.default_rng(seed_from("aftermath", *names)).permutation(len(items))
    return [items[i] for i in order]


def _train_questions(subject: Subject, opened: Opened, effort: Effort) -> list[tuple[Example, Request]]:
    """A sample of its own training questions, rendered as in training: a row is never shown itself."""
    sample = seeded_sample(subject.train, effort.train, subject.seed, "train gap")
    rendered = {row.id: row.request for row in subject.rows}
    if all(example.id in rendered for example in sample):
        return [(example, rendered[example.id]) for example in sample]
    hidden = dict(zip((e.id for e in subject.train), held_out(subject.train), strict=True))
    requests = prepare(opened, sample, exclude=[hidden[example.id] for example in sample])
    return list(zip(sample, requests, strict=True))


def _overfitting(
    subject: Subject, opened: Opened, asked: Sequence[tuple[Example, Request]], said: Sequence[Completion]
) -> Overfitting | None:
    if subject.dev is None:
        return None
    examples = [example for example, _ in asked]
    answers = [finish(opened, e, request, done) for (e, request), done in zip(asked, said, strict=True)]
    scores = subject.metric.score(examples, answers) if examples else []
    rows = [
        Row(answer, {subject.metric.name: score}, example.group)
        for example, answer, score in zip(examples, answers, scores, strict=True)
    ]
    return overfitting(_scored(subject, rows), _scored(subject, subject.dev.rows))


def _scored(subject: Subject, rows: Sequence[Row]) -> Scored:
    return Scored(subject.metric, rows, subject.seed)


def _unseen(subject: Subject) -> tuple[Unseen, ...]:
    """By similarity, and by labels and groups where training lacked some that dev has."""
    if subject.dev is None or not subject.train:
        return ()
    margin, scored = subject.task.margin, _scored(subject, subject.dev.rows)
    answered = {row.answer.example for row in scored.rows}
    dev = [example for example in subject.run.read_examples("dev") if example.id in answered]
    train = seeded_sample(subject.train, _MOST_COMPARED, subject.seed, "compared")
    texts, others = [example.asked for example in dev], [example.asked for example in train]
    how: Literal["encoder", "shingles"] = "encoder"
    if subject.encoder == "minilm" and subject.task.language != "en":
        # The built-in encoder has seen English only.
        how = "shingles"
    nearest = (
        unseen.nearest_by_encoder(texts, others, encoder_named(subject.encoder))
        if how == "encoder"
        else unseen.nearest_by_shingles(texts, others)
    )
    similarity = dict(zip((example.id for example in dev), nearest.tolist(), strict=True))
    found = [unseen.by_similarity(scored, similarity, margin, how=how, plain=_untuned_dev(subject))]
    if subject.task.output.kind == "label":
        found.append(unseen.by_kind(scored, "label", dev, subject.train, margin))
    found.append(unseen.by_kind(scored, "group", dev, subject.train, margin))
    return tuple(part for part in found if part is not None)


def _untuned_dev(subject: Subject) -> Evaluation | None:
    """Dev answers of a rung without tuning on the same model, the plain prompt where there is one."""
    run, model = subject.run, subject.candidate.model
    found = []
    for name in run.candidates():
        other = run.read_candidate(name)
        if other.adapter is None and (other.model.kind, other.model.id) == (model.kind, model.id):
            found.append((other.method != "prompt", name))
    evaluations = (run.read_evaluation(name, "dev") for _, name in sorted(found))
    return next((evaluation for evaluation in evaluations if evaluation is not None), None)


def _canaries(
    subject: Subject,
    sheets: Mapping[str, Sequence[Request]],
    before: Mapping[str, Sequence[Completion]],
    after: Mapping[str, Sequence[Completion]],
) -> CanaryPart | None:
    if not subject.canaries:
        return None
    return exposure.canary_part(
        subject.canaries,
        sheets["ranks"],
        ranked=(before["ranks"], after["ranks"]),
        said=(before["codes"], after["codes"]),
        seed=subject.seed,
    )


def light_seconds(subject: Subject) -> float:
    """What the short form is expected to take, from what dev answers took."""
    dev = subject.dev
    each = dev.resources.seconds / dev.header.n if dev and dev.header.n else 1.0
    canaries = 2 * 4 * len(subject.canaries)
    return _LOADING + each * (2 * (LIGHT.general + LIGHT.rows + 3 * len(chats.prompts())) + LIGHT.train + canaries)


def measure_winner(run: RunFolder, *, left: float | None, progress: Callable[[], Progress]) -> Aftermath | None:
    """The short form for a run's winner, where it was tuned and nothing is measured yet; None where it is left out.

    `left`: seconds of the budget that are left; where they do not do, the command `rung aftermath` is still there. `progress` is
    called only where there is something to do.
    """
    decision = run.read_decision()
    name = decision.winner if decision else None
    if name is None or run.read_candidate(name).adapter is None or run.read_aftermath(name) is not None:
        return None
    subject = subject_of(run, name)
    if left is not None and light_seconds(subject) > left:
        return None
    found = measure(subject, LIGHT, progress())
    run.write_aftermath(found)
    return found
