"""A training as it is watched: lines of its child process made into figures for a bar, a log and a tracking server."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rung.core.method import Progress

_MEMORY = 0.9
"""Share of the smoothed loss that comes from the steps before."""
_RECENT = 20
"""Steps over which speed is measured."""


@dataclass(frozen=True)
class Part:
    """Which of several trainings of one rung this is, and where it lies in the time of all of them."""

    name: str = ""
    """'' for the only one, else `seed-1`, `trial-3`."""
    number: int = 1
    of: int = 1
    begins: float = 0.0
    """Share of all the work that is over when it begins."""
    takes: float = 1.0
    """Share of all the work that it is."""


@dataclass(frozen=True)
class Moment:
    """Where a training stands after a step."""

    part: Part
    step: int
    planned: int
    seconds: float
    loss: float
    """Of this step, in nats a token for supervised training."""
    smooth: float
    """Moving mean of the loss."""
    rate: float
    """Learning rate."""
    norm: float
    tokens: int
    tokens_per_second: float
    share: float
    """0 to 1: by steps, or by time where the budget ends it sooner."""
    left: float
    """Seconds that it will go on at most."""
    dev: float | None = None
    """The dev metric, where this step was followed by a scoring; `dev_loss` likewise."""
    dev_loss: float | None = None
    latest: float | None = None
    """The dev metric of the last scoring so far."""
    best: float | None = None
    """The best dev score so far, and the step that it is of."""
    best_step: int = 0
    memory_gib: float | None = None
    """Of the training process."""

    @property
    def note(self) -> str:
        """On one line, for those who know no other way to show it."""
        found = [f"step {self.step}/{self.planned}", f"loss {self.smooth:.3f}"]
        found += [f"dev {self.best:.3f}"] if self.best is not None else []
        return ", ".join(
            [*([self.part.name] if self.part.name else []), *found, f"{self.tokens_per_second:.0f} tokens/s"]
        )


class Stopped(Exception):
    """Raised by who watches a training, to end it."""


@runtime_checkable
class Watching(Protocol):
    """What a Progress has that wants to know more of a training than how far it is."""

    def record(self, moment: Moment) -> None: ...


class TrainingWatch:
    """Takes the lines of one training and tells `progress` of them. `limit`: its seconds, where a budget sets some."""

    def __init__(self, progress: Progress, *, limit: float | None = None, part: Part | None = None) -> None:
        self._progress, self._limit, self._part = progress, limit, part or Part()
        self._smooth, self._weight = 0.0, 0.0
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RECENT)
        self._latest: float | None = None
        self._best: float | None = None
        self._best_loss, self._best_step = 0.0, 0

    def __call__(self, line: Mapping[str, Any]) -> Moment | None:
        """A line of the child; None for one that is about something else."""
        if "step" not in line or "planned" not in line:
            return None
        moment = self._moment(line)
        if isinstance(self._progress, Watching):
            self._progress.record(moment)
        else:
            done = self._part.begins + self._part.takes * moment.share
            self._progress.update(min(1.0, done), 1.0, moment.note)
        return moment

    def _moment(self, line: Mapping[str, Any]) -> Moment:
        step, planned, seconds = int(line["step"]), int(line["planned"]), float(line.get("seconds", 0.0))
        loss, tokens = float(line.get("loss", 0.0)), int(line.get("tokens", 0))
        # The weights of few steps do not add up to one yet, hence the division.
        self._smooth = _MEMORY * self._smooth + (1 - _MEMORY) * loss
        self._weight = _MEMORY * self._weight + (1 - _MEMORY)
        self._recent.append((seconds, tokens))
        dev, dev_loss = line.get("dev"), line.get("dev_loss")
        if dev is not None:
            self._latest = float(dev)
            better = self._best is None or (dev, -(dev_loss or 0.0)) > (self._best, -self._best_loss)
            if better:
                self._best, self._best_loss, self._best_step = float(dev), float(dev_loss or 0.0), step
        by_steps, left = step / max(1, planned), seconds / max(1, step) * max(0, planned - step)
        share = by_steps
        if self._limit:
            share, left = max(by_steps, seconds / self._limit), min(left, max(0.0, self._limit - seconds))
        return Moment(
            part=self._part,
            step=step,
            planned=planned,
            seconds=seconds,
            loss=loss,
            smooth=self._smooth / self._weight,
            rate=float(line.get("rate", 0.0)),
            norm=float(line.get("norm", 0.0)),
            tokens=tokens,
            tokens_per_second=self._speed(),
            share=min(1.0, share),
            left=left,
            dev=dev,
            dev_loss=dev_loss,
            latest=self._latest,
            best=self._best,
            best_step=self._best_step,
            memory_gib=line.get("memory_gib"),
        )

    def _speed(self) -> float:
        (since, before), (now, tokens) = self._recent[0], self._recent[-1]
        if now <= since:
            since, before = 0.0, 0
        return (tokens - before) / max(1e-9, now - since)
