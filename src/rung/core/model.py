"""The Model: a language model reached through a backend, and what goes in and comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rung.core.found import Found
from rung.core.task import Example, Frozen, Passage

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question for a model, rendered. `passages` and `shots` are what the messages already show."""

    messages: tuple[Message, ...]
    choices: tuple[str, ...] = ()
    """Answer with one of these strings, where the backend can be held to it."""
    json_schema: dict[str, Any] | None = None
    max_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    """Strings before which the answer ends; none of them is part of it."""
    query: str = ""
    """The bare input text, for models that are no language models (a linear head, a nearest neighbour)."""
    passages: tuple[Passage, ...] = ()
    shots: tuple[Example, ...] = ()
    repeat: int = 0
    """How often the same has been asked before, where another answer is wanted: no model is told, only a cache heeds it."""
    found: Found | None = None
    """How the passages came about; no part of what is asked."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. A value, never an exception, and never counted as a wrong answer.

    `kind`: timeout | refused | rate_limit | server | garbage | empty | too_long | unparsable | content_filter | error.
    """

    kind: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and what it took."""

    text: str = ""
    choice_scores: tuple[float, ...] = ()
    """Summed log-probability, in nats, of every choice with its end token, in the order of `Request.choices`."""
    failure: Failure | None = None
    finish: str = "stop"
    """stop | length | choice | abstain | cancelled | error"""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    """This request's share of the backend's working time."""
    money: float = 0.0
    """Charged by the endpoint, in the currency of task.yaml."""
    served_by: str = ""
    """Model name the backend reported, where it reports one."""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers of a decoder by which memory is planned, read without its weights."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    weight_bytes: int = 2
    """Bytes of one weight, and of one number of an activation, in the precision it is used in."""
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Capabilities:
    trainable: bool = False
    adapters: bool = False
    choices: bool = False
    json_schema: bool = False
    language_model: bool = True
    """False for a linear head, a nearest neighbour or recorded answers: a prompt means nothing to them."""
    context_tokens: int = 0
    """Longest prompt and answer together; 0 when unknown."""
    sizes: Sizes | None = None
    """Of a model that can be trained, where its configuration tells."""


class WeightsRef(Frozen):
    path: str
    sha256: str


class ModelRef(Frozen):
    """Identity of a model. Engine and precision belong to it: what was evaluated is what is served."""

    kind: str
    """Registry name of the backend."""
    id: str
    revision: str = ""
    engine: str = ""
    precision: str = ""
    weights: WeightsRef | None = None
    options: dict[str, Any] = {}


@runtime_checkable
class Model(Protocol):
    """A backend's one required method is `generate`."""

    ref: ModelRef
    capabilities: Capabilities

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request, in order; a failure is a value."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into unit vectors."""

    id: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n, d], every row of length 1."""
        ...


@dataclass(frozen=True)
class TrainingParts:
    """What a trainable backend hands to training: a torch module, and its own way from a request to token ids."""

    module: Any
    """torch.nn.Module: a causal language model on its device, in the precision it is served in."""
    encode: Any
    """(Request, target: str | None) -> tuple[list[int], list[int]]: prompt ids; target ids with the end token."""
    evaluator: Any
    """(module) -> Model: answers requests with the module as it now stands, whose linear layers it may replace."""
    device: str = "cpu"
    extra: dict[str, Any] = field(default_factory=dict)
    """tokenizer; end: the end token's id; encode_text: (str) -> token ids with the end token; sizes: `Sizes` or None;
    context: longest prompt and answer in tokens."""
