"""The ladder once more, on a run's own settings and more examples; the test set stays the same, so that old and new can be compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rung.core.durable import write_json
from rung.core.errors import DataError, UsageError
from rung.data.versions.dataset import DataSet, Reference, is_dataset
from rung.experiment.kept_run import KeptRun
from rung.experiment.limits import UNCHANGED, Limits
from rung.experiment.next_round.contest import Corner, contest
from rung.experiment.next_round.enlarge import data_folder
from rung.experiment.next_round.promote import promote
from rung.experiment.run import run_task
from rung.experiment.session import Watcher
from rung.experiment.setup import prepare
from rung.store.deployment import Deployment
from rung.store.rounds import Proposal, read_proposals, write_proposal
from rung.store.runs import RunFolder

_PATHS = (("documents",), ("arms", "*"), ("models", "*", "path"), ("tracking", "tensorboard"))
"""Where task.yaml names files, as seen from its own folder."""


def retrain(
    deployment: Deployment,
    *,
    data: str | None = None,
    task_folder: Path | None = None,
    limits: Limits = UNCHANGED,
    watcher: Watcher | None = None,
) -> Proposal:
    """Run the champion's ladder again on an enlarged data set, and hold its winner against the champion.

    `data`: FOLDER or FOLDER@VERSION; the deployment's own current version when absent. `task_folder`: where the task's documents and
    models are looked for; the folder above `runs/` when absent. The same call resumes a run that was stopped. The new winner is
    promoted only where it passes and task.yaml says `serving: {auto_promote: true}`. Raises UsageError E7126 where no data set has been
    exported, DataError E7127 where its test questions are not those of the champion.
    """
    champion = deployment.champion
    kept = KeptRun(RunFolder(champion.run))
    reference = _reference(deployment, data)
    task_file = _task_file(deployment, kept, reference, task_folder or champion.run.parent.parent)
    prepared = prepare(task_file)
    old = (kept.run.read_splits() or {}).get("splits", {}).get("test", {}).get("hash")
    if prepared.splits.test.hash != old:
        raise DataError("E7127", data=f"{reference.folder}@{reference.version}", run=kept.run.path)
    run = run_task(task_file, runs=champion.run.parent, limits=limits, watcher=watcher)
    new = KeptRun(run)
    before = [p for p in read_proposals(deployment.folder) if p.run != _seen_from(deployment, run.path)]
    rows = DataSet(reference.folder).read(reference.version)
    known = {example.id for example in kept.run.read_examples()}
    added: dict[str, int] = {}
    for row in rows:
        if row.id not in known and row.split:
            added[row.split] = added.get(row.split, 0) + 1
    proposal = Proposal(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        run=_seen_from(deployment, run.path),
        candidate=new.winner,
        data=f"{reference.folder.name}@{reference.version}",
        added=added,
        rounds=len(before) + 1,
    )
    if new.winner:
        winner = Corner(new, new.winner)
        held = contest(Corner(kept, champion.candidate), winner)
        auto = bool(new.config.get("serving", {}).get("auto_promote"))
        promoted = auto and held.passed
        if promoted:
            promote(deployment, winner, by="rung retrain", because="auto_promote")
        proposal = proposal.model_copy(update={"contest": held, "promoted": promoted})
    write_proposal(deployment.folder, run.path.name, proposal)
    return proposal


def _reference(deployment: Deployment, data: str | None) -> Reference:
    reference = Reference.parse(data) if data else Reference(data_folder(deployment))
    if not is_dataset(reference.folder):
        raise UsageError("E7126", run=deployment.run)
    return Reference(reference.folder, DataSet(reference.folder).find(reference.version))


def _seen_from(deployment: Deployment, run: Path) -> str:
    return Path(os.path.relpath(run.resolve(), deployment.run.resolve())).as_posix()


def _task_file(deployment: Deployment, kept: KeptRun, reference: Reference, folder: Path) -> Path:
    """The champion's task.yaml as it was resolved then, but for its data. Named after the data, so that the same call finds it again."""
    config = {name: value for name, value in kept.config.items() if value is not None}
    data: dict[str, Any] = dict(config.pop("data", {}))
    kept_fields = ("seed", "max_bad_ratio", "dev_share", "test_share")
    whole = f"{reference.folder.resolve()}@{reference.version}"
    config["data"] = {name: data[name] for name in kept_fields if name in data} | {"examples": whole}
    for path in _PATHS:
        _absolute(config, path, folder.resolve())
    file = deployment.folder / "rounds" / reference.version / "task.yaml"
    # JSON is YAML in which no word can be taken for a number.
    write_json(file, _without_nothing(config))
    return file


def _absolute(value: Any, path: tuple[str, ...], folder: Path) -> None:
    name, rest = path[0], path[1:]
    keys: list[Any] = []
    if isinstance(value, list) and name == "*":
        keys = list(range(len(value)))
    elif isinstance(value, Mapping):
        keys = list(value) if name == "*" else [name] if name in value else []
    for key in keys:
        if rest:
            _absolute(value[key], rest, folder)
        elif isinstance(value[key], str) and value[key]:
            value[key] = str(folder / Path(value[key]).expanduser())


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value
