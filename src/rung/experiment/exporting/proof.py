"""The proof of an export: the same questions to the trained candidate and to what was written, and where the answers part.

Every engine gets the same requests, rendered once by the candidate's own slots, and its answers go through the same finish.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rung.core.answer import Opened, finish, open_candidate, prepare
from rung.core.evaluation import Answer
from rung.core.method import Progress, Silent
from rung.core.model import Completion, Request
from rung.core.registry import find
from rung.core.task import Example
from rung.experiment.exporting.subject import Subject
from rung.methods.slots import seeded_sample
from rung.models.gguf_file import Quant
from rung.models.llama_cpp_local import LlamaCppModel
from rung.models.local_weights import Loaded, adapt
from rung.models.transformers_local import TransformersModel
from rung.stats.intervals import clopper_pearson
from rung.store.export import EngineProof, Parting, Proof

QUESTIONS = 20
TOLERANCE: dict[str, float] = {"same": 0.0, "f16": 0.05, "bf16": 0.05, "q8_0": 0.1}
"""Share of answers that may differ. The merged weights are the same numbers in the same engine, so nothing may; another engine
rounds elsewhere, which turns near ties, and eight bits change the weights themselves."""
WRITTEN = 2.0
"""How many times more may differ in written text, where one turned token changes the whole answer; never for the merged weights."""
SHOWN = 3
_CHUNK = 8


@dataclass(frozen=True)
class Answered:
    """What one engine answered to every question."""

    completions: list[Completion]
    answers: list[Answer]


@dataclass(frozen=True)
class Exam:
    """The questions of a proof, opened on the trained candidate."""

    opened: Opened
    examples: tuple[Example, ...]
    requests: list[Request]

    def take(self, model: Any, progress: Progress, name: str) -> Answered:
        """Put the questions to a model, as the candidate would, and give its memory back."""
        completions: list[Completion] = []
        try:
            for start in range(0, len(self.requests), _CHUNK):
                completions += model.generate(self.requests[start : start + _CHUNK])
                progress.update(len(completions), len(self.requests), name)
        finally:
            _release(model)
        opened = replace(self.opened, model=model)
        answers = [
            finish(opened, example, request, completion)
            for example, request, completion in zip(self.examples, self.requests, completions, strict=True)
        ]
        return Answered(completions, answers)


def set_exam(subject: Subject, n: int, seed: int) -> Exam:
    """A seeded sample of the run's dev questions, rendered with the candidate's own retrieval and shots."""
    examples = seeded_sample(subject.run.read_examples("dev"), n, seed, "export")
    opened = open_candidate(subject.candidate, subject.folder, subject.run.indexes)
    return Exam(opened, tuple(examples), prepare(opened, examples))


def prove(
    subject: Subject,
    exam: Exam,
    *,
    seed: int,
    merged: Path | None = None,
    adapter: Path | None = None,
    gguf: tuple[Path, Quant] | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Compare every form that was written with the trained candidate. `tolerance` replaces the usual one of every row.

    `merged`: a whole model's folder. `adapter`: a PEFT folder, asked beside the weights too where there are merged ones. `gguf`: a file, asked through llama.cpp where it is installed.
    """
    told = progress or Silent()
    model = exam.opened.model
    cut = [model.encode(request)[0] for request in exam.requests]  # type: ignore[attr-defined]
    trained = exam.take(model, told, "trained")
    engine = f"{subject.candidate.model.engine} {subject.candidate.model.precision}"
    rows = [_recorded(subject, exam, trained)]
    ref, exact = subject.candidate.model, TOLERANCE["same"] if tolerance is None else tolerance
    if merged is not None:
        fresh = TransformersModel(str(merged), precision=ref.precision, device=ref.engine.removeprefix("transformers-"))
        found = exam.take(fresh, told, "merged")
        rows.append(_compared("merged", engine, exam, trained, found, exact))
    if adapter is not None:
        slot = subject.slot.model_copy(update={"path": adapter.name})
        fresh = find("model", ref.kind).open(ref, adapter=slot, folder=adapter.parent)
        found = exam.take(fresh, told, "adapter")
        rows.append(_compared("adapter", engine, exam, trained, found, exact))
        if merged is not None:
            found = exam.take(_beside(subject, adapter), told, "beside")
            rows.append(_compared("beside", engine, exam, trained, found, None))
    untried = ""
    if gguf is not None:
        path, quant = gguf
        allowed = _usual(exam, quant) if tolerance is None else tolerance
        alike = None
        if importlib.util.find_spec("llama_cpp"):
            other: Any = LlamaCppModel(path)
            alike = sum(other.encode(request)[0] == ids for request, ids in zip(exam.requests, cut, strict=True))
            name = other.ref.engine
        else:
            other, untried = _read_back(path, subject), "llama_cpp"
            name = "transformers, GGUF"
        found = exam.take(other, told, quant)
        row = _compared("gguf", f"{name} {quant}", exam, trained, found, allowed)
        rows.append(row.model_copy(update={"tokens_alike": alike}))
    return Proof(n=len(exam.examples), seed=seed, engines=tuple(row for row in rows if row), untried=untried)


def _beside(subject: Subject, adapter: Path) -> TransformersModel:
    """The base with the written adapter beside its weights, as PEFT and vLLM serve it.

    The candidate answers with merged weights, and bf16 has no room for small changes of large weights: the two differ.
    """
    ref = subject.candidate.model
    parts = find("model", ref.kind).open(ref).training_parts()
    module = adapt(parts.module, adapter, ref.id).get_base_model().eval()
    loaded = Loaded(module, parts.extra["tokenizer"], parts.device)
    return TransformersModel(ref.id, precision=ref.precision, device=parts.device, revision=ref.revision, loaded=loaded)


def _usual(exam: Exam, quant: Quant) -> float:
    written = not exam.opened.candidate.output.constrain
    return TOLERANCE[quant] * (WRITTEN if written else 1.0)


def _release(model: Any) -> None:
    if hasattr(model, "release"):
        model.release()


def _read_back(path: Path, subject: Subject) -> TransformersModel:
    """The GGUF file's weights, taken back out of their blocks, in the engine that the candidate was evaluated in."""
    import torch
    import transformers

    ref = subject.candidate.model
    device = ref.engine.removeprefix("transformers-")
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}[ref.precision]
    # The loader draws a bar of its own across ours.
    with redirect_stderr(StringIO()):
        tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        module: Any = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=dtype)
    end = tokenizer.eos_token_id
    module.generation_config = transformers.GenerationConfig(eos_token_id=end, pad_token_id=end)  # type: ignore[no-untyped-call]
    loaded = Loaded(module.to(device).eval(), tokenizer, device)
    return TransformersModel(ref.id, precision=ref.precision, device=device, revision=ref.revision, loaded=loaded)


def _recorded(subject: Subject, exam: Exam, trained: Answered) -> EngineProof | None:
    """The answers on record to those of the questions that the run's dev evaluation asked: for information.

    Batches were other ones then, which moves rounding in bf16.
    """
    evaluation = subject.run.read_evaluation(subject.id, "dev")
    kept = {row.answer.example: row.answer for row in evaluation.rows} if evaluation else {}
    places = [i for i, example in enumerate(exam.examples) if example.id in kept]
    if not places:
        return None
    part = replace(exam, examples=tuple(exam.examples[i] for i in places), requests=[exam.requests[i] for i in places])
    ours = Answered([trained.completions[i] for i in places], [trained.answers[i] for i in places])
    theirs = Answered([Completion() for _ in places], [kept[exam.examples[i].id] for i in places])
    return _compared("recorded", "evaluation", part, ours, theirs, None)


def _compared(
    name: Literal["recorded", "merged", "adapter", "beside", "gguf"],
    engine: str,
    exam: Exam,
    trained: Answered,
    other: Answered,
    tolerance: float | None,
) -> EngineProof:
    partings = [
        Parting(example=example.id, question=example.text, trained=_shown(ours), other=_shown(theirs))
        for example, ours, theirs in zip(exam.examples, trained.answers, other.answers, strict=True)
        if _shown(ours) != _shown(theirs)
    ]
    n, differ = len(exam.examples), len(partings)
    return EngineProof(
        name=name,
        engine=engine,
        n=n,
        same=n - differ,
        differ=differ,
        upper=float(clopper_pearson(differ, n).high),
        largest_gap=_largest_gap(trained.completions, other.completions),
        tolerance=tolerance,
        partings=tuple(partings[:SHOWN]),
    )


def _shown(answer: Answer) -> str:
    return answer.text if answer.failure is None else f"[{answer.failure.kind}]"


def _largest_gap(ours: Sequence[Completion], theirs: Sequence[Completion]) -> float | None:
    """Nats; over every choice of every question that both have scored."""
    gaps = [
        float(np.abs(np.array(a.choice_scores) - np.array(b.choice_scores)).max())
        for a, b in zip(ours, theirs, strict=True)
        if a.choice_scores and len(a.choice_scores) == len(b.choice_scores)
    ]
    return max(gaps) if gaps else None
