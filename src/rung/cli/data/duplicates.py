"""`rung data duplicates`: the same question twice, in another split, in the documents or in another data set."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.options import AsJson
from rung.cli.spoken import finding_line, own_language, spoken, visible
from rung.core.errors import TargetNotMet, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rung.core.task import Document, Example, Language
    from rung.data.leakage.copies import Pair
    from rung.data.leakage.leaks import LeakReport

SHOWN = 20
_CUT = 90
_MOST = 50


@dataclass(frozen=True)
class Looked:
    """What was looked at, and what was found there."""

    report: LeakReport
    texts: Mapping[tuple[str, str], str]
    """By split or file, and id."""
    answers: Mapping[tuple[str, str], str]
    """The first right answer of each."""

    def lines(self, pair: Pair) -> tuple[str, str]:
        """Both texts of a pair."""
        first, second = (self.texts[place.split, place.id] for place in (pair.first, pair.second))
        return first, second

    def to_json(self) -> dict[str, Any]:
        return self.report.to_json()


@dataclass(frozen=True)
class _Material:
    splits: dict[str, Sequence[Example]]
    documents: Sequence[Document] = ()
    times: Mapping[str, float] | None = None
    encoder: str = "minilm"


def find_copies(
    data: Sequence[Path],
    *,
    near: float | None = 0.8,
    semantic: float | None = None,
    against: Sequence[Path] = (),
    columns: Sequence[str] = (),
    progress: Callable[[float, float, str], None] | None = None,
) -> Looked:
    """Copies and leaks between the splits of a task.yaml, or within and between files of examples.

    `near`: Jaccard similarity from which texts are near copies; `semantic`: cosine from which the task's encoder calls them
    the same; None: not looked for. `against`: files and folders of other data sets. `columns`: which columns of the files
    are the question; by their names when absent. Raises UsageError and DataError as reading the task or the files does.
    """
    from rung.data.leakage.copies import CopySearch
    from rung.data.leakage.elsewhere import read_elsewhere
    from rung.data.leakage.leaks import Around, find_leaks

    task = len(data) == 1 and data[0].suffix in {".yaml", ".yml"}
    material = _of_task(data[0]) if task else _of_files(data, columns)
    vectors = _vectors(material) if semantic is not None else None
    others: dict[str, Sequence[Example]] = {}
    for path in against:
        others |= read_elsewhere(path)
    search = CopySearch(near, vectors, semantic or 1.0)
    around = Around(material.documents, others, material.times or {})
    report = find_leaks(material.splits, search, around, progress=progress)
    everything = {**others, **material.splits}
    examples = [(name, e) for name, part in everything.items() for e in part]
    answers = {(name, e.id): e.references[0] for name, e in examples if e.references}
    return Looked(report, {(name, e.id): e.text for name, e in examples}, answers)


def _of_task(path: Path) -> _Material:
    from rung.data.leakage.times import read_time
    from rung.experiment.setup import prepare

    prepared = prepare(path)
    written = {id: text for read in prepared.reads.values() for id, text in read.times.items()}
    times = {id: time for id, text in written.items() if (time := read_time(text)) is not None}
    return _Material(dict(prepared.examples), prepared.documents.documents, times, prepared.config.encoder)


def _of_files(paths: Sequence[Path], columns: Sequence[str]) -> _Material:
    from rung.cli.data.rows import open_rows, tell_left_out
    from rung.config.sniff import guess
    from rung.core.task import Example
    from rung.data.table import read_table
    from rung.data.versions.dataset import Reference, is_dataset

    splits: dict[str, list[Example]] = {}
    if len(paths) > _MOST:
        raise UsageError("E2187", n=len(paths), limit=_MOST)
    for path in paths:
        name = path.name if path.name not in splits else str(path)
        if is_dataset(Reference.parse(path).folder):
            for record in open_rows(path).records:
                # Two data sets may each have a train split: only alone is the split's own name enough.
                part = (record.split if len(paths) == 1 else f"{name}/{record.split}") if record.split else name
                splits.setdefault(part, []).append(record.to_example(columns))
            continue
        table = read_table(path)
        tell_left_out(path, table.rejects)
        if {"id", "inputs"} <= set(table.columns):  # Rung's own records, whose fields lie one level down
            splits[name] = [record.to_example(columns) for record in open_rows(path).records]
            continue
        answer = ""
        inputs = tuple(columns)
        if not inputs and len(table.columns) > 1:
            guessed = guess(table.columns, table.rows[:200], False)
            inputs, answer = guessed.inputs, guessed.answer
        inputs = inputs or table.columns
        splits[name] = [
            Example(
                str(n),
                {field: _text(row.get(field)) for field in inputs},
                (_text(row[answer]),) if row.get(answer) else (),
            )
            for n, row in enumerate(table.rows, 1)
        ]
    return _Material(dict(splits))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else jsonlib.dumps(value, ensure_ascii=False)


def _vectors(material: _Material) -> dict[str, NDArray[np.float32]]:
    from rung.core.answer import create_encoder

    encoder = create_encoder(material.encoder)
    return {name: encoder.encode([e.text for e in part]) for name, part in material.splits.items()}


def duplicates_command(
    data: Annotated[list[Path], typer.Argument(help="task.yaml, or files of examples to compare with each other")],
    near: Annotated[bool, typer.Option("--near/--no-near", help="look for near copies too")] = True,
    threshold: Annotated[
        float, typer.Option(help="share of common character runs from which a copy is near", min=0.3, max=1.0)
    ] = 0.8,
    semantic: Annotated[
        float | None,
        typer.Option(help="look for copies by meaning too, from this cosine, such as 0.95", min=0.5, max=1.0),
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="another data set, a file or a folder; may be repeated")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="column of the files that holds the question; may be repeated")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write every pair to this JSONL file")] = None,
    shown: Annotated[int, typer.Option("--show", help="pairs to show", min=0)] = SHOWN,
    ci: Annotated[bool, typer.Option("--ci", help="exit 6 where rows held out are known from elsewhere")] = False,
    json: AsJson = False,
) -> None:
    """Find copies of questions: exact, but for their form, or near; within and across splits, documents and data sets.

    Example: **rung data duplicates task.yaml --against benchmarks/ --ci**
    """
    from rung.cli.screen import Screen

    language = own_language()
    with Screen(language) as screen:
        looked = find_copies(
            data,
            near=threshold if near else None,
            semantic=semantic,
            against=against or (),
            columns=column or (),
            progress=screen.bar(spoken("duplicates.looking", language)).update,
        )
    report = looked.report
    if out is not None:
        _write(out, looked)
    if json:
        print(commands.to_json(looked.to_json()))
    else:
        for finding in report.findings:
            print(finding_line(finding, language))
        for pair in report.pairs[:shown]:
            _show(pair, looked, language)
        total = spoken("duplicates.pairs", language, n=f"{len(report.pairs):,}", shown=min(shown, len(report.pairs)))
        print(total)
    if ci and report.leaks:
        raise TargetNotMet("E2186", n=len(report.leaks))


def _show(pair: Pair, looked: Looked, language: Language) -> None:
    kind = spoken(f"duplicates.{pair.kind}", language)
    if pair.kind in {"near", "semantic"}:
        kind += f" {pair.score:.2f}"
    print(f"\n{kind}{'  !' if pair.conflict else ''}")
    for place, text in zip((pair.first, pair.second), looked.lines(pair), strict=True):
        answer = looked.answers.get((place.split, place.id), "") if pair.conflict else ""
        told = f"  -> {_cut(answer, _CUT // 2)}" if answer else ""
        print(f"  {place.split}:{place.id}  {_cut(text, _CUT)}{told}")


def _cut(text: str, length: int) -> str:
    line = visible(" ".join(text.split()))
    return line[:length] + ("..." if len(line) > length else "")


def _write(path: Path, looked: Looked) -> None:
    from rung.core.durable import write_text

    lines = [
        jsonlib.dumps(pair.to_json() | {"texts": list(looked.lines(pair))}, ensure_ascii=False)
        for pair in looked.report.pairs
    ]
    write_text(path, "".join(line + "\n" for line in lines))
