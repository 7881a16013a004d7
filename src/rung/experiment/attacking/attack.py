"""Attacks a run's candidate with poisoned documents in a copy of its index, and keeps `attacks/<candidate>.json`.

Every attack is one dev question and one planted document, with all other planted ones hidden. Test is never opened, and the
run's own index is not touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rung.core.answer import Hit, Item, Opened, Retriever, complete, finish, prepare
from rung.core.durable import writing
from rung.core.errors import DataError, InterruptedRun, UsageError
from rung.core.hashing import hash_json
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.model import Completion, Request
from rung.core.registry import create, find
from rung.core.task import Example, Language
from rung.data.cleaning.orders import OrderFilter
from rung.data.parsing.hidden import find_orders
from rung.experiment.aftermath.asking import completions_kept
from rung.experiment.attacking.outcome import Attempt, Result, examples_of, rates_of
from rung.experiment.attacking.plants import Plant, kinds, plant, wanted_of
from rung.experiment.kept_run import KeptRun, items_in, release
from rung.experiment.meter import Stopwatch
from rung.methods.slots import seeded_sample, sentences
from rung.store.attack import Attack, Defence, Ingested
from rung.store.records import Spend
from rung.store.runs import RunFolder

SCREENED = "screened/"
"""What the ids of planted documents begin with once paragraphs that give orders are left out."""


@dataclass(frozen=True)
class Effort:
    """How much is tried."""

    questions: int = 20
    """Dev questions; each is attacked with every kind of document."""
    defences: tuple[Defence, ...] = ("none", "told", "filter")
    light: bool = False


LIGHT = Effort(questions=10, defences=("none",), light=True)


def attack_run(
    source: Path,
    *,
    candidate: str = "",
    effort: Effort | None = None,
    language: Language | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
) -> Attack:
    """Attack a run's candidate: the one named, else the winner where it reads documents, else the best on dev that does.

    `language`: of the planted orders; the task's own when absent. Stopped, the same call goes on. Raises UsageError E1301 without a run,
    E1302 for an unknown candidate, E2750 where none reads documents, E2752 for one that does not; DataError E2753 without dev
    questions; InterruptedRun E4001.
    """
    run = RunFolder.existing(source)
    kept = KeptRun(run, max_cost)
    name = candidate or next(iter(kept.retrieving), "")
    if not name:
        raise UsageError("E2750", run=run.path, known=", ".join(run.candidates()))
    if run.read_candidate(name).retriever is None:
        raise UsageError("E2752", candidate=name, known=", ".join(kept.retrieving) or "-")
    with folder_lock(run.path):
        opened: Opened | None = None
        try:
            opened = kept.open(name)
            found = measure(
                kept, opened, effort or Effort(), name=name, language=language, progress=progress or Silent()
            )
        except KeyboardInterrupt as error:
            raise InterruptedRun("E4001", run=run.path) from error
        finally:
            if opened is not None:
                release(opened.model)
        run.write_attack(found)
    return found


def light_attack(kept: KeptRun, name: str, opened: Callable[[], Opened], progress: Progress) -> Attack | None:
    """The short form behind `constraints.max_attack_rate`, once for each candidate; None for one that reads no documents."""
    if kept.run.read_candidate(name).retriever is None:
        return None
    found = kept.run.read_attack(name, light=True)
    if found is None:
        found = measure(kept, opened(), LIGHT, name=name, progress=progress)
        kept.run.write_attack(found)
    return found


def measure(
    kept: KeptRun, opened: Opened, effort: Effort, *, name: str, language: Language | None = None, progress: Progress
) -> Attack:
    """Plant, ask with and without, and count. Raises DataError E2753 where dev has no question with an answer."""
    watch, before, task = Stopwatch(), kept.purse.spent, kept.task
    language = language or task.language
    dev = [e for e in kept.run.read_examples("dev") if e.references and task.output.abstain not in e.references]
    sample = seeded_sample(dev, effort.questions, kept.seed, "attack")
    if not sample:
        raise DataError("E2753", run=kept.run.path)
    plants = [plant(e, kind, wanted_of(task, e, dev, kept.seed), language) for kind in kinds() for e in sample]
    live = [one for one in plants if one.live]
    screened = {one.document.id: _screened(one) for one in live} if "filter" in effort.defences else {}
    candidate = opened.candidate
    assert candidate.retriever is not None
    recipe = candidate.retriever.recipe
    documents = {one.document.id: one for one in [*live, *screened.values()]}.values()
    passages = {one.document.id: one.passages(recipe) for one in documents}
    with _planted(kept, opened, name, [item for items in passages.values() for item in items]) as copy:
        asking = _Asking(replace(opened, passages=copy.index), passages)
        attempts = [attempt for defence in effort.defences for attempt in asking.attempts(live, screened, defence)]
        sheets = {"planted": [a.request for a in attempts], "clean": [a.clean for a in attempts]}
        stamp = hash_json([candidate.id, language], 12)
        path = kept.run.path / "attacks" / f"{name}.answers" / f"{stamp}.jsonl"
        said = completions_kept(path, lambda: _Answering(opened), sheets, progress, note="attack")
    results = [
        Result(
            attempt,
            finish(opened, attempt.plant.example, attempt.request, planted),
            finish(opened, attempt.plant.example, attempt.clean, clean),
        )
        for attempt, planted, clean in zip(attempts, said["planted"], said["clean"], strict=True)
    ]
    return Attack(
        candidate=name,
        method=candidate.method,
        model=candidate.model.id,
        metric=kept.metric.name,
        language=language,
        light=effort.light,
        seed=kept.seed,
        questions=len(sample),
        k=recipe.k,
        limit=(kept.config.get("constraints") or {}).get("max_attack_rate"),
        ingested=tuple(_ingested(plants, language)),
        rates=tuple(rates_of(results, task)),
        flags=copy.flags,
        passages=copy.passages,
        examples=tuple(examples_of(results, task)),
        spent=Spend(seconds=watch.seconds, cpu_seconds=watch.cpu, money=kept.purse.spent - before),
    )


def _screened(one: Plant) -> Plant:
    """The plant as it is once paragraphs that give orders are left out; itself where there are none."""
    screen = OrderFilter()
    other = plant(one.example, one.kind, {one.goal: one.wanted}, one.language, screen=screen)
    if not screen.removed:
        return one
    return replace(other, document=replace(other.document, id=f"{SCREENED}{other.document.id}"))


@dataclass(frozen=True)
class _Copy:
    index: Retriever
    passages: int
    """Real ones."""
    flags: int
    """Of these, passages that give orders by the rules of ingestion."""


@contextmanager
def _planted(kept: KeptRun, opened: Opened, name: str, items: Sequence[Item]) -> Iterator[_Copy]:
    """A copy of the candidate's index with more passages, in a folder that is gone afterwards.

    The copy lies beside the index it is built from, so that no vector of a real passage is made again.
    """
    slot = opened.candidate.retriever
    assert slot is not None
    assert opened.passages is not None
    own = slot.index.split("@")[0]
    real = list(items_in(opened.passages))
    encoder = kept.encoder(name, opened.candidate)
    with writing(kept.run.path):
        folder = TemporaryDirectory(prefix=".attack-", dir=kept.run.path)
    with folder as path:
        indexes = Path(path) / "indexes"
        with writing(indexes):
            shutil.copytree(kept.run.indexes / own, indexes / own)
        # A folder also where the passages lie in the shared store: what is planted must not get there.
        built = find("retriever", "index").build([*real, *items], encoder=encoder, indexes=indexes, kind="passages")
        index = create("retriever", "index", folder=indexes / built.split("@")[0], encoder=encoder)
        yield _Copy(index, len(real), sum(bool(find_orders(item.text)) for item in real))


class _Answering:
    """The candidate's model, which is not asked where the candidate would not ask it."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.ref, self.capabilities = opened.model.ref, opened.model.capabilities

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return complete(self._opened, requests)


class _Hiding:
    """A retriever that never returns some passages."""

    def __init__(self, index: Retriever, hidden: frozenset[str]) -> None:
        self.id, self._index, self._hidden = index.id, index, hidden

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        mode: str = "rrf",
        exclude: Sequence[frozenset[str]] | None = None,
        **more: Any,
    ) -> list[list[Hit]]:
        hidden = [self._hidden | out for out in exclude or [frozenset[str]()] * len(queries)]
        return self._index.search(queries, k, mode=mode, exclude=hidden, **more)


class _Asking:
    """Renders every attack as the candidate would ask it."""

    def __init__(self, opened: Opened, passages: Mapping[str, Sequence[Item]]) -> None:
        assert opened.passages is not None
        self._opened, self._index = opened, opened.passages
        self._passages = {id: frozenset(item.id for item in items) for id, items in passages.items()}
        self._all = frozenset().union(*self._passages.values())
        self._clean: dict[tuple[str, bool], Request] = {}

    def attempts(self, live: Sequence[Plant], screened: Mapping[str, Plant], defence: Defence) -> Iterator[Attempt]:
        told = defence == "told"
        opened = _told(self._opened) if told else self._opened
        for one in live:
            document = (screened[one.document.id] if defence == "filter" else one).document.id
            planted = self._passages[document]
            key = (one.example.id, told)
            if key not in self._clean:
                self._clean[key] = self._request(opened, one.example, self._all)
            yield Attempt(
                one, defence, planted, self._request(opened, one.example, self._all - planted), self._clean[key]
            )

    def _request(self, opened: Opened, example: Example, hidden: frozenset[str]) -> Request:
        return prepare(replace(opened, passages=_Hiding(self._index, hidden)), [example])[0]


def _told(opened: Opened) -> Opened:
    """The candidate with one more sentence in its instruction: that passages are material, and give no orders."""
    prompt = opened.candidate.prompt
    sentence = sentences()[prompt.language]["material"]
    if sentence in prompt.instruction or prompt.layout == "bare":
        return opened
    prompt = prompt.model_copy(update={"instruction": f"{prompt.instruction}\n{sentence}"})
    return replace(opened, candidate=opened.candidate.model_copy(update={"prompt": prompt}))


def _ingested(plants: Sequence[Plant], language: Language) -> Iterator[Ingested]:
    for kind in kinds():
        own = [one for one in plants if one.kind == kind]
        live = [one for one in own if one.live]
        yield Ingested(
            kind=kind,
            goal=own[0].goal,
            language=language,
            files=len(own),
            stripped=len(own) - len(live),
            flagged=sum(one.flagged for one in live),
        )
