"""Filling slots: instruction phrasings, output, shots and passages for a task, the same way in every method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rung.core.answer import CANDIDATE, Item, create_encoder, create_reranker
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot, ShotsSlot, StepRef
from rung.core.model import Encoder, Model
from rung.core.registry import find
from rung.core.task import Example, FitData, SharedBase, Task
from rung.retrieval.chunk import chunk_documents
from rung.retrieval.lending import items_of, lend

Layout = Literal["chat", "compact", "bare"]


@cache
def sentences() -> dict[str, dict[str, str]]:
    """What prompts are put together from, by language and name."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("phrasings.json").read_text("utf-8"))
    return found


@cache
def encoder_named(name: str) -> Encoder:
    """The encoder of that registry name, loaded once in this process."""
    return create_encoder(name)


def prompt_slot(
    task: Task, phrasing: str = "plain", *, layout: Layout = "chat", list_choices: bool = False, grounded: bool = False
) -> PromptSlot:
    """The task's instruction with a phrasing behind it: the name of a sentence, or several joined by '+'."""
    texts = sentences()[task.language]
    lines = [task.instruction, *(texts[name] for name in phrasing.split("+"))]
    if grounded and task.output.abstain:
        lines.append(texts["abstain"].replace("{abstain}", task.output.abstain))
    if task.output.kind == "json":
        lines.append(texts["json"].replace("{schema}", json.dumps(task.output.json_schema, ensure_ascii=False)))
    labelled = task.output.kind == "label"
    return PromptSlot(
        instruction="\n".join(line for line in lines if line) if layout != "bare" else "",
        layout=layout,
        phrasing=phrasing,
        fields=task.inputs,
        language=task.language,
        list_choices=list_choices,
        question_name=texts["text" if labelled else "question"],
        answer_name=texts["label" if labelled else "answer"],
    )


def output_slot(task: Task, model: Model) -> OutputSlot:
    """How this task's answers are read from this model."""
    return with_steps(_read_from(task, model), task)


def with_steps(output: OutputSlot, task: Task) -> OutputSlot:
    """The slot with the task's own post-processing behind what reads the answer."""
    spec = task.output
    return output.model_copy(update={"steps": (*output.steps, *spec.steps), "shown": spec.shown, "safe": spec.safe})


def _read_from(task: Task, model: Model) -> OutputSlot:
    spec = task.output
    if spec.kind == "label":
        constrain = model.capabilities.choices
        steps = (
            [] if constrain else [_step("strip_marks"), _step("first_line"), _step("match_label", labels=spec.labels)]
        )
        return OutputSlot(choices=spec.labels, constrain=constrain, max_tokens=spec.max_tokens, steps=tuple(steps))
    if spec.kind == "json":
        steps = [_step("json", schema=spec.json_schema)]
        return OutputSlot(json_schema=spec.json_schema, max_tokens=spec.max_tokens, steps=tuple(steps))
    steps = [_step("strip_marks")]
    return OutputSlot(max_tokens=spec.max_tokens, abstain=spec.abstain, steps=tuple(steps))


def _step(name: str, **arguments: Any) -> StepRef:
    return StepRef(name=name, arguments=arguments)


def new_candidate(fit: FitData, model: Model, method: str, prompt: PromptSlot, **slots: Any) -> Candidate:
    """A candidate of this task on this model; `slots` override or add to the plain ones."""
    filled: dict[str, Any] = {"model": model.ref, "output": output_slot(fit.task, model), **slots}
    return Candidate(method=method, made_from=fit.made_from, prompt=prompt, **filled)


def nearest_shots(fit: FitData, k: int) -> ShotsSlot:
    """The k solved examples nearest to each question; the pool is train, and never dev."""
    items = [
        Item(example.id, example.asked, {"inputs": dict(example.inputs), "answer": example.references[0]})
        for example in fit.train
        if example.references
    ]
    index = _built(fit, items, "examples", encoder=fit.encoder)
    return ShotsSlot(mode="nearest", k=k, index=index, encoder=fit.encoder, fusion=_reads(fit, "dense"))


Fusion = Literal["rrf", "lexical", "dense"]


def _reads(fit: FitData, usual: Fusion) -> Fusion:
    """The usual way to search, unless the built-in encoder cannot read the task's language: it has seen English only."""
    return "lexical" if fit.encoder == "minilm" and fit.task.language != "en" else usual


def recipe_of(fit: FitData, *, k: int, chunk_words: int, **more: Any) -> Recipe:
    """How passages are cut and found where nothing else has been tuned; `more` adds to it or overrides it.

    A knowledge base has been cut already: then its own recipe takes the place of `chunk_words`.
    """
    usual = Recipe(
        chunk_words=chunk_words,
        chunk_overlap=chunk_words // 6,
        encoder=fit.encoder,
        fusion=_reads(fit, "rrf"),
        k=k,
    )
    if fit.base:
        usual = usual.model_copy(update=_as_made(fit.base))
    if ":" in more.get("rerank", ""):
        more["rerank_id"] = create_reranker(more["rerank"]).id
    return Recipe.model_validate(usual.model_dump() | more)


def _as_made(base: SharedBase) -> dict[str, Any]:
    """Fields of a recipe that a knowledge base has settled."""
    made = {"chunk_words": base.chunk_words, "chunk_overlap": base.chunk_overlap, "kind": base.kind}
    return made if base.encoder else {**made, "encoder": "", "fusion": "lexical"}


def passages_of(fit: FitData, recipe: Recipe) -> list[Item]:
    """The task's documents cut by a recipe; the passages of its knowledge base as they are."""
    if fit.base:
        return items_of(fit.base, lend(fit.base, fit.run / "indexes"))
    return chunk_documents(fit.documents, chunk_words=recipe.chunk_words, overlap=recipe.chunk_overlap)


def passages_slot(fit: FitData, recipe: Recipe) -> RetrieverSlot:
    """An index over the task's documents, cut and searched by a recipe: that of the task's knowledge base, where it has one.

    An encoder of the candidate's own cannot search a base: then its passages are encoded anew.
    """
    if fit.base and CANDIDATE not in recipe.encoder:
        lend(fit.base, fit.run / "indexes")
        return RetrieverSlot(recipe=recipe, index=fit.base.id)
    if fit.base:
        recipe = recipe.model_copy(update={"kind": "index"})
    index = _built(fit, passages_of(fit, recipe), "passages", encoder=recipe.encoder, retriever=recipe.kind)
    return RetrieverSlot(recipe=recipe, index=index)


def _built(fit: FitData, items: Sequence[Item], kind: str, *, encoder: str, retriever: str = "index") -> str:
    """`<hash>@<version>` of an index that the retriever of that registry name has built, as it is opened by that name."""
    build = find("retriever", retriever).build
    # Not from the cache of names: an encoder in the candidate's own folder is another one in every folder.
    used = create_encoder(encoder, fit.folder) if CANDIDATE in encoder else encoder_named(encoder)
    made: str = build(items, encoder=used, indexes=fit.run / "indexes", kind=kind)
    return made


def seeded_sample(examples: Sequence[Example], n: int, *names: object) -> tuple[Example, ...]:
    """At most n examples, the same ones for the same names, in their own order."""
    import numpy as np

    from rung.core.hashing import seed_from

    if len(examples) <= n:
        return tuple(examples)
    kept = np.random.default_rng(seed_from("sample", *names)).permutation(len(examples))[:n]
    return tuple(examples[i] for i in sorted(kept))
