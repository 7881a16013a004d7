"""The record of an export: what was written, from what, and whether it answers like the trained candidate."""

from __future__ import annotations

from typing import Any, Literal

from rung.core.task import Frozen

Form = Literal["hf", "gguf", "ollama", "llama-factory"]
FILE = "export.json"


class Parting(Frozen):
    """A question on which an engine answers otherwise than the trained candidate."""

    example: str
    question: str
    trained: str
    other: str


class EngineProof(Frozen):
    """One way to answer, compared with the trained candidate on the same questions."""

    name: Literal["recorded", "merged", "adapter", "beside", "gguf"]
    """recorded: the answers of the run's evaluation. merged, adapter: the exported folder, loaded anew. beside: the adapter where it is not
    merged. gguf: the GGUF file."""
    engine: str
    n: int
    same: int
    differ: int
    upper: float
    """Upper end of the 95 % interval (Clopper-Pearson) of the share of answers that differ."""
    largest_gap: float | None = None
    """Largest difference of a choice's log-probability, in nats; None for free text."""
    tokens_alike: int | None = None
    """Questions that the engine's own tokenizer cuts like the trained one; None where it has none of its own."""
    tolerance: float | None = None
    """Share of answers that may differ; None where the row is for information."""
    partings: tuple[Parting, ...] = ()
    """The first questions that differ."""

    @property
    def allowed(self) -> int | None:
        return None if self.tolerance is None else int(self.tolerance * self.n + 1e-9)

    @property
    def holds(self) -> bool:
        allowed = self.allowed
        return allowed is None or self.differ <= allowed


class Proof(Frozen):
    """Every way to answer that was compared."""

    n: int
    seed: int
    split: str = "dev"
    engines: tuple[EngineProof, ...] = ()
    untried: str = ""
    """Why the engine that the files are for was not itself asked; empty where it was."""

    @property
    def holds(self) -> bool:
        return all(engine.holds for engine in self.engines)


class ExportRecord(Frozen):
    """Kept as `export.json` in the exported folder, written last."""

    schema_version: int = 1
    form: Form
    candidate: str
    run: str
    method: str
    base: dict[str, Any]
    """The model that was tuned: id, revision, precision, hash of its weights."""
    adapter: dict[str, Any]
    """Kind and hash of the trained weights as they lie in the run."""
    quant: str = ""
    made_from: dict[str, str] = {}
    """Hashes of task, train and dev."""
    settings: dict[str, Any] = {}
    """Hyper-parameters of the training, as far as the run kept them."""
    result: dict[str, Any] = {}
    """What the training came to: steps, best dev score, seconds."""
    versions: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    """Codes of what a reader should know: what an engine needs or cannot do (the words of a report: export.note.*)."""
    values: dict[str, Any] = {}
    """What the notes name."""
    proof: Proof | None = None
    """None where no comparison was asked for."""
    files: dict[str, dict[str, Any]] = {}
    """Size and SHA-256 of every other file, by its path in the folder."""
