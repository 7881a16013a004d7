"""The Candidate: one frozen record with slots, the thing that is compared and served."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from rung.core.hashing import hash_json
from rung.core.model import ModelRef
from rung.core.task import Frozen

SCHEMA = 1


class PromptSlot(Frozen):
    """How a question is put to the model. The text is data: it is joined, never compiled as a template."""

    instruction: str
    layout: Literal["chat", "compact", "bare"] = "chat"
    """chat: instruction as system message, shots as turns. compact: one short user message, shots as lines.
    bare: the input text alone, for models that read no instruction."""
    phrasing: str = "plain"
    """Name of the instruction phrasing, for the report."""
    fields: tuple[str, ...]
    """Input fields, in the order in which they are shown."""
    language: str = "en"
    list_choices: bool = False
    answer_name: str = "Answer"
    question_name: str = "Question"


class ShotExample(Frozen):
    """A training example shown in the prompt."""

    id: str
    inputs: dict[str, str]
    answer: str


class ShotsSlot(Frozen):
    """Which solved examples the prompt shows."""

    mode: Literal["fixed", "nearest"]
    k: int
    fixed: tuple[ShotExample, ...] = ()
    index: str = ""
    """`nearest`: the index over the training pool, `<hash>@<version>` under `indexes/`."""
    encoder: str = ""
    fusion: Literal["rrf", "lexical", "dense"] = "dense"
    kind: str = "index"
    """`nearest`: registry name of the retriever."""


class Recipe(Frozen):
    """How passages are cut and found."""

    chunk_words: int = 120
    chunk_overlap: int = 20
    encoder: str = ""
    fusion: Literal["rrf", "lexical", "dense"] = "rrf"
    k: int = 3
    kind: str = "index"
    """Registry name of the retriever."""

    @model_validator(mode="before")
    @classmethod
    def _without_rerank(cls, given: Any) -> Any:
        # Older candidates name a reranker, always "": there never was one.
        return {name: value for name, value in given.items() if name != "rerank"} if isinstance(given, dict) else given


class RetrieverSlot(Frozen):
    recipe: Recipe
    index: str
    """`<hash>@<version>` under `indexes/`."""
    cite: bool = True
    """Whether an answer says which of the passages it goes back to."""


class AdapterSlot(Frozen):
    """Trained weights on top of the model, in the candidate's own folder."""

    path: str = "adapter"
    sha256: str
    base: str
    """Id of the model it was trained on; loading it on another is refused."""
    kind: str = "lora"


class StepRef(Frozen):
    """One post-processing step, by registry name."""

    name: str
    arguments: dict[str, Any] = {}


class OutputSlot(Frozen):
    """How the completion becomes an answer."""

    choices: tuple[str, ...] = ()
    constrain: bool = False
    """Hold the model to `choices`; otherwise it generates, and the text is matched exactly."""
    normalise: Literal["sum", "mean"] = "sum"
    """Score of a choice: its summed log-probability, or that divided by its length in characters."""
    priors: tuple[float, ...] = ()
    """Log-score of each choice without a question, taken off `prior_weight` times; fitted before scoring."""
    prior_weight: float = 0.0
    max_tokens: int = 64
    json_schema: dict[str, Any] | None = None
    abstain: str | None = None
    steps: tuple[StepRef, ...] = ()


class Candidate(Frozen):
    """A filled set of slots. `id` is derived from its contents, so equal candidates are one candidate."""

    schema_version: int = SCHEMA
    method: str
    made_from: dict[str, str] = {}
    """Hashes of data, split and code."""
    model: ModelRef
    prompt: PromptSlot
    shots: ShotsSlot | None = None
    retriever: RetrieverSlot | None = None
    adapter: AdapterSlot | None = None
    output: OutputSlot

    @property
    def id(self) -> str:
        return f"{self.method}-{hash_json(self.model_dump(mode='json', exclude={'made_from'}), 8)}"
