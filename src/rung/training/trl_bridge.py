"""TRL's trainers as givers of losses: around our module and on our tokens, without their data, files, telemetry or steps.

A trainer of TRL knows how a batch becomes a loss, and is asked for nothing else. The steps are those of our loop, so that what
must outlive a kill (weights, optimiser, position, best weights) lies in our checkpoints, safetensors and JSON, and a run that is
taken up again ends with the bits of one that never stopped.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rung.core.errors import UsageError
from rung.training.attach import attach, quiet_peft, spare_activations
from rung.training.batches import padded
from rung.training.loop import Loop
from rung.training.progress import TrainingResult
from rung.training.work import Work

_KINDS = {"dpo": "DPO", "ipo": "DPO", "kto": "KTO", "orpo": "ORPO", "grpo": "GRPO", "rloo": "RLOO"}
REFERENCE = "ref"
"""The name by which TRL's trainers know a copied adapter."""
FACTS = {
    "rewards/margins": "margin",
    "rewards/accuracies": "preferred",
    "kl": "kl",
    "completions/clipped_ratio": "cut_off",
}
"""What a trainer measures beside its loss, and how the curve calls it: the log-odds by which chosen answers lead, times beta; the
share of pairs whose chosen answer leads; the distance from where training began; the share of answers that reached their limit."""


def attach_for_trl(work: Work) -> Any:
    """What the job trains, as `attach` gives it. Raises UsageError E2422 for a soft prompt, E2425 for several processes, and as `attach`."""
    settings = work.job.settings
    if settings.soft:
        raise UsageError("E2422", adapter=settings.adapter)
    if work.job.processes > 1:
        raise UsageError("E2425", processes=work.job.processes)
    module = attach(work.parts, settings, start=work.job.start)
    if settings.gradient_checkpointing:
        spare_activations(module)
    return module


def trl_trainer(
    work: Work, name: str, module: Any, config: Mapping[str, Any], *, changes: Sequence[type] = (), **arguments: Any
) -> Any:
    """TRL's trainer of a loss around `module`. `config`: fields of its own configuration. `changes`: classes whose methods take
    the place of its own.

    Raises UsageError E2462 for layers that it cannot train.
    """
    settings = work.job.settings
    # Both libraries would talk otherwise; nobody reads it here.
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    import datasets

    datasets.disable_progress_bars()
    kind = _KINDS[name]
    library: Any
    if name == "orpo":
        from trl.experimental import orpo as library
    else:
        import trl as library
    with _quiet():
        configuration = getattr(library, f"{kind}Config")(
            output_dir=str(work.checkpoints),
            use_cpu=work.parts.device == "cpu",
            seed=settings.seed % (1 << 32),
            # The module is in the precision it is served in; the loop's masters are float32.
            bf16=False,
            fp16=False,
            gradient_checkpointing=False,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            disable_dropout=settings.dropout == 0,
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            **config,
        )
        bridged = type(kind, (*changes, _Bridge, getattr(library, f"{kind}Trainer")), {})
        try:
            trainer = bridged(
                model=module,
                args=configuration,
                train_dataset=datasets.Dataset.from_dict({"row": [0]}),
                processing_class=work.parts.extra["tokenizer"],
                **arguments,
            )
        except ValueError as error:
            raise UsageError("E2462", targets=settings.targets, reason=str(error).split("\n")[0][:200]) from error
    if not work.job.start:
        # TRL keeps a copy of the adapter as the reference. A new one begins at nothing: the base with the adapter off is the same.
        forget_reference(module)
    return trainer


def keep_reference(module: Any) -> Any:
    """Keep what training begins from: a copy of the whole model, returned, or of its adapter, which TRL finds by itself."""
    if not hasattr(module, "peft_config"):
        return copy.deepcopy(module).requires_grad_(False).eval()
    import torch

    module.add_adapter(REFERENCE, module.peft_config["default"])
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if f".{REFERENCE}." in name:
                weight.copy_(module.get_parameter(name.replace(f".{REFERENCE}.", ".default.")))
    return None


def forget_reference(module: Any) -> None:
    """Take the copy of an adapter away again, so that it is not saved."""
    if REFERENCE in getattr(module, "peft_config", {}):
        module.delete_adapter(REFERENCE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings about names of settings that transformers is changing, and that TRL sets itself."""
    with quiet_peft():
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*gradient_checkpointing.*")
        yield


class _Bridge:
    """What a trainer of TRL would do beyond losses, left undone."""

    def _send_telemetry(self) -> None:
        return None

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    @staticmethod
    def tokenize_row(feature: Any, model: Any = None) -> Any:
        return feature

    def train(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the steps are the loop's")

    def _save_checkpoint(self, *_: Any, **__: Any) -> None:
        raise AssertionError("checkpoints are the loop's")


def drain(trainer: Any, mode: str = "train") -> dict[str, float]:
    """What the trainer has measured since it was last asked, by the curve's names."""
    kept = trainer._stored_metrics if hasattr(trainer, "_stored_metrics") else trainer._metrics
    found = {FACTS[name]: values for name, values in kept[mode].items() if name in FACTS and values}
    means = {name: round(sum(values) / len(values), 5) for name, values in found.items()}
    kept[mode].clear()
    return means


def split_by_width(widths: Mapping[int, int], tokens: int, *, sequences: int = 1) -> list[list[int]]:
    """Numbers in parts of at most so many tokens, each with `sequences` padded rows as wide as the part's widest; narrow ones first."""
    found: list[list[int]] = []
    part: list[int] = []
    for i in sorted(widths, key=lambda i: widths[i]):
        if part and (len(part) + 1) * sequences * padded(widths[i]) > tokens:
            found.append(part)
            part = []
        part.append(i)
    return [*found, part] if part else found


class TrlLoop(Loop):
    """The loop, with what TRL measures beside the loss in every point of its curve."""

    objective: Any

    def run(self, *arguments: Any, **named: Any) -> TrainingResult:
        with _quiet():
            return super().run(*arguments, **named)

    def _step(self, batch: Sequence[int]) -> None:
        super()._step(batch)
        self.progress.curve[-1] |= self.objective.facts()

    def _evaluate(self) -> None:
        super()._evaluate()
        self.progress.curve[-1] |= self.objective.dev_facts()
