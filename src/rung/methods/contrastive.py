"""Contrastive tuning of the sentence encoder: under a linear head for labels, and under the retrieval of passages.

Two methods, since they differ in what a rung is placed by: the one for labels asks no language model, is cheap to serve and is run once
however many models are compared; the one for documents is a kind of RAG.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.answer import CANDIDATE, create_encoder
from rung.core.candidate import Candidate, OutputSlot
from rung.core.method import Budget, Cost
from rung.core.model import Encoder, Model
from rung.core.task import FitData
from rung.methods.baseline import DEV_LIMIT
from rung.methods.estimate import TRAINING_FACTOR
from rung.methods.fine_tune import MIN_ROWS, note_training
from rung.methods.label_pairs import label_dev, label_pairs, pairs_each
from rung.methods.passage_pairs import ENOUGH, OWN_PAIRS, Mined, passage_pairs
from rung.methods.rag import SMALL_CHUNK, rag_grid
from rung.methods.search import SEARCH_SETTINGS, search, search_cost, search_of
from rung.methods.search_space import SEARCHABLE
from rung.methods.slots import (
    encoder_named,
    new_candidate,
    passages_of,
    passages_slot,
    prompt_slot,
    recipe_of,
    with_steps,
)
from rung.methods.trainings import REPEATS, Trainings, repeats, train_as_asked
from rung.methods.tuning import Setting, best, try_settings
from rung.methods.ways import open_index
from rung.models.linear import fit_linear
from rung.training.contrastive import SETTINGS, ContrastSettings, contrast_settings
from rung.training.encoder_job import EncoderJob, tune_encoder, write_encoder_job
from rung.training.pairs import DevSet, Pair
from rung.training.runner import Trained
from rung.training.settings import TrainSettings

TUNED = f"folder:{CANDIDATE}/encoder"
"""The tuned encoder's name in a candidate's slots: it lies in the candidate's own folder."""
_TRAINABLE = frozenset({"minilm", "folder"})
_START_SECONDS = 12.0
"""Starting the child and reading the weights."""
_CHARS = 6 * SMALL_CHUNK
"""Characters of a passage, about."""
_EPOCHS = 3.0
"""Times that questions are seen: they are few, where the pairs of labels are many."""
_TIMED: dict[str, float] = {}
_SEARCHABLE = (SEARCHABLE & SETTINGS) - {"adapter"}
"""Hyper-parameters that an encoder's training has; pairs are mined once for all trials, so what they are made by is not among them."""


class ContrastiveLabels:
    """A few examples of each label tune the encoder, then a linear head on it answers. No language model."""

    name = "contrastive_labels"
    rank = 15
    settings = SETTINGS | REPEATS
    uses_model = False
    trained = True
    opt_in = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if fit.task.output.kind != "label":
            return ["E2430"]
        labels = [example.references[0] for example in fit.train if example.references]
        if len(labels) < MIN_ROWS or len(set(labels)) < 2:
            return ["E2402"]
        return _untrainable(fit)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings, contrast = contrast_settings(_own(fit.hints))
        texts = [example.asked for example in fit.train]
        chars = sum(map(len, texts)) * pairs_each(len(texts), contrast.pairs) * (2 + contrast.hard_negatives)
        return _cost(fit, chars * settings.epochs * repeats(_often(fit, *REPEATS), settings, searchable=_SEARCHABLE))

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        def mine(contrast: ContrastSettings) -> Mined:
            pairs = label_pairs(fit, hard=contrast.hard_negatives, per_text=contrast.pairs)
            return Mined(pairs, label_dev(fit), {"labels": len({pair.families[0] for pair in pairs})})

        encoder = _tuned(fit, budget, mine, _often(fit, *REPEATS))
        examples = [example for example in fit.train if example.references]
        ref = fit_linear(
            "embedding",
            [example.asked for example in examples],
            [example.references[0] for example in examples],
            folder=fit.folder,
            encoder_name=TUNED,
            encoder=encoder,
            seed=fit.seed,
        )
        candidate = Candidate(
            method=self.name,
            made_from=fit.made_from,
            model=ref,
            prompt=prompt_slot(fit.task, layout="bare"),
            output=with_steps(OutputSlot(choices=fit.task.output.labels, constrain=True), fit.task),
        )
        setting = Setting({"head": "embedding", "encoder": "tuned"}, candidate)
        return best(list(try_settings(fit, None, budget, [setting], limit=DEV_LIMIT))).candidate


class Contrastive:
    """Retrieval by an encoder that has learned which passages answer this team's questions; the model stays as it is."""

    name = "contrastive"
    rank = 35
    settings = SETTINGS | SEARCH_SETTINGS | {"seeds"}
    trained = True
    opt_in = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not model.capabilities.language_model:
            return ["E2403"]
        if not fit.documents:
            return ["E2404"]
        if fit.encoder == "minilm" and fit.task.language != "en":
            return ["E2431"]
        return _untrainable(fit)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings, contrast = contrast_settings({"epochs": _EPOCHS, **_own(fit.hints)})
        own = min(OWN_PAIRS, sum(len(document.text) for document in fit.documents) // 100)
        pairs = len(fit.train) if len(fit.train) >= ENOUGH else own
        chars = pairs * _CHARS * (1.3 + contrast.hard_negatives)
        training = _cost(fit, chars * settings.epochs * repeats(_often(fit, "seeds"), settings))
        how = search_of(fit.hints, self.name)
        asking = search_cost(fit, model, how, len(rag_grid(fit, wide=how.wide)), longer=3.0)
        seconds, cpu = training.seconds + asking.seconds, training.cpu_seconds + asking.cpu_seconds
        return replace(asking, seconds=seconds, cpu_seconds=cpu, memory_gib=asking.memory_gib + training.memory_gib)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        how = search_of(fit.hints, self.name)

        def mine(contrast: ContrastSettings) -> Mined:
            recipe = recipe_of(fit, k=1, chunk_words=SMALL_CHUNK)
            index = open_index(fit, recipe)
            return passage_pairs(fit, passages_of(fit, recipe), index, hard=contrast.hard_negatives)

        # The other half of the time is for asking; `search` says here how that is done.
        _tuned(fit, budget, mine, _often(fit, "seeds"), share=0.5, epochs=_EPOCHS)
        settings = [self._setting(fit, model, point) for point in rag_grid(fit, wide=how.wide)]
        return search(fit, model, budget, settings, how).candidate

    def _setting(self, fit: FitData, model: Model, point: dict[str, Any]) -> Setting:
        recipe = recipe_of(fit, k=point["k"], chunk_words=point["chunk_words"])
        recipe = recipe.model_copy(update={"encoder": TUNED})
        said, layout = point.get("phrasing", "grounded"), point.get("layout", "chat")
        prompt = prompt_slot(fit.task, said, layout=layout, grounded=True)
        return Setting(point, new_candidate(fit, model, self.name, prompt, retriever=passages_slot(fit, recipe)))


def _untrainable(fit: FitData) -> list[str]:
    if fit.encoder.partition(":")[0] in _TRAINABLE or hasattr(encoder_named(fit.encoder), "training_parts"):
        return []
    return ["E2432"]


def _own(hints: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hints.items() if name in SETTINGS}


def _often(fit: FitData, *names: str) -> dict[str, Any]:
    """What a block of task.yaml says of how often the encoder is trained."""
    return {name: fit.hints[name] for name in names if name in fit.hints}


@dataclass(frozen=True)
class EncoderCourse:
    """An encoder that learns pairs."""

    job: EncoderJob
    pairs: list[Pair]
    dev: DevSet

    @property
    def settings(self) -> TrainSettings:
        return self.job.settings

    @property
    def size(self) -> int:
        return len(self.pairs)

    def write(self, folder: Path, settings: TrainSettings) -> None:
        write_encoder_job(folder, replace(self.job, settings=settings), self.pairs, self.dev)

    def train(self, folder: Path, settings: TrainSettings, report: Callable[[dict[str, Any]], None]) -> Trained:
        job = replace(self.job, settings=settings)
        tuned = tune_encoder(folder, job, self.pairs, self.dev, report=report)
        return Trained(tuned.folder, "", tuned.result)


def _tuned(
    fit: FitData,
    budget: Budget,
    mine: Callable[[ContrastSettings], Mined],
    often: Mapping[str, Any],
    *,
    share: float = 1.0,
    **defaults: Any,
) -> Encoder:
    """The task's encoder, tuned on what `mine` finds and put into `encoder/` of the candidate's folder.

    `often`: seeds and search. `share`: of the time left, what training may take. Raises DataError E2890 where there is nothing to learn from.
    """
    settings, contrast = contrast_settings({"seed": fit.seed, **defaults, **_own(fit.hints)})
    work, kept = fit.folder / "training", fit.folder / "encoder"
    mined = Mined([], DevSet())
    # Looking for pairs takes a while, and a finished training needs none.
    if not (work / "result.json").is_file():
        mined = mine(contrast)
        budget.journal.note("pairs", {"n": len(mined.pairs), "dev": len(mined.dev.queries), **mined.note})
    job = EncoderJob(fit.encoder, encoder_named(fit.encoder).id, settings, contrast)
    course = EncoderCourse(job, mined.pairs, mined.dev)
    left = None if budget.seconds is None else budget.left * share
    trainings = Trainings(fit.folder, course, replace(budget, seconds=left, started=time.monotonic()))
    chosen = train_as_asked(trainings, often, searchable=_SEARCHABLE)
    tuned = chosen.trained
    note_training(budget, tuned.result, chosen.settings)
    budget.journal.note("contrast", {**asdict(contrast), **tuned.result.facts})
    if tuned.adapter.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        tuned.adapter.rename(kept)
    return create_encoder(TUNED, fit.folder)


def _cost(fit: FitData, chars: float) -> Cost:
    """What learning from so many characters takes, from the time in which the encoder reads a few questions."""
    texts = [example.asked for example in fit.train[:16]] or [document.text[:_CHARS] for document in fit.documents[:4]]
    if fit.encoder not in _TIMED and texts:
        encoder = encoder_named(fit.encoder)
        encoder.encode(texts[:2])
        started = time.perf_counter()
        encoder.encode(texts)
        _TIMED[fit.encoder] = (time.perf_counter() - started) / max(1, sum(map(len, texts)))
    seconds = _START_SECONDS + _TIMED.get(fit.encoder, 0.0) * chars * TRAINING_FACTOR
    return Cost(seconds=seconds, cpu_seconds=2 * seconds, memory_gib=1.5)
