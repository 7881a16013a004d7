"""The Candidate: one frozen record with slots, the thing that is compared and served."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from rung.core.hashing import hash_json
from rung.core.model import ModelRef
from rung.core.task import Frozen, StepRef

__all__ = [
    "AdapterSlot",
    "Candidate",
    "OutputSlot",
    "PromptSlot",
    "Recipe",
    "RetrieverSlot",
    "ShotExample",
    "ShotsSlot",
    "StepRef",
]

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
    """How passages are cut and found, and which of them are shown in which order."""

    chunk_words: int = 120
    chunk_overlap: int = 20
    encoder: str = ""
    fusion: Literal["rrf", "lexical", "dense"] = "rrf"
    k: int = 3
    kind: str = "index"
    """Registry name of the retriever."""
    query: str = "as_asked"
    """Registry name of what makes the search words of a question; `as_asked` searches for all that the user has said."""
    weights: tuple[float, float] = (1.0, 1.0)
    """`rrf`: what a rank in the lexical and in the dense list counts."""
    rerank: str = ""
    """Who ranks the passages found once more: a registry name, with `:PATH` behind it where it lies in a folder; '' nobody."""
    rerank_id: str = ""
    """Fingerprint of that folder; another one is refused."""
    rerank_depth: int = 20
    """Passages that are ranked once more."""
    order: Literal["best_first", "best_last"] = "best_first"
    """How the passages stand in the prompt."""
    drop_below: float = 0.0
    """A passage is left out when its score is below this share of the first one's."""
    fit_context: bool = False
    """Whether passages that do not fit the model's context are left out, the last of them first; else such an answer fails."""
    abstain_by: Literal["", "lexical", "dense", "rerank"] = ""
    """Whose best score decides that the documents do not say; '' leaves that to the model."""
    abstain_below: float = 0.0
    """Below this score the answer is the task's abstain text, and no model is asked."""

    since: ClassVar[frozenset[str]] = frozenset(
        {"query", "weights", "rerank", "rerank_id", "rerank_depth", "order", "drop_below", "fit_context"}
        | {"abstain_by", "abstain_below"}
    )
    """Fields that older candidates do not have: at their defaults they are no part of a candidate's id."""

    def later_defaults(self) -> set[str]:
        """Names of the fields that older candidates do not have and that say nothing here."""
        return {name for name in self.since if getattr(self, name) == type(self).model_fields[name].default}


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
    """From what the model said to the answer that is scored."""
    shown: tuple[StepRef, ...] = ()
    """From that answer to what a reader sees."""
    safe: str = ""
    """What a reader sees where a step refuses an answer or breaks on it."""

    def silent(self) -> set[str]:
        """Names of the fields that older candidates do not have and that say nothing here."""
        return {name for name in ("shown", "safe") if not getattr(self, name)}


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
        silent: dict[str, Any] = {"made_from": True, "output": self.output.silent()}
        if self.retriever:
            silent["retriever"] = {"recipe": self.retriever.recipe.later_defaults()}
        return f"{self.method}-{hash_json(self.model_dump(mode='json', exclude=silent), 8)}"
