"""Tuning an encoder in the child process that trains everything: what the child is told, what it does, what it leaves.

<job>/job.json  pairs.jsonl  dev.json  checkpoints/  result.json      encoder/   as sentence-transformers reads it
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.answer import create_encoder
from rung.core.durable import write_whole
from rung.core.errors import BackendError
from rung.core.lock import folder_lock
from rung.core.model import TrainingParts
from rung.training.attach import base_of
from rung.training.checkpoint import publish
from rung.training.contrastive import (
    ContrastLoss,
    ContrastSettings,
    attach_encoder,
    reciprocal_rank,
)
from rung.training.killed import ceiling_of
from rung.training.loop import Loop
from rung.training.memory import LIBRARIES
from rung.training.pairs import DevSet, Pair, read_dev, read_pairs, write_dev, write_pairs
from rung.training.progress import Progress, TrainingResult
from rung.training.room import look_around
from rung.training.row_tokens import Scoring
from rung.training.runner import run_child
from rung.training.settings import TrainSettings

KIND = "contrastive"


@dataclass(frozen=True)
class EncoderJob:
    """What a training process is told."""

    encoder: str
    """Registry name, or `folder:PATH`."""
    fingerprint: str
    settings: TrainSettings
    contrast: ContrastSettings

    @classmethod
    def read(cls, folder: Path) -> EncoderJob:
        record = json.loads((folder / "job.json").read_text("utf-8"))
        return cls(
            record["encoder"],
            record["fingerprint"],
            TrainSettings(**record["settings"]),
            ContrastSettings(**record["contrast"]),
        )


@dataclass(frozen=True)
class TunedEncoder:
    folder: Path
    result: TrainingResult


def write_encoder_job(folder: Path, job: EncoderJob, pairs: Sequence[Pair], dev: DevSet) -> None:
    """What a child is told, in a job folder. Nothing is written where the job has come to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "result.json").is_file():
        # Held again by the child for as long as it works: what it reads must not change below it.
        with folder_lock(folder):
            write_pairs(folder / "pairs.jsonl", pairs)
            write_dev(folder / "dev.json", dev)
            write_whole(folder / "job.json", json.dumps({"kind": KIND, **asdict(job)}).encode())


def tune_encoder(
    folder: Path,
    job: EncoderJob,
    pairs: Sequence[Pair],
    dev: DevSet,
    *,
    report: Callable[[dict[str, Any]], None] = lambda line: None,
) -> TunedEncoder:
    """Tune to the end in a child process; with the same folder, go on where an earlier attempt stopped. Raises as `train` does."""
    write_encoder_job(folder, job, pairs, dev)
    return TunedEncoder(folder / "encoder", run_child(folder, report))


def train_encoder(folder: Path, tell: Callable[[Progress, int], None], stopping: Callable[[], bool]) -> TrainingResult:
    """The child's work; `encoder/` is published unless it was interrupted.

    Raises BackendError E3206 where the encoder is not the one that the pairs were mined with, DataError E2802, E2890, WriteError E5010.
    """
    job = EncoderJob.read(folder)
    encoder: Any = create_encoder(job.encoder)
    if encoder.id != job.fingerprint:
        raise BackendError("E3206", name=job.encoder, recorded=job.fingerprint, found=encoder.id)
    parts: TrainingParts = encoder.training_parts()
    module = attach_encoder(parts, job.settings)
    dev = read_dev(folder / "dev.json")
    objective = ContrastLoss(
        base_of(module), parts, read_pairs(folder / "pairs.jsonl"), dev, job.settings, job.contrast
    )

    read = [text for _, text in dev.texts] + [query.text for query in dev.queries]
    asked = [len(ids) for ids in parts.encode(read, parts.extra["max_tokens"])] if read else []
    dropping = bool(getattr(parts.module.config, "attention_probs_dropout_prob", 0.0))
    sizes, rows = parts.extra.get("sizes"), replace(objective.row_tokens(), dropping=dropping)
    scoring = Scoring(len(asked), sum(asked) / len(asked)) if asked else None
    room = None
    if sizes is not None:
        # The encoder itself stays beside the copy that is tuned.
        beside = LIBRARIES + sizes.parameters * sizes.weight_bytes
        room = look_around(sizes, job.settings, rows, scoring, folder, libraries=beside)

    def score(trained: Any) -> float:
        return reciprocal_rank(parts.evaluator(base_of(trained)), dev)

    before = score(module.eval())
    loop = Loop(module, objective, job.settings, score_dev=score if dev.queries else None, scoring_work=sum(asked) // 3)
    loop.ceiling = ceiling_of(folder, job.settings.micro_tokens, room)
    result = loop.run(folder / "checkpoints", report=tell, stopping=stopping)
    if result.stopped != "interrupted":
        result.facts.update({"dev_before": round(before, 5)} | (room.facts if room else {}))
        working = folder / ".encoder"
        shutil.rmtree(working, ignore_errors=True)
        save_encoder(module, parts, working)
        publish(working, folder / "encoder")
    return result


def save_encoder(module: Any, parts: TrainingParts, folder: Path) -> None:
    """Write an encoder as sentence-transformers lays one out: weights, tokenizer, pooling, and what comes after what."""
    plain = module.merge_and_unload() if hasattr(module, "merge_and_unload") else module
    plain.save_pretrained(folder)
    parts.extra["tokenizer"].save_pretrained(folder)
    modes = dict.fromkeys(("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"), False)
    modes["cls_token" if parts.extra["pooling"] == "cls" else "mean_tokens"] = True
    places = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    files = {
        "modules.json": [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
            for n, (name, path) in enumerate(places.items())
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": plain.config.hidden_size,
            **{f"pooling_mode_{mode}": on for mode, on in modes.items()},
        },
        "sentence_bert_config.json": {"max_seq_length": parts.extra["max_tokens"], "do_lower_case": False},
    }
    for name, content in files.items():
        write_whole(folder / name, (json.dumps(content, indent=2) + "\n").encode())
    (folder / places["Normalize"]).mkdir(exist_ok=True)
    (folder / "README.md").unlink(missing_ok=True)
