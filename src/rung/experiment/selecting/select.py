"""Choosing a base model: the same dev questions to several, quality against what each measurably takes. Test stays closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from rung.config.check import find_mistakes
from rung.config.load import to_model_ref
from rung.config.models import ModelConfig
from rung.config.schema import Config
from rung.core.durable import write_json
from rung.core.errors import BackendError, DataError, Problem, UsageError
from rung.core.evaluation import Metric, Score, parts_matrix
from rung.core.hashing import hash_json, seed_from
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.model import ModelRef
from rung.core.registry import create
from rung.core.task import Example
from rung.experiment.costs import Prices, prices_of
from rung.experiment.evaluate import number
from rung.experiment.selecting.answering import Answered, ask_alone
from rung.experiment.sentences import join_names, percent_text, plain, teller
from rung.experiment.setup import Prepared, prepare
from rung.methods.slots import seeded_sample
from rung.stats.bootstrap import Draws, resample
from rung.stats.paired import PairwiseBounds, compare
from rung.store.records import Interval, Pair, Spend, Stated, Text
from rung.store.selection import ModelRow, Selection

QUESTIONS = 50
WEIGHTS = {"quality": 0.7, "seconds": 0.15, "memory": 0.15, "money": 0.0}
"""What counts how much in the score, unless somebody says otherwise."""
RESOURCES = {"seconds": "seconds_p50", "memory": "memory_gib", "money": "money_per_1000"}
"""What a model takes, by its name among the weights: the field of its row."""
TOLERANCE = 0.05
"""Resources closer than this are taken as equal: the same model measured twice differs by as much."""


@dataclass(frozen=True)
class Compared:
    """A finished comparison, and the folder that it lies in."""

    folder: Path
    selection: Selection


@dataclass(frozen=True)
class Entrant:
    """A model by the name it goes by."""

    name: str
    config: ModelConfig
    ref: ModelRef

    def key(self, questions_hash: str) -> str:
        """Where its answers lie: another model, setting or question is another place."""
        return hash_json([self.ref.model_dump(mode="json"), questions_hash], 12)


def compare_models(
    task_file: Path,
    *,
    models: Sequence[str] = (),
    questions: int = QUESTIONS,
    weights: Mapping[str, float] | None = None,
    runs: Path | None = None,
    started: Callable[[str], Progress] | None = None,
) -> Compared:
    """Ask every model the same dev questions with the plain prompt, and weigh quality against seconds, memory and money.

    `models`: names of entries of task.yaml, or ids with settings, 'smollm2-135m,precision=fp32'; those of task.yaml when
    empty. A model that cannot be asked is a row with its error. The same call goes on where an earlier one stopped. `started`
    is told each model's name and hands back where its progress goes.

    Raises UsageError E4401 for a --model that cannot be read, E4402 and E4403 for weights, and what `prepare` raises;
    InterruptedRun E4001 when stopped.
    """
    shares = check_weights(weights or WEIGHTS)
    prepared = prepare(task_file)
    entrants = _entrants(prepared.config, models)
    sample = seeded_sample(prepared.examples["dev"], questions, prepared.config.data.seed, "base models")
    stamp = hash_json([prepared.task.hash, [[example.id, example.hash] for example in sample]], 8)
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in prepared.task.name).strip("-") or "task"
    folder = (runs or prepared.config.folder / "runs") / f"{name}-models-{stamp}"
    found: list[Answered | Stated] = []
    left = prepared.config.budget.max_cost
    with folder_lock(folder):
        for entrant in entrants:
            progress = started(entrant.name) if started else Silent()
            place = folder / "answers" / entrant.key(stamp)
            place.mkdir(parents=True, exist_ok=True)
            answered = _ask(place, entrant, prepared, sample, progress, left)
            found.append(answered)
            if left is not None and isinstance(answered, Answered):
                left = max(0.0, left - sum(asked.answer.money for asked in answered.asked))
        selection = _select(prepared, entrants, found, sample, shares, stamp)
        write_json(folder / "models.json", selection.model_dump(mode="json"))
    return Compared(folder, selection)


def parse_weights(text: str) -> dict[str, float]:
    """'quality=0.6,seconds=0.2,memory=0.2'. Raises UsageError E4402 for anything else."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, mark, value = (piece.strip() for piece in part.partition("="))
        try:
            found[name] = float(value)
        except ValueError:
            mark = ""
        if not mark or name not in WEIGHTS:
            raise UsageError("E4402", value=part, known=", ".join(WEIGHTS))
    return found


def check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Every weight, adding up to 1. Raises UsageError E4403 for one below zero, or where none is above."""
    total = sum(weights.values())
    if min(weights.values()) < 0 or not np.isfinite(total) or total <= 0:
        raise UsageError("E4403", value=", ".join(f"{name}={value:g}" for name, value in weights.items()))
    return {name: weights.get(name, 0.0) / total for name in WEIGHTS}


def _entrants(config: Config, asked: Sequence[str]) -> list[Entrant]:
    """The models to compare, each checked as task.yaml's are and under a name of its own."""
    known = {model.label: model for model in config.models}
    chosen = [_model_from(text, known) for text in asked] or list(config.models)
    problems = [
        Problem(mistake.code, "--model" if asked else config.where(*mistake.loc), mistake.values)
        for mistake in find_mistakes(config.model_copy(update={"models": tuple(chosen)}))
        if mistake.loc[0] == "models"
    ]
    if problems:
        raise UsageError(problems[0].code, problems=problems)
    return [Entrant(model.label, model, to_model_ref(config, model)) for model in chosen]


def _model_from(text: str, known: Mapping[str, ModelConfig]) -> ModelConfig:
    """'name,setting=value,...'. A model with settings and no name of its own is called after them."""
    id, *pairs = (part.strip() for part in text.split(","))
    settings = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if not id or len(settings) < len(pairs):
        raise UsageError("E4401", value=text, reason="name,setting=value")
    base: dict[str, Any] = known[id].model_dump() if id in known else {"id": id}
    if settings:
        base["name"] = f"{id} ({', '.join(settings.values())})"
    try:
        return ModelConfig.model_validate({**base, **settings})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise UsageError("E4401", value=text, reason=f"{where}: {wrong['msg']}") from error


def _ask(
    place: Path, entrant: Entrant, prepared: Prepared, sample: Sequence[Example], progress: Progress, left: float | None
) -> Answered | Stated:
    try:
        return ask_alone(place, entrant.ref, prepared.task, sample, progress, limit=left)
    except (BackendError, DataError, UsageError) as error:
        return Stated.of(error)[0]


def _select(
    prepared: Prepared,
    entrants: Sequence[Entrant],
    found: Sequence[Answered | Stated],
    sample: Sequence[Example],
    weights: Mapping[str, float],
    stamp: str,
) -> Selection:
    task = prepared.task
    metric: Metric = create("metric", task.metric, task=task)
    prices = prices_of(prepared.config.cost)
    asked = [(e, a) for e, a in zip(entrants, found, strict=True) if isinstance(a, Answered)]
    scores = [metric.score(sample, [line.answer for line in answered.asked]) for _, answered in asked]
    limit = task.constraints.max_failure_share
    rows = [_row(entrant, answered, scored, prices) for (entrant, answered), scored in zip(asked, scores, strict=True)]
    sound = [i for i, row in enumerate(rows) if row.failed <= limit * len(sample)]
    weighed = _weigh(metric, scores, sound, [example.group for example in sample]) if scores else None
    if weighed is not None:
        rows = [row.model_copy(update={"quality": weighed.quality(i)}) for i, row in enumerate(rows)]
    weights = _counted(weights, rows)
    rows = _scored(rows, weights)
    rows = [row.model_copy(update={"dominated_by": _dominating(row, rows)}) for row in rows]
    pairs = _pairs(rows, weighed.bounds) if weighed is not None else ()
    rows.sort(key=lambda row: -(row.score.point if row.score.point is not None else -1.0))
    lost = [
        ModelRow(name=e.name, kind=e.ref.kind, id=e.ref.id, precision=e.ref.precision, status="failed", problems=(a,))
        for e, a in zip(entrants, found, strict=True)
        if isinstance(a, Stated)
    ]
    best = next((row.name for row in rows if row.score.point is not None), None)
    selection = Selection(
        task=task.name,
        language=task.language,
        metric=metric.name,
        questions=len(sample),
        compared=weighed.questions if weighed else 0,
        questions_hash=stamp,
        currency=prices.currency,
        weights=dict(weights),
        tolerance=TOLERANCE,
        rows=(*rows, *lost),
        pairs=pairs,
        best=best,
        summary=Text(en="", zh=""),
    )
    return selection.model_copy(update={"summary": _summary(selection)})


def _row(entrant: Entrant, answered: Answered, scores: Sequence[Score], prices: Prices) -> ModelRow:
    n = max(1, len(answered.asked))
    ref, recorded = answered.ref, entrant.ref.kind == "recorded"
    remote = bool(entrant.config.base_url)
    usable = [line for line in answered.asked if line.answer.failure is None]
    # An endpoint times each request by itself; of a recording nothing but what it says is known.
    times = [line.answer.seconds if remote or recorded else line.seconds for line in usable]
    times = [seconds for seconds in times if seconds > 0]
    spend = Spend(
        cpu_seconds=sum(line.cpu for line in answered.asked),
        gpu_seconds=sum(line.seconds for line in answered.asked) if "cuda" in ref.engine else 0.0,
        money=sum(line.answer.money for line in answered.asked),
    )
    money = spend.money if recorded else prices.of(spend)
    return ModelRow(
        name=entrant.name,
        kind=ref.kind,
        id=ref.id,
        engine=ref.engine,
        precision=ref.precision,
        status="done",
        scored=_count(scores, "scored"),
        failed=_count(scores, "failed"),
        unscored=_count(scores, "unscored"),
        seconds_p50=number(np.percentile(times, 50)) if times else None,
        seconds_p95=number(np.percentile(times, 95)) if times else None,
        memory_gib=None if remote or recorded else answered.memory_gib,
        tokens_in=sum(line.answer.tokens_in for line in answered.asked) / n,
        tokens_out=sum(line.answer.tokens_out for line in answered.asked) / n,
        money_per_1000=1000.0 * money / n if money or not recorded else None,
    )


def _count(scores: Sequence[Score], status: str) -> int:
    return sum(score.status == status for score in scores)


@dataclass(frozen=True)
class Weighed:
    """Every model's quality on the same resamples."""

    draws: Draws
    bounds: PairwiseBounds
    questions: int

    def quality(self, i: int) -> Interval:
        ends = self.bounds.marginal
        return Interval(point=number(self.draws.point[i]), low=number(ends.low[i]), high=number(ends.high[i]))


def _weigh(metric: Metric, scores: Sequence[Sequence[Score]], sound: Sequence[int], groups: Sequence[str]) -> Weighed:
    """Paired resamples over the questions that every sound model has a score for.

    A model must not look better for failing on hard questions, so a question that a sound one failed is left out for all.
    """
    parts = np.stack([parts_matrix(scored, metric.parts) for scored in scores], axis=1)
    missing: NDArray[np.bool_] = np.asarray(np.isnan(parts).any(axis=2))
    out = missing[:, list(sound)].any(axis=1)
    for i in sound:
        parts[out, i] = np.nan
    rng = np.random.default_rng(seed_from("base models", metric.name))
    drawn = resample(parts, groups, metric.aggregate, rng)
    return Weighed(drawn, compare(drawn), int((~out).sum()))


def _counted(weights: Mapping[str, float], rows: Sequence[ModelRow]) -> dict[str, float]:
    """The weights without those of resources that nobody was measured on, adding up to 1 again where anything is left."""
    kept = {name: share if name == "quality" or _known(rows, name) else 0.0 for name, share in weights.items()}
    total = sum(kept.values())
    return {name: share / total for name, share in kept.items()} if total else dict(weights)


def _scored(rows: Sequence[ModelRow], weights: Mapping[str, float]) -> list[ModelRow]:
    """Rows with their score: the weighted sum of the quality, and of smallest / own for each resource.

    So the quickest model has 1 for seconds, one that takes twice as long 0.5. A part that has weight and was not measured
    leaves the score unknown.
    """
    least = {name: min(_known(rows, name), default=0.0) for name in RESOURCES}
    found = []
    for row in rows:
        parts = {name: _share(getattr(row, field), least[name]) for name, field in RESOURCES.items()}
        counted = [(weights[name], part) for name, part in parts.items() if weights[name]]
        quality = weights["quality"]
        ends = (row.quality.point, row.quality.low, row.quality.high)
        if any(part is None for _, part in counted) or row.quality.point is None:
            found.append(row)
            continue
        rest = sum(weight * part for weight, part in counted if part is not None)
        point, low, high = (None if end is None else quality * end + rest for end in ends)
        found.append(row.model_copy(update={"score": Interval(point=point, low=low, high=high)}))
    return found


def _known(rows: Sequence[ModelRow], name: str) -> list[float]:
    return [value for row in rows if (value := getattr(row, RESOURCES[name])) is not None]


def _share(value: float | None, least: float) -> float | None:
    if value is None:
        return None
    return 1.0 if value <= least else least / value


def _dominating(row: ModelRow, rows: Sequence[ModelRow]) -> tuple[str, ...]:
    """Models that score at least as high and take no more of anything that both were measured on, and less of something.

    Resources within TOLERANCE count as equal, and a model without a quality dominates nobody.
    """
    return tuple(other.name for other in rows if other is not row and _dominates(other, row))


def _dominates(one: ModelRow, other: ModelRow) -> bool:
    if one.quality.point is None or other.quality.point is None or one.quality.point < other.quality.point:
        return False
    both = [(getattr(one, field), getattr(other, field)) for field in RESOURCES.values()]
    measured = [(a, b) for a, b in both if a is not None and b is not None]
    if not measured or any(a > b * (1 + TOLERANCE) for a, b in measured):
        return False
    return one.quality.point > other.quality.point or any(a < b * (1 - TOLERANCE) for a, b in measured)


def _pairs(rows: Sequence[ModelRow], bounds: PairwiseBounds) -> tuple[Pair, ...]:
    """Every pair once, the better one first."""
    found = []
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            gap = number(bounds.difference[i, j])
            if i == j or gap is None or gap < 0 or (gap == 0 and j < i):
                continue
            ends = Interval(point=gap, low=number(bounds.lower[i, j]), high=number(bounds.upper[i, j]))
            found.append(Pair(candidate=one.name, other=other.name, difference=ends))
    return tuple(found)


def _summary(selection: Selection) -> Text:
    """The best by score, whether its quality is shown to be better, whom the score leaves out, and that dev proves nothing."""
    done = [row for row in selection.rows if row.status == "done"]
    if not done:
        return teller("models_none")()
    parts = []
    best = next((row for row in done if row.name == selection.best), None)
    scored = {row.name for row in done if row.score.point is not None}
    if best is not None:
        score = f"{best.score.point:.2f}" if best.score.point is not None else "–"
        parts.append(teller("models_best")(name=best.name, score=score, n=selection.compared))
        shown = [p for p in selection.pairs if (p.difference.low or 0.0) > 0 and {p.candidate, p.other} <= scored]
        better = [p.other for p in shown if p.candidate == best.name]
        worse = [p.candidate for p in shown if p.other == best.name]
        unclear = [row.name for row in done if row.name in scored - {best.name, *better, *worse}]
        for key, names in (("models_better", better), ("models_worse", worse), ("models_unclear", unclear)):
            if names:
                parts.append(teller(key)(name=best.name, others=_names(names)))
    if unscored := [row.name for row in done if row.name not in scored]:
        parts.append(teller("models_unscored")(others=_names(unscored)))
    parts.append(teller("models_dev_only")(quality=percent_text(selection.weights["quality"])))
    return join_names(parts, sentence=True)


def _names(names: Sequence[str]) -> Text:
    return join_names([plain(name) for name in names])
