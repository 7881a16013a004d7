"""From a run folder back to the task file that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rung.core.errors import RungError, UsageError
from rung.experiment.run import run_folder
from rung.experiment.setup import Prepared, prepare
from rung.store.runs import RunFolder


@dataclass(frozen=True)
class Reopened:
    """A task as it was prepared, and where its run lies; the folder need not be there yet."""

    prepared: Prepared
    run: RunFolder


def reopen(source: Path, runs: Path | None = None) -> Reopened:
    """A task file with its run, or a run (or a folder of runs: the newest) with its task.

    A task file is looked for two folders above the run, where `runs/` lies by default, and where the run's command
    names it. Raises UsageError E4201 where none there makes this run, and what `prepare` and `RunFolder.existing` raise.
    """
    if source.is_file() or source.suffix in {".yaml", ".yml"}:
        # A task file that is not there is no run that is not there.
        prepared = prepare(source)
        return Reopened(prepared, run_folder(prepared, runs))
    run = RunFolder.existing(source)
    wanted = run.read_run().get("hash")
    for path in dict.fromkeys(_task_files(run)):
        try:
            prepared = prepare(path)
        except RungError:
            continue
        if prepared.hash == wanted:
            return Reopened(prepared, run)
    raise UsageError("E4201", run=run.path)


def _task_files(run: RunFolder) -> Iterator[Path]:
    command = str(run.read_run().get("command", ""))
    named = Path(command.removeprefix("rung run ").strip())
    home = run.path.resolve().parent.parent
    yield from (path for path in (home / named.name, named) if named.suffix and path.is_file())
    yield from sorted(home.glob("*.yaml"))
