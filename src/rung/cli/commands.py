"""Every command as a function of the same name: arguments in, values or files out, nothing printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.core.errors import Problem
    from rung.core.evaluation import Answer, Metric
    from rung.core.method import Progress
    from rung.core.registry import Part
    from rung.data.findings import Finding
    from rung.experiment.comparing.compare import Columns
    from rung.experiment.comparing.gate import Gate
    from rung.experiment.session import Watcher
    from rung.store.records import Plan, Text
    from rung.store.runs import RunFolder

TASK_FILE = Path("task.yaml")
Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Checked:
    """What `check` found."""

    findings: tuple[Finding, ...]
    splits: Mapping[str, int]
    documents: int
    rejected: int
    task: str

    @property
    def worst(self) -> str:
        levels = {finding.level for finding in self.findings}
        return next((level for level in ("error", "warning") if level in levels), "ok")


def init(examples: Path, *, documents: Path | None = None, out: Path | None = None, force: bool = False) -> Path:
    """Write a commented task.yaml for a file of examples, by looking at its columns.

    Raises UsageError E1305 for a missing file, E1306 where a task.yaml is there already.
    """
    from rung.config import propose_config
    from rung.core.durable import write_text
    from rung.data.table import read_table

    out = out or examples.parent / TASK_FILE
    if not examples.is_file():
        raise UsageError("E1305", path=examples)
    if out.exists() and not force:
        raise UsageError("E1306", path=out)
    table = read_table(examples, limit=2000)
    folder = documents or documents_beside(examples)
    text = propose_config(
        table.columns,
        table.rows,
        _relative(folder, out.parent) if folder else None,
        _relative(examples, out.parent),
    )
    write_text(out, text)
    return out


def documents_beside(examples: Path) -> Path | None:
    """A folder `documents` or `docs` beside a file of examples."""
    return next((p for name in ("documents", "docs") if (p := examples.parent / name).is_dir()), None)


def _relative(path: Path, folder: Path) -> str:
    import os

    return Path(os.path.relpath(path, folder)).as_posix()


def check(task: Path = TASK_FILE, *, progress: Progress | None = None) -> Checked:
    """Read the task and all that it names, and look for what would spoil a comparison; nothing is spent."""
    from rung.data.checks import check_data
    from rung.experiment.setup import prepare

    prepared = prepare(task, progress)
    findings = [*prepared.findings, *check_data(prepared.every, prepared.task, prepared.documents.documents)]
    return Checked(
        findings=tuple(findings),
        splits={name: len(part) for name, part in prepared.examples.items()},
        documents=len(prepared.documents.documents),
        rejected=len(prepared.rejects),
        task=prepared.task.name,
    )


def plan(task: Path = TASK_FILE, *, estimate: bool = True) -> Plan:
    """The rungs that would be run, why others cannot, and what each is expected to take."""
    from tempfile import TemporaryDirectory

    from rung.experiment.plan import make_plan, open_bench
    from rung.experiment.setup import prepare

    prepared = prepare(task)
    with TemporaryDirectory() as folder:
        return make_plan(prepared, open_bench(prepared), Path(folder), estimate=estimate)


def run(
    task: Path = TASK_FILE,
    *,
    runs: Path | None = None,
    run_id: str | None = None,
    compare_all: bool = False,
    max_cost: float | None = None,
    max_hours: float | None = None,
    devices: int | None = None,
    on: str | None = None,
    watcher: Watcher | None = None,
    language: Language | None = None,
) -> RunFolder:
    """Run the ladder, decide, and write the report. The same call resumes a run that was stopped.

    `max_cost` (money for endpoints) and `max_hours` (wall clock) are of the whole run and take the place of task.yaml's
    budget for this call; the run stays the same one. `devices`: processes on this machine that share each training; `on`: `ray`, or the
    address of a Ray cluster, where rungs are made at the same time, and the trials and seeds of a rung. Raises UsageError E1311 for a limit
    that is no amount, E1315 for another address.
    """
    from rung.experiment.limits import Limits
    from rung.experiment.run import run_task

    limits = Limits(max_cost, max_hours, devices, on)
    folder = run_task(task, runs=runs, run_id=run_id, compare_all=compare_all, limits=limits, watcher=watcher)
    told: Callable[[Problem], None] = getattr(watcher, "warned", lambda problem: None)
    report(folder.path, language=language, warn=told)
    return folder


def report(
    run: Path = Path("runs"),
    *,
    language: Language | None = None,
    warn: Callable[[Problem], None] = lambda problem: None,
) -> dict[str, Path]:
    """Write report.html, report.md and report.json into a run folder; returns their paths.

    They go to where the run was tracked, with all that a server has not got yet; `warn` is told where that does not work.
    """
    from rung.experiment.tracking.tracker import send_report
    from rung.reporting.build import build_report
    from rung.store.runs import RunFolder

    folder = RunFolder.existing(run)
    spoken: Language = language or folder.read_run().get("task", {}).get("language", "en")
    paths = build_report(folder, language=spoken)
    send_report(folder.path, list(paths.values()), warn)
    return paths


def show(run: Path = Path("runs"), *, language: Language | None = None) -> str:
    """The verdict and the table of a run, as text."""
    from rung.reporting.text import show_text
    from rung.store.runs import RunFolder

    folder = RunFolder.existing(run)
    spoken: Language = language or folder.read_run().get("task", {}).get("language", "en")
    return show_text(folder, spoken)


def show_json(run: Path = Path("runs")) -> dict[str, Any]:
    """The same for programs."""
    from rung.reporting.text import show_json as as_json
    from rung.store.runs import RunFolder

    return as_json(RunFolder.existing(run))


def ask(
    question: str | Mapping[str, str],
    *,
    run: Path = Path("runs"),
    candidate: str | None = None,
    seen_by: frozenset[str] | None = None,
) -> Answer:
    """Answer one question with a run's winner, or another of its candidates.

    `seen_by`: access labels of the one who asks; None: all passages may be shown; empty: what is open to all.

    Raises UsageError E1307 where the run has named no winner and no candidate is given.
    """
    from rung.cli.asking import ask_traced

    return ask_traced(question, run=run, candidate=candidate, seen_by=seen_by).answer


@dataclass(frozen=True)
class JudgeFiles:
    """A judge (its task.yaml or judge.yaml) and what it was licensed for."""

    judge: Path
    licence: Path | None = None
    """`judge.json` in the working folder when absent, where there is one."""
    max_cost: float | None = None
    """Money for its endpoint in this call, in place of its task.yaml's budget.max_cost."""


def compare(
    files: Sequence[Path],
    *,
    columns: Columns | None = None,
    metric: str | Sequence[str] = (),
    judge: JudgeFiles | None = None,
    margin: float = 0.02,
    language: Language = "en",
    gate: Gate | None = None,
    runs: Path = Path("runs"),
    out: Path | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Compare answers that other systems have already given, with the same statistics, decision and report.

    `gate`: whether the systems hold against a baseline, kept in `comparison.json`. `judge`: its licensed dimensions stand
    beside the metrics; with a licence for preferences, its win rates of every pair. `out`: a folder that gets copies of the report and of `comparison.json`.
    """
    from rung.core.durable import write_text
    from rung.experiment.comparing.compare import compare_files
    from rung.experiment.judges.judging import licensed_metrics, open_judge
    from rung.experiment.judges.preferring import judge_pairs
    from rung.store.comparison import add_to_comparison
    from rung.store.judging import find_licence

    judged: Sequence[Metric] = ()
    notes: Sequence[Text] = ()
    opened, licence = None, None
    if judge is not None:
        wanted = (metric,) if isinstance(metric, str) else metric
        opened, licence = open_judge(judge.judge, max_cost=judge.max_cost), find_licence(judge.licence)
        judged, notes = licensed_metrics(opened, licence, wanted)
    folder = compare_files(
        files,
        columns=columns,
        metric=metric,
        judged=judged,
        margin=margin,
        language=language,
        gate=gate,
        runs=runs,
    )
    if opened is not None and licence is not None and licence.mode == "prefer":
        found = judge_pairs(folder, opened, licence, progress=progress)
        add_to_comparison(folder.path, notes=found.notes, preferences=found.preferences)
    else:
        add_to_comparison(folder.path, notes=notes)
    paths = report(folder.path, language=language)
    if out is not None:
        for path in (*paths.values(), folder.path / "comparison.json"):
            write_text(out / path.name, path.read_text("utf-8"))
    return folder


def list_parts(kind: Literal["models", "methods", "metrics"]) -> list[Part]:
    """What is registered, built in or by an installed package."""
    from rung.core.registry import parts

    return list(parts(kind.removesuffix("s")).values())


@dataclass(frozen=True)
class Health:
    """One thing that `doctor` looked at."""

    name: str
    ok: bool
    value: str
    hint: str = ""


def doctor() -> list[Health]:
    """Whether this machine has what a run needs: versions, weights, memory, space, devices."""
    from rung.cli.doctor import examine

    return examine()


def to_json(value: Any) -> str:
    """How every `--json` is written."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def language_of(source: Path) -> Language:
    """The language of a run's task, or of a task file."""
    from rung.config import load_config, to_task
    from rung.store.runs import RunFolder

    if source.is_file():
        return to_task(load_config(source), ()).language
    found: Language = RunFolder.existing(source).read_run().get("task", {}).get("language", "en")
    return found
