"""The same asked otherwise: one probe for every way in which a stability measurement varies a question or its prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rung.core.answer import Hit, Opened, Retriever, Where
from rung.core.task import Example, Task
from rung.experiment.diagnosing.diagnosis_words import say
from rung.experiment.diagnosing.kept import Repeated
from rung.store.diagnosis import Kind
from rung.store.records import Text
from rung.text.variants import asks, case_forms, framed, punctuation_forms, script_forms, width_forms


@dataclass(frozen=True)
class Probe:
    """Questions to be asked once more, and on what. `name` tells it from the others of its kind."""

    kind: Kind
    name: str
    opened: Opened
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Skipped:
    """A kind that cannot be measured here."""

    kind: Kind
    why_not: Text


@dataclass(frozen=True)
class Effort:
    """How much is asked."""

    questions: int = 50
    repeats: int = 5
    """How often the very same is asked, the first time included."""
    each: int = 2
    """Ways of one kind, at most."""
    light: bool = False


LIGHT = Effort(questions=30, repeats=2, each=1, light=True)
"""What `constraints.min_stability` is checked with."""


def probes(
    task: Task,
    opened: Opened,
    examples: Sequence[Example],
    effort: Effort,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Probe | Skipped]:
    """Every probe of a candidate. `paraphrases`: other wordings that a person wrote, by question id.

    Frames are put around the field that holds the question; width, script, case and marks change in every field.
    """
    for repeat in range(1, effort.repeats):
        again = replace(opened, model=Repeated(opened.model, repeat))
        yield Probe("repeat", str(repeat), again, tuple(examples))
    field = question_field(task, examples)
    language = task.language
    yield from _worded("politeness", opened, examples, field, lambda t: framed(t, "politeness", language), effort)
    yield from _worded("rewording", opened, examples, field, lambda t: framed(t, "rewording", language), effort)
    if paraphrases:
        most = max(map(len, paraphrases.values()))
        for n in range(most):
            chosen = [e for e in examples if len(paraphrases.get(e.id, ())) > n]
            changed = tuple(_with(e, {field: paraphrases[e.id][n]}) for e in chosen)
            if changed:
                yield Probe("paraphrase", str(n), opened, changed)
    yield from _choices(opened, examples, effort)
    yield from _shots(opened, examples, effort)
    if language == "zh":
        yield from _worded("width", opened, examples, None, width_forms, effort)
        yield from _worded("script", opened, examples, None, script_forms, effort)
    else:
        yield from _worded("case", opened, examples, None, case_forms, effort)
        yield from _worded("punctuation", opened, examples, None, punctuation_forms, effort)


def question_field(task: Task, examples: Sequence[Example]) -> str:
    """The input field that most often reads as a question; of equals, the last, where a question stands below its text."""
    counts = {name: sum(asks(e.inputs.get(name, "")) for e in examples) for name in task.inputs}
    return max(reversed(task.inputs), key=lambda name: counts[name])


def _with(example: Example, texts: Mapping[str, str]) -> Example:
    return replace(example, inputs={**example.inputs, **texts})


def _worded(
    kind: Kind,
    opened: Opened,
    examples: Sequence[Example],
    field: str | None,
    forms: Callable[[str], Sequence[str]],
    effort: Effort,
) -> Iterator[Probe | Skipped]:
    """Questions in other forms; those that the form leaves as they are are not asked again."""
    found = False
    for n in range(effort.each):
        changed = []
        for example in examples:
            named = [field] if field is not None else list(example.inputs)
            texts = {name: form[n] for name in named if len(form := forms(example.inputs.get(name, ""))) > n}
            if texts:
                changed.append(_with(example, texts))
        if changed:
            found = True
            yield Probe(kind, str(n), opened, tuple(changed))
    if not found:
        yield Skipped(kind, say("no_change"))


def _orders(k: int, most: int) -> list[list[int]]:
    """Other orders of k things: backwards, then each moved on by one."""
    plain = list(range(k))
    orders = [plain[::-1], plain[1:] + plain[:1]]
    return [order for n, order in enumerate(orders) if order != plain and order not in orders[:n]][:most]


def _choices(opened: Opened, examples: Sequence[Example], effort: Effort) -> Iterator[Probe | Skipped]:
    output, prompt = opened.candidate.output, opened.candidate.prompt
    if not prompt.list_choices or len(output.choices) < 2:
        yield Skipped("choices", say("no_choices"))
        return
    for n, order in enumerate(_orders(len(output.choices), effort.each)):
        priors = tuple(output.priors[i] for i in order) if output.priors else ()
        turned = output.model_copy(update={"choices": tuple(output.choices[i] for i in order), "priors": priors})
        candidate = opened.candidate.model_copy(update={"output": turned})
        yield Probe("choices", str(n), replace(opened, candidate=candidate), tuple(examples))


class Reordered:
    """A pool of examples whose hits come in another order."""

    def __init__(self, pool: Retriever, order: Sequence[int]) -> None:
        self._pool, self._order = pool, order
        self.id = pool.id

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
        found = self._pool.search(queries, k, mode=mode, exclude=exclude, seen_by=seen_by, where=where)
        return [[hits[i] for i in self._order if i < len(hits)] for hits in found]


def _shots(opened: Opened, examples: Sequence[Example], effort: Effort) -> Iterator[Probe | Skipped]:
    slot = opened.candidate.shots
    k = 0 if slot is None else min(slot.k, len(slot.fixed)) if slot.mode == "fixed" else slot.k
    if slot is None or k < 2:
        yield Skipped("shots", say("no_shots"))
        return
    for n, order in enumerate(_orders(k, effort.each)):
        if slot.mode == "fixed" or opened.pool is None:
            turned = slot.model_copy(update={"fixed": tuple(slot.fixed[i] for i in order)})
            candidate = opened.candidate.model_copy(update={"shots": turned})
            yield Probe("shots", str(n), replace(opened, candidate=candidate), tuple(examples))
        else:
            yield Probe("shots", str(n), replace(opened, pool=Reordered(opened.pool, order)), tuple(examples))
