"""The report in brief: Markdown that stays text, JSON for programs, and a summary for a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from rung.reporting.letters import width
from rung.reporting.markdown import escape, render_markdown
from rung.reporting.reading import read_run
from rung.reporting.text import show_json, show_text
from rung.reporting.words import Words
from rung.store.runs import RunFolder

MakeRun = Callable[..., RunFolder]


def test_markdown_shows_data_and_obeys_none_of_it(make_run: MakeRun) -> None:
    text = render_markdown(read_run(make_run("text", "en")), Words("en"))
    assert text.startswith("# Fine-tuning is enough\n")
    assert r"\<script\>alert('x')\</script\> \!\[x\](http\://evil.example/p.png) \|" in text
    plain = re.sub(r"\\.", "", text)
    assert "<" not in plain
    assert "![" not in plain
    assert "http://" not in plain
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    heads = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert set(heads) == {9, 7}  # the table of rungs, and the questions side by side: no cell was split


def test_a_line_break_in_a_cell_does_not_end_the_row() -> None:
    assert escape("a\n| b |\n# c") == r"a \| b \| \# c"
    assert escape("see www.evil.example") == r"see www\.evil.example"


def test_markdown_speaks_chinese(make_run: MakeRun) -> None:
    text = render_markdown(read_run(make_run("label", "zh")), Words("zh"))
    assert text.startswith("# 微调就够了\n")
    assert "## 哪些差异是真的" in text
    assert "- 每千次回答的成本：" in text


def test_json_keeps_the_numbers_as_recorded(make_run: MakeRun) -> None:
    run = make_run("label", "en", target=0.8)
    found = json.loads(json.dumps(show_json(run)))
    decision = run.read_decision()
    assert decision
    assert found["schema_version"] == 1
    assert (found["verdict"], found["winner"]) == ("winner", decision.winner)
    assert [s["cost_per_1000"] for s in found["standings"]] == [s.cost_per_1000 for s in decision.standings]
    assert [cell["state"] for cell in found["cells"]][-3:] == ["blocked", "failed", "skipped"]
    assert len(found["cells"]) == 9
    assert sum(found["answers"]["counts"].values()) == 60
    assert found["reason"]["zh"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_terminal_summary_is_aligned(make_run: MakeRun, language: str) -> None:
    text = show_text(make_run("text", language), columns=90)
    lines = text.split("\n")
    head = next(i for i, line in enumerate(lines) if "p50/p95" in line)
    table = lines[head : head + 7]
    # All but the first two columns are flush right, so the last one ends every line at the same place.
    assert len({width(line) for line in table}) == 1
    assert sum(line.startswith("*") for line in table) == 1
    assert "\x1b" not in text
    prose = [line for line in lines if line not in table and not line.startswith("*")]
    assert all(width(line) <= 92 for line in prose)
