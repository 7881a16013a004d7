"""What `rung run` and `rung compare` end with: the verdict on stdout, where the report lies, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rung.cli import commands
from rung.cli.spoken import own_language, say, spoken
from rung.core.errors import TargetNotMet

if TYPE_CHECKING:
    from rung.core.task import Language


def show_verdict(run: Path, *, language: Language | None, json: bool) -> None:
    """Print the verdict of a finished run. Raises TargetNotMet E6001 where no candidate reaches the target."""
    from rung.store.runs import RunFolder

    if json:
        print(commands.to_json(commands.show_json(run)))
    else:
        print(commands.show(run, language=language))
        say(spoken("run.report", language or own_language(), path=run / "report.html"))
    decision = RunFolder(run).read_decision()
    if decision is not None and decision.verdict == "target_not_met":
        raise TargetNotMet("E6001")
