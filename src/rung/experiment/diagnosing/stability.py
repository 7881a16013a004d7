"""Stability: how often a candidate answers the same when the same is asked again, in other words or in another form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Opened, open_candidate
from rung.core.errors import DataError, InterruptedRun, UsageError
from rung.core.evaluation import Answer, Metric
from rung.core.hashing import hash_file, seed_from
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.model import Model
from rung.core.registry import create, find
from rung.core.task import Example, Task
from rung.data.table import read_table
from rung.experiment.diagnosing.kept import answers_kept, is_deterministic
from rung.experiment.diagnosing.probes import LIGHT, Effort, Probe, Skipped, probes, question_field
from rung.experiment.evaluate import number
from rung.experiment.limits import Limits
from rung.experiment.meter import Stopwatch
from rung.experiment.purse import ANSWERS, PaidModel, Purse, budget_of
from rung.methods.slots import seeded_sample
from rung.models.cache import CachedModel
from rung.stats.bootstrap import guarded_interval, resample
from rung.stats.intervals import wilson
from rung.store.diagnosis import Changed, Kind, KindStability, Stability
from rung.store.records import Interval, Spend
from rung.store.runs import RunFolder, reading
from rung.text.normalise import normalise_answer, normalise_label, squeeze
from rung.text.strict_json import read_json, write_json
from rung.text.variants import to_simplified

_EXAMPLES = 3
_LONGEST = 300
_DRAWS = 4_000


@dataclass(frozen=True)
class Paraphrases:
    """A file of other wordings that people wrote: a row holds an id, or the question as it stands, and the wording."""

    path: Path
    column: str = "paraphrase"


def measure_run(
    source: Path,
    *,
    candidate: str = "",
    effort: Effort | None = None,
    paraphrases: Paraphrases | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Measure a run's candidate (the winner by default) on a seeded sample of dev, and keep `stability.json`.

    `max_cost`: money for endpoints over the whole run, in place of its budget's.

    Stopped, the same call goes on. Raises UsageError E1301 without a run, E1302 for an unknown candidate, E4207 where no
    winner is named; DataError E4208 without dev questions, E4209 where the paraphrases fit no question;
    InterruptedRun when stopped.
    """
    limit = Limits(max_cost).max_cost
    run = RunFolder.existing(source)
    record = run.read_run()
    with reading(run.path / "run.yaml"):
        task = Task.model_validate(record["task"])
    decision = run.read_decision()
    name = candidate or (decision.winner if decision else None) or ""
    if not name:
        raise UsageError("E4207", run=run.path, known=", ".join(run.candidates()))
    chosen = run.read_candidate(name)
    effort = effort or Effort()
    seed = int(record.get("seed", 0))
    sample = seeded_sample(run.read_examples("dev"), effort.questions, seed, "stability")
    if not sample:
        raise DataError("E4208", run=run.path)
    with folder_lock(run.path):
        purse = Purse.of_run(run.path, budget_of(record) if limit is None else limit)
        before = purse.spent
        backend: Model = find("model", chosen.model.kind).open(
            chosen.model, adapter=chosen.adapter, folder=run.candidate_folder(name)
        )
        if chosen.model.options.get("base_url"):
            backend = CachedModel(PaidModel(backend, purse), run.path / ANSWERS)
        opened = open_candidate(chosen, run.candidate_folder(name), run.indexes, model=backend)
        subject = Measured(run, name, chosen.method, task, create("metric", task.metric, task=task), seed)
        try:
            found = measure(subject, opened, sample, effort, paraphrases=paraphrases, progress=progress)
        except KeyboardInterrupt as error:
            raise InterruptedRun("E4001", run=run.path) from error
        spent = found.spent.model_copy(update={"money": purse.spent - before})
        run.write_stability(found.model_copy(update={"spent": spent}))
    return run


@dataclass(frozen=True)
class Measured:
    """Whose stability is measured, and by what an answer is scored."""

    run: RunFolder
    candidate: str
    method: str
    task: Task
    metric: Metric
    seed: int = 0


def light_stability(
    subject: Measured, opened: Callable[[], Opened], dev: Sequence[Example], progress: Progress | None = None
) -> Stability | None:
    """The short measurement behind `constraints.min_stability`, kept with the candidate; None without dev questions."""
    kept = subject.run.read_stability(subject.candidate)
    if kept is not None:
        return kept
    sample = seeded_sample(dev, LIGHT.questions, subject.seed, "stability")
    if not sample:
        return None
    found = measure(subject, opened(), sample, LIGHT, progress=progress)
    subject.run.write_stability(found)
    return found


def measure(
    subject: Measured,
    opened: Opened,
    sample: Sequence[Example],
    effort: Effort,
    *,
    paraphrases: Paraphrases | None = None,
    progress: Progress | None = None,
) -> Stability:
    """Ask the sample again in every way, at the temperature it is served at, and compare with the first answers."""
    progress, watch, task = progress or Silent(), Stopwatch(), subject.task
    deterministic = is_deterministic(opened.model)
    if deterministic:
        # Asked twice all the same: that answers repeat is measured, and not only known.
        effort = replace(effort, repeats=min(2, effort.repeats))
    written = _wordings(paraphrases, task, sample) if paraphrases else {}
    folder = subject.run.path / "stability" / f"{subject.candidate}.answers"
    evaluated = subject.run.read_evaluation(subject.candidate, "dev")
    known = {row.answer.example: row.answer for row in evaluated.rows} if evaluated else {}
    first = answers_kept(folder / "first.jsonl", opened, sample, progress, note="first answers", known=known)
    tallies: dict[Kind, _Tally] = {}
    skipped: dict[Kind, Skipped] = {}
    for probe in probes(task, opened, sample, effort, written):
        if isinstance(probe, Skipped):
            skipped[probe.kind] = probe
            continue
        name = f"{probe.kind}-{probe.name}"
        if probe.kind == "paraphrase" and paraphrases is not None:
            name = f"{probe.kind}-{hash_file(paraphrases.path)[:8]}-{paraphrases.column}-{probe.name}"
        again = answers_kept(folder / f"{name}.jsonl", probe.opened, probe.examples, progress, note=probe.kind)
        tallies.setdefault(probe.kind, _Tally(probe.kind)).add(_compare(subject, probe, sample, first, again))
    scores = [s.value for s in subject.metric.score(sample, [first[e.id] for e in sample]) if s.status == "scored"]
    measured = {kind: tally.told(sample, subject.seed) for kind, tally in tallies.items()}
    counted = [t for kind, t in tallies.items() if not (deterministic and kind == "repeat")]
    return Stability(
        candidate=subject.candidate,
        method=subject.method,
        model=opened.model.ref.id,
        metric=subject.metric.name,
        n=len(sample),
        groups=len({e.group or f"\0{e.id}" for e in sample}),
        repeats=effort.repeats,
        deterministic=deterministic,
        light=effort.light,
        seed=subject.seed,
        agreement=_overall(counted, sample, subject.seed),
        accuracy=float(np.mean(scores)) if scores else None,
        kinds=(
            *measured.values(),
            *(KindStability(kind=s.kind, status="not_applicable", why_not=s.why_not) for s in skipped.values()),
        ),
        spent=Spend(seconds=watch.seconds, cpu_seconds=watch.cpu),
    )


def _wordings(paraphrases: Paraphrases, task: Task, sample: Sequence[Example]) -> dict[str, list[str]]:
    """Wordings by question id."""
    if not paraphrases.path.is_file():
        raise UsageError("E1305", path=paraphrases.path)
    table = read_table(paraphrases.path)
    if paraphrases.column not in table.columns:
        known = ", ".join(table.columns)
        raise DataError("E2651", paraphrases.path.name, field=paraphrases.column, known=known)
    name = question_field(task, sample)
    by_text = {squeeze(example.inputs.get(name, "")): example.id for example in sample}
    ids = {example.id for example in sample}
    found: dict[str, list[str]] = {}
    for row in table.rows:
        wording = str(row.get(paraphrases.column) or "").strip()
        places = [str(row[key]) for key in ("id", name, "question") if row.get(key) is not None]
        match = next((id for text in places if (id := text if text in ids else by_text.get(squeeze(text)))), None)
        if match and wording:
            found.setdefault(match, []).append(wording)
    if not found:
        raise DataError("E4209", paraphrases.path.name, column=paraphrases.column)
    return found


@dataclass(frozen=True)
class _Pair:
    """One question asked twice. `agree` None: neither answer came."""

    id: str
    agree: bool | None
    change: float | None
    shown: Changed


def _compare(
    subject: Measured,
    probe: Probe,
    sample: Sequence[Example],
    first: Mapping[str, Answer],
    again: Mapping[str, Answer],
) -> list[_Pair]:
    by_id = {example.id: example for example in sample}
    asked = [by_id[example.id] for example in probe.examples]
    # A right answer in traditional characters is no wrong one, so it is scored in the script of the reference.
    said = {e.id: _in_script(again[e.id], e) if probe.kind == "script" else again[e.id] for e in asked}
    before = subject.metric.score(asked, [first[e.id] for e in asked])
    after = subject.metric.score(asked, [said[e.id] for e in asked])
    pairs = []
    for example, varied, old, new in zip(asked, probe.examples, before, after, strict=True):
        one, other = first[example.id], again[example.id]
        silent = one.failure is not None and other.failure is not None
        same = one.failure is None and other.failure is None and _form(one, subject.task) == _form(other, subject.task)
        scored = old.status == new.status == "scored"
        shown = Changed(id=example.id, question=varied.text[:_LONGEST], before=_told(one), after=_told(other))
        pairs.append(_Pair(example.id, None if silent else same, new.value - old.value if scored else None, shown))
    return pairs


def _in_script(answer: Answer, example: Example) -> Answer:
    simplified = all(to_simplified(reference) == reference for reference in example.references)
    return replace(answer, text=to_simplified(answer.text)) if simplified else answer


def _form(answer: Answer, task: Task) -> str:
    """The form in which two answers are compared: that of the task's kind, in simplified characters for Chinese."""
    text = to_simplified(answer.text) if task.language == "zh" else answer.text
    if task.output.kind == "label":
        return normalise_label(text)
    if task.output.kind == "json":
        try:
            return write_json(read_json(text))
        except ValueError:
            return squeeze(text)
    return normalise_answer(text, task.language)


def _told(answer: Answer) -> str:
    return f"[{answer.failure.kind}]" if answer.failure else answer.text[:_LONGEST]


@dataclass
class _Tally:
    """Pairs of one kind, over all its probes."""

    kind: Kind
    pairs: list[_Pair] = field(default_factory=list)

    def add(self, pairs: Sequence[_Pair]) -> None:
        self.pairs += pairs

    def sums(self, sample: Sequence[Example], of: Callable[[_Pair], float | None]) -> NDArray[np.float64]:
        """float [n, 2]: for every question the sum over its pairs, and how many there are."""
        place = {example.id: n for n, example in enumerate(sample)}
        found = np.zeros((len(sample), 2))
        for pair in self.pairs:
            if (value := of(pair)) is not None:
                found[place[pair.id]] += (value, 1.0)
        return found

    def agreed(self, sample: Sequence[Example]) -> NDArray[np.float64]:
        return self.sums(sample, lambda pair: None if pair.agree is None else float(pair.agree))

    def told(self, sample: Sequence[Example], seed: int) -> KindStability:
        agreed = self.agreed(sample)
        agree, pairs = (int(x) for x in agreed.sum(axis=0))
        once = bool((agreed[:, 1] <= 1).all()) and not any(example.group for example in sample)
        if once and pairs:
            share = wilson(agree, pairs)
            agreement = Interval(point=agree / pairs, low=share.low, high=share.high)
        else:
            agreement = _ratio(agreed[:, None, :], sample, seed, f"agreement {self.kind}")
        changes = self.sums(sample, lambda pair: pair.change)[:, None, :]
        differing = [pair.shown for pair in self.pairs if pair.agree is False]
        return KindStability(
            kind=self.kind,
            n=len({pair.id for pair in self.pairs}),
            pairs=pairs,
            agree=agree,
            failed=sum(pair.agree is None for pair in self.pairs),
            agreement=agreement,
            change=_ratio(changes, sample, seed, f"change {self.kind}", lowest=-1.0),
            examples=tuple(differing[:_EXAMPLES]),
        )


def _overall(tallies: Sequence[_Tally], sample: Sequence[Example], seed: int) -> Interval:
    """The kinds' agreement, each kind weighing the same however many ways it has."""
    if not tallies:
        return Interval(point=None)
    parts = np.concatenate([tally.agreed(sample) for tally in tallies], axis=1)[:, None, :]
    return _ratio(parts, sample, seed, "agreement")


def _ratio(
    parts: NDArray[np.float64], sample: Sequence[Example], seed: int, name: str, *, lowest: float = 0.0
) -> Interval:
    """Mean over columns pairs (sum, count) of sum / count, with its 95 % interval; parts [n, 1, 2k]."""

    def mean(totals: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
        sums, counts = totals[..., 0::2], totals[..., 1::2]
        ratios = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        seen = (counts > 0).sum(axis=-1)
        found: NDArray[np.float64] = np.full(seen.shape, np.nan)
        np.divide(ratios.sum(axis=-1), seen, out=found, where=seen > 0)
        return found

    groups = [example.group for example in sample]
    drawn = resample(parts, groups, mean, np.random.default_rng(seed_from(seed, "stability", name)), draws=_DRAWS)
    bounds = guarded_interval(drawn, lowest=lowest, highest=1.0)
    return Interval(point=number(drawn.point[0]), low=number(bounds.low[0]), high=number(bounds.high[0]))
