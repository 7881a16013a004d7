"""`rung compare`: answers of any systems side by side, and a gate for pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, CallMaxCost, LicenceFile
from rung.cli.spoken import asked_language, in_language, own_language, say, spoken
from rung.cli.verdict import show_verdict
from rung.core.errors import Problem, TargetNotMet, UsageError

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.store.comparison import Comparison

MODES = ("strict", "lenient")


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(help="JSONL or CSV files of answers, one for each system; or one file of all of them"),
    ],
    columns: Annotated[str, typer.Option(help="one file: columns of answers, one for each system, as a,b")] = "",
    by: Annotated[str, typer.Option(help="one file: the field that names the system, one row for each answer")] = "",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="how answers are scored against references; several allowed, the first decides"),
    ] = None,
    label: Annotated[
        str,
        typer.Option("--label", "--label-column", help="field with a person's verdict; it decides instead of a metric"),
    ] = "",
    right: Annotated[str, typer.Option(help="the verdict that means right")] = "correct",
    scale: Annotated[
        str, typer.Option(help="all labels there may be, worst first, as 1,2,3,4,5; others are refused")
    ] = "",
    score: Annotated[
        str, typer.Option(help="field with a score from 0 to 1 that was given elsewhere; it decides")
    ] = "",
    id: Annotated[str, typer.Option(help="field that names the question; its text when absent")] = "id",
    question: Annotated[str, typer.Option(help="field of the question")] = "",
    answer: Annotated[str, typer.Option(help="field of the answer")] = "",
    reference: Annotated[str, typer.Option(help="field of the right answer")] = "",
    group: Annotated[str, typer.Option(help="field whose equal values belong together: they are resampled whole")] = "",
    common: Annotated[bool, typer.Option(help="compare the questions that all have, and leave out the others")] = False,
    margin: Annotated[float, typer.Option(help="a difference too small to matter")] = 0.02,
    judge: Annotated[
        Path | None, typer.Option(help="task.yaml or judge.yaml of a judge, whose marks stand beside")
    ] = None,
    licence: LicenceFile = None,
    max_cost: CallMaxCost = None,
    ci: Annotated[bool, typer.Option("--ci", help="exit 6 unless the other systems hold against --baseline")] = False,
    baseline: Annotated[
        str, typer.Option(help="with --ci: the system that must not be undercut, by its file's name")
    ] = "",
    ci_mode: Annotated[
        str,
        typer.Option(
            help="strict: passes only what is shown to be no worse than the baseline by the margin; "
            "lenient: stops only what is shown to be worse, unless shown to lie within the margin"
        ),
    ] = "strict",
    out: Annotated[Path | None, typer.Option(help="folder for report.html, .md, .json and comparison.json")] = None,
    runs: Annotated[Path, typer.Option(help="folder of runs")] = Path("runs"),
    lang: Annotated[
        str | None, typer.Option("--lang", help="language of the answers and of the report: en or zh; en when absent")
    ] = None,
    json: AsJson = False,
) -> None:
    """Compare answers that any systems have given, with the same statistics, decision and report.

    Example: **rung compare ours.jsonl theirs.jsonl --label verdict --right correct**

    As a gate: **rung compare new.jsonl old.jsonl --metric token_f1 --ci --baseline old --margin 0.02** exits with 0 where new is
    shown to be no worse than old by the margin, and with 6 where it is not.
    """
    from rung.cli.screen import Screen
    from rung.experiment.comparing.compare import Columns
    from rung.experiment.comparing.gate import Gate
    from rung.store.comparison import read_comparison

    language: Language = asked_language(lang) or "en"
    if ci_mode not in MODES:
        raise UsageError("E1213", value=ci_mode, known=", ".join(MODES), near="", near_zh="")
    if (ci or baseline) and not (ci and baseline):
        raise UsageError("E4316")
    columns_of = Columns(
        id, question, answer, reference, label, right, group, score, _split(scale), _split(columns), by, common
    )
    gate = Gate(baseline, "lenient" if ci_mode == "lenient" else "strict") if ci else None
    asked = commands.JudgeFiles(judge, licence, max_cost) if judge else None
    talking = asked_language(lang) or own_language()
    with Screen(talking) as screen:
        folder = commands.compare(
            files,
            columns=columns_of,
            metric=metric or (),
            judge=asked,
            margin=margin,
            language=language,
            gate=gate,
            runs=runs,
            out=out,
            progress=screen.bar("judge") if asked else None,
        )
    show_verdict(folder.path, language=language, json=json)
    comparison = read_comparison(folder.path)
    if comparison is None:
        return
    lines = comparison.gate.lines if comparison.gate else ()
    for told in [*talk(comparison, talking), *(in_language(line.said, talking) for line in lines if line.passed)]:
        say(told)
    failed = [line for line in lines if not line.passed]
    if failed:
        problems = [Problem("E4321", values={"said": line.said.en, "said_zh": line.said.zh}) for line in failed]
        raise TargetNotMet("E4321", problems=problems)


def talk(comparison: Comparison, language: Language) -> list[str]:
    """What the verdict does not say: what was left out, and the tests of all pairs, corrected for their number."""
    lines = [in_language(note, language) for note in comparison.notes]
    lines += [in_language(found.said, language) for found in comparison.preferences]
    for pair in comparison.pairs:
        if pair.p_holm is None:
            continue
        test = spoken(f"compare.{pair.test}", language)
        p, holm = _p(pair.p_value), _p(pair.p_holm)
        lines.append(spoken("compare.pair", language, first=pair.first, second=pair.second, p=p, holm=holm, test=test))
    return lines


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
