"""A candidate's prompt, shots, passages and steps before another engine: vLLM, SGLang, Ollama or any such endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from rung.core.candidate import Candidate, OutputSlot, StepRef
from rung.core.errors import UsageError
from rung.core.model import Model
from rung.core.registry import create

KEY_VARIABLE = "RUNG_BACKEND_KEY"
"""Environment variable that holds the endpoint's key, where it wants one."""


@dataclass(frozen=True)
class Backend:
    """An endpoint that is to answer in place of the candidate's own engine."""

    url: str
    model: str
    key_variable: str = ""


@dataclass(frozen=True)
class Behind:
    """A candidate as it stands before a backend."""

    candidate: Candidate
    model: Model
    other_engine: str
    """In words, that this is not what was evaluated; empty where it is."""


def behind(candidate: Candidate, backend: Backend) -> Behind:
    """Raises UsageError E7003 for a candidate without a language model, BackendError for an address that cannot be used."""
    ref = candidate.model
    if ref.kind in {"linear", "extractive", "recorded"}:
        raise UsageError("E7003", candidate=candidate.id, kind=ref.kind)
    model: Model = create("model", "openai", id=backend.model, base_url=backend.url, api_key_env=backend.key_variable)
    recorded = ref.kind == "openai" and ref.id == backend.model
    if recorded and ref.options.get("base_url", "").rstrip("/") == backend.url.rstrip("/"):
        return Behind(candidate, model, "")
    engine = " ".join(part for part in (ref.kind, ref.engine if ref.engine != ref.kind else "", ref.precision) if part)
    words = (
        f"answered by '{backend.model}' at an endpoint; what was evaluated is '{ref.id}' ({engine}), "
        "so the evaluation's figures need not hold"
    )
    return Behind(candidate.model_copy(update={"output": _unconstrained(candidate.output, model)}), model, words)


def _unconstrained(output: OutputSlot, model: Model) -> OutputSlot:
    """An endpoint cannot be held to choices: it generates, and the label is matched, as in an evaluation on an endpoint."""
    if not output.constrain or model.capabilities.choices:
        return output
    steps = [StepRef(name="strip_marks"), StepRef(name="first_line")]
    if not any(step.name == "match_label" for step in output.steps):
        steps.append(StepRef(name="match_label", arguments={"labels": list(output.choices)}))
    return output.model_copy(update={"constrain": False, "steps": (*steps, *output.steps)})
