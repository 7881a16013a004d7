"""How far one candidate's answers get: is the document found, is it shown, is it read? No model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.core.answer import Hit, Retriever
from rung.core.candidate import Candidate
from rung.core.evaluation import Answer
from rung.core.finding import AS_ASKED, Finder, Helper
from rung.core.model import Capabilities, Completion, ModelRef, Request
from rung.core.task import Example, SplitName
from rung.experiment.diagnosing.arms import mark_answers
from rung.experiment.kept_run import KeptRun
from rung.experiment.knowledge.gold import Gold
from rung.experiment.knowledge.shares import shares
from rung.methods.rag_settings import asks_model
from rung.metrics.grounding import document_of
from rung.store.diagnosis import Mark
from rung.store.knowledge import CandidateCeilings, Missed, PathStep, Recall, SplitShown, Stage

KS = (1, 3, 5, 10, 20)
DEPTH = max(KS)
QUESTIONS = 500
"""Dev questions that are searched for; more make the interval little narrower."""
LISTED = 10
_LONGEST = 300
STAGES: tuple[Stage, ...] = ("not_found", "not_shown", "shown")


class _Nobody:
    """A model that is there for its name."""

    capabilities = Capabilities(language_model=False)

    def __init__(self, ref: ModelRef) -> None:
        self.ref = ref

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        raise AssertionError("recall is measured without a model")


@dataclass(frozen=True)
class Found:
    """The first passages of the index for a question."""

    hits: Sequence[Hit]
    document: int | None
    """Rank, from 1, of the first passage of a document that the question needs."""
    passage: int | None
    """Rank of the first one that holds the answer word for word."""


def ceilings_of(
    kept: KeptRun, name: str, index: Retriever, gold: Gold, examples: Mapping[SplitName, Sequence[Example]]
) -> CandidateCeilings:
    """Recall of the index at every k, and the path of every answer that the run holds. `examples`: those of dev and test.

    Dev is searched anew; of test, whose questions stay sealed, the passages recorded with its answers are read.
    """
    candidate = kept.run.read_candidate(name)
    asked = [example for example in examples["dev"] if example.id in gold.documents]
    found = _search(index, candidate, asked, gold)
    answers = _answers(kept, name, "dev")
    marks = mark_answers(kept.task, kept.metric, asked, answers).marks
    stages = {e.id: _stage(gold, answers[e.id], found[e.id]) for e in asked if e.id in answers}
    assert candidate.retriever is not None
    wrong = [e for e in asked if e.id in stages and stages[e.id] == "shown" and marks.get(e.id, "right") != "right"]
    lost = [e for e in asked if (stages[e.id] != "shown" if e.id in stages else _beyond(found[e.id], candidate))]
    lost.sort(key=lambda e: -(found[e.id].document or DEPTH + 1))
    return CandidateCeilings(
        candidate=name,
        method=candidate.method,
        model=candidate.model.id,
        index=index.id,
        k=candidate.retriever.recipe.k,
        n=len(asked),
        passages=sum(example.id in gold.passages for example in asked),
        recall=_recall(asked, found, gold, name),
        path=_path(STAGES, stages, marks),
        missed=tuple(_missed(e, gold, found[e.id], answers.get(e.id)) for e in lost[:LISTED]),
        read_wrong=tuple(_missed(e, gold, found[e.id], answers.get(e.id)) for e in wrong[:LISTED]),
        splits=tuple(_recorded(kept, name, split, examples[split], gold) for split in ("dev", "test")),
    )


def _search(index: Retriever, candidate: Candidate, examples: Sequence[Example], gold: Gold) -> dict[str, Found]:
    """As the candidate's index ranks them, with the search words that no model has to be asked for."""
    assert candidate.retriever is not None
    recipe = candidate.retriever.recipe
    if asks_model(recipe.query, ""):
        recipe = recipe.model_copy(update={"query": AS_ASKED})
    finder = Finder(recipe, index.search, Helper(_Nobody(candidate.model), candidate.prompt.language))
    hits = finder.hits(finder.wordings(examples), DEPTH)
    return {example.id: _found(example, of_one, gold) for example, of_one in zip(examples, hits, strict=True)}


def _found(example: Example, hits: Sequence[Hit], gold: Gold) -> Found:
    documents, passages = gold.documents[example.id], gold.passages.get(example.id, frozenset())
    ranked = list(enumerate(hits, 1))
    return Found(
        hits,
        next((n for n, hit in ranked if hit.item.payload["document"] in documents), None),
        next((n for n, hit in ranked if hit.item.id in passages), None),
    )


def _recall(examples: Sequence[Example], found: Mapping[str, Found], gold: Gold, name: str) -> tuple[Recall, ...]:
    groups = [example.group for example in examples]
    far = DEPTH + 1
    documents = np.array([found[e.id].document or far for e in examples], dtype=np.float64)
    passages = np.array(
        [(found[e.id].passage or far) if e.id in gold.passages else np.nan for e in examples], dtype=np.float64
    )
    marks = [np.where(np.isnan(ranks), np.nan, ranks <= k) for ranks in (documents, passages) for k in KS]
    drawn = shares(np.stack(marks, axis=1), groups, "recall", name)
    return tuple(Recall(k=k, document=drawn[i], passage=drawn[len(KS) + i]) for i, k in enumerate(KS))


def _answers(kept: KeptRun, name: str, split: SplitName) -> dict[str, Answer]:
    done = kept.evaluation(name, split)
    return {row.answer.example: row.answer for row in done.rows} if done else {}


def _was_shown(gold: Gold, answer: Answer) -> bool:
    return bool({document_of(passage) for passage in answer.passages} & gold.documents[answer.example])


def _stage(gold: Gold, answer: Answer, found: Found) -> Stage:
    """What was shown is read off the record: a candidate may order or cut what its index found."""
    if _was_shown(gold, answer):
        return "shown"
    return "not_found" if found.document is None else "not_shown"


def _beyond(found: Found, candidate: Candidate) -> bool:
    assert candidate.retriever is not None
    return found.document is None or found.document > candidate.retriever.recipe.k


def _path(order: Sequence[Stage], stages: Mapping[str, Stage], marks: Mapping[str, Mark]) -> tuple[PathStep, ...]:
    steps = []
    for stage in order:
        ids = [id for id, reached in stages.items() if reached == stage]
        right = sum(marks.get(id) == "right" for id in ids)
        unscored = sum(id not in marks for id in ids)
        steps.append(PathStep(stage=stage, right=right, wrong=len(ids) - right - unscored, unscored=unscored))
    return tuple(steps)


def _recorded(kept: KeptRun, name: str, split: SplitName, examples: Sequence[Example], gold: Gold) -> SplitShown:
    """A split by what its recorded answers were shown."""
    answers = _answers(kept, name, split)
    known = [example for example in examples if example.id in answers and example.id in gold.documents]
    marks = mark_answers(kept.task, kept.metric, known, answers).marks if known else {}
    shown = [_was_shown(gold, answers[example.id]) for example in known]
    column = np.array(shown, dtype=np.float64).reshape(len(known), 1)
    (share,) = shares(column, [example.group for example in known], "shown", name, split)
    stages: dict[str, Stage] = {
        example.id: "shown" if held else "not_shown" for example, held in zip(known, shown, strict=True)
    }
    path = _path(("not_shown", "shown"), stages, marks)
    return SplitShown(split=split, n=len(known), shown=sum(shown), share=share, path=path)


def _missed(example: Example, gold: Gold, found: Found, answer: Answer | None) -> Missed:
    first = found.hits[0].item if found.hits else None
    said = "" if answer is None else f"[{answer.failure.kind}]" if answer.failure else answer.text
    return Missed(
        id=example.id,
        question=example.text[:_LONGEST],
        documents=tuple(sorted(gold.documents[example.id])),
        rank=found.document,
        instead=first.id if first else "",
        text=first.text[:_LONGEST] if first else "",
        answer=said[:_LONGEST],
        references=tuple(reference[:_LONGEST] for reference in example.references),
    )


def with_known(examples: Sequence[Example], gold: Gold) -> list[Example]:
    """The examples whose documents are known, naming those that were found where the team has marked none."""
    return [
        replace(example, documents=tuple(sorted(gold.documents[example.id])))
        for example in examples
        if example.id in gold.documents
    ]
