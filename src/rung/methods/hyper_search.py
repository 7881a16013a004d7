"""A search for hyper-parameters on dev before a training: short trials by Optuna's TPE, bad ones stopped on the way.

TPE: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization". Trials lie in a log of our own, from which the study is built
anew for each of them: a search that was killed goes on with the trial, and in it with the step, where it stopped. Where there are workers,
trials are made in waves: those of one wave know of each other what is tried, not what comes of it, so that no clock decides anything.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from rung.core.append_log import AppendLog, read_log
from rung.core.errors import UsageError
from rung.core.hashing import seed_from
from rung.core.method import Workers
from rung.methods.attempts import Attempt, Piece, attempts
from rung.methods.search_space import (
    SEARCHABLE,
    Choices,
    Range,
    Space,
    asked_space,
    start_of,
    usual_space,
    with_values,
)
from rung.methods.trainings import Trainings
from rung.methods.watching import Moment, Part, Stopped
from rung.training.settings import TrainSettings

LOG = "search.jsonl"
MOST_TRIALS = 200
_USUALLY_AT_ONCE = 4
"""Trials of a wave where nobody says how many: the more know nothing of each other, the less each of them learns from the others."""
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
    parallel: int | None = None
    """Trials of a wave, where there are workers; None: as many as these make at the same time, and no more than a few."""

    @property
    def work(self) -> float:
        """In whole trainings."""
        return self.trials * self.share

    def at_once(self, workers: Workers | None) -> int:
        return 1 if workers is None else self.parallel or min(_USUALLY_AT_ONCE, workers.count())


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
    wave: int | None = None
    """Number of the first trial of its wave; None for one that was made by itself."""

    @property
    def record(self) -> dict[str, Any]:
        """Its line of the log."""
        found = asdict(self)
        return {name: value for name, value in found.items() if name != "wave" or value is not None}

    @property
    def value(self) -> float:
        """What is searched for, higher is better."""
        return -math.inf if self.score is None else _value(self.score, self.loss)


def _value(score: float, loss: float) -> float:
    return score - _TIE * min(loss, 20.0)


def hyper_search_of(
    hints: Mapping[str, Any], settings: TrainSettings, *, searchable: frozenset[str] = SEARCHABLE
) -> HyperSearch | None:
    """The search that a method's settings ask for: true, a number of trials, or {trials, share, parallel, name: values}.

    `searchable`: names of settings that this training has.

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
    parallel = values.pop("parallel", None)
    if parallel is not None and (type(parallel) is not int or not 1 <= parallel <= MOST_TRIALS):
        raise UsageError("E2444", name="parallel", value=parallel, known=f"1 - {MOST_TRIALS}")
    space = asked_space(values, settings, searchable) if values else usual_space(settings)
    return HyperSearch(space, trials, float(share), parallel)


def hyper_search(trainings: Trainings, search: HyperSearch, *, coming: int = 1) -> TrainSettings:
    """The settings that do best on dev in short trials; the first trial is what the search starts from.

    `coming`: whole trainings that are still to come, for which time is kept. Notes `search`. Trials that an earlier call has finished
    are not made again. Raises UsageError E2443 when no trial could be scored.
    """
    log = trainings.folder / LOG
    # By number: the trials of a wave end in any order.
    done = sorted((HyperTrial(**line) for line in read_log(log)), key=lambda trial: trial.number)
    size = search.at_once(trainings.workers)
    workers = trainings.workers if size > 1 else None
    while len(done) < search.trials and not (done and trainings.budget.left <= 0):
        wave = next_wave(search, done, trainings.course.settings, size)
        for trial in _made(trainings, search, wave, workers, coming):
            with AppendLog(log) as kept:
                kept.add([trial.record])
            done.append(trial)
            shutil.rmtree(trainings.folder / "search" / _name(trial.number), ignore_errors=True)
        done.sort(key=lambda trial: trial.number)
    shutil.rmtree(trainings.folder / "search", ignore_errors=True)
    _note(trainings, search, done)
    best = best_trial(done)
    if best is None:
        raise UsageError(
            "E2443", n=len(done), problems_seen=", ".join(sorted({t.problem for t in done if t.problem})) or "-"
        )
    return with_values(trainings.course.settings, best.values)


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


def _name(number: int) -> str:
    return f"trial-{number + 1}"


@dataclass(frozen=True)
class Wave:
    """Trials that are made at the same time, drawn from what was known before; one by itself is a wave too."""

    known: tuple[HyperTrial, ...]
    values: Mapping[int, dict[str, Any]]
    """What is tried, by number; finished trials of the wave are not among them."""
    first: int | None
    """Number of its first trial; None for one by itself."""


def next_wave(search: HyperSearch, done: Sequence[HyperTrial], base: TrainSettings, size: int) -> Wave:
    """The next `size` trials, or what is left of a wave that was not finished. `done`: finished trials by number.

    Each is drawn by its own number, from the trials before the wave and the values of those of the wave that come before it: what was
    drawn once is drawn again.
    """
    numbers = {trial.number for trial in done}
    start = next(number for number in range(search.trials) if number not in numbers)
    end = start + size
    last = done[-1] if done else None
    if last is not None and last.wave is not None and (start < last.number or start < last.wave + size):
        start = last.wave
        end = max(start + size, last.number + 1)
    known = tuple(trial for trial in done if trial.number < start)
    finished = {trial.number: trial.values for trial in done}
    values: dict[int, dict[str, Any]] = {}
    for number in range(start, min(end, search.trials)):
        values[number] = finished.get(number) or _drawn(search, known, base, list(values.values()))
    missing = {number: tried for number, tried in values.items() if number not in numbers}
    return Wave(known, missing, start if len(values) > 1 else None)


def _drawn(
    search: HyperSearch, known: Sequence[HyperTrial], base: TrainSettings, running: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    if not known and not running:
        return {name: kind.nearest(start_of(base, name)) for name, kind in search.space.items()}
    return dict(study_of(search, known, base, running).ask(distributions(search.space)).params)


def _made(
    trainings: Trainings, search: HyperSearch, wave: Wave, workers: Workers | None, coming: int
) -> Iterator[HyperTrial]:
    """The trials of a wave as they end."""
    base, whole = trainings.course.settings, search.work + coming
    width = 1 if workers is None else workers.count()
    size = search.at_once(workers)
    rounds = math.ceil((search.trials - min(wave.values)) / size) * math.ceil(size / width)
    share = search.share / (search.share * rounds + math.ceil(coming / width))
    pieces: list[Piece] = []
    judges: list[_Judge] = []
    for number, values in wave.values.items():
        settings = shortened(with_values(base, values), trainings.course.size, search.share)
        part = Part(_name(number), number + 1, search.trials, number * search.share / whole, search.share / whole)
        judges.append(_Judge(search, wave.known, base, settings.evaluations))
        pieces.append(Piece(trainings.folder / "search" / part.name, settings, part, share, judges[-1]))
    numbers = list(wave.values)
    for attempt in attempts(trainings, pieces, workers):
        number = numbers[attempt.place]
        trial = _trial(number, wave.values[number], judges[attempt.place], attempt)
        yield replace(trial, wave=wave.first)


def _trial(number: int, values: dict[str, Any], judge: _Judge, attempt: Attempt) -> HyperTrial:
    if attempt.problem is not None:
        return HyperTrial(number, values, "failed", seen=judge.seen, problem=attempt.problem.code)
    if attempt.trained is None:
        at = judge.last
        assert at is not None
        return HyperTrial(number, values, "stopped", at.best, at.dev_loss or 0.0, judge.seen, at.seconds)
    result = attempt.trained.result
    score = result.best if result.best_step else None
    loss = next((p["dev_loss"] for p in result.curve if p["step"] == result.best_step and "dev_loss" in p), 0.0)
    return HyperTrial(number, values, "done", score, loss, judge.seen, result.seconds)


@dataclass
class _Judge:
    """Watches a trial, and stops it where it stands below the median of the earlier ones at the same place."""

    search: HyperSearch
    known: tuple[HyperTrial, ...]
    base: TrainSettings
    evaluations: int
    seen: list[list[float]] = field(default_factory=list)
    last: Moment | None = None
    _judged: Any = None
    """The trial as Optuna knows it, made when it is first needed."""

    def __call__(self, moment: Moment) -> None:
        self.last = moment
        if moment.dev is None:
            return
        # By its place in the run: batches and epochs differ from trial to trial.
        place = round(moment.share * self.evaluations)
        self.seen.append([place, _value(moment.dev, moment.dev_loss or 0.0)])
        if moment.share < 1.0 and self._hopeless(place, max(value for _, value in self.seen)):
            raise Stopped

    def _hopeless(self, place: int, value: float) -> bool:
        if not self.known:
            return False
        if self._judged is None:
            self._judged = study_of(self.search, self.known, self.base).ask()
        self._judged.report(value, place)
        return bool(self._judged.should_prune())


def study_of(
    search: HyperSearch, done: Sequence[HyperTrial], base: TrainSettings, running: Sequence[dict[str, Any]] = ()
) -> Any:
    """Built anew from the trials; its sampler is seeded by their number, so that a next trial that was killed is drawn again.

    `running`: values of trials whose end is not known. The sampler takes them for bad ones, so that it draws others.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = max(3, min(10, search.trials // 3))
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            n_startup_trials=drawn, seed=seed_from(base.seed, "search", len(done) + len(running)) % (1 << 32)
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_BEFORE_PRUNING - 2),
    )
    ranges = distributions(search.space)
    for trial in done:
        if not _fits(search, trial.values):
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
    for values in running:
        if _fits(search, values):
            study.add_trial(create_trial(state=TrialState.RUNNING, params=values, distributions=ranges))
    return study


def _fits(search: HyperSearch, values: Mapping[str, Any]) -> bool:
    """Whether a trial was drawn from this space: task.yaml may have been changed since."""
    return set(values) == set(search.space) and all(search.space[name].holds(v) for name, v in values.items())


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
            "trials": [trial.record for trial in done],
            "importance": importance(search, done, trainings.course.settings),
            "space": {name: kind.told for name, kind in search.space.items()},
            "log": [name for name, kind in search.space.items() if isinstance(kind, Range) and kind.log],
        },
    )
