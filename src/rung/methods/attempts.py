"""Several trainings of one rung that may fail or be stopped: one after another here, or at the same time by workers.

What a worker's training says comes back with it and is read here as if it had been said here: bars, curves and those who watch see the
same lines either way. Its files stay where they are, in the run folder that all machines see.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rung.core.errors import BackendError, DataError, RungError
from rung.core.method import Silent, Workers
from rung.methods.trainings import Trainings
from rung.methods.watching import Moment, Part, Stopped, TrainingWatch
from rung.training.runner import Trained, run_child
from rung.training.settings import TrainSettings

FAILURES = frozenset({"E2802", "E3020", "E3021", "E3022"})
"""A loss that is no number, a training process that died, too little memory: these settings failed, others may not."""
_SEEN_WITHIN = 60.0
"""Seconds in which a network disk shows here what was written elsewhere."""


def unwatched(moment: Moment) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Piece:
    """One training of several."""

    folder: Path
    settings: TrainSettings
    part: Part
    share: float
    """Of the time left when it begins, what it may take."""
    watch: Callable[[Moment], None] = unwatched
    """May raise Stopped. A worker gets a copy of it, which must decide the same by the same moments."""


@dataclass(frozen=True)
class Attempt:
    """What came of a piece: a training, or a problem that is no reason to give up the others, or neither where it was stopped."""

    place: int
    trained: Trained | None = None
    problem: RungError | None = None


def shares(n: int, workers: Workers | None) -> list[float]:
    """What each of `n` equal trainings may take of the time left when it begins."""
    if workers is None:
        return [1 / (n - i) for i in range(n)]
    return [1 / math.ceil(n / workers.count())] * n


def attempts(trainings: Trainings, pieces: Sequence[Piece], workers: Workers | None) -> Iterator[Attempt]:
    """Train every piece; by workers in any order, without them in theirs. Raises errors that are not in FAILURES."""
    waiting: list[int] = []
    for place, piece in enumerate(pieces):
        # One that is finished already is only read, which needs no worker.
        if workers is None or (piece.folder / "result.json").is_file():
            yield _attempt(place, partial(_here, trainings, piece))
        else:
            waiting.append(place)
    if workers is not None and waiting:
        yield from _at_once(trainings, {place: pieces[place] for place in waiting}, workers)


def _attempt(place: int, train: Callable[[], Trained]) -> Attempt:
    try:
        return Attempt(place, train())
    except Stopped:
        return Attempt(place)
    except (DataError, BackendError) as error:
        if error.code not in FAILURES:
            raise
        return Attempt(place, problem=error)


def _here(trainings: Trainings, piece: Piece) -> Trained:
    return trainings.one(piece.folder, piece.settings, part=piece.part, share=piece.share, watch=piece.watch)


@dataclass(frozen=True)
class TrainingOrder:
    """What a worker is told of a training; the rest lies in its folder."""

    folder: str
    home: str
    """The folder that relative paths in it start from."""
    limit: float | None
    part: Part
    watch: Callable[[Moment], None]


@dataclass(frozen=True)
class MadeApart:
    """What a worker's training said, and how it ended; its result lies in its folder."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False
    error: RungError | None = None


def train_apart(order: TrainingOrder) -> MadeApart:
    """A worker's task: bring the job of a folder to its end, unless who watches stops it."""
    told = TrainingWatch(Silent(), limit=order.limit, part=order.part)
    lines: list[dict[str, Any]] = []

    def report(line: dict[str, Any]) -> None:
        lines.append(line)
        moment = told(line)
        if moment is not None:
            order.watch(moment)

    folder = Path(order.folder)
    if not (folder / "job.json").is_file():
        return MadeApart(error=BackendError("E3061", path=folder))
    try:
        with contextlib.chdir(order.home) if Path(order.home).is_dir() else contextlib.nullcontext():
            run_child(folder, report)
    except Stopped:
        return MadeApart(lines, stopped=True)
    except RungError as error:
        return MadeApart(lines, error=error)
    return MadeApart(lines)


def _at_once(trainings: Trainings, pieces: dict[int, Piece], workers: Workers) -> Iterator[Attempt]:
    places = list(pieces)
    settings: dict[int, TrainSettings] = {}
    orders: list[TrainingOrder] = []
    for place, piece in pieces.items():
        settings[place] = trainings.limited(piece.settings, piece.share)
        trainings.course.write(piece.folder, settings[place])
        orders.append(
            TrainingOrder(
                str(piece.folder.resolve()), str(Path.cwd()), settings[place].max_seconds, piece.part, piece.watch
            )
        )
    names = ", ".join(piece.part.name for piece in pieces.values())
    trainings.budget.progress.update(pieces[places[0]].part.begins, 1.0, f"{names}: {workers.count()} workers")
    for n, made in workers.carry_out(train_apart, orders):
        place = places[n]
        yield _attempt(place, partial(_read, trainings, pieces[place], settings[place], made))


def _read(trainings: Trainings, piece: Piece, settings: TrainSettings, made: MadeApart) -> Trained:
    """What was made apart, as if it had been made here."""
    told = TrainingWatch(trainings.budget.progress, limit=settings.max_seconds, part=piece.part)
    for line in made.lines:
        moment = told(line)
        if moment is not None:
            piece.watch(moment)
    if made.stopped:
        raise Stopped
    if made.error is not None:
        raise made.error
    _wait_for(piece.folder / "result.json")
    return trainings.course.train(piece.folder, settings, lambda line: None)


def _wait_for(path: Path) -> None:
    """Until a file is seen that another machine has written. Raises BackendError E3061."""
    until = time.monotonic() + _SEEN_WITHIN
    while path.name not in {found.name for found in path.parent.iterdir()}:
        if time.monotonic() > until:
            raise BackendError("E3061", path=path)
        time.sleep(0.5)
