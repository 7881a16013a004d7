"""Supervised fine-tuning with LoRA: our own loop, which computes logits only where there is something to learn.

Rows are padded on the right and attention is causal, so padding needs no mask; the base stays frozen in its own precision,
and the optimiser keeps a float32 copy of the adapter's weights (mixed precision: Micikevicius et al. 2018, arXiv 1710.03740).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import DataError
from rung.core.hashing import seed_from
from rung.core.model import TrainingParts
from rung.training.batches import TokenRow, epoch_batches, micro_batches, padded
from rung.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    import torch

_PLAIN_ATTENTION = 512
"""Longest row, in tokens, whose attention matrix is written out."""


@dataclass(frozen=True)
class SftSettings:
    """Hyper-parameters of one run."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.05
    """Share of the run over which the learning rate rises."""
    batch_size: int = 8
    micro_tokens: int = 512
    """Padded tokens that go through the model at once; the rest of a batch is accumulated."""
    epochs: float = 3.0
    max_steps: int | None = None
    max_seconds: float | None = None
    max_length: int = 2048
    max_grad_norm: float = 1.0
    evaluations: int = 8
    """How often dev is scored over the whole run."""
    patience: int = 3
    """Stop after this many scorings of dev without a new best."""
    seed: int = 0


@dataclass
class Progress:
    """Where the loop stands; saved with every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    best_loss: float = math.inf
    """Mean dev loss of the best step, which settles ties: a small dev sample soon answers all it can."""
    best_step: int = 0
    stale: int = 0
    evaluated: int = 0
    scoring_seconds: float = 0.0
    scored_at: float = 0.0
    tokens: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SftResult:
    converged: bool
    stopped: str
    """epochs | early | budget | interrupted"""
    step: int
    planned_steps: int
    best_step: int
    best: float
    seconds: float
    tokens_per_second: float
    curve: list[dict[str, Any]]


def attach_lora(parts: TrainingParts, settings: SftSettings) -> Any:
    """The module with a fresh adapter on all linear layers, in the base's precision."""
    import warnings

    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed_from(settings.seed, "lora") % (1 << 63))
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # peft still reads a property that transformers is renaming.
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing.*")
        return get_peft_model(parts.module, config, autocast_adapter_dtype=False)


def _attention(width: int, device: str) -> AbstractContextManager[Any]:
    """Plain attention for short rows on a CPU, where the fused kernel's backward pass costs more than all it saves."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" and width <= _PLAIN_ATTENTION else nullcontext()


class LoraTrainer:
    """One training run over token rows.

    `score_dev(module)` gives the dev metric, higher is better; the loss on `dev_rows` breaks its ties.
    """

    def __init__(
        self,
        module: Any,
        rows: Sequence[TokenRow],
        settings: SftSettings,
        *,
        score_dev: Callable[[Any], float] | None = None,
        dev_rows: Sequence[TokenRow] = (),
        device: str = "cpu",
    ) -> None:
        import torch

        self.module, self.settings, self.device = module, settings, device
        self.rows = [row for row in rows if row.length <= settings.max_length]
        self.skipped = len(rows) - len(self.rows)
        if not self.rows:
            raise DataError("E2801", n=len(rows), limit=settings.max_length)
        self.lengths = [row.length for row in self.rows]
        self._score_dev, self._dev_rows = score_dev, dev_rows
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.masters = {name: p.detach().float().clone() for name, p in self.parameters.items()}
        for master in self.masters.values():
            master.requires_grad_(True)
        self.optimiser = torch.optim.AdamW(
            self.masters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        per_epoch = math.ceil(len(self.rows) / settings.batch_size)
        self.planned = max(1, math.ceil(settings.epochs * per_epoch))
        if settings.max_steps is not None:
            self.planned = min(self.planned, settings.max_steps)
        self._per_epoch = per_epoch
        self.progress = Progress()
        self.best_weights: dict[str, torch.Tensor] = {}

    def run(
        self,
        folder: Path | None = None,
        *,
        report: Callable[[Progress, int], None] = lambda progress, planned: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> SftResult:
        """Train until the epochs, the patience or the budget end. With a folder, resume from its last checkpoint.

        Raises DataError E2802 when the loss is no longer finite; the last checkpoint stays.
        """
        if folder is not None:
            self._resume(folder)
        progress, started = self.progress, time.perf_counter() - self.progress.seconds
        epoch, batches = -1, []
        stopped = "epochs"
        while progress.step < self.planned:
            if progress.step // self._per_epoch != epoch:
                epoch = progress.step // self._per_epoch
                batches = epoch_batches(self.lengths, self.settings.batch_size, seed=self.settings.seed, epoch=epoch)
            loss = self._step(batches[progress.step % self._per_epoch])
            progress.step += 1
            progress.seconds = time.perf_counter() - started
            progress.curve.append(
                {"step": progress.step, "loss": round(loss, 5), "seconds": round(progress.seconds, 2)}
            )
            if self._due():
                self._evaluate(started)
                if folder is not None:
                    self._save(folder)
            report(progress, self.planned)
            if self.settings.patience and progress.stale >= self.settings.patience:
                stopped = "early"
                break
            if self._share() >= 1.0 and progress.step < self.planned:
                stopped = "budget"
                break
            if stopping():
                stopped = "interrupted"
                break
        if stopped != "interrupted" and progress.curve and "dev" not in progress.curve[-1]:
            self._evaluate(started)
        if folder is not None:
            self._save(folder)
        if self.best_weights:
            self._load_weights(self.best_weights)
        return SftResult(
            converged=stopped in {"epochs", "early"},
            stopped=stopped,
            step=progress.step,
            planned_steps=self.planned,
            best_step=progress.best_step,
            best=progress.best,
            seconds=progress.seconds,
            tokens_per_second=progress.tokens / max(1e-9, progress.seconds),
            curve=progress.curve,
        )

    def _share(self) -> float:
        """Share of the run that is over: by steps, or by the clock where the budget ends it sooner."""
        by_steps = self.progress.step / self.planned
        if self.settings.max_seconds is None:
            return by_steps
        return max(by_steps, self.progress.seconds / self.settings.max_seconds)

    def _due(self) -> bool:
        """At even shares of the run, unless scoring dev would then take more than a third of it."""
        progress = self.progress
        rested = progress.seconds - progress.scored_at >= 2 * progress.scoring_seconds
        return rested and self._share() * self.settings.evaluations >= progress.evaluated + 1

    def _rate(self) -> float:
        share, warmup = self._share(), self.settings.warmup
        scale = share / warmup if share < warmup else (1.0 - share) / (1.0 - warmup)
        return self.settings.learning_rate * max(scale, 0.02)

    def _step(self, batch: Sequence[int]) -> float:
        import torch

        self.module.train()
        if self.settings.dropout:
            torch.manual_seed(seed_from(self.settings.seed, "step", self.progress.step) % (1 << 63))
        targets = sum(len(self.rows[i].target) for i in batch)
        total = 0.0
        for part in micro_batches(batch, self.lengths, self.settings.micro_tokens):
            with _attention(max(self.lengths[i] for i in part), self.device):
                loss = self.loss_sum([self.rows[i] for i in part]) / targets
                loss.backward()
            total += float(loss.detach())
        self.progress.tokens += sum(self.lengths[i] for i in batch)
        if not math.isfinite(total):
            raise DataError("E2802", step=self.progress.step, loss=total)
        for name, parameter in self.parameters.items():
            self.masters[name].grad = parameter.grad.float() if parameter.grad is not None else None
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters.values(), self.settings.max_grad_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self.optimiser.step()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.masters[name])
        return total

    def loss_sum(self, rows: Sequence[TokenRow]) -> torch.Tensor:
        """Summed negative log-likelihood, in nats, of the rows' targets."""
        import torch

        width = padded(max(row.length for row in rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        where_row, where_place, wanted = [], [], []
        for i, row in enumerate(rows):
            ids[i, : row.length] = torch.tensor(row.prompt + row.target)
            n = len(row.prompt)
            where_row += [i] * len(row.target)
            where_place += range(n - 1, n - 1 + len(row.target))
            wanted += row.target
        model = self.module.get_base_model()
        hidden = model.model(input_ids=ids.to(self.device), use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[where_row, where_place]).float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(wanted, device=self.device), reduction="sum")

    def mean_loss(self, rows: Sequence[TokenRow]) -> float:
        """Mean loss per target token, without gradients."""
        import torch

        self.module.eval()
        lengths = [row.length for row in rows]
        with torch.inference_mode():
            total = sum(
                float(self.loss_sum([rows[i] for i in part]))
                for part in micro_batches(range(len(rows)), lengths, self.settings.micro_tokens * 4)
            )
        return total / sum(len(row.target) for row in rows)

    def _evaluate(self, started: float) -> None:
        progress = self.progress
        progress.evaluated = max(progress.evaluated + 1, int(self._share() * self.settings.evaluations))
        if self._score_dev is None:
            return
        score = self._score_dev(self.module)
        loss = self.mean_loss(self._dev_rows) if self._dev_rows else 0.0
        now = time.perf_counter() - started
        progress.scoring_seconds, progress.scored_at, progress.seconds = now - progress.seconds, now, now
        progress.curve[-1] |= {
            "dev": round(score, 5),
            "dev_loss": round(loss, 5),
            "seconds": round(progress.seconds, 2),
        }
        if (score, -loss) > (progress.best, -progress.best_loss):
            progress.best, progress.best_loss = score, loss
            progress.best_step, progress.stale = progress.step, 0
            self.best_weights = {name: master.detach().clone() for name, master in self.masters.items()}
        else:
            progress.stale += 1

    def _load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.masters[name].copy_(weights[name])
                parameter.copy_(weights[name])

    def _save(self, folder: Path) -> None:
        tensors = {f"weights/{name}": master.detach() for name, master in self.masters.items()}
        tensors |= {f"best/{name}": weight for name, weight in self.best_weights.items()}
        for number, name in enumerate(self.masters):
            for key, value in self.optimiser.state_dict()["state"].get(number, {}).items():
                tensors[f"optimiser/{key}/{name}"] = value.detach().clone()
        state = asdict(self.progress)
        for name in ("best", "best_loss"):
            state[name] = None if math.isinf(state[name]) else state[name]
        state["settings"] = asdict(self.settings)
        save_checkpoint(folder, self.progress.step, Checkpoint(state, tensors))

    def _resume(self, folder: Path) -> None:
        found = load_checkpoint(folder)
        # Another setting is another run: its checkpoints are not ours. The budget alone may differ.
        free = {"max_seconds"}
        if found is None or any(
            value != found.state["settings"].get(name)
            for name, value in asdict(self.settings).items()
            if name not in free
        ):
            return
        state = {key: value for key, value in found.state.items() if key != "settings"}
        if state["best"] is None:
            state |= {"best": -math.inf, "best_loss": math.inf}
        self.progress = Progress(**state)
        saved = self.optimiser.state_dict()
        for number, name in enumerate(self.masters):
            keys = ("step", "exp_avg", "exp_avg_sq")
            saved["state"][number] = {key: found.tensors[f"optimiser/{key}/{name}"] for key in keys}
        self.optimiser.load_state_dict(saved)
        self._load_weights({name: found.tensors[f"weights/{name}"] for name in self.masters})
        self.best_weights = {
            name: found.tensors[f"best/{name}"] for name in self.masters if f"best/{name}" in found.tensors
        }
