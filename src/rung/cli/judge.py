"""`rung judge`: measure a judge against people, and have a licensed one mark the answers of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.spoken import spoken
from rung.core.method import Progress, Silent

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.store.judging import DimensionTable, Licence
    from rung.store.records import Interval

app = typer.Typer(
    no_args_is_help=True,
    help="Measure a judging model against people, and let a licensed one mark answers.\n\n"
    "No mark of a judge is shown before its agreement with at least 50 labels by people is measured.",
)
LICENCE = Path("judge.json")
SpecFile = Annotated[Path, typer.Option("--judge", help="task.yaml with a judge block, or a judge.yaml of its own")]
Lang = Annotated[str | None, typer.Option("--lang", help="en or zh; your own language when absent")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


def calibrate_judge(
    judge: Path,
    labels: Path,
    *,
    out: Path = LICENCE,
    threshold: float | None = None,
    language: Language = "en",
    progress: Progress | None = None,
) -> Licence:
    """Measure a judge's agreement with people's labels and write its licence.

    `threshold`: what the lower end of kappa's interval must reach; 0.4 when absent.
    """
    from rung.experiment.judges.calibrate import THRESHOLD, calibrate
    from rung.experiment.judges.judging import open_judge
    from rung.store.judging import write_licence

    limit = THRESHOLD if threshold is None else threshold
    licence = calibrate(open_judge(judge, language=language), labels, threshold=limit, progress=progress)
    write_licence(out, licence)
    return licence


def judge_run(
    run: Path,
    judge: Path,
    *,
    licence: Path | None = LICENCE,
    before: str = "",
    after: str = "",
    language: Language | None = None,
    progress: Progress | None = None,
) -> DimensionTable:
    """Have a licensed judge mark the answers of two candidates of a run, and write the report anew."""
    from rung.cli.commands import report
    from rung.experiment.judges import judging
    from rung.store.judging import read_licence
    from rung.store.runs import RunFolder

    folder = RunFolder.existing(run)
    used: Language = language or folder.read_run().get("task", {}).get("language", "en")
    found = read_licence(licence) if licence is not None and licence.is_file() else None
    opened = judging.open_judge(judge, language=used)
    table = judging.judge_run(
        folder, opened, found, before=before, after=after, language=used, progress=progress or Silent()
    )
    report(folder.path, language=used)
    return table


@app.command("calibrate")
def calibrate_command(
    labels: Annotated[Path, typer.Option(help="CSV or JSONL of labels by people; rung rate writes one")],
    judge: SpecFile = Path("task.yaml"),
    out: Annotated[Path, typer.Option(help="where to write the licence")] = LICENCE,
    threshold: Annotated[
        float, typer.Option(help="what the lower end of kappa's 95% interval must reach", min=0.0, max=1.0)
    ] = 0.4,
    lang: Lang = None,
    json: AsJson = False,
) -> None:
    """Measure how well a judge agrees with people, and write its licence.

    The labels: one row for an answer with **id, question, answer** and a mark under each dimension's name; or one for a pair with
    **id, question, a, b** and **preferred** (a, b or tie). Exits with 6 where nothing is licensed.

    Example: **rung judge calibrate --labels ratings.jsonl --judge task.yaml**
    """
    from rung.cli.main import _spoken, language, say
    from rung.core.errors import Problem, TargetNotMet

    used = _spoken(lang) or language()
    found = calibrate_judge(judge, labels, out=out, threshold=threshold, language=used, progress=Counting())
    if json:
        from rung.cli.commands import to_json

        print(to_json(found.model_dump(mode="json")))
    else:
        print("\n".join(told(found, used)))
    say(str(out))
    if not any(each.licensed for each in found.dimensions):
        raise TargetNotMet("E4322", problems=[Problem("E4322", values={"model": found.model})])


@app.command("score")
def score_command(
    run: Annotated[Path, typer.Argument(help="a run folder, or a folder of runs: the newest", metavar="RUN")] = Path(
        "runs"
    ),
    judge: SpecFile = Path("task.yaml"),
    licence: Annotated[Path, typer.Option(help="the judge's licence")] = LICENCE,
    before: Annotated[str, typer.Option(help="a candidate; the zero-shot prompt when absent")] = "",
    after: Annotated[str, typer.Option(help="a candidate; the winner when absent")] = "",
    lang: Lang = None,
    json: AsJson = False,
) -> None:
    """Have a licensed judge mark the answers of a run, before and after, and show the table in its report."""
    from rung.cli.commands import to_json
    from rung.cli.main import _spoken
    from rung.reporting.dimensions import table_text
    from rung.store.runs import RunFolder

    table = judge_run(
        run, judge, licence=licence, before=before, after=after, language=_spoken(lang), progress=Counting()
    )
    if json:
        print(to_json(table.model_dump(mode="json")))
        return
    task = RunFolder.existing(run).read_run().get("task", {})
    print(table_text(table, _spoken(lang) or task.get("language", "en")), end="")


class Counting:
    """Progress on one line of a terminal; silent elsewhere."""

    def update(self, done: float, total: float, note: str = "") -> None:
        if sys.stderr.isatty():
            end = "\n" if done >= total else ""
            print(f"\r{note} {done:.0f}/{total:.0f}", end=end, file=sys.stderr, flush=True)


def told(licence: Licence, language: str) -> list[str]:
    """A licence as lines for a terminal."""

    def words(key: str, **values: Any) -> str:
        return spoken(f"judge.{key}", language, **values)

    n = max(each.n for each in licence.dimensions)
    alpha = shown(licence.rater_agreement)
    lines = [words("head", model=licence.model, n=n, raters=licence.raters, alpha=alpha)]
    for each in licence.dimensions:
        verdict = words("licensed")
        if not each.licensed:
            verdict = words("needs", n=each.needed) if each.needed is not None else words("poor")
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
    """`0.52 (0.41 to 0.63)`."""
    if interval is None or interval.point is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.point:.2f}"
    return f"{interval.point:.2f} ({interval.low:.2f}..{interval.high:.2f})"
