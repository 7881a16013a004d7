"""A small run with documents and a candidate that reads them, written down without any method: what is measured afterwards reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diagnosis_task import answer_of

from rung.core.answer import open_candidate
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot
from rung.core.durable import write_json
from rung.core.hashing import hash_json
from rung.core.registry import create, find
from rung.core.task import Document, Example, OutputSpec, Split, Task
from rung.experiment.evaluate import Question, evaluate
from rung.models.fake import FakeModel
from rung.retrieval.chunk import chunk_documents
from rung.store.runs import RunFolder

LABELS = ("rent", "repairs", "deposit")


def rooms(numbers: Sequence[int], *, marked: bool = True) -> list[Example]:
    return [
        Example(
            f"q{n:03}",
            {"question": f"What is the code of room {n}?"},
            (answer_of(n),),
            documents=(f"room-{n}.md",) if marked else (),
        )
        for n in numbers
    ]


def room_documents(numbers: Sequence[int]) -> list[Document]:
    return [
        Document(f"room-{n}.md", f"Room {n}", f"It has a window.\n\nThe code of room {n} is {answer_of(n)}.\n")
        for n in numbers
    ]


def write_rooms_run(
    folder: Path,
    *,
    k: int = 1,
    marked: bool = True,
    dev: int = 20,
    language: str = "en",
    labels: bool = False,
    **config: Any,
) -> RunFolder:
    """Rooms and their notes: `dev` questions of dev and 10 of test, answered by whatever the scripted model says.

    The index is lexical. With `labels` the answers are labels, and the model is held to them.
    """
    run = RunFolder(folder)
    output = (
        OutputSpec(kind="label", labels=LABELS)
        if labels
        else OutputSpec(kind="text", max_tokens=8, abstain="Not said.")
    )
    task = Task(
        name="rooms",
        instruction="Tell the code of the room.",
        inputs=("question",),
        output=output,
        metrics=("accuracy",) if labels else ("exact_match",),
        language=language,  # type: ignore[arg-type]
        has_documents=True,
    )
    parts = {"dev": rooms(range(dev), marked=marked), "test": rooms(range(60, 70), marked=marked)}
    if labels:
        parts = {name: [_labelled(e, n) for n, e in enumerate(part)] for name, part in parts.items()}
    run.write_examples(parts)
    run.write_run(
        {"id": folder.name, "task": task.model_dump(mode="json"), "seed": 0, "config": {"documents": "notes", **config}}
    )
    recipe = Recipe(chunk_words=40, chunk_overlap=6, encoder="", fusion="lexical", k=k)
    items = chunk_documents(room_documents([*range(dev), *range(60, 70)]), recipe.chunk_words, recipe.chunk_overlap)
    index = find("retriever", "index").build(items, encoder=None, indexes=run.indexes, kind="passages")
    model = FakeModel({}, default="?", id="scripted")
    candidate = Candidate(
        method="rag",
        model=model.ref,
        prompt=PromptSlot(instruction="Use the passages.", fields=("question",), phrasing="grounded"),
        retriever=RetrieverSlot(recipe=recipe, index=index),
        output=OutputSlot(choices=LABELS, constrain=True) if labels else OutputSlot(max_tokens=8, abstain="Not said."),
    )
    write_json(
        run.candidate_folder(candidate.id) / "candidate.json", {"id": candidate.id, **candidate.model_dump(mode="json")}
    )
    opened = open_candidate(candidate, run.candidate_folder(candidate.id), run.indexes, model=model)
    metric = create("metric", task.metric, task=task)
    for name, part in parts.items():
        split = Split(name=name, ids=tuple(e.id for e in part), hash=hash_json([e.hash for e in part]))  # type: ignore[arg-type]
        evaluate(run, Question(candidate.id, "rag", opened, split, part), [metric])
    return run


def _labelled(example: Example, n: int) -> Example:
    return Example(example.id, example.inputs, (LABELS[n % 3],), documents=example.documents)
