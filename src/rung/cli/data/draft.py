"""`rung data draft`: questions and answers from documents, written by a model, sieved and marked synthetic."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, own_language, say, spoken

if TYPE_CHECKING:
    from rung.config.schema import Config
    from rung.core.method import Progress
    from rung.core.model import Model
    from rung.core.task import Document
    from rung.data.versions.version import Source, Version
    from rung.experiment.drafting.draft import Drafted, Wanted

FOLDER = "drafting"


@dataclass(frozen=True)
class Kept:
    """What drafting came to, and the version that holds its rows; None where no row is new."""

    drafted: Drafted
    version: Version | None
    added: int


@dataclass(frozen=True)
class Writers:
    """Who drafts and who checks: a model's id, or a task.yaml whose first model is meant."""

    model: str = "smollm2-135m"
    checker: str = ""
    """The drafting model itself for 'same'; nobody when empty."""
    max_cost: float | None = None
    """Money for endpoints, in this call."""


def draft_data(
    documents: Path,
    to: Path,
    *,
    writers: Writers | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> Kept:
    """Draft question and answer pairs from a folder of documents, and keep them as the next version of the data set `to`.

    Where a task.yaml names the model, its abstain text is used as well. The same call goes on where an earlier one stopped. Raises as
    reading the documents and `rung.experiment.drafting.draft.draft` do; InterruptedRun E4003 above `max_cost`, DataError
    E2961 where a drafted row would be tested on.
    """
    from rung.data.documents import read_documents
    from rung.data.versions.dataset import DataSet, is_dataset
    from rung.experiment.drafting.draft import Wanted, draft
    from rung.experiment.drafting.rows import MARK, check_splits
    from rung.experiment.purse import Purse

    asked, chosen = writers or Writers(), wanted or Wanted()
    purse = Purse(asked.max_cost)
    config = _config(asked.model)
    if config is not None and not chosen.abstain:
        chosen = replace(chosen, abstain=config.output.abstain or "")
    model = open_writer(asked.model, purse)
    checker = model if asked.checker == "same" else open_writer(asked.checker, purse) if asked.checker else None
    read = read_documents(documents).documents
    dataset = DataSet(to)
    before = dataset.read() if is_dataset(to) else ()
    # Rows of this very draft are made again from its log, and must not count as copies of themselves.
    known = [record.inputs.get("question", record.question) for record in before if MARK not in record.extra]
    found = draft(read, model, to / FOLDER, chosen, checker=checker, known=known, progress=progress)
    have = {record.id for record in before}
    new = [row for row in found.rows if row.id not in have]
    rows = [*before, *new]
    check_splits(rows)
    if not new:
        return Kept(found, None, 0)
    step = found.step.model_copy(update={"rows_before": len(before), "rows_after": len(rows), "touched": len(new)})
    by_document = Counter(row.group.rpartition("#")[0] for row in new)
    sources = [_source(documents, document, by_document[document.id], chosen.licence) for document in read]
    version = dataset.commit(rows, [step], sources=[source for source in sources if source.rows])
    return Kept(found, version, len(new))


def open_writer(name: str, purse: object | None = None) -> Model:
    """A model by its id, or the first one of a task.yaml; what an endpoint charges goes to `purse`."""
    from rung.config.load import to_model_ref
    from rung.core.model import ModelRef
    from rung.core.registry import find
    from rung.experiment.purse import PaidModel, Purse

    config = _config(name)
    ref = ModelRef(kind="transformers", id=name) if config is None else to_model_ref(config, config.models[0])
    model: Model = find("model", ref.kind).open(ref)
    return PaidModel(model, purse) if isinstance(purse, Purse) and ref.options.get("base_url") else model


def _config(name: str) -> Config | None:
    from rung.config import load_config

    return load_config(Path(name)) if name.endswith((".yaml", ".yml")) else None


def _source(folder: Path, document: Document, rows: int, licence: str) -> Source:
    from rung.data.versions.version import Source

    # Of the text, for that is what the rows were drafted from.
    digest = hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest()
    return Source(
        name=f"{folder.name}/{document.id}", sha256=digest, rows=rows, format="document", licence=licence, note="text"
    )


def draft_command(
    documents: Annotated[Path, typer.Argument(help="folder of documents")],
    to: Annotated[Path, typer.Option(help="the data set to add to; made where it is not there")],
    model: Annotated[str, typer.Option(help="who drafts: a model's id, or a task.yaml's first model")] = "smollm2-135m",
    checker: Annotated[
        str, typer.Option(help="who answers each question again from its passage: 'same', an id or a task.yaml; nobody")
    ] = "",
    per_chunk: Annotated[int, typer.Option(help="pairs to ask for from each passage", min=1, max=10)] = 2,
    max_rows: Annotated[int, typer.Option("--max", help="pairs to keep at most; 0: from every passage", min=0)] = 0,
    kinds: Annotated[str, typer.Option(help="answerable, unanswerable, distractor, joined by commas")] = "answerable",
    chunk_words: Annotated[int, typer.Option(help="words of a passage", min=20, max=2000)] = 140,
    distractors: Annotated[int, typer.Option(help="other passages shown in a row", min=1, max=20)] = 3,
    abstain: Annotated[str, typer.Option(help="the answer where the passages do not say")] = "",
    split: Annotated[str, typer.Option(help="train, or no split when absent; never dev or test")] = "",
    licence: Annotated[str, typer.Option(help="SPDX name of the documents' licence, or 'own'")] = "",
    max_calls: Annotated[
        int, typer.Option(help="requests to models in all, earlier calls included; 0: any", min=0)
    ] = 0,
    max_cost: Annotated[float | None, typer.Option(help="money for endpoints in this call")] = None,
    seed: Annotated[int, typer.Option(help="another number drafts other questions")] = 0,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Draft question and answer pairs from documents with any model, filter them, and mark them synthetic.

    Stopped at any moment, the same command asks only what is missing. Every pair that is refused is counted under its reason.

    Example: **rung data draft documents --to datasets/desk --model task.yaml --checker same --max 200**
    """
    from rung.cli.screen import Screen
    from rung.core.errors import UsageError
    from rung.experiment.drafting.draft import Wanted
    from rung.experiment.drafting.rows import Kind

    used = asked_language(lang) or own_language()
    if split not in {"", "train"}:
        raise UsageError("E2952", name="--split", value=split, known="train")
    named = tuple(part.strip() for part in kinds.split(",") if part.strip())
    wanted = Wanted(
        per_chunk=per_chunk,
        most=max_rows,
        kinds=cast("tuple[Kind, ...]", named),
        chunk_words=chunk_words,
        distractors=distractors,
        abstain=abstain,
        split=cast('Literal["train"] | None', split or None),
        licence=licence,
        max_calls=max_calls,
        seed=seed,
    )
    with Screen(used) as screen:
        kept = draft_data(
            documents,
            to,
            writers=Writers(model, checker, max_cost),
            wanted=wanted,
            progress=screen.bar(spoken("draft.drafting", used)),
        )
    if json:
        print(commands.to_json(as_json(kept)))
        return
    for line in told(kept, used):
        say(line)
    if kept.drafted.stopped:
        say(spoken("draft.stopped", used, limit=max_calls))
    if kept.version is not None:
        print(kept.version.id)


def told(kept: Kept, language: Literal["en", "zh"]) -> Sequence[str]:
    """What became of every passage and every pair."""
    found = kept.drafted
    money = f"{found.money:.4g}"
    lines = [spoken("draft.asked", language, asked=found.asked, chunks=found.chunks, failed=found.failed, money=money)]
    share = f"{100 * found.kept / found.drafted:.0f}%" if found.drafted else "–"
    values = {"drafted": found.drafted, "kept": found.kept, "share": share, "rows": kept.added}
    lines.append(spoken("draft.kept", language, **values))
    for reason, n in found.refused.items():
        lines.append(spoken("draft.dropped", language, reason=spoken(f"draft.reason.{reason}", language), n=n))
    if found.surplus:
        lines.append(
            spoken("draft.dropped", language, reason=spoken("draft.reason.surplus", language), n=found.surplus)
        )
    return lines


def as_json(kept: Kept) -> dict[str, object]:
    found = kept.drafted
    names = (
        "chunks",
        "asked",
        "failed",
        "drafted",
        "kept",
        "surplus",
        "refused",
        "samples",
        "calls",
        "new_calls",
        "money",
    )
    figures = {name: getattr(found, name) for name in names}
    return {
        "version": kept.version.id if kept.version else None,
        "added": kept.added,
        **figures,
        "stopped": found.stopped,
    }
