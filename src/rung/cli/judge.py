"""`rung judge`: measure a judge against people, and have a licensed one mark the answers of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.options import AsJson, CallMaxCost, JudgeFile, LicenceFile, OwnLang, RunMaxCost, RunPath, TaskLang
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.core.errors import Problem, TargetNotMet

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.store.judging import DimensionTable, Licence
    from rung.store.records import Interval

app = typer.Typer(
    no_args_is_help=True,
    help="Measure a judging model against people, and let a licensed one mark answers.\n\n"
    "No mark of a judge is shown before its agreement with at least 50 labels by people is measured.",
)


def calibrate_judge(
    judge: Path,
    labels: Path,
    *,
    out: Path | None = None,
    threshold: float | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
) -> Licence:
    """Measure a judge's agreement with people's labels and write its licence: to `judge.json`, or to `out`.

    `threshold`: what the lower end of kappa's interval must reach; 0.4 when absent. `max_cost`: money for the judge's
    endpoint in this call, in place of its task.yaml's budget.max_cost; stopped by it (InterruptedRun E4003), the same call
    goes on with what was answered.
    """
    from rung.experiment.judges.calibrate import THRESHOLD, calibrate
    from rung.experiment.judges.judging import open_judge
    from rung.store.judging import LICENCE, write_licence

    limit = THRESHOLD if threshold is None else threshold
    licence = calibrate(open_judge(judge, max_cost=max_cost), labels, threshold=limit, progress=progress)
    write_licence(out or LICENCE, licence)
    return licence


def judge_run(
    run: Path,
    judge: Path,
    *,
    licence: Path | None = None,
    before: str = "",
    after: str = "",
    max_cost: float | None = None,
    language: Language | None = None,
    progress: Progress | None = None,
) -> DimensionTable:
    """Have a licensed judge mark the answers of two candidates of a run, and write the report anew.

    `licence`: `judge.json` in the working folder when absent. What is not licensed is not marked, and the table says why.
    `max_cost`: money for endpoints over the whole run, in place of its budget's; what is marked by then is kept.
    """
    from rung.core.method import Silent
    from rung.experiment.judges import judging
    from rung.store.judging import find_licence
    from rung.store.runs import RunFolder

    folder = RunFolder.existing(run)
    found = find_licence(licence)
    opened = judging.open_judge(judge, max_cost=max_cost, run=folder)
    table = judging.judge_run(folder, opened, found, before=before, after=after, progress=progress or Silent())
    commands.report(folder.path, language=language)
    return table


@app.command("calibrate")
def calibrate_command(
    labels: Annotated[Path, typer.Option(help="CSV or JSONL of labels by people; rung rate writes one")],
    judge: JudgeFile = commands.TASK_FILE,
    out: Annotated[Path | None, typer.Option(help="where to write the licence; ./judge.json when absent")] = None,
    threshold: Annotated[
        float, typer.Option(help="what the lower end of kappa's 95% interval must reach", min=0.0, max=1.0)
    ] = 0.4,
    max_cost: CallMaxCost = None,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Measure how well a judge agrees with people, and write its licence.

    The labels: one row for an answer with **id, question, answer** and a mark under each dimension's name; or one for a pair with
    **id, question, a, b** and **preferred** (a, b or tie). Exits with 6 where nothing is licensed.

    Example: **rung judge calibrate --labels ratings.jsonl --judge task.yaml**
    """
    from rung.cli.screen import Screen
    from rung.store.judging import LICENCE

    language = asked_language(lang) or own_language()
    with Screen(language) as screen:
        progress = screen.bar("judge")
        found = calibrate_judge(judge, labels, out=out, threshold=threshold, max_cost=max_cost, progress=progress)
    print(commands.to_json(found.model_dump(mode="json")) if json else "\n".join(told(found, language)))
    say(str(out or LICENCE))
    if not any(each.licensed for each in found.dimensions):
        raise TargetNotMet("E4322", problems=[Problem("E4322", values={"model": found.model})])


@app.command("score")
def score_command(
    run: RunPath = Path("runs"),
    judge: JudgeFile = commands.TASK_FILE,
    licence: LicenceFile = None,
    before: Annotated[str, typer.Option(help="a candidate; the zero-shot prompt when absent")] = "",
    after: Annotated[str, typer.Option(help="a candidate; the winner when absent")] = "",
    max_cost: RunMaxCost = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Have a licensed judge mark the answers of a run, before and after, and show the table in its report.

    Example: **rung judge score runs/my-run --licence judge.json**
    """
    from rung.cli.screen import Screen
    from rung.reporting.dimensions import table_text
    from rung.store.runs import RunFolder

    language = asked_language(lang)
    with Screen(language or own_language()) as screen:
        progress = screen.bar("judge")
        table = judge_run(
            run,
            judge,
            licence=licence,
            before=before,
            after=after,
            max_cost=max_cost,
            language=language,
            progress=progress,
        )
    if json:
        print(commands.to_json(table.model_dump(mode="json")))
        return
    task = RunFolder.existing(run).read_run().get("task", {})
    print(table_text(table, language or task.get("language", "en")), end="")


def told(licence: Licence, language: str) -> list[str]:
    """A licence as lines for a terminal."""

    def words(key: str, **values: Any) -> str:
        return spoken(f"judge.{key}", language, **values)

    n = max(each.n for each in licence.dimensions)
    alpha = shown(licence.rater_agreement)
    lines = [words("head", model=licence.model, n=n, raters=licence.raters, alpha=alpha)]
    for each in licence.dimensions:
        counts = {"n": each.needed, "failed": each.failed, "asked": each.n + each.failed}
        verdict = words(each.verdict, **counts)
        lines.append(
            words(
                "line",
                name=each.dimension,
                kappa=shown(each.kappa),
                accuracy=shown(each.accuracy),
                length=shown(each.length_bias),
                failed=each.failed,
                verdict=verdict,
            )
        )
    if licence.swayed is not None:
        lines.append(words("order", swayed=shown(licence.swayed), lean=shown(licence.position_bias)))
    return lines


def shown(interval: Interval | None) -> str:
    """`0.52 (0.41..0.63)`."""
    if interval is None or interval.point is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.point:.2f}"
    return f"{interval.point:.2f} ({interval.low:.2f}..{interval.high:.2f})"
