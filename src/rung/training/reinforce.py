"""Reinforcement: answers drawn from the model, rewarded by the task's own metric, by TRL's losses (GRPO, RLOO)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.core.answer import choice_logits
from rung.core.errors import DataError
from rung.core.hashing import seed_from
from rung.training.attach import base_of
from rung.training.batches import TokenRow
from rung.training.forward import Forward, plain_attention
from rung.training.loop import out_of_memory
from rung.training.merge import merged
from rung.training.objective import MOST_CUT, TargetLoss
from rung.training.reward import Reward
from rung.training.row_tokens import RowTokens
from rung.training.rows import TrainingRow
from rung.training.trl_bridge import (
    TrlLoop,
    attach_for_trl,
    drain,
    forget_reference,
    keep_reference,
    split_by_width,
    trl_trainer,
)
from rung.training.work import Done, Work

if TYPE_CHECKING:
    import torch

HOPELESS_GROUPS = 20
"""Questions whose answers were all worth the same, before training is given up."""
HOPELESS_SHARE = 0.1
"""And this share of the run."""
_DRAW_TOKENS = 12_288
"""Prompt and answer tokens, padding included, that are drawn at once."""


def train_reinforce(work: Work) -> Done:
    """Raise the reward of what the model answers: of `generations` answers to a question, the better ones become more likely.

    Shao et al. 2024, arXiv 2402.03300 (grpo; its loss averaged over tokens, Yu et al. 2025, arXiv 2503.14476); Ahmadian et al. 2024,
    arXiv 2402.14740 (rloo). Each batch of answers teaches one step, so that none is of an older model.

    Raises DataError E2884 where no prompt leaves room for an answer, E2885 where no group of answers differs in reward, E2802;
    UsageError E2422, E2425; WriteError E5010.
    """
    settings, parts = work.job.settings, work.parts
    rows = [row for row in work.rows if row.target and row.liked is not False]
    prompts = [parts.encode(row.request)[0] for row in rows]
    limit = min(
        settings.max_length, getattr(parts.module.config, "max_position_embeddings", None) or settings.max_length
    )
    fitting = [i for i, ids in enumerate(prompts) if ids and len(ids) + rows[i].request.max_tokens <= limit]
    if not fitting or len(fitting) < (1 - MOST_CUT) * len(rows):
        raise DataError("E2884", n=len(rows) - len(fitting), total=len(rows), limit=limit)
    module = attach_for_trl(work)
    room = work.room(_lengths(work, [rows[i] for i in fitting]))
    # A new adapter begins at nothing, so that the base is its own reference.
    reference = keep_reference(module) if settings.beta and (settings.adapter == "full" or work.job.start) else None
    drawing = Drawing(work, module, [rows[i] for i in fitting], [prompts[i] for i in fitting])
    objective = PolicyLoss(work, _trainer(work, module, drawing, reference), drawing)
    loop = PolicyLoop(module, objective, settings, score_dev=work.score_dev, scoring_work=work.scoring_work)
    loop.ceiling = work.ceiling(room)
    result = loop.run(work.checkpoints, report=work.report, stopping=work.stopping)
    forget_reference(module)
    if len(fitting) < len(rows):
        result.notes.append({"kind": "skipped", "rows": len(rows) - len(fitting), "of": len(rows)})
    drawn = sum(point["groups"] for point in result.curve) * settings.generations
    failed = sum(point["failed"] for point in result.curve)
    result.facts.update({"answers_drawn": drawn, "answers_failed": failed} | (room.facts if room else {}))
    return Done(module, result)


def _lengths(work: Work, rows: list[TrainingRow]) -> RowTokens:
    """Lengths of the questions with the answers that may be drawn to them."""
    known, choices = RowTokens.of(work.encoded(rows)), rows[0].request.choices
    if not choices:
        return known.rewarded(work.job.settings, max(row.request.max_tokens for row in rows))
    labels = [len(work.parts.encode(rows[0].request, label)[1]) for label in choices]
    return known.rewarded(work.job.settings, max(labels), sum(labels))


class Drawing:
    """Where answers come from: chosen among the labels as they are served, or written as far as the task allows."""

    def __init__(self, work: Work, module: Any, rows: list[TrainingRow], prompts: list[list[int]]) -> None:
        self.rows, self.prompts = rows, prompts
        self.reward = Reward(work.job)
        self.step = 0
        self._work, self._module = work, module
        self._most = _DRAW_TOKENS
        self._answers: dict[str, list[int]] = {}

    @property
    def max_tokens(self) -> int:
        return max(row.request.max_tokens for row in self.rows)

    @property
    def chosen(self) -> bool:
        """Whether answers are held to choices."""
        return all(row.request.choices for row in self.rows)

    def choose(self, numbers: Sequence[int]) -> list[list[int]]:
        """Token ids of labels drawn by their probability per token, for rows that stand next to their like.

        By their whole probability, which differs by many nats from label to label, a model draws the same one nearly every time: of
        64 questions of BANKING77 with 8 labels, the answers to 5 differed. The loss counts what is drawn as the model's own.
        """
        settings, output = self._work.job.settings, self._work.job.candidate.output
        asked = list(dict.fromkeys(numbers))
        with merged(self._module) as plain:
            completions = self._work.parts.evaluator(plain).generate([self.rows[i].request for i in asked])
        shares: dict[int, Any] = {}
        for i, completion in zip(asked, completions, strict=True):
            if not completion.choice_scores:
                reason = completion.failure.message if completion.failure else completion.finish
                raise DataError("E2802", step=self.step + 1, loss=reason)
            choices = self.rows[i].request.choices
            lengths = np.array([len(self._answer(i, label)) for label in choices])
            logits = choice_logits(np.array(completion.choice_scores), output) / lengths / settings.temperature
            weights = np.exp(logits - logits.max())
            shares[i] = weights / weights.sum()
        rng = np.random.default_rng(seed_from(settings.seed, "choices", self.step))
        found = []
        for i in numbers:
            choices = self.rows[i].request.choices
            found.append(self._answer(i, choices[int(rng.choice(len(choices), p=shares[i]))]))
        return found

    def _answer(self, number: int, label: str) -> list[int]:
        if label not in self._answers:
            self._answers[label] = list(self._work.parts.encode(self.rows[number].request, label)[1])
        return self._answers[label]

    def parts(self, prompts: Sequence[list[int]]) -> list[slice]:
        """Prompts in runs that can be written at once."""
        width = max(map(len, prompts)) + self.max_tokens
        size = max(1, self._most // width)
        return [slice(start, start + size) for start in range(0, len(prompts), size)]

    def halve(self) -> bool:
        """Draw half as much at once; False where there is nothing left to halve."""
        self._most //= 2
        return self._most >= self.max_tokens


def _trainer(work: Work, module: Any, drawing: Drawing, reference: Any) -> Any:
    settings = work.job.settings

    def reward(prompts: list[str], completions: list[str], **_: Any) -> list[float | None]:
        return drawing.reward([drawing.rows[int(number)] for number in prompts], completions)

    class Drawn:
        """Prompts by number, as our own path renders them, and answers as they are served."""

        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            self._asked = [int(number) for number in prompts]
            return [drawing.prompts[i] for i in self._asked], None, {}

        def _generate_single_turn(self, prompt_ids: list[list[int]], *rest: Any) -> Any:
            write = super()._generate_single_turn  # type: ignore[misc]
            pair = settings.policy == "grpo"
            if drawing.chosen:
                found = drawing.choose(self._asked)
            else:
                with merged(module):
                    found = _write(drawing, prompt_ids, lambda some: _ids(write(some, *rest)))
            return (found, None) if pair else found

    trainer = trl_trainer(
        work,
        settings.policy,
        module,
        {
            "beta": 0.0,
            "num_generations": settings.generations,
            "per_device_train_batch_size": settings.batch_size * settings.generations,
            "max_completion_length": drawing.max_tokens,
            # A choice's probability is that of its text at temperature 1.
            "temperature": 1.0 if drawing.chosen else settings.temperature,
        },
        changes=(Drawn,),
        reward_funcs=[reward],
    )
    # Given afterwards: TRL would read the reference from the disk, or keep a second copy of the adapter.
    trainer.beta, trainer.current_gradient_accumulation_steps = settings.beta, 1
    # The likelihood of what was drawn is read in parts of a training step's size. By default it would be the whole batch at once.
    width = max(map(len, drawing.prompts)) + drawing.max_tokens
    trainer.args.per_device_train_batch_size = max(1, settings.micro_tokens // width)
    if reference is not None:
        from trl.trainer.utils import add_fused_lm_head

        add_fused_lm_head(reference, temperature=trainer.temperature)
        trainer.ref_model = reference
    return trainer


def _ids(written: Any) -> list[list[int]]:
    """TRL's GRPO gives log-probabilities beside the tokens, its RLOO does not."""
    found: list[list[int]] = written[0] if isinstance(written, tuple) else written
    return found


def _write(drawing: Drawing, prompts: list[list[int]], write: Any) -> list[list[int]]:
    """Answers written in runs of what memory holds; smaller ones where it runs out."""
    while True:
        try:
            return [ids for part in drawing.parts(prompts) for ids in write(prompts[part])]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or not drawing.halve():
                raise


class PolicyLoss:
    """TRL's loss of drawn answers as the loop's objective. `draw` comes before every step; parts are made of its answers."""

    def __init__(self, work: Work, trainer: Any, drawing: Drawing) -> None:
        settings = work.job.settings
        self.lengths = [settings.generations * len(ids) for ids in drawing.prompts]
        self._trainer, self._drawing, self._settings = trainer, drawing, settings
        self._device = work.parts.device
        self._batch: dict[str, Any] = {}
        self._counts: dict[str, float] = {}
        dev = [row for row in work.encoded(work.dev) if row.prompt and row.target and row.length <= settings.max_length]
        self._dev = _likelihood(work, dev) if dev else None

    def draw(self, batch: Sequence[int], step: int) -> int:
        """Draw and reward answers to the questions of a batch; returns how many tokens the answers have."""
        import torch

        settings, drawing = self._settings, self._drawing
        drawing.step, drawing.reward.failed = step, 0
        self._trainer.model.train()
        torch.manual_seed(seed_from(settings.seed, "draw", step) % (1 << 63))
        asked = [{"prompt": str(i)} for i in batch for _ in range(settings.generations)]
        try:
            self._batch = self._trainer._generate_and_score_completions(asked)
        except RuntimeError as error:
            if "probability tensor" in str(error):
                # What torch says when there is nothing but nan to draw from.
                raise DataError("E2802", step=step + 1, loss="nan") from error
            raise
        rewards = np.array(next(iter(self._trainer._logs["rewards"].values())))[-len(asked) :]
        groups = rewards.reshape(-1, settings.generations)
        spread = [bool(np.ptp(known) > 0) for group in groups if len(known := group[~np.isnan(group)])]
        self._counts = {
            "reward": round(float(np.nanmean(rewards)), 5) if not np.isnan(rewards).all() else 0.0,
            "groups": len(groups),
            "differing": sum(spread),
            "failed": drawing.reward.failed,
        }
        return int(self._batch["completion_mask"].sum())

    def parts(self, batch: Sequence[int], tokens: int) -> list[list[int]]:
        """Drawn answers by number. One without an advantage has no gradient, and is left out where nothing else pulls at it."""
        drawn = self._batch
        wide = (drawn["prompt_mask"].sum(1) + drawn["completion_mask"].sum(1)).tolist()
        pulled = drawn["advantages"].tolist()
        widths = {i: width for i, width in enumerate(wide) if pulled[i] or self._settings.beta}
        return split_by_width(widths, tokens)

    def units(self, batch: Sequence[int]) -> int:
        return len(self._batch["advantages"])

    def around(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        drawn = self._batch
        return plain_attention(drawn["prompt_mask"].shape[1] + drawn["completion_mask"].shape[1], self._device)

    def loss_sum(self, rows: Sequence[int]) -> torch.Tensor:
        part = {name: value[list(rows)] if value.dim() else value for name, value in _tensors(self._batch).items()}
        prompts, answers = part["prompt_mask"].bool().any(0), part["completion_mask"].bool().any(0)
        for name, value in part.items():
            if name.startswith("prompt"):
                part[name] = value[:, prompts]
            elif value.dim() == 2:
                part[name] = value[:, answers]
        loss: torch.Tensor = self._trainer.compute_loss(self._trainer.model, part)
        # GRPO's loss is a sum over the tokens of the whole batch, divided by them; RLOO's a mean over the answers given.
        return loss * (len(rows) if self._settings.policy == "rloo" else self.units(()))

    def dev_loss(self) -> float:
        """Mean negative log-likelihood, in nats, of the right answers of dev: it settles ties between equal rewards."""
        return self._dev.dev_loss() if self._dev else 0.0

    def facts(self) -> dict[str, float]:
        return self._counts | drain(self._trainer)

    def dev_facts(self) -> dict[str, float]:
        return {}


def _tensors(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if hasattr(value, "dim")}


def _likelihood(work: Work, dev: Sequence[TokenRow]) -> TargetLoss:
    forward = Forward(base_of(work.parts.module), device=work.parts.device)
    return TargetLoss(forward, dev, dev, work.job.settings)


class PolicyLoop(TrlLoop):
    """The loop, with answers drawn before every step, and an end to it where they teach nothing."""

    def _step(self, batch: Sequence[int]) -> None:
        written = self.objective.draw(batch, self.progress.step)
        self.progress.tokens += written
        super()._step(batch)
        self._heed()

    def _heed(self) -> None:
        """Say when no answers have differed in reward yet; give up when that goes on. Raises DataError E2885."""
        curve, notes = self.progress.curve, self.progress.notes
        if any(point["differing"] for point in curve):
            return
        groups = sum(point["groups"] for point in curve)
        if groups < HOPELESS_GROUPS:
            return
        reward = sum(point["reward"] * point["groups"] for point in curve) / groups
        if not any(note["kind"] == "no_signal" for note in notes):
            notes.append({"kind": "no_signal", "groups": groups, "reward": round(reward, 3)})
        if self._share() >= HOPELESS_SHARE:
            raise DataError("E2885", groups=groups, reward=f"{reward:.2f}")
