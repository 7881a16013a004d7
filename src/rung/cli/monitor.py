"""`rung monitor`: whether what is served is still what was proved."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang, RunPath
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.cli.traffic import StateFolder, moment_of, open_traffic

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.store.watch import Watch

ALPHA = 0.01


def monitor(
    run: Path = Path("runs"),
    *,
    since: str = "7d",
    state: Path | None = None,
    encoder: str = "",
    alpha: float = ALPHA,
    language: Language | None = None,
) -> Watch:
    """Hold the champion's served answers against its test answers, and name what has changed.

    `since`: how far back ('7d', '12h') or from which day ('2026-11-01'). `state`: the folder that `rung serve` was given.
    `encoder`: a name as in task.yaml, by whose measure questions are unlike each other; their letters when empty. `alpha`: how
    often one look may ring for nothing. Raises UsageError E1301, E1307, E7060, E7061, E7062; and as `Traffic.open`.
    """
    from rung.core.answer import create_encoder
    from rung.monitoring.baseline import read_baseline
    from rung.monitoring.watch import Look, watch
    from rung.store.deployment import Deployment
    from rung.store.runs import RunFolder

    deployment = Deployment.at(run, state)
    champion = deployment.champion
    baseline = read_baseline(RunFolder(champion.run), champion.candidate)
    now = datetime.now(UTC)
    look = Look(
        moment_of(since, now),
        now,
        alpha=alpha,
        encoder=create_encoder(encoder) if encoder else None,
        language=language or own_language(),
    )
    with open_traffic(deployment.folder) as traffic:
        return watch(traffic, baseline, look)


def monitor_command(
    run: RunPath = Path("runs"),
    since: Annotated[str, typer.Option(help="how far back: 12h, 7d, 4w; or a day such as 2026-11-01")] = "7d",
    state: StateFolder = None,
    html: Annotated[Path | None, typer.Option(help="write a page with charts here")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="write Prometheus metrics here, for a textfile collector")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="sentence encoder that tells questions apart, such as minilm; their letters when absent")
    ] = "",
    alpha: Annotated[float, typer.Option(help="how often one look may ring for nothing", min=0.0001, max=0.2)] = ALPHA,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Compare what is served with what was proved: questions, answers, retrieval, speed, cost, failures and feedback.

    Every alarm names its cause, its numbers and a next step. Example: **rung monitor runs/my-run --since 7d --html now.html**
    """
    from rung.core.durable import write_text
    from rung.monitoring.gauges import drift_gauges
    from rung.reporting.watch import watch_page, watch_text

    language = asked_language(lang) or own_language()
    found = monitor(run, since=since, state=state, encoder=encoder, alpha=alpha, language=language)
    if html is not None:
        write_text(html, watch_page(found, language))
        say(spoken("monitor.page", language, path=html))
    if metrics is not None:
        write_text(metrics, "".join(f"{line}\n" for line in drift_gauges(found)))
    print(
        commands.to_json(found.model_dump(mode="json")) if json else watch_text(found, language),
        end="\n" if json else "",
    )
