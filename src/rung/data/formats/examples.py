"""A data set as the examples of a task: its rows checked as those of a file are, their splits kept, synthetic ones kept apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rung.core.task import Example, SplitName
from rung.data.encoding import Encoding
from rung.data.feedback import check_feedback
from rung.data.fields import ReadSpec, RowReader
from rung.data.findings import Finding
from rung.data.read import ReadResult
from rung.data.record import Record
from rung.data.rejects import BadRow, Reject, check_share
from rung.data.split import Splits, SplitSpec, make_split, only_train, own_split
from rung.data.versions.dataset import DataSet, Reference, is_dataset


@dataclass(frozen=True)
class DatasetExamples:
    """The rows of a data set as examples."""

    read: ReadResult
    homes: Mapping[str, SplitName]
    """The split that each example was given, by id; those without one are left out."""
    synthetic: frozenset[str]

    def split(self, spec: SplitSpec, seed: int, *, times: Mapping[str, float] | None = None) -> Splits:
        """Its own split where every row has one, else one that is drawn. Synthetic rows are for training only.

        Raises as `make_split` and `own_split` do.
        """
        usable = [example for example in self.read.examples if example.liked is not False]
        real = [example for example in usable if example.id not in self.synthetic]
        made = [example for example in usable if example.id in self.synthetic]
        dealt = {
            name: [example for example in real if self.homes.get(example.id) == name]
            for name in ("train", "dev", "test")
        }
        if sum(map(len, dealt.values())) == len(real) and dealt["train"] and dealt["test"]:
            splits = own_split(dealt["train"], dealt["test"], dealt["dev"], spec, seed)
        else:
            splits = make_split(real, spec, seed, times=times)
        return self._with(made, splits) if made else splits

    def _with(self, made: Sequence[Example], splits: Splits) -> Splits:
        """Splits with the synthetic rows in train, but for those of a group that dev or test holds."""
        held = {*splits.dev.ids, *splits.test.ids}
        groups = {example.group for example in self.read.examples if example.id in held and example.group}
        moved = sum(self.homes.get(example.id) in {"dev", "test"} for example in made)
        kept = [example for example in made if example.group not in groups]
        left = len(made) - len(kept)
        findings = [Finding("warning", "E2268", {"n": moved, "left": left})] if moved or left else []
        return only_train(splits, self.read.examples, kept, findings)


def find_dataset(path: Path) -> Reference | None:
    """The data set that a path of task.yaml names, with or without a version; None for a file."""
    reference = Reference.parse(path)
    return reference if is_dataset(reference.folder) else None


def dataset_columns(reference: Reference, spec: ReadSpec) -> tuple[str, ...]:
    """What a task can name of a data set: the input fields of its rows, the answer, and what every row says about itself."""
    rows = DataSet(reference.folder).read(reference.version)
    fields = dict.fromkeys(name for row in rows for name in row.inputs)
    # A dialogue has no fields; its question is what the user says last.
    asked = spec.inputs if any(row.messages for row in rows) else ()
    return tuple(dict.fromkeys([*fields, *asked, *(name for name in spec.columns if name not in spec.inputs)]))


def read_dataset(reference: Reference, spec: ReadSpec) -> DatasetExamples:
    """The rows of a data set by a task's spec; ids, groups, documents and times are the rows' own.

    Raises as reading the data set does, and TooManyRejects above `spec.max_bad_ratio`.
    """
    dataset = DataSet(reference.folder)
    version = dataset.find(reference.version)
    rows = dataset.read(version)
    reader = RowReader(_own_columns(spec))
    name = f"{dataset.name}@{version}"
    found: list[Example] = []
    rejects: list[Reject] = []
    lines: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        try:
            found.append(_example(row, spec, reader))
            lines[row.id] = number
        except BadRow as bad:
            rejects.append(bad.reject(name, number, json.dumps(row.to_json(), ensure_ascii=False)))
    check_share(name, len(found), rejects, spec.max_bad_ratio)
    told = check_feedback(found)
    system = sum(_has_system(row) for row in rows if row.id in lines)
    read = ReadResult(
        told.examples,
        tuple(rejects),
        dataset_columns(reference, spec),
        Encoding("utf-8"),
        f"data set, {version}",
        lines,
        {row.id: row.time for row in rows if row.id in lines} if spec.time else {},
        (*told.findings, *([Finding("info", "E2836", {"n": system})] if system else ())),
    )
    homes = {row.id: row.split for row in rows if row.split}
    return DatasetExamples(read, homes, frozenset(row.id for row in rows if row.synthetic))


def _own_columns(spec: ReadSpec) -> ReadSpec:
    """The spec without what a row of a data set says itself, in no column."""
    return replace(spec, id=None, group=None, document=None, time=None, rejected=None, liked=None, messages=None)


def _has_system(row: Record) -> bool:
    return bool(row.system) or any(turn.role == "system" for turn in row.messages)


def _example(row: Record, spec: ReadSpec, reader: RowReader) -> Example:
    plain = row.to_example(spec.inputs)
    answers: object = list(plain.references)
    if len(plain.references) < 2:
        answers = plain.references[0] if plain.references else ""
    example = reader.example({**plain.inputs, spec.answer: answers})
    return replace(
        example,
        id=row.id,
        group=row.group,
        documents=row.documents,
        rejected=plain.rejected,
        liked=plain.liked,
        history=plain.history,
    )
