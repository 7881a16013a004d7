"""Reading apart from retrieval: the same questions with the right passage in the candidate's own prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rung.core.answer import Item, Opened
from rung.core.candidate import Candidate, Recipe
from rung.core.evaluation import Answer, Metric
from rung.core.method import Progress
from rung.core.task import Example, Task
from rung.experiment.diagnosing.arms import Shelf, best_passages
from rung.experiment.diagnosing.kept import answers_kept
from rung.experiment.knowledge.shares import paired_scores
from rung.models.openai_request import rough_tokens
from rung.store.knowledge import GoldReading

FEWEST = 8
"""Questions below which nothing is said."""
QUESTIONS = {"label": 64, "text": 32, "json": 32}
"""At most so many are asked with the right passage."""


def read_gold(
    opened: Opened,
    task: Task,
    metric: Metric,
    examples: Sequence[Example],
    own: Mapping[str, Answer],
    chunks: Mapping[str, Sequence[Item]],
    *,
    folder: Path,
    progress: Progress,
) -> GoldReading | None:
    """The score with the right passage shown, against that of the answers the candidate gave; None below 8 questions.

    `examples` name their documents; `chunks` are the passages of the candidate's own index, by document. Answers are kept
    below `folder`, so that a call that was stopped goes on.
    """
    context = opened.model.capabilities.context_tokens
    longest = max((rough_tokens(task.instruction) + 2 * rough_tokens(e.text) for e in examples), default=0)
    room = max(1.0, context - task.output.max_tokens - longest) if context else 0.0
    passages = best_passages(examples, chunks, room)
    asked = [example for example in examples if example.asked in passages and example.id in own]
    if len(asked) < FEWEST:
        return None
    shown = replace(opened, candidate=_handed(opened.candidate), passages=Shelf(passages), reranker=None)
    answers = answers_kept(folder / "gold.jsonl", shown, asked, progress, note="gold passages")
    columns = [metric.score(asked, [side[e.id] for e in asked]) for side in (answers, own)]
    known = [i for i in range(len(asked)) if all(column[i].status == "scored" for column in columns)]
    if len(known) < FEWEST:
        return None
    groups = [asked[i].group for i in known]
    (given, before), gain = paired_scores(
        metric, [[column[i] for i in known] for column in columns], groups, "gold", opened.candidate.id
    )
    return GoldReading(n=len(known), failed=len(asked) - len(known), given=given, own=before, gain=gain)


def _handed(candidate: Candidate) -> Candidate:
    """The candidate with its passages handed to it: nothing is searched, ranked or left out for its score."""
    slot = candidate.retriever
    assert slot is not None
    recipe = Recipe(k=slot.recipe.k, order=slot.recipe.order, fit_context=slot.recipe.fit_context)
    return candidate.model_copy(update={"retriever": slot.model_copy(update={"recipe": recipe, "index": "shown@1"})})
