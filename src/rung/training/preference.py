"""Preference tuning: answers that are better beside answers that are worse, by TRL's losses (DPO, IPO, ORPO, KTO)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rung.core.errors import DataError
from rung.training.attach import add_noise
from rung.training.batches import padded
from rung.training.forward import plain_attention
from rung.training.objective import MOST_CUT
from rung.training.row_tokens import RowTokens
from rung.training.rows import TrainingRow
from rung.training.settings import TrainSettings
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


def train_preference(work: Work) -> Done:
    """Learn to prefer each row's target to its rejected answers, or by thumbs alone (kto).

    Rafailov et al. 2023, arXiv 2305.18290 (dpo); Azar et al. 2023, arXiv 2310.12036 (ipo); Ethayarajh et al. 2024, arXiv 2402.01306
    (kto); Hong et al. 2024, arXiv 2403.07691 (orpo). The reference is the model as training finds it.

    Raises DataError E2882 without a pair, E2883 without both thumbs, E2801 where most pairs are too long, E2802 for a loss that is
    not finite; UsageError E2422, E2425; WriteError E5010.
    """
    settings = work.job.settings
    read = thumbs if settings.loss == "kto" else pairs
    found, dev = read(work, work.rows), read(work, work.dev)
    found.check(settings)
    module = attach_for_trl(work)
    room = work.room(found.tokens.compared(settings))
    whole = settings.adapter == "full" and settings.loss != "orpo"
    reference = keep_reference(module) if whole else None
    objective = PairLoss(_trainer(work, module, found, reference), found.rows, dev.rows, work)
    if settings.neftune:
        add_noise(module, settings.neftune, sum(objective.widths) / len(objective.widths))
    loop = TrlLoop(module, objective, settings, score_dev=work.score_dev, scoring_work=work.scoring_work)
    loop.ceiling = work.ceiling(room)
    result = loop.run(work.checkpoints, report=work.report, stopping=work.stopping)
    result.notes.extend(found.notes())
    if room is not None:
        result.facts.update(room.facts)
    forget_reference(module)
    return Done(module, result)


@dataclass(frozen=True)
class Found:
    """What rows have to learn from, and how much of them was left out."""

    rows: list[dict[str, Any]]
    """As TRL's collators take them: token ids of prompts and answers, the end token included."""
    of: int
    """All that there were, before any was left out."""
    too_long: int = 0
    equal: int = 0
    """Pairs of equal answers, which teach nothing."""
    alone: int = 0
    """Rows without a worse answer."""
    lost: str = "E2882"

    def check(self, settings: TrainSettings) -> None:
        if self.too_long > MOST_CUT * max(1, self.of):
            raise DataError("E2801", n=self.too_long, total=self.of, limit=settings.max_length)
        labels = {row["label"] for row in self.rows if "label" in row}
        if not self.rows or len(labels) == 1:
            raise DataError(self.lost, n=self.of, equal=self.equal, alone=self.alone)

    @property
    def tokens(self) -> RowTokens:
        """Lengths of the answers behind their prompts, padded as they go through the model."""
        widths = [padded(max(_lengths(row))) for row in self.rows]
        targets = [max(_lengths(row)) - len(row["prompt_ids"]) for row in self.rows]
        return RowTokens(sum(widths) / len(widths), max(widths), sum(targets) / len(targets))

    def notes(self) -> list[dict[str, Any]]:
        counts = {"skipped": self.too_long, "equal": self.equal, "unpaired": self.alone}
        return [{"kind": kind, "rows": n, "of": self.of} for kind, n in counts.items() if n]


def pairs(work: Work, rows: Sequence[TrainingRow]) -> Found:
    """Every row's target beside each of its rejected answers."""
    made: list[dict[str, Any]] = []
    too_long = equal = alone = of = 0
    for row in rows:
        if not row.rejected or row.liked is False:
            alone += 1
            continue
        prompt, chosen = work.parts.encode(row.request, row.target)
        for text in row.rejected:
            of += 1
            rejected = work.parts.encode(row.request, text)[1]
            if rejected == chosen or text.strip() == row.target.strip():
                equal += 1
            elif _long(work, prompt, chosen, rejected):
                too_long += 1
            else:
                made.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return Found(made, of, too_long, equal, alone)


def thumbs(work: Work, rows: Sequence[TrainingRow]) -> Found:
    """Every target with its thumb, a target without one as liked, since it is a right answer; rejected answers as disliked."""
    said: list[tuple[list[int], list[int], bool]] = []
    too_long = equal = of = 0
    for row in rows:
        answers = [(row.target, row.liked is not False), *((text, False) for text in row.rejected)]
        for text, liked in answers:
            of += 1
            prompt, answer = work.parts.encode(row.request, text)
            if text is not row.target and text.strip() == row.target.strip():
                equal += 1
            elif _long(work, prompt, answer):
                too_long += 1
            else:
                said.append((prompt, answer, liked))
    # An answer to another question measures how far the model has moved by itself (section 4.1 of the KTO paper).
    half = len(said) // 2
    others = [answer for _, answer, _ in (*said[half:], *said[:half])]
    made = [
        {"prompt_ids": prompt, "completion_ids": answer, "KL_completion_ids": other, "label": liked}
        for (prompt, answer, liked), other in zip(said, others, strict=True)
    ]
    return Found(made, of, too_long, equal, lost="E2883")


def _long(work: Work, prompt: list[int], *answers: list[int]) -> bool:
    """Whether it is too long to learn from; cutting it would teach another answer."""
    limit = work.job.settings.max_length
    return not prompt or any(not answer or len(prompt) + len(answer) > limit for answer in answers)


def _trainer(work: Work, module: Any, found: Found, reference: Any) -> Any:
    settings = work.job.settings
    config: dict[str, Any] = {"beta": settings.beta, "max_length": None}
    arguments: dict[str, Any] = {}
    match settings.loss:
        case "dpo" | "ipo":
            config["loss_type"] = ["sigmoid" if settings.loss == "dpo" else "ipo"]
            arguments["ref_model"] = reference
        case "kto":
            liked = sum(row["label"] for row in found.rows)
            disliked = len(found.rows) - liked
            # Both thumbs weigh the same in all (equation 8 of the KTO paper).
            config["desirable_weight"] = max(1.0, disliked / liked)
            config["undesirable_weight"] = max(1.0, liked / disliked)
            arguments["ref_model"] = reference
        case _:
            config["max_length"] = settings.max_length
            arguments["data_collator"] = _orpo_batch(work.parts.extra["end"])
    return trl_trainer(work, settings.loss, module, config, **arguments)


def _orpo_batch(filling: int) -> Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]:
    """What TRL's ORPO takes for a batch: both answers behind their prompts, padded on the right."""

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        def stack(sequences: list[list[int]], value: int) -> torch.Tensor:
            return pad_sequence([torch.tensor(ids) for ids in sequences], batch_first=True, padding_value=value)

        batch: dict[str, torch.Tensor] = {}
        for side in ("chosen", "rejected"):
            prompts, answers = [row["prompt_ids"] for row in rows], [row[f"{side}_ids"] for row in rows]
            whole = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
            labels = [[-100] * len(prompt) + answer for prompt, answer in zip(prompts, answers, strict=True)]
            batch[f"{side}_input_ids"] = stack(whole, filling)
            batch[f"{side}_attention_mask"] = stack([[1] * len(ids) for ids in whole], 0)
            batch[f"{side}_labels"] = stack(labels, -100)
        return batch

    return collate


class PairLoss:
    """TRL's loss as the loop's objective: a batch's loss is the mean over its pairs, or, for KTO, its answers.

    Two parts of it are means over whatever is computed at once, as in TRL's own accumulation: ORPO's likelihood of the chosen answers,
    and KTO's estimate of how far the model has moved.
    """

    def __init__(self, trainer: Any, rows: list[dict[str, Any]], dev: list[dict[str, Any]], work: Work) -> None:
        self.rows, self.dev = rows, dev
        self.widths = [max(_lengths(row)) for row in rows]
        self.lengths = [sum(_lengths(row)) for row in rows]
        self._trainer, self._device = trainer, work.parts.device
        self._tokens = work.job.settings.micro_tokens
        self._sequences = len(_lengths(rows[0]))

    def parts(self, batch: Sequence[int], tokens: int) -> list[list[int]]:
        self._tokens = tokens
        return split_by_width({i: self.widths[i] for i in batch}, tokens, sequences=self._sequences)

    def units(self, batch: Sequence[int]) -> int:
        return len(batch)

    def loss_sum(self, rows: Sequence[int]) -> torch.Tensor:
        return self._loss([self.rows[i] for i in rows]) * len(rows)

    def around(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        return plain_attention(max(self.widths[i] for i in rows), self._device)

    def _loss(self, rows: list[dict[str, Any]]) -> torch.Tensor:
        trainer = self._trainer
        loss: torch.Tensor = trainer.compute_loss(trainer.model, trainer._prepare_inputs(trainer.data_collator(rows)))
        return loss

    def dev_loss(self) -> float:
        """Mean loss of the dev pairs; 0 where dev has none."""
        import torch

        if not self.dev:
            return 0.0
        widths = {i: max(_lengths(row)) for i, row in enumerate(self.dev)}
        parts = split_by_width(widths, self._tokens, sequences=self._sequences)
        with torch.no_grad(), plain_attention(max(widths.values()), self._device):
            total = sum(float(self._loss([self.dev[i] for i in part])) * len(part) for part in parts)
        return total / len(self.dev)

    def facts(self) -> dict[str, float]:
        return drain(self._trainer)

    def dev_facts(self) -> dict[str, float]:
        # ORPO's trainer keeps both under one name; what training measured has been taken by then.
        found = drain(self._trainer, "eval") or drain(self._trainer)
        return {f"dev_{name}": value for name, value in found.items()}


def _lengths(row: dict[str, Any]) -> list[int]:
    """Tokens of each sequence of a row that is trained on."""
    answers = [row[name] for name in ("chosen_ids", "rejected_ids", "completion_ids") if name in row]
    return [len(row["prompt_ids"]) + len(answer) for answer in answers]
