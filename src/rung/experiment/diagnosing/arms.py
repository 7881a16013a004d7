"""What the arms of a diagnosis show: gold passages, and examples of the form that do not give the answer away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.core.answer import Hit, Item, Opened, Retriever, Where, choice_logits, prepare
from rung.core.candidate import Candidate, Recipe, RetrieverSlot, ShotsSlot
from rung.core.evaluation import Answer, Metric
from rung.core.hashing import seed_from
from rung.core.task import Document, Example, Task
from rung.experiment.diagnosing.axes import RIGHT_AT
from rung.methods.slots import seeded_sample
from rung.models.openai_request import rough_tokens
from rung.retrieval.chunk import chunk_documents
from rung.store.diagnosis import Mark
from rung.text.normalise import normalise_answer
from rung.text.tokens import search_tokens

PASSAGES = 2
CHUNK_WORDS, OVERLAP = 140, 23
SHOTS = 3
BALANCED_LABELS = 6
"""Up to so many labels, one example of each is shown: then which label is right is not given away."""
LEANING = 48
"""Training questions that the model's leaning towards some labels is measured on."""
_SPARE = 1.5
"""How much longer than estimated a passage may turn out in tokens."""
Items = Mapping[str, Sequence[Item]]
"""By the question's text, best first."""


@dataclass(frozen=True)
class Marked:
    """Right, wrong or refused by question id; questions without a reference have no mark."""

    marks: dict[str, Mark]
    partly: bool
    """Some scores lie between 0 and 1."""


def mark_answers(task: Task, metric: Metric, examples: Sequence[Example], answers: Mapping[str, Answer]) -> Marked:
    """What became of each answered question. A refusal is the abstain text where it is not right, or no answer at all."""
    asked = [example for example in examples if example.id in answers]
    given = [answers[example.id] for example in asked]
    abstain = normalise_answer(task.output.abstain, task.language) if task.output.abstain else None
    marks: dict[str, Mark] = {}
    partly = False
    for example, answer, score in zip(asked, given, metric.score(asked, given), strict=True):
        if score.status == "failed":
            marks[example.id] = "refused"
        elif score.status == "scored":
            partly = partly or score.value not in {0.0, 1.0}
            good = score.value >= RIGHT_AT if metric.better == "higher" else score.value <= RIGHT_AT
            silent = abstain is not None and normalise_answer(answer.text, task.language) == abstain
            marks[example.id] = "right" if good else "refused" if silent else "wrong"
    return Marked(marks, partly)


class Shelf:
    """A retriever that holds what each question is to be shown, and searches nothing."""

    def __init__(self, items: Items) -> None:
        self.id = "shown@1"
        self._items = items

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        mode: str = "rrf",
        exclude: Sequence[frozenset[str]] | None = None,
        seen_by: frozenset[str] | None = None,
        where: Where | None = None,
    ) -> list[list[Hit]]:
        hidden = exclude or [frozenset()] * len(queries)
        return [
            [Hit(item, 1.0) for item in self._items.get(query, ()) if item.id not in out][:k]
            for query, out in zip(queries, hidden, strict=True)
        ]


def gold_passages(examples: Sequence[Example], documents: Sequence[Document], room: float = 0) -> dict[str, list[Item]]:
    """The passages of each question's known documents that match its reference answer best, within `room` tokens.

    The best passage of every known document comes first. A passage's rank is the share of the reference's search terms
    that it holds, then the share of the question's. `room` 0: the context is not known, and two passages are taken as
    fitting. Questions without a known document are left out.
    """
    wanted = {name for example in examples for name in example.documents}
    chunks: dict[str, list[Item]] = {}
    for item in chunk_documents([d for d in documents if d.id in wanted], CHUNK_WORDS, OVERLAP):
        chunks.setdefault(item.payload["document"], []).append(item)
    return best_passages(examples, chunks, room)


def best_passages(
    examples: Sequence[Example], chunks: Mapping[str, Sequence[Item]], room: float = 0
) -> dict[str, list[Item]]:
    """The same from passages that are cut already, by document."""
    terms = {item.id: frozenset(search_tokens(item.text)) for part in chunks.values() for item in part}
    found = {}
    for example in examples:
        pool = [item for name in example.documents for item in chunks.get(name, ())]
        ranked = sorted(pool, key=lambda item: _match(example, terms[item.id]), reverse=True)
        firsts = [next(item for item in ranked if item.payload["document"] == name) for name in _present(ranked)]
        best = [*firsts, *(item for item in ranked if item not in firsts)][: max(PASSAGES, len(firsts))]
        if best:
            found[example.asked] = _fitting(best, room - rough_tokens(example.asked) if room else 0)
    return found


def _present(items: Sequence[Item]) -> list[str]:
    return list(dict.fromkeys(item.payload["document"] for item in items))


def _match(example: Example, terms: frozenset[str]) -> tuple[float, float]:
    answers = [_held(reference, terms) for reference in example.references]
    return max(answers, default=0.0), _held(example.asked, terms)


def _held(text: str, terms: frozenset[str]) -> float:
    wanted = set(search_tokens(text))
    return len(wanted & terms) / len(wanted) if wanted else 0.0


def _fitting(items: Sequence[Item], room: float) -> list[Item]:
    """As many as fit, but one at least: that a single passage is too long must show as a failed answer."""
    kept, used = [items[0]], _SPARE * rough_tokens(items[0].text)
    for item in items[1:]:
        used += _SPARE * rough_tokens(item.text)
        if room and used > room:
            break
        kept.append(item)
    return kept


def format_examples(
    task: Task, train: Sequence[Example], examples: Sequence[Example], seed: int
) -> dict[str, list[Item]]:
    """Training examples that show each question what an answer looks like, and not what the answer is.

    Free text and JSON: three examples of other groups, of which neither question nor answer holds the right answer, or is
    held by it. Labels: one example of every label where there are at most six, so that none stands out; else three of
    other labels. Drawn by seed, not by nearness: a near example would teach the task, and not the form alone. Questions
    for which there is none are left out.
    """
    rng = np.random.default_rng(seed_from(seed, "format examples"))
    order = [train[i] for i in rng.permutation(len(train)) if train[i].references]
    labels = task.output.labels if task.output.kind == "label" else ()
    balanced = _one_each(order, labels) if 0 < len(labels) <= BALANCED_LABELS else []
    found: dict[str, list[Item]] = {}
    for example in examples:
        if balanced:
            shown = [shot for shot in balanced if not _related(shot, example)]
            shown = shown if len(shown) == len(balanced) else []
        else:
            shown = _different(order, example, task)
        if shown:
            found[example.asked] = [_item(shot) for shot in shown]
    return found


def _one_each(order: Sequence[Example], labels: Sequence[str]) -> list[Example]:
    firsts = [next((e for e in order if e.references[0] == label), None) for label in labels]
    return [] if None in firsts else [example for example in firsts if example is not None]


def _related(shot: Example, example: Example) -> bool:
    return shot.id == example.id or bool(shot.group and shot.group == example.group) or shot.asked == example.asked


def _different(order: Iterable[Example], example: Example, task: Task) -> list[Example]:
    """Written answers must not hold each other; a label need only be another one."""
    right = [normalise_answer(reference, task.language) for reference in example.references]
    chosen: list[Example] = []
    for shot in order:
        if len(chosen) == SHOTS:
            break
        answers = [normalise_answer(reference, task.language) for reference in shot.references]
        told = normalise_answer(shot.text, task.language)
        if task.output.kind == "label":
            gives_away = bool(set(answers) & set(right))
        else:
            gives_away = any(r in a or a in r or r in told for r in right for a in answers)
        if not gives_away and not _related(shot, example) and shot.references[0] != task.output.abstain:
            chosen.append(shot)
    return chosen


def _item(shot: Example) -> Item:
    return Item(shot.id, shot.asked, {"inputs": dict(shot.inputs), "answer": shot.references[0]})


def arm_candidate(plain: Candidate, *, gold: bool, form: bool) -> Candidate:
    """The plain candidate with the slots of an arm filled; its instruction stays word for word."""
    longest = max(len(plain.output.choices), SHOTS) if form else 0
    return plain.model_copy(
        update={
            "retriever": RetrieverSlot(recipe=Recipe(k=99), index="shown@1") if gold else None,
            "shots": ShotsSlot(mode="nearest", k=longest, index="shown@1") if form else None,
        }
    )


def open_arm(plain: Opened, passages: Items | None, shots: Items | None) -> Opened:
    """The plain candidate on its loaded model, showing each question its passages and examples."""
    candidate = arm_candidate(plain.candidate, gold=passages is not None, form=shots is not None)
    shelves: list[Retriever | None] = [None if items is None else Shelf(items) for items in (passages, shots)]
    return replace(plain, candidate=candidate, passages=shelves[0], pool=shelves[1])


def lean_anew(opened: Opened, train: Sequence[Example], seed: int) -> Opened:
    """The arm with the labels' priors measured under its own prompt, where plain corrects for them.

    As in `methods.calibrate`: over training questions, which are not the ones being judged. A prior that was measured
    without passages or examples would push the arm's answers about. Unchanged where a training question fails.
    """
    output = opened.candidate.output
    if not output.prior_weight or not output.priors:
        return opened
    done = opened.model.generate(prepare(opened, seeded_sample(train, LEANING, seed, "leaning")))
    if not done or any(completion.failure for completion in done):
        return opened
    raw = np.array([completion.choice_scores for completion in done])
    free = output.model_copy(update={"prior_weight": 0.0})
    priors = tuple(float(x) for x in choice_logits(raw, free).mean(axis=0))
    candidate = opened.candidate.model_copy(update={"output": output.model_copy(update={"priors": priors})})
    return replace(opened, candidate=candidate)
