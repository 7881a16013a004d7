"""The training loop: steps, scoring of dev, checkpoints, and going on exactly where a killed run stopped.

With a budget in steps, one number of threads and enough memory, a run that is killed and started again ends with the same bits as one
that never was: nothing that a step does depends on the clock, rows and dropout are drawn by seeds made of step numbers, and a checkpoint
holds everything else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import BackendError, DataError
from rung.core.hashing import seed_from
from rung.training.batches import epoch_batches
from rung.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rung.training.group import Alone
from rung.training.memory import SMALLEST_PART
from rung.training.objective import Objective
from rung.training.optimise import Masters, rate_at
from rung.training.progress import Progress, TrainingResult
from rung.training.room import Ceiling
from rung.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch

_SCORING_SHARE = 2.0
"""Training goes on for at least so many times the work of one scoring before the next."""
_FREE = frozenset({"max_seconds", "save_steps"})
"""Settings that may differ between a run and its continuation."""


class Loop:
    """One training of a module by an objective.

    `score_dev(module)` gives the dev metric, higher is better; the objective's loss on dev breaks its ties. `scoring_work` is what one
    scoring takes, in tokens of training.
    """

    def __init__(
        self,
        module: Any,
        objective: Objective,
        settings: TrainSettings,
        *,
        score_dev: Callable[[Any], float] | None = None,
        scoring_work: int = 0,
        group: Alone | None = None,
    ) -> None:
        self.module, self.objective, self.settings = module, objective, settings
        self.group = group or Alone()
        self._score_dev, self._scoring_work = score_dev, scoring_work
        self.masters = Masters(module, settings, self.group)
        self._per_epoch = math.ceil(len(objective.lengths) / settings.batch_size)
        self.planned = max(1, math.ceil(settings.epochs * self._per_epoch))
        if settings.max_steps is not None:
            self.planned = min(self.planned, settings.max_steps)
        self.progress = Progress()
        self.best_weights: dict[str, torch.Tensor] = {}
        self.ceiling: Ceiling | None = None
        """The most tokens at once, where this machine has no room for what the settings say."""
        self.by_loss = False
        """Whether the loss on dev has to do for its metric: weights are cut over processes, and no room has them together."""

    def run(
        self,
        folder: Path | None = None,
        *,
        report: Callable[[Progress, int], None] = lambda progress, planned: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> TrainingResult:
        """Train until the epochs, the patience or the budget end. With a folder, resume from its last checkpoint.

        Raises DataError E2802 when the loss is no longer finite; the last checkpoint stays.
        """
        if folder is not None:
            self._resume(folder)
        self._keep_below()
        progress, started = self.progress, time.perf_counter() - self.progress.seconds
        stopped = self._stopped_before()
        epoch, batches = -1, []
        while not stopped:
            if progress.step // self._per_epoch != epoch:
                epoch = progress.step // self._per_epoch
                batches = epoch_batches(
                    self.objective.lengths, self.settings.batch_size, seed=self.settings.seed, epoch=epoch
                )
            self._step(batches[progress.step % self._per_epoch])
            progress.seconds = self.group.agreed(time.perf_counter() - started)
            progress.curve[-1]["seconds"] = round(progress.seconds, 2)
            stopped = self._stopped_before()
            due = bool(stopped) or self._due()
            if due:
                self._evaluate()
                progress.seconds = self.group.agreed(time.perf_counter() - started)
                stopped = stopped or self._stopped_before()
            if self.group.agreed(not stopped and stopping()):
                stopped = "interrupted"
            if folder is not None and (due or stopped or progress.step % self.settings.save_steps == 0):
                self._save(folder)
            report(progress, self.planned)
        if self.best_weights and stopped != "interrupted":
            self.masters.load(self.best_weights)
        return TrainingResult(
            converged=stopped in {"epochs", "early"},
            stopped=stopped,
            step=progress.step,
            planned_steps=self.planned,
            best_step=progress.best_step,
            best=progress.best,
            seconds=progress.seconds,
            tokens_per_second=progress.tokens / max(1e-9, progress.seconds),
            curve=progress.curve,
            notes=progress.notes,
        )

    def _keep_below(self) -> None:
        """Hold to the ceiling, where one was set."""
        progress, ceiling = self.progress, self.ceiling
        if ceiling is not None and ceiling.tokens < (progress.micro_tokens or self.settings.micro_tokens):
            progress.micro_tokens = ceiling.tokens
            progress.notes.append({**ceiling.note, "step": progress.step, "micro_tokens": ceiling.tokens})
        noted = any(note["kind"] == "by_loss" for note in progress.notes)
        if progress.step:
            # What dev is scored by must not change on the way.
            self.by_loss = noted
        elif self.by_loss and not noted:
            progress.notes.append({"kind": "by_loss"})

    def _stopped_before(self) -> str:
        """Why there is no further step; '' while there is one."""
        progress, settings = self.progress, self.settings
        if progress.step >= self.planned:
            return "epochs"
        if settings.patience and progress.stale >= settings.patience:
            return "early"
        if settings.max_seconds is not None and progress.step and progress.seconds >= settings.max_seconds:
            return "budget"
        return ""

    def _share(self) -> float:
        """Share of the run that is over: by steps, or by the clock where the budget ends it sooner."""
        by_steps = self.progress.step / self.planned
        if self.settings.max_seconds is None:
            return by_steps
        return max(by_steps, min(1.0, self.progress.seconds / max(1e-9, self.settings.max_seconds)))

    def _due(self) -> bool:
        """At even shares of the run, unless scoring dev would then take more than a third of it."""
        progress = self.progress
        rested = progress.tokens - progress.scored_at >= _SCORING_SHARE * self._scoring_work
        return rested and self._share() * self.settings.evaluations >= progress.evaluated + 1

    def _step(self, batch: Sequence[int]) -> None:
        progress = self.progress
        share = self._share()
        loss = self._gather(batch)
        if not math.isfinite(loss):
            raise DataError("E2802", step=progress.step + 1, loss=loss)
        norm = self.masters.step(share)
        if not math.isfinite(norm):
            raise DataError("E2802", step=progress.step + 1, loss=norm)
        progress.step += 1
        progress.tokens += sum(self.objective.lengths[i] for i in batch)
        progress.curve.append(
            {
                "step": progress.step,
                "loss": round(loss, 5),
                "norm": round(norm, 4),
                "rate": rate_at(share, self.settings),
                "tokens": progress.tokens,
            }
        )

    def _gather(self, batch: Sequence[int]) -> float:
        """Gradients of a batch, part by part. Where memory runs out, smaller parts: the sum is the same."""
        while True:
            tokens = self.progress.micro_tokens or self.settings.micro_tokens
            try:
                return self._accumulate(batch, tokens)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if tokens // 2 < SMALLEST_PART:
                    raise BackendError("E3021", tokens=tokens) from error
            self.masters.forget_gradients()
            _give_back()
            self.progress.micro_tokens = tokens // 2
            self.progress.notes.append({"kind": "memory", "step": self.progress.step + 1, "micro_tokens": tokens // 2})

    def _accumulate(self, batch: Sequence[int], tokens: int) -> float:
        import torch

        self.module.train()
        torch.manual_seed(seed_from(self.settings.seed, "step", self.progress.step) % (1 << 63))
        units, total = self.objective.units(batch), 0.0
        for part, weight in self.group.mine(self.objective.parts(batch, tokens)):
            with self.objective.around(part):
                loss = self.objective.loss_sum(part) / units
                (weight * loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) if weight else 0.0
        return self.group.total(total)

    def _evaluate(self) -> None:
        """Score dev, and keep the weights if they are the best so far."""
        progress = self.progress
        if "dev_loss" in progress.curve[-1]:
            return
        progress.evaluated = max(progress.evaluated + 1, int(self._share() * self.settings.evaluations))
        progress.scored_at = progress.tokens
        if self._score_dev is None:
            return
        self.module.eval()
        score, loss = self._scored()
        progress.curve[-1] |= {"dev": round(score, 5), "dev_loss": round(loss, 5)}
        if (score, -loss) > (progress.best, -progress.best_loss):
            progress.best, progress.best_loss = score, loss
            progress.best_step, progress.stale = progress.step, 0
            self.best_weights = self.masters.copy()
        else:
            progress.stale += 1

    def _scored(self) -> tuple[float, float]:
        """The dev metric and the loss on dev, by the first process. Where weights are cut over processes, all compute the loss together."""
        assert self._score_dev is not None
        group, score = self.group, 0.0
        if not self.by_loss:
            with group.assembled(self.module) as whole:
                score = 0.0 if whole is None else self._score_dev(whole)
        loss = self.objective.dev_loss() if group.sharded or group.rank == 0 else 0.0
        found: tuple[float, float] = group.agreed((-loss if self.by_loss else score, loss))
        return found

    def _save(self, folder: Path) -> None:
        tensors = self.masters.tensors() | {
            f"best/{name}": self.group.whole(weight) for name, weight in self.best_weights.items()
        }
        if self.group.rank:
            return
        state = asdict(self.progress)
        for name in ("best", "best_loss"):
            state[name] = None if math.isinf(state[name]) else state[name]
        state["settings"] = asdict(self.settings)
        save_checkpoint(folder, self.progress.step, Checkpoint(state, tensors))

    def _resume(self, folder: Path) -> None:
        damaged: list[str] = []
        found = load_checkpoint(folder, damaged=damaged.append)
        self._take_over(found)
        if damaged:
            self.progress.notes.append({"kind": "recovered", "damaged": damaged, "step": self.progress.step})

    def _take_over(self, found: Checkpoint | None) -> None:
        # Another setting is another run: its checkpoints are not ours.
        if found is None or any(
            value != found.state["settings"].get(name)
            for name, value in asdict(self.settings).items()
            if name not in _FREE
        ):
            return
        state = {key: value for key, value in found.state.items() if key != "settings"}
        state["best"] = -math.inf if state["best"] is None else state["best"]
        state["best_loss"] = math.inf if state["best_loss"] is None else state["best_loss"]
        self.progress = Progress(**state)
        self.masters.load_tensors(found.tensors)
        self.best_weights = {
            name: self.group.cut(found.tensors[f"best/{name}"], weight)
            for name, weight in self.masters.weights.items()
            if f"best/{name}" in found.tensors
        }


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python says that memory ran out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def _give_back() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
