"""`rung feedback`: what people said of answers, and what of it may become examples."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.deploy import ServedRun
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, harmless, own_language, say, spoken
from rung.cli.traffic import StateFolder, open_traffic, span_of

if TYPE_CHECKING:
    from rung.experiment.next_round.enlarge import Enlarged
    from rung.experiment.next_round.review import Review
    from rung.store.traffic.records import Feedback, Trace

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Look at what people said of served answers, and make examples of it.\n\n"
    "**rung feedback review RUN**, then **rung feedback export RUN**, then **rung retrain RUN**",
)
_Since = Annotated[str | None, typer.Option("--since", help="how far back: 7d, 12h, 8w; everything when absent")]
_Mask = Annotated[bool, typer.Option("--mask", help="personal data becomes tags: [PHONE_1]")]
_WIDE = 100


@dataclass(frozen=True)
class Word:
    """What somebody said, beside what it is said of."""

    feedback: Feedback
    trace: Trace | None


def list_feedback(run: Path, *, since: datetime | None = None, state: Path | None = None) -> list[Word]:
    """Every word on an answer, the oldest first. Raises UsageError E7061 where no traffic is kept."""
    from rung.store.deployment import Deployment

    with open_traffic(Deployment.at(run, state).folder) as traffic:
        return [Word(said, traffic.trace(said.trace)) for said in traffic.feedback(since=since)]


def review_feedback(
    run: Path, *, since: datetime | None = None, mask: bool = False, state: Path | None = None
) -> Review:
    """What traffic offers as examples, and what was left out and why; nothing is written. Raises UsageError E7061."""
    from rung.experiment.kept_run import KeptRun
    from rung.experiment.next_round.enlarge import held_examples
    from rung.experiment.next_round.review import review
    from rung.store.deployment import Deployment
    from rung.store.runs import RunFolder

    deployment = Deployment.at(run, state)
    kept = KeptRun(RunFolder(deployment.champion.run))
    with open_traffic(deployment.folder) as traffic:
        return review(traffic, kept.task.output, held_examples(deployment, kept), since=since, mask=mask)


def export_feedback(
    run: Path,
    *,
    since: datetime | None = None,
    mask: bool = False,
    fresh_test: float = 0.0,
    unanswered: Path | None = None,
    state: Path | None = None,
) -> Enlarged:
    """Keep the champion's examples and those of a review as a version of a data set, in `data` of the deployment's folder.

    `fresh_test`: that share of the new rows becomes a test set of its own, in `fresh-test`. `unanswered`: a JSONL file for the
    questions that nobody has answered rightly yet, for `rung label`. Raises UsageError E7061, DataError E7120.
    """
    from rung.core.durable import write_text
    from rung.core.errors import UsageError
    from rung.experiment.kept_run import KeptRun
    from rung.experiment.next_round.enlarge import enlarge
    from rung.store.deployment import Deployment
    from rung.store.runs import RunFolder

    if not 0 <= fresh_test < 1:
        raise UsageError("E1214", "--fresh-test", value=fresh_test, limit="0 … 1")
    found = review_feedback(run, since=since, mask=mask, state=state)
    deployment = Deployment.at(run, state)
    if unanswered is not None:
        lines = [json_module.dumps(record.to_json(), ensure_ascii=False) + "\n" for record, _ in found.unanswered]
        write_text(unanswered, "".join(lines))
    return enlarge(deployment, KeptRun(RunFolder(deployment.champion.run)), found, fresh_share=fresh_test)


def _from(since: str | None) -> datetime | None:
    return datetime.now(UTC) - span_of(since) if since else None


@app.command("list")
def list_command(
    run: ServedRun, since: _Since = None, state: StateFolder = None, json: AsJson = False, lang: OwnLang = None
) -> None:
    """Show every word that people said, with the question and the answer."""
    found = list_feedback(run, since=_from(since), state=state)
    if json:
        print(commands.to_json([_word_record(word) for word in found]))
        return
    language = asked_language(lang) or own_language()
    if not found:
        say(spoken("feedback.none", language))
    for word in found:
        said, trace = word.feedback, word.trace
        thumb = {1: "+", -1: "-"}.get(said.rating, " ")
        consent = spoken("feedback.consent" if said.consent else "feedback.no_consent", language)
        print(f"{said.at:%Y-%m-%d %H:%M}  {thumb}  {said.trace}  {consent}")
        for key, text in (
            ("question", trace.text if trace else ""),
            ("answer", trace.answer if trace else ""),
            ("corrected", said.corrected),
            ("comment", said.comment),
        ):
            if text:
                print(f"    {spoken(f'feedback.{key}', language)}: {_line(text)}")


def _word_record(word: Word) -> dict[str, Any]:
    said, trace = word.feedback, word.trace
    return {
        "id": said.id,
        "at": said.at.isoformat(),
        "trace": said.trace,
        "rating": said.rating,
        "corrected": said.corrected,
        "comment": said.comment,
        "consent": said.consent,
        "candidate": trace.candidate if trace else "",
        "inputs": dict(trace.inputs) if trace else {},
        "answer": trace.answer if trace else "",
    }


@app.command("review")
def review_command(
    run: ServedRun,
    since: _Since = None,
    mask: _Mask = False,
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Show which questions and answers would become examples, and what is left out and why. Nothing is written."""
    found = review_feedback(run, since=_from(since), mask=mask, state=state)
    if json:
        print(commands.to_json(_review_record(found)))
        return
    language = asked_language(lang) or own_language()
    for row in found.rows:
        was = spoken("feedback.was", language, text=_line(row.record.rejected[0])) if row.record.rejected else ""
        kind = spoken(f"feedback.kind.{row.kind}", language)
        print(f"{row.record.id}  {kind}  {_line(row.record.question)} → {_line(row.record.answer)} {was}".rstrip())
    for record, open_kind in found.unanswered:
        print(f"{record.id}  {spoken(f'feedback.kind.{open_kind}', language)}  {_line(record.question)}")
    say(spoken("feedback.count", language, n=len(found.rows), open=len(found.unanswered), heard=found.feedback))
    for reason, n in found.left_out.items():
        if n:
            say("  " + spoken(f"feedback.left.{reason}", language, n=n))


def _review_record(found: Review) -> dict[str, Any]:
    return {
        "rows": [{"kind": row.kind, **row.record.to_json()} for row in found.rows],
        "unanswered": [{"kind": kind, **record.to_json()} for record, kind in found.unanswered],
        "left_out": dict(found.left_out),
        "feedback": found.feedback,
    }


@app.command("export")
def export_command(
    run: ServedRun,
    since: _Since = None,
    mask: _Mask = False,
    fresh_test: Annotated[
        float, typer.Option(help="share of the new rows for a test set of their own; the old one is never touched")
    ] = 0.0,
    unanswered: Annotated[
        Path | None, typer.Option(help="JSONL file for questions that nobody has answered rightly yet, for rung label")
    ] = None,
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Write the champion's examples and the new ones as a version of a data set; new ones go to train and dev only."""
    made = export_feedback(
        run, since=_from(since), mask=mask, fresh_test=fresh_test, unanswered=unanswered, state=state
    )
    if json:
        fresh = str(made.fresh_test) if made.fresh_test else None
        print(commands.to_json({"data": made.reference, "added": dict(made.added), "fresh_test": fresh}))
        return
    language = asked_language(lang) or own_language()
    sizes: Sequence[str] = [f"{name} +{n}" for name, n in made.added.items()]
    say(spoken("feedback.exported", language, sizes=", ".join(sizes)))
    print(made.reference if made.version else made.fresh_test)


def _line(text: str) -> str:
    line = " ".join(harmless(text).split())
    return line if len(line) <= _WIDE else line[: _WIDE - 1] + "…"
