"""What a run works on: configuration, examples, frozen splits, documents and the Task, read and checked before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rung.config import Config, load_config, to_task
from rung.config.check import check_columns
from rung.core.errors import UsageError
from rung.core.hashing import hash_json
from rung.core.method import Progress
from rung.core.task import Example, SharedBase, SplitName, Task
from rung.data.documents import DocumentsResult
from rung.data.feedback import Disliked, demand_feedback, for_training, not_disliked
from rung.data.fields import ReadSpec
from rung.data.findings import Finding
from rung.data.formats.examples import dataset_columns, find_dataset, read_dataset
from rung.data.leakage.copies import CopySearch, DuplicateReport, find_duplicates, without_copies
from rung.data.leakage.leaks import across_findings, group_findings
from rung.data.leakage.times import read_times
from rung.data.read import ReadResult, read_examples, read_files
from rung.data.rejects import Reject
from rung.data.split import NAMES, Splits, SplitSpec, make_split, own_split
from rung.data.table import read_table
from rung.experiment.task_base import base_findings, task_base
from rung.experiment.task_documents import by_kept_name, document_findings, task_documents


@dataclass(frozen=True)
class Prepared:
    """Everything about a task that is known before a model is asked."""

    config: Config
    task: Task
    splits: Splits
    examples: Mapping[str, tuple[Example, ...]]
    """train, dev and test; train without copies of dev and test questions, where the split is our own."""
    documents: DocumentsResult
    reads: Mapping[str, ReadResult]
    duplicates: DuplicateReport
    removed: tuple[str, ...] = ()
    """Training examples left out because dev or test holds the same text, or nearly."""
    templated: bool = False
    """Near copies of dev and test questions stay in train: so many are alike that nothing would be left of it."""
    feedback: tuple[Finding, ...] = ()
    """What there is to say of pairs, thumbs and dialogues."""
    disliked: Disliked = field(default_factory=Disliked)
    """Training examples with a thumb down, in no split: only a method that learns from thumbs is to see them."""
    base: SharedBase | None = None
    """The knowledge base that the documents come from, where task.yaml names one."""

    @property
    def rejects(self) -> tuple[Reject, ...]:
        return tuple(reject for read in self.reads.values() for reject in read.rejects)

    @property
    def every(self) -> tuple[Example, ...]:
        return tuple(example for part in self.examples.values() for example in part)

    @property
    def copied(self) -> frozenset[str]:
        """Test examples whose text train or dev holds too, or nearly; an official split is kept as it is, and has some."""
        return self.duplicates.affected("test") if self.splits.official or self.templated else frozenset()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the splits and the documents give to think about."""
        near = [pair for pair in self.duplicates.across if pair.kind == "near"] if self.templated else []
        templated = [Finding("warning", "E2181", {"n": len(near)})] if near else []
        leaks = [*across_findings(self.duplicates, self.examples), *group_findings(self.examples)]
        given = leaks if self.splits.official else []
        return (
            *self.feedback,
            *self.disliked.findings,
            *self.splits.findings,
            *given,
            *templated,
            *document_findings(self.documents),
            *(base_findings(self.base, self.documents, self.config) if self.base else ()),
        )

    @property
    def hash(self) -> str:
        """What a run's results depend on: task, data, split, documents and settings."""
        config = self.config
        settings = config.model_dump(mode="json", include={"models", "encoder", "methods", "settings", "data"})
        if config.data.split == "random":
            # They change nothing then, and runs from before they existed keep their names.
            settings["data"] = {k: v for k, v in settings["data"].items() if k not in {"time", "split"}}
        if config.data.messages is None:
            del settings["data"]["messages"]
        return hash_json(
            [
                self.task.hash,
                {name: self.splits[name].hash for name in ("train", "dev", "test")} | self._disliked_hash(),
                [hash_json([d.id, d.text]) for d in self.documents.documents],
                settings,
                *([self.base.id, self.base.encoder] if self.base else []),
            ],
            8,
        )

    def _disliked_hash(self) -> dict[str, str]:
        kept = self.disliked.kept
        return {"disliked": hash_json([example.hash for example in kept])} if kept else {}

    def record(self) -> dict[str, Any]:
        """The data's part of run.yaml."""
        return {
            "n": {name: len(part) for name, part in self.examples.items()},
            "examples_hash": hash_json([example.hash for example in self.every]),
            "rejected": len(self.rejects),
            **({"disliked": len(self.disliked.kept)} if self.disliked.kept else {}),
            "removed_from_train": len(self.removed),
            "duplicates": {k: v for k, v in self.duplicates.to_json().items() if k != "pairs"},
            "official_split": self.splits.official,
            "documents": len(self.documents.documents),
            **({"base": self.base.id} if self.base else {}),
            "documents_failed": [{"id": failed.id, "code": failed.code} for failed in self.documents.failed],
            "documents_copies": len(self.documents.copies),
            "files": {
                name: {"encoding": read.encoding.name, "dialect": read.dialect, "rows": read.read}
                for name, read in self.reads.items()
            },
            "findings": [finding.to_json() for finding in self.findings],
        }


def prepare(task_file: Path, progress: Progress | None = None) -> Prepared:
    """Read task.yaml and all that it names. `progress` is told of the documents.

    Raises UsageError with every mistake of the file at once, DataError for data that cannot be used.
    """
    config = load_config(task_file)
    spec = read_spec(config)
    problems = [
        problem
        for path in config.data_files.values()
        for problem in check_columns(config, _columns(config.path(path), spec), path)
    ]
    if problems:
        unique = {(problem.code, problem.where): problem for problem in problems}
        raise UsageError(problems[0].code, problems=list(unique.values()))
    label = config.output.kind == "label"
    split_spec = SplitSpec(config.data.dev_share, config.data.test_share, by_label=label)
    dataset = find_dataset(config.path(config.data.examples)) if config.data.examples else None
    found = read_dataset(dataset, spec) if dataset else None
    reads = {"examples": found.read} if found else _read_files(config, spec)
    feedback = _feedback(reads, spec)
    usable = {name: not_disliked(read.examples) for name, read in reads.items()}
    pool: Sequence[Example] = [example for part in usable.values() for example in part]
    if config.data.examples:
        times = read_times(reads["examples"].times) if config.data.split == "time" else None
        seed = config.data.seed
        splits = (
            found.split(split_spec, seed, times=times) if found else make_split(pool, split_spec, seed, times=times)
        )
    else:
        splits = own_split(usable["train"], usable["test"], usable.get("dev", ()), split_spec, config.data.seed)
    parts = {name: splits.pick(name, pool) for name in ("train", "dev", "test")}
    duplicates = find_duplicates(parts, CopySearch())
    removed: tuple[str, ...] = ()
    templated = False
    if not splits.official:
        kept = without_copies(parts["train"], [*parts["dev"], *parts["test"]])
        staying = {example.id for example in kept.examples}
        removed = tuple(example.id for example in parts["train"] if example.id not in staying)
        parts["train"], templated = kept.examples, kept.templated
    disliked = _disliked(reads, [*parts["dev"], *parts["test"]])
    labels = sorted({example.references[0] for example in pool if example.references}) if label else ()
    base = task_base(config)
    documents = task_documents(config, progress, base=base)
    parts = {name: by_kept_name(part, documents.copies) for name, part in parts.items()}
    task = to_task(config, labels)
    return Prepared(
        config, task, splits, parts, documents, reads, duplicates, removed, templated, feedback, disliked, base
    )


def _read_files(config: Config, spec: ReadSpec) -> dict[str, ReadResult]:
    if config.data.examples:
        return {"examples": read_examples(config.path(config.data.examples), spec)}
    return read_files({name: config.path(path) for name, path in config.data_files.items()}, spec)


def _feedback(reads: Mapping[str, ReadResult], spec: ReadSpec) -> tuple[Finding, ...]:
    examples = [example for read in reads.values() for example in read.examples]
    found = [finding for read in reads.values() for finding in read.findings]
    return (*found, *demand_feedback(examples, found, pairs=spec.rejected, thumbs=spec.liked))


def _disliked(reads: Mapping[str, ReadResult], held: Sequence[Example]) -> Disliked:
    found = {name: [e for e in read.examples if e.liked is False] for name, read in reads.items()}
    others = [example for name in ("dev", "test") for example in found.pop(name, [])]
    return for_training([example for part in found.values() for example in part], held, others=others)


def read_undealt(config: Config, spec: ReadSpec, names: Sequence[SplitName] = NAMES) -> dict[str, ReadResult]:
    """Rows of a task that are too few to be dealt out in three: by the split that they are said to be of, '' for none.

    Answers with a thumb down are left out. Raises DataError for files that cannot be used.
    """
    if not config.data.examples:
        paths = {name: config.path(path) for name, path in config.data_files.items() if name in names}
        return {name: _without_disliked(read) for name, read in read_files(paths, spec).items()}
    path = config.path(config.data.examples)
    dataset = find_dataset(path)
    if dataset is None:
        return {"": _without_disliked(read_examples(path, spec))}
    found = read_dataset(dataset, spec)
    rows: dict[str, list[Example]] = {}
    for example in not_disliked(found.read.examples):
        rows.setdefault(found.homes.get(example.id, ""), []).append(example)
    return {home: replace(found.read, examples=tuple(part)) for home, part in rows.items() if not home or home in names}


def _without_disliked(read: ReadResult) -> ReadResult:
    return replace(read, examples=not_disliked(read.examples))


def _columns(path: Path, spec: ReadSpec) -> tuple[str, ...]:
    dataset = find_dataset(path)
    return dataset_columns(dataset, spec) if dataset else read_table(path, limit=20).columns


def read_spec(config: Config) -> ReadSpec:
    """How the example files of a task are read."""
    data, output = config.data, config.output
    return ReadSpec(
        inputs=config.inputs,
        answer=output.column,
        kind=output.kind,
        labels=output.labels if output.kind == "label" else (),
        json_schema=output.json_schema,
        id=data.id,
        group=data.group,
        document=data.document,
        time=data.time,
        encoding=data.encoding,
        max_bad_ratio=data.max_bad_ratio,
        rejected=output.rejected,
        liked=output.liked,
        messages=data.messages,
    )
