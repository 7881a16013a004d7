"""A search for hyper-parameters on dev before a training: short trials by Optuna's TPE, bad ones stopped on the way.

TPE: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization". Trials lie in a log of our own, from which the study is built
anew for each of them: a search that was killed goes on with the trial, and in it with the step, where it stopped.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rung.core.append_log import AppendLog, read_log
from rung.core.errors import BackendError, DataError, UsageError
from rung.core.hashing import seed_from
from rung.methods.search_space import Choices, Range, Space, asked_space, start_of, usual_space, with_values
from rung.methods.seeds import FAILURES
from rung.methods.trainings import Trainings
from rung.methods.watching import Moment, Part
from rung.training.settings import TrainSettings

LOG = "search.jsonl"
MOST_TRIALS = 200
_TIE = 1e-3
"""What a nat of dev loss weighs against a point of the metric: few dev questions make many equal scores."""
_FEWEST_STEPS = 8
"""Shorter trials would say nothing."""
_EVALUATIONS = 4
"""Scorings of dev in a trial: where it may be stopped."""
_BEFORE_PRUNING = 3
"""Trials that are never stopped, and scorings that a trial gets in any case less one."""
_FOR_IMPORTANCE = 6
"""Finished trials below which nobody can say what mattered."""


@dataclass(frozen=True)
class HyperSearch:
    """How a search is done."""

    space: Space
    trials: int = 8
    share: float = 0.25
    """Of a whole training that one trial is."""

    @property
    def work(self) -> float:
        """In whole trainings."""
        return self.trials * self.share


@dataclass(frozen=True)
class HyperTrial:
    """One trial, as it lies in the log."""

    number: int
    values: dict[str, Any]
    state: Literal["done", "stopped", "failed"]
    """stopped: worse than the trials before at the same point."""
    score: float | None = None
    """The dev metric at its best scoring, and the dev loss there."""
    loss: float = 0.0
    seen: list[list[float]] = field(default_factory=list)
    """[number of the scoring, value]"""
    seconds: float = 0.0
    problem: str = ""

    @property
    def value(self) -> float:
        """What is searched for, higher is better."""
        return -math.inf if self.score is None else _value(self.score, self.loss)


def _value(score: float, loss: float) -> float:
    return score - _TIE * min(loss, 20.0)


def hyper_search_of(hints: Mapping[str, Any], settings: TrainSettings) -> HyperSearch | None:
    """The search that a method's settings ask for: true, a number of trials, or {trials, share, name: values}.

    Raises UsageError E2441, E2442, E2444, E2460.
    """
    asked = hints.get("search", False)
    if asked is False or asked is None:
        return None
    given: dict[str, Any] = {} if asked is True else {"trials": asked} if isinstance(asked, int) else asked
    if not isinstance(given, Mapping):
        raise UsageError("E2442", name="search", value=asked)
    values = dict(given)
    trials, share = values.pop("trials", 8), values.pop("share", 0.25)
    if not isinstance(trials, int) or not 2 <= trials <= MOST_TRIALS:
        raise UsageError("E2444", name="trials", value=trials, known=f"2 - {MOST_TRIALS}")
    if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0.01 <= share <= 1:
        raise UsageError("E2444", name="share", value=share, known="0.01 - 1")
    return HyperSearch(asked_space(values, settings) if values else usual_space(settings), trials, float(share))


class Stopped(Exception):
    """Raised while a trial trains that is worse than those before it."""


def hyper_search(trainings: Trainings, search: HyperSearch, *, coming: int = 1) -> TrainSettings:
    """The settings that do best on dev in short trials; the first trial is what the search starts from.

    `coming`: whole trainings that are still to come, for which time is kept. Notes `search`. Trials that an earlier call has finished
    are not made again. Raises UsageError E2443 when no trial could be scored.
    """
    log = trainings.folder / LOG
    done = [HyperTrial(**line) for line in read_log(log)]
    base, rows = trainings.job.settings, len(trainings.rows)
    whole = search.work + coming
    for number in range(len(done), search.trials):
        if done and trainings.budget.left <= 0:
            break
        study = _Study(search, done, base)
        settings = shortened(with_values(base, study.values), rows, search.share)
        part = Part(
            f"trial-{number + 1}", number + 1, search.trials, number * search.share / whole, search.share / whole
        )
        share = search.share / (search.share * (search.trials - number) + coming)
        folder = trainings.folder / "search" / part.name
        trial = _tried(trainings, folder, settings, study, part, share)
        with AppendLog(log) as kept:
            kept.add([asdict(trial)])
        done.append(trial)
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(trainings.folder / "search", ignore_errors=True)
    _note(trainings, search, done)
    best = best_trial(done)
    if best is None:
        raise UsageError(
            "E2443", n=len(done), problems_seen=", ".join(sorted({t.problem for t in done if t.problem})) or "-"
        )
    return with_values(base, best.values)


def best_trial(done: Sequence[HyperTrial]) -> HyperTrial | None:
    """The best finished trial; of equals the earlier one. One that was stopped is never the best: it was not given its time."""
    finished = [trial for trial in done if trial.state == "done" and trial.score is not None]
    return max(finished, key=lambda trial: (trial.value, -trial.number), default=None)


def shortened(settings: TrainSettings, rows: int, share: float) -> TrainSettings:
    """A part of a training with a learning-rate schedule of its own."""
    least = _FEWEST_STEPS * settings.batch_size / max(1, rows)
    return replace(
        settings,
        epochs=min(settings.epochs, max(share * settings.epochs, least)),
        max_steps=None if settings.max_steps is None else math.ceil(share * settings.max_steps),
        evaluations=min(settings.evaluations, _EVALUATIONS),
        patience=0,
    )


def _tried(
    trainings: Trainings, folder: Path, settings: TrainSettings, study: _Study, part: Part, share: float
) -> HyperTrial:
    seen: list[list[float]] = []
    last: list[Moment] = []
    number = part.number - 1

    def watch(moment: Moment) -> None:
        last[:] = [moment]
        if moment.dev is None:
            return
        # By its place in the run: batches and epochs differ from trial to trial.
        place = round(moment.share * settings.evaluations)
        seen.append([place, _value(moment.dev, moment.dev_loss or 0.0)])
        if moment.share < 1.0 and study.hopeless(place, max(value for _, value in seen)):
            raise Stopped

    try:
        result = trainings.one(folder, settings, part=part, share=share, watch=watch).result
    except Stopped:
        at = last[0]
        return HyperTrial(number, study.values, "stopped", at.best, at.dev_loss or 0.0, seen, at.seconds)
    except (DataError, BackendError) as error:
        if error.code not in FAILURES:
            raise
        return HyperTrial(number, study.values, "failed", seen=seen, problem=error.code)
    score = result.best if result.best_step else None
    loss = next((p["dev_loss"] for p in result.curve if p["step"] == result.best_step and "dev_loss" in p), 0.0)
    return HyperTrial(number, study.values, "done", score, loss, seen, result.seconds)


class _Study:
    """An Optuna study of the trials so far, and the next one's values."""

    def __init__(self, search: HyperSearch, done: Sequence[HyperTrial], base: TrainSettings) -> None:
        self._study = study_of(search, done, base)
        if done:
            self._trial = self._study.ask(distributions(search.space))
            self.values: dict[str, Any] = dict(self._trial.params)
        else:
            self._trial = None
            self.values = {name: kind.nearest(start_of(base, name)) for name, kind in search.space.items()}

    def hopeless(self, place: int, value: float) -> bool:
        """Whether the best value so far is below the median of the earlier trials at that place."""
        if self._trial is None:
            return False
        self._trial.report(value, place)
        return bool(self._trial.should_prune())


def study_of(search: HyperSearch, done: Sequence[HyperTrial], base: TrainSettings) -> Any:
    """Built anew from the trials; its sampler is seeded by their number, so that a next trial that was killed is drawn again."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = max(3, min(10, search.trials // 3))
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            n_startup_trials=drawn, seed=seed_from(base.seed, "search", len(done)) % (1 << 32)
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_BEFORE_PRUNING - 2),
    )
    ranges = distributions(search.space)
    for trial in done:
        if set(trial.values) != set(search.space) or not all(search.space[n].holds(v) for n, v in trial.values.items()):
            continue
        whole = trial.state == "done" and trial.score is not None
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if whole else TrialState.PRUNED,
                value=trial.value if whole else None,
                params=trial.values,
                distributions=ranges,
                # A trial that failed has none, and counts as worse than all others.
                intermediate_values={} if trial.state == "failed" else {int(at): value for at, value in trial.seen},
            )
        )
    return study


def distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    found: dict[str, Any] = {}
    for name, kind in space.items():
        if isinstance(kind, Range):
            found[name] = FloatDistribution(kind.low, kind.high, log=kind.log)
        elif isinstance(kind, Choices):
            found[name] = CategoricalDistribution(kind.values)
    return found


def importance(search: HyperSearch, done: Sequence[HyperTrial], base: TrainSettings) -> dict[str, float]:
    """How much of the differences between trials each setting explains, adding up to one, largest first.

    Trials are compared where the first of them was stopped, so that those are counted whose settings were bad. fANOVA: Hutter, Hoos and
    Leyton-Brown 2014, "An efficient approach for assessing hyperparameter importance". Empty for too few trials.
    """
    scored = [trial for trial in done if trial.state != "failed" and trial.seen]
    if len(scored) < _FOR_IMPORTANCE:
        return {}
    reached = min(int(trial.seen[-1][0]) for trial in scored)
    early = [replace(t, state="done", score=max(v for at, v in t.seen if at <= reached), loss=0.0) for t in scored]
    if len({trial.value for trial in early}) < 2:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    evaluator = FanovaImportanceEvaluator(seed=seed_from(base.seed, "fanova") % (1 << 32))
    found = get_param_importances(study_of(search, early, base), evaluator=evaluator)
    return {name: round(float(share), 3) for name, share in found.items()}


def _note(trainings: Trainings, search: HyperSearch, done: Sequence[HyperTrial]) -> None:
    best = best_trial(done)
    trainings.budget.journal.note(
        "search",
        {
            "planned": search.trials,
            "share": search.share,
            "best": None if best is None else best.number,
            "trials": [asdict(trial) for trial in done],
            "importance": importance(search, done, trainings.job.settings),
            "space": {name: kind.told for name, kind in search.space.items()},
            "log": [name for name, kind in search.space.items() if isinstance(kind, Range) and kind.log],
        },
    )
