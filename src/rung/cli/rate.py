"""`rung rate`: a person compares two answers blind, or gives marks, on the command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.options import OwnLang
from rung.cli.spoken import asked_language, harmless, own_language, say, spoken

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.experiment.judges.ratings import Material, Shown
    from rung.metrics.judge import Dimension, Rubric
    from rung.store.records import Interval
    from rung.store.runs import RunFolder

KEYS = {"a": "a", "b": "b", "t": "tie", "s": "skip"}
RATINGS = Path("ratings.jsonl")


@dataclass(frozen=True)
class Rated:
    """How far a session came."""

    done: int
    left: int
    path: Path


@dataclass(frozen=True)
class Session:
    """Who rates what, and how the two talk."""

    rater: str
    path: Path
    read: Callable[[], str]
    """One line of the rater's; empty when there are no more."""
    write: Callable[[str], None]
    language: Language = "en"

    def words(self, key: str, **values: Any) -> str:
        return spoken(f"rate.{key}", self.language, **values)

    def key(self, prompt: str, allowed: Sequence[str]) -> str:
        """The key that was pressed; q where the rater is gone."""
        while True:
            self.write(prompt)
            line = self.read()
            said = line.strip().casefold()
            if not line or said == "q":
                return "q"
            if said in allowed:
                return said
            self.write(self.words("again") + "\n")


def rate(items: Sequence[Shown], session: Session, *, rubric: Rubric | None = None) -> Rated:
    """Show what this rater has not rated yet, and keep every rating at once; with a rubric marks are asked for.

    Stopped at any moment, the same call goes on: a line is on disk before the next question is shown. An answer that both
    systems gave is marked once, for both.
    """
    from rung.core.append_log import AppendLog, read_log
    from rung.experiment.judges.ratings import is_rated

    rows = read_log(session.path)
    asked: dict[tuple[str, ...], list[Shown]] = {}
    for item in items:
        if not is_rated(item, rows, session.rater):
            asked.setdefault((item.example.id, *map(str.strip, item.texts)), []).append(item)
    left = list(asked.values())
    done = 0
    with AppendLog(session.path) as log:
        for item, *twins in left:
            session.write(f"\n--- {session.words('count', k=done + 1, n=len(left))}\n")
            session.write(f"{session.words('question')}: {item.example.text}\n")
            names = ("A", "B") if len(item.texts) == 2 else ("",)
            for name, text in zip(names, item.texts, strict=True):
                session.write(f"\n{session.words('answer')} {name}".rstrip() + f":\n{harmless(text)}\n")
            said = _preference(session) if rubric is None else _marks(session, rubric)
            if said is None:
                break
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            log.add([each.row(session.rater, said) | {"time": now} for each in (item, *twins)])
            done += 1
    return Rated(done, len(left) - done, session.path)


def _preference(session: Session) -> dict[str, str] | None:
    key = session.key("\n" + session.words("ask"), tuple(KEYS))
    return None if key == "q" else {"preferred": KEYS[key]}


def _marks(session: Session, rubric: Rubric) -> dict[str, str] | None:
    found: dict[str, str] = {}
    scale = {mark.casefold(): mark for mark in rubric.scale}
    for each in rubric.dimensions:
        key = session.key("\n" + _prompt(session, rubric, each), (*scale, "s"))
        if key == "q":
            return None
        if key != "s":
            found[each.name] = scale[key]
    return found


def _prompt(session: Session, rubric: Rubric, each: Dimension) -> str:
    return session.words("mark", name=each.name, definition=each.definition, scale=" ".join(rubric.scale))


def _of_questions(items: Sequence[Shown], limit: int, seed: int) -> list[Shown]:
    """All that is asked of `limit` questions: the same ones for every rater, so that raters and systems can be compared."""
    from rung.core.hashing import seed_from

    ids = sorted({item.example.id for item in items}, key=lambda id: seed_from("rate", seed, id))
    chosen = set(ids[: limit or None])
    return [item for item in items if item.example.id in chosen]


def rate_command(
    sources: Annotated[
        list[Path], typer.Argument(help="a run folder; or two files of answers; or one file with --columns a,b")
    ],
    rater: Annotated[str, typer.Option(help="your name, as it is kept beside each rating")],
    out: Annotated[Path, typer.Option(help="file of ratings; what is there is kept, and gone on from")] = RATINGS,
    marks: Annotated[
        bool,
        typer.Option(help="give marks on the judge's dimensions to one answer at a time, instead of comparing two"),
    ] = False,
    judge: Annotated[
        Path | None,
        typer.Option(help="task.yaml or judge.yaml with dimensions and scale; the built-in three when absent"),
    ] = None,
    before: Annotated[str, typer.Option(help="a run's candidate; the zero-shot prompt when absent")] = "",
    after: Annotated[str, typer.Option(help="a run's candidate; the winner when absent")] = "",
    columns: Annotated[str, typer.Option(help="one file: its two columns of answers, as a,b")] = "",
    id: Annotated[str, typer.Option(help="files: the field that names the question")] = "id",
    limit: Annotated[int, typer.Option(help="at most so many questions; 0: all", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="another number shows another order")] = 0,
    lang: OwnLang = None,
) -> None:
    """Compare two systems' answers blind: which is better, without knowing whose is whose.

    Keys: **a**, **b**, **t** (tie), **s** (skip), **q** (quit), then Enter. Every rating is kept at once; the same command goes on where you
    stopped. The file feeds **rung judge calibrate**; marks of a run also become the before/after table of its report.

    Example: **rung rate runs/my-run --rater mei**
    """
    from rung.experiment.judges.ratings import to_show

    used = asked_language(lang) or own_language()
    asked = Sources(sources, columns, id, before, after)
    rubric = rubric_for(judge, used)
    material = asked.material()
    items = to_show(material, rater=rater, seed=seed, marks=marks)
    session = Session(rater, out, sys.stdin.readline, _to_stderr, used)
    if same := 0 if marks else len(material.items) - len(items):
        say(session.words("same", n=same))
    rated = rate(_of_questions(items, limit, seed), session, rubric=rubric if marks else None)
    key = "left" if rated.left or not out.exists() else "all"
    say("\n" + session.words(key, done=rated.done, left=rated.left, path=out))
    for line in summary(out, rubric, session):
        print(line)
    if marks:
        _table(asked, out, rubric)


def _to_stderr(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Sources:
    """What is to be rated, as it was asked for."""

    paths: Sequence[Path]
    columns: str = ""
    id: str = "id"
    before: str = ""
    after: str = ""

    @property
    def run(self) -> RunFolder | None:
        from rung.store.runs import RunFolder

        return RunFolder.existing(self.paths[0]) if len(self.paths) == 1 and self.paths[0].is_dir() else None

    def material(self) -> Material:
        from rung.experiment.comparing.recordings import Columns
        from rung.experiment.judges.ratings import material_of_files, material_of_run

        if self.run is not None:
            return material_of_run(self.run, before=self.before, after=self.after)
        named = tuple(part.strip() for part in self.columns.split(",") if part.strip())
        return material_of_files(self.paths, Columns(id=self.id, systems=named, common=True))


def rubric_for(judge: Path | None, language: Language) -> Rubric:
    """Dimensions and scale of a judge's file, or the built-in three from 1 to 5."""
    from rung.config.judge import load_judge
    from rung.experiment.judges.judging import rubric_of
    from rung.metrics.judge import Rubric, dimension, known_dimensions

    if judge is not None:
        return rubric_of(load_judge(judge, known=known_dimensions()))
    three = ("professional", "specific", "practical")
    return Rubric(tuple(dimension(name, "", language) for name in three), language=language)


def _table(sources: Sources, path: Path, rubric: Rubric) -> None:
    from rung.core.errors import DataError
    from rung.experiment.judges.dimensions import before_and_after
    from rung.experiment.judges.ratings import ratings_table, read_labels

    run = sources.run
    try:
        labels = read_labels(path, rubric)
    except DataError:
        return
    if run is not None and labels.marked:
        ratings_table(run, labels, rubric, before_and_after(run, before=sources.before, after=sources.after))
        commands.report(run.path)


def summary(path: Path, rubric: Rubric, session: Session) -> list[str]:
    """Wins of each side over the whole file, and how far its raters agree."""
    from rung.cli.judge import shown
    from rung.core.errors import DataError
    from rung.experiment.judges.ratings import rater_agreement, read_labels

    try:
        labels = read_labels(path, rubric)
    except DataError:
        return []
    lines = []
    names = sorted({name for item in labels.compared for name in item.systems})
    if len(names) == 2:
        won = [item.winner() for item in labels.compared]
        wins = [won.count(name) for name in (*names, "")]
        lines.append(
            session.words(
                "wins", first=names[0], second=names[1], k=wins[0], m=wins[1], t=wins[2], raters=len(labels.raters)
            )
        )
    alpha: Interval | None = rater_agreement(labels, rubric)
    lines.append(session.words("alone") if alpha is None else session.words("agreement", alpha=shown(alpha)))
    return lines
