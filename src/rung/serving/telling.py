"""An outcome in the words of OpenAI's API: text, finish reason, usage, label scores, and Rung's own block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.core.answer import choice_logits
from rung.serving.engine import Outcome
from rung.serving.hosting import Hosted
from rung.serving.openai_schema import finite
from rung.serving.refusals import of_failure
from rung.text.steps_shown import mark_metadata

_FINISH = {"length": "length", "content_filter": "content_filter"}
_SAFE = {"en": "I cannot answer that.", "zh": "抱歉，这个问题我无法回答。"}


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller reads."""

    text: str
    finish: str


def said(outcome: Outcome, hosted: Hosted) -> Said:
    """The answer; where a guard refused it, the safe message. Raises Refusal for any other failure."""
    answer, safe = outcome.answer, hosted.candidate.output.safe
    if answer.shown and answer.shown == safe:
        return Said(safe, "content_filter")
    if answer.failure is None:
        return Said(answer.reads, _FINISH.get(answer.finish, "stop"))
    if answer.failure.kind != "content_filter":
        raise of_failure(answer.failure)
    return Said(safe or _SAFE.get(hosted.candidate.prompt.language, _SAFE["en"]), "content_filter")


def usage_of(outcomes: Sequence[Outcome], *, asked_once: bool = False) -> dict[str, int]:
    """Tokens of all answers; of one, where the others are its copies."""
    counted = outcomes[:1] if asked_once else outcomes
    read = sum(outcome.answer.tokens_in for outcome in counted)
    written = sum(outcome.answer.tokens_out for outcome in counted)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def own_block(outcome: Outcome, hosted: Hosted) -> dict[str, Any]:
    """What OpenAI's format has no place for: where the answer comes from, and what it rests on."""
    answer, request = outcome.answer, outcome.request
    block: dict[str, Any] = {"run": hosted.run, "candidate": hosted.name}
    if hosted.other_engine:
        block["backend"] = hosted.other_engine
    if answer.confidence is not None:
        block["confidence"] = answer.confidence
    if request is not None and request.passages:
        shown = {passage.id: passage for passage in request.passages}
        block["index"] = hosted.index
        block["citations"] = [name for name in answer.citations if name in shown]
        block["passages"] = [
            {"id": name, "document": shown[name].document, "title": shown[name].title, "text": shown[name].text}
            for name in answer.passages
            if name in shown
        ]
        if answer.unsupported_citations:
            block["unsupported_citations"] = list(answer.unsupported_citations)
        if answer.unsupported_quotes:
            block["unsupported_quotes"] = list(answer.unsupported_quotes)
    if answer.notes:
        block["notes"] = list(answer.notes)
    for step in hosted.candidate.output.shown:
        if step.name == "ai_mark":
            block |= mark_metadata(answer.example, producer=step.arguments.get("producer", ""))
    return block


def label_scores(outcome: Outcome, hosted: Hosted, most: int) -> list[tuple[str, float]]:
    """The labels with their log-probabilities among the choices, best first: the chosen one and `most` in all. Empty without."""
    scores = outcome.completion.choice_scores if outcome.completion else ()
    if not scores or outcome.answer.failure is not None:
        return []
    output = hosted.candidate.output
    logits = choice_logits(np.array(scores), output)
    logits = logits - logits.max()
    logits = logits - math.log(float(np.exp(logits).sum()))
    order = np.argsort(-logits, kind="stable")
    found = [(output.choices[n], finite(float(logits[n]))) for n in order[: max(1, most)]]
    return [(label, -9999.0 if score is None else score) for label, score in found]
