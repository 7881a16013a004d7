"""Supervised training by our own loop: the rows' answers, or plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rung.training.attach import add_noise, attach, base_of, spare_activations
from rung.training.batches import TokenRow
from rung.training.forward import Forward
from rung.training.group import gathered, join
from rung.training.loop import Loop
from rung.training.objective import TargetLoss
from rung.training.row_tokens import RowTokens
from rung.training.work import Done, Work


def train_targets(work: Work) -> Done:
    """Learn each row's target behind its rendered prompt. Raises DataError E2801, E2802; BackendError E3021."""
    return _train(work, work.encoded(work.rows), work.encoded(work.dev))


def train_documents(work: Work) -> Done:
    """Go on with pre-training: learn the rows' targets as plain text, without a prompt."""
    encode = work.parts.extra["encode_text"]
    rows = [TokenRow(ids[:1], ids[1:]) for row in work.rows if len(ids := encode(row.target)) > 1]
    return _train(work, rows, work.encoded(work.dev))


def _train(work: Work, rows: Sequence[TokenRow], dev: Sequence[TokenRow]) -> Done:
    settings, parts = work.job.settings, work.parts
    module = attach(parts, settings, start=work.job.start, text=work.job.candidate.prompt.instruction)
    forward = Forward(base_of(module), device=parts.device)
    group = join(sharded=settings.sharded)
    group.prepare(module, base_of(module))
    objective = TargetLoss(forward, rows, dev, replace(settings, max_length=work.longest))
    if settings.gradient_checkpointing:
        spare_activations(module)
    if settings.neftune:
        add_noise(module, settings.neftune, sum(objective.lengths) / len(objective.lengths))
    loop = Loop(module, objective, settings, score_dev=work.score_dev, scoring_work=work.scoring_work, group=group)
    room = work.room(RowTokens.of(objective.rows), shards=group.size if group.sharded else 1)
    loop.ceiling = group.agreed(work.ceiling(room))
    loop.by_loss = group.agreed(room is not None and room.by_loss)
    result = loop.run(work.checkpoints, report=work.report, stopping=work.stopping)
    if objective.skipped:
        empty = sum(not row.target for row in rows)
        result.notes.append({"kind": "skipped", "rows": objective.skipped, "of": len(rows), "empty": empty})
    if room is not None:
        result.facts.update(room.facts)
    return Done(module, result, gathered(module, group))
