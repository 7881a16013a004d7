"""A run's data with rows from traffic, as a version of a data set: the test set stays what it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.core.errors import DataError
from rung.core.task import Example, SplitName
from rung.data.record import Record
from rung.data.versions.dataset import DataSet, is_dataset
from rung.data.versions.version import Source, Step
from rung.experiment.kept_run import KeptRun
from rung.experiment.next_round.review import Review, homes_of
from rung.store.deployment import Deployment

_SPLITS: tuple[SplitName, ...] = ("train", "dev", "test")


@dataclass(frozen=True)
class Enlarged:
    """What an export wrote."""

    data: Path
    version: str
    """Id of the data set's version; '' where only the fresh test set grew."""
    added: Mapping[str, int]
    """Rows from traffic, by split."""
    fresh_test: Path | None = None

    @property
    def reference(self) -> str:
        return f"{self.data}@{self.version}"


def data_folder(deployment: Deployment) -> Path:
    """The data set of a deployment's rounds."""
    return deployment.folder / "data"


def fresh_folder(deployment: Deployment) -> Path:
    """The test set that grows from traffic, where one is asked for."""
    return deployment.folder / "fresh-test"


def held_examples(deployment: Deployment, kept: KeptRun) -> dict[str, list[Example]]:
    """What the champion's run and the fresh test set hold already, by split."""
    held: dict[str, list[Example]] = {split: kept.run.read_examples(split) for split in _SPLITS}
    fresh = fresh_folder(deployment)
    if is_dataset(fresh):
        held["fresh_test"] = [row.to_example(kept.task.inputs) for row in DataSet(fresh).read()]
    return held


def enlarge(deployment: Deployment, kept: KeptRun, found: Review, *, fresh_share: float = 0.0) -> Enlarged:
    """Keep the champion's rows and those of a review as a version of the deployment's data set.

    New rows go to train and dev, in the shares that the two have. With `fresh_share`, that share of them becomes part of a data set of
    its own, `fresh-test`; the test set that proves a round is never touched. Raises DataError E7120 where there is no new row.
    """
    if not found.rows:
        raise DataError("E7120", run=deployment.run)
    held = {split: kept.run.read_examples(split) for split in _SPLITS}
    trained = len(held["train"]) + len(held["dev"])
    dev_share = len(held["dev"]) / trained if trained else 0.0
    homes = homes_of(found, dev_share=dev_share, fresh_share=fresh_share)
    new: dict[str, list[Record]] = {"train": [], "dev": [], "fresh_test": []}
    for row in found.rows:
        home = homes[row.record.id]
        split: SplitName = "test" if home == "fresh_test" else home
        new[home].append(row.record.model_copy(update={"split": split}))
    added = {name: len(rows) for name, rows in new.items() if rows}
    fresh = _grow_fresh(fresh_folder(deployment), new["fresh_test"]) if new["fresh_test"] else None
    dataset = DataSet(data_folder(deployment))
    own = [Record.from_example(example, split) for split in _SPLITS for example in held[split]]
    rows = [*own, *new["train"], *new["dev"]]
    if len(rows) == len(own):
        return Enlarged(dataset.folder, "", added, fresh)
    kinds: Counter[str] = Counter(row.kind for row in found.rows)
    step = Step(
        name="traffic",
        arguments={"run": kept.run.path.name},
        rows_before=len(own),
        rows_after=len(rows),
        counts=dict(kinds),
    )
    made = dataset.commit(rows, [step], sources=[Source(name="traffic", rows=len(rows) - len(own))])
    return Enlarged(dataset.folder, made.id, added, fresh)


def _grow_fresh(folder: Path, rows: Sequence[Record]) -> Path:
    dataset = DataSet(folder)
    before = dataset.read() if is_dataset(folder) else ()
    known = {row.id for row in before}
    after = [*before, *(row for row in rows if row.id not in known)]
    step = Step(name="traffic", rows_before=len(before), rows_after=len(after))
    dataset.commit(after, [step], sources=[Source(name="traffic", rows=len(after))])
    return folder
