"""The commands `diagnose` and `stability` as functions: arguments in, records out, nothing printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.store.diagnosis import Diagnosis, Stability
    from rung.store.runs import RunFolder


def diagnose(
    source: Path = Path("task.yaml"),
    *,
    arms: Mapping[str, Path] | None = None,
    questions: int = 100,
    model: str = "",
    runs: Path | None = None,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Diagnosis:
    """Find what a task's errors lack, knowledge or form, and keep it as `diagnosis.json` in the run folder.

    `source`: a task file, a run, or a folder of runs. `arms`: files of recorded answers by arm (plain, control, gold,
    format, both, or a name of your own for a retrieval system); with them, or with `arms` in task.yaml, no model is asked.
    A run's report is written anew.
    """
    from rung.experiment.diagnosing.diagnose import diagnose_task

    run = diagnose_task(source, runs=runs, questions=questions, model=model, arms=arms, progress=progress)
    found = run.read_diagnosis()
    assert found is not None
    _report(run, language)
    return found


def stability(
    run: Path = Path("runs"),
    *,
    candidate: str = "",
    repeats: int = 5,
    questions: int = 50,
    paraphrases: Path | None = None,
    column: str = "paraphrase",
    progress: Progress | None = None,
    language: Language | None = None,
) -> Stability:
    """Measure whether a candidate (the winner by default) answers the same when dev questions are asked otherwise.

    `repeats`: how often the very same is asked. `paraphrases`: a CSV or JSONL file with other wordings in `column`, and
    an `id` or the question as it stands. Kept as `stability.json`; the run's report is written anew.
    """
    from rung.experiment.diagnosing.probes import Effort
    from rung.experiment.diagnosing.stability import Paraphrases, measure_run

    folder = measure_run(
        run,
        candidate=candidate,
        effort=Effort(questions=questions, repeats=repeats),
        paraphrases=Paraphrases(paraphrases, column) if paraphrases else None,
        progress=progress,
    )
    found = folder.read_stability()
    assert found is not None
    _report(folder, language)
    return found


def _report(run: RunFolder, language: Language | None) -> None:
    """A diagnosis may come before the run: then there is nothing to report yet."""
    from rung.cli import commands

    if (run.path / "run.yaml").is_file():
        commands.report(run.path, language=language)
