"""Builds the report of a run: `report.html`, `report.md` and `report.json`, from what lies in its folder."""

from __future__ import annotations

from pathlib import Path

from rung.core.durable import write_json, write_text
from rung.core.task import Language
from rung.reporting.aggregate import aggregate
from rung.reporting.charts import draw
from rung.reporting.ladder import build_ladder
from rung.reporting.markdown import render_markdown
from rung.reporting.numbers import Numbers
from rung.reporting.page import render_page
from rung.reporting.reading import read_run
from rung.reporting.words import Words
from rung.store.runs import RunFolder


def build_report(run: RunFolder, *, language: Language | None = None) -> dict[str, Path]:
    """Write the three reports beside the run's records and return their paths by kind: html, md, json.

    `language`: of the page and the Markdown; the task's own by default. A run that is not finished, or has no verdict, gets a
    report of what is there. Raises DataError E2901 for a damaged record, WriteError E5001 or E5002.
    """
    reading = read_run(run)
    words = Words(language or reading.task.language)
    ladder = build_ladder(reading, words)
    target = reading.decision.target if reading.decision else reading.task.target
    pictures = draw(ladder, words, Numbers(words, reading.currency), target)
    paths = {kind: run.path / f"report.{kind}" for kind in ("html", "md", "json")}
    write_text(paths["html"], render_page(reading, words, pictures))
    write_text(paths["md"], render_markdown(reading, words))
    write_json(paths["json"], aggregate(reading))
    return paths
