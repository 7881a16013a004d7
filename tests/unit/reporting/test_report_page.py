"""The page: says what was decided, shows every rung, lets nothing of the data run or load, and works for unfinished runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_runs import MODEL, finished_run

from rung.core.errors import DataError, Problem
from rung.reporting.build import build_report
from rung.reporting.charts import Pictures
from rung.reporting.page import render_page
from rung.reporting.reading import read_run
from rung.reporting.text import show_json, show_text
from rung.reporting.words import Words
from rung.store.records import Cell, Interval, Outcome, Pair, Stated
from rung.store.runs import RunFolder

MakeRun = Callable[..., RunFolder]
LOADING = {
    "script",
    "img",
    "link",
    "iframe",
    "object",
    "embed",
    "video",
    "audio",
    "source",
    "base",
    "form",
    "image",
    "use",
}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.policy = ""
        self.text = ""
        self._style = False
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag in {"dd", "td", "p", "li"} else ""
        self.attributes += [(name, value or "") for name, value in attrs]
        self._style = tag == "style"
        found = dict(attrs)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data


def page_of(run: RunFolder, language: str | None = None) -> Page:
    """The page without pictures, which take seconds to draw."""
    reading = read_run(run)
    return Page(render_page(reading, Words(language or reading.task.language), Pictures()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """Two reports with all their pictures, in both languages."""
    folder = tmp_path_factory.mktemp("runs")
    runs = {
        "en": finished_run(folder / "en", "label", "en"),
        "zh": finished_run(folder / "zh", "text", "zh", target=0.8),
    }
    for run in runs.values():
        build_report(run)
    return runs


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_runs_and_nothing_loads(built: dict[str, RunFolder], language: str) -> None:
    html = (built[language].path / "report.html").read_text("utf-8")
    page = Page(html)
    assert set(page.tags) & LOADING == set()
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    sources = [
        value for name, value in page.attributes if name in {"src", "href", "xlink:href", "srcset", "action", "style"}
    ]
    assert [value for value in sources if not value.startswith("#")] == []
    assert "url(" not in html
    assert "@import" not in html
    # The hostile text is there to be read, and only to be read.
    assert "<script>alert('x')</script>" in page.text
    assert "\x1b" not in html


def test_the_policy_forbids_everything_but_the_one_style_sheet(built: dict[str, RunFolder]) -> None:
    html = (built["en"].path / "report.html").read_text("utf-8")
    style = html.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = Page(html).policy
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_pictures_are_text_in_svg_with_a_description(built: dict[str, RunFolder]) -> None:
    html = (built["zh"].path / "report.html").read_text("utf-8")
    drawn = re.findall(r'role="img" aria-label="([^"]+)"><svg(.*?)</svg>', html, re.S)
    assert len(drawn) == 6  # two pictures in two widths, two panels of curves
    assert all(label for label, _ in drawn)
    assert all(">检索增强（RAG）</text>" in svg for _, svg in drawn[:4])
    assert "Noto Sans CJK SC" in html
    assert "var(--winner)" in html


def test_the_verdict_comes_first(make_run: MakeRun) -> None:
    page = page_of(make_run("label", "en"))
    start = page.text.index("Verdict Fine-tuning is enough Fine-tuning answers 8 of 10")
    assert start < page.text.index("Quality against cost") < page.text.index("Every rung of the plan")
    for said in (
        "Cost per 1,000 answers $0.031",
        "typical (p50); 95 of 100 take at most 216 ms",
        "$0.41 took 4 min 20 s",
    ):
        assert said in page.text


@pytest.mark.parametrize(
    ("verdict", "en", "zh"),
    [
        ("winner", "Fine-tuning is enough", "微调就够了"),
        ("tie", "A tie at the top: take the cheapest, Fine-tuning", "选最省钱的：微调"),
        ("unresolved", "This test is too small to name a winner", "测试题太少"),
        ("target_not_met", "Nothing here reaches the target of 80.0%", "没有一种方法达到 80.0% 的目标"),
        ("nothing_to_compare", "There is nothing to compare", "没有可以比较的对象"),
    ],
)
def test_every_verdict_has_its_line_in_both_languages(make_run: MakeRun, verdict: str, en: str, zh: str) -> None:
    run = make_run("label", "en", verdict=verdict, target=0.8)
    assert en in page_of(run).text
    chinese = page_of(run, "zh").text
    assert zh in chinese
    assert "微调后的模型在测试集上十题能答对八题" in chinese


def test_an_unresolved_run_says_how_many_questions_would_settle_it(make_run: MakeRun) -> None:
    text = page_of(make_run(verdict="unresolved")).text
    assert "Test questions that would settle it 410" in text
    assert "Smallest difference this test can tell (80% power) 12.7 points" in text


def test_a_test_that_nobody_was_allowed_to_win_is_not_called_too_small(make_run: MakeRun) -> None:
    run = make_run(verdict="unresolved")
    decision = run.read_decision()
    assert decision
    out = tuple(standing.model_copy(update={"eligible": False}) for standing in decision.standings)
    run.write_decision(decision.model_copy(update={"standings": out}))
    assert "No rung keeps the limits of this task" in page_of(run).text


def test_ties_without_a_winner_are_ties_with_the_best(make_run: MakeRun) -> None:
    run = make_run(verdict="unresolved")
    decision = run.read_decision()
    assert decision
    run.write_decision(decision.model_copy(update={"ties": (decision.standings[0].candidate,)}))
    text = page_of(run).text
    assert "cannot be told from the best" in text
    assert "cannot be told from the winner" not in text


def test_scores_stand_with_and_without_the_questions_that_train_holds_too(make_run: MakeRun) -> None:
    run = make_run()
    name = next(o.candidate for o in run.outcomes() if o.cell.method == "fine_tune")
    evaluation = run.read_evaluation(name, "test")
    assert evaluation
    fewer = evaluation.summaries["accuracy"].model_copy(update={"n": 50, "value": 0.71, "low": 0.6, "high": 0.8})
    apart = {"copies": 10, "summaries": {"accuracy": fewer.model_dump(mode="json")}}
    run.write_evaluation(replace(evaluation, extra={"without_copies": apart}))
    said = "71.0% (60.0–80.0%) without the 10 test questions that train or dev holds too, or nearly"
    assert page_of(run).text.count(said) == 1
    assert "去掉训练集或开发集里也有（或近似）的 10 道测试题后为 71.0%（60.0–80.0%）" in page_of(run, "zh").text
    cells = {cell["method"]: cell["without_copies"] for cell in show_json(run)["cells"]}
    assert (cells["fine_tune"], cells["prompt"]) == (apart, None)
    run.write_evaluation(replace(evaluation, extra={"without_copies": {"copies": 60, "summaries": {}}}))
    assert "– without the 60 test questions" in page_of(run).text


def test_codes_are_read_in_the_readers_language_whatever_the_runs(make_run: MakeRun) -> None:
    run = make_run("label", "en")
    plan = run.read_plan()
    assert plan
    cell = Cell(method="contrastive", model=MODEL, rank=95, blockers=("E2404", "A plug-in's own sentence."))
    error = DataError(
        "E2310",
        where="pairs.jsonl:3",
        problems=[Problem("E2407", "task.yaml:9", {"method": "preference", "name": "beta", "known": "-"})],
    )
    failed = Outcome(
        cell=Cell(method="preference", model=MODEL, rank=90),
        status="failed",
        reason=str(error),
        problems=Stated.of(error),
    )
    skipped = Outcome(cell=Cell(method="soft_prompt", model=MODEL, rank=92), status="skipped", reason="E4101")
    run.write_plan(plan.model_copy(update={"cells": (*plan.cells, cell)}))
    for outcome in (failed, skipped):
        run.write_outcome(outcome)
    said = {language: (page_of(run, language).text, show_text(run, language)) for language in ("en", "zh")}
    for shown in said["zh"]:
        joined = "".join(shown.split())
        assert "任务没有可供检索的文档。A plug-in's own sentence.".replace(" ", "") in joined
        assert "方法preference没有设置项“beta”" in joined
        assert "更便宜的一级已达到目标。" in joined
        assert "E4101" not in joined
    for shown in said["en"]:
        joined = " ".join(shown.split())
        assert "The task has no documents to retrieve from." in joined
        assert "The method preference has no setting 'beta'." in joined
        assert "A cheaper rung already reaches the target." in joined


def test_the_table_holds_every_cell_with_its_reason(make_run: MakeRun) -> None:
    text = page_of(make_run("text", "en", target=0.8)).text
    assert "Preference tuning preference · smollm2-135m Could not run. No pairs." in text
    assert "Failed. Out of memory." in text
    assert "Skipped. The budget was spent." in text
    assert "not converged: its budget stopped it" in text
    assert "latency (p95) 846 ms, limit 840 ms" in text
    assert "57 scored 3 failed" in text
    assert "180 in 6 out" in text


def test_pairs_are_told_with_the_better_one_first(make_run: MakeRun) -> None:
    run = make_run()
    decision = run.read_decision()
    assert decision
    names = {s.method: s.candidate for s in decision.standings}
    gap = Interval(point=-0.2, low=-0.3, high=-0.12)
    same = Interval(point=0.001, low=-0.02, high=0.025)
    open_ = Interval(point=0.02, low=-0.031, high=0.08)
    pairs = tuple(
        Pair(candidate=names[one], other=names["fine_tune"], difference=difference)
        for one, difference in (("baseline", gap), ("rag", same), ("few_shot", open_))
    )
    run.write_decision(decision.model_copy(update={"pairs": pairs}))
    text = page_of(run).text
    assert "Fine-tuning is better than Baseline by 12.0 to 30.0 points." in text
    assert (
        "Retrieval (RAG) and Fine-tuning are equally good to within the margin of 3.0 points (−2.0 to +2.5 points)."
        in text
    )
    assert "No difference can be told between Few-shot prompting and Fine-tuning (−3.1 to +8.0 points)." in text
    # Where less is better, the same numbers mean the opposite.
    run.write_decision(decision.model_copy(update={"pairs": pairs[:1], "better": "lower"}))
    assert "Baseline is better than Fine-tuning by 12.0 to 30.0 points." in page_of(run).text


def test_trials_openings_data_and_command_are_there(make_run: MakeRun) -> None:
    text = page_of(make_run()).text
    assert "phrasing polite" in text
    assert "The test set was opened 6 times." in text
    assert "Train 140 examples" in text
    assert "Rejected rows 2" in text
    assert "Duplicates exact: 3, within a split: 1, across splits: 2" in text
    assert "Documents that could not be read 1" in text
    assert "Files questions.csv (encoding: utf-8, rows: 242)" in text
    assert "The test split has only 60 examples" in text
    assert "rung run task.yaml --all" in text
    assert "x86_64, 8 cores, 15.6 GiB memory, no GPU" in text
    assert "A simple program without a language model" in text


def test_a_run_without_a_verdict_reports_what_is_known(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "decision.json").unlink()
    page = page_of(run)
    assert "No verdict yet This run is not finished: 6 of 9 rungs are done." in page.text
    assert "89.8%" in page.text
    assert "Winner" not in page.text
    assert show_json(run)["verdict"] is None
    assert "No verdict yet" in show_text(run)


def test_a_run_that_has_only_begun_is_reported_too(make_run: MakeRun) -> None:
    run = make_run()
    for path in [
        *run.path.glob("evaluations/*"),
        *run.path.glob("cells/*"),
        run.path / "decision.json",
        run.openings_path,
    ]:
        path.unlink()
    (run.path / "examples.jsonl").unlink()
    paths = build_report(run, language="zh")
    text = Page(paths["html"].read_text("utf-8")).text
    assert "尚无结论" in text
    assert "尚未运行。" in text
    assert "还没有任何测试结果" in text
    assert "测试集尚未启用。" in text
    assert json.loads(paths["json"].read_text("utf-8"))["cells"][0]["state"] == "waiting"
    (run.path / "plan.json").unlink()
    assert "尚无结论" in Page(build_report(run, language="zh")["html"].read_text("utf-8")).text


def test_a_candidate_whose_evaluation_is_missing_stays_in_the_table(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "decision.json").unlink()
    outcome = next(o for o in run.outcomes() if o.cell.method == "rag")
    for path in run.path.glob(f"evaluations/{outcome.candidate}.*"):
        path.unlink()
    assert "Made, but not opened on test." in page_of(run).text


def test_recorded_answers_need_no_training_no_documents_and_no_cost(tmp_path: Path) -> None:
    systems = tuple(("recorded", name, share, 0.0, 0.5, 0.0) for name, share in (("a.jsonl", 0.6), ("b.jsonl", 0.8)))
    run = finished_run(tmp_path / "compare", "label", "en", ladder=systems, winner="recorded", others=False)
    html = build_report(run)["html"].read_text("utf-8")
    page = Page(html)
    assert "b.jsonl wins" in page.text
    assert "Recorded answers" not in page.text
    assert "right only with b.jsonl" in page.text
    assert "Whether those who made them had seen the questions before cannot be told from here." in page.text
    assert "Before and after" not in page.text
    assert "picture of cost" not in page.text
    assert html.count('role="img"') == 2
    assert "Training and tuning, once" not in page.text


def test_damaged_records_are_named(make_run: MakeRun) -> None:
    run = make_run()
    examples = run.path / "examples.jsonl"
    examples.write_text('{"id": 1\n', "utf-8")
    with pytest.raises(DataError) as caught:
        read_run(run)
    assert caught.value.code == "E2901"
    assert "examples.jsonl" in str(caught.value)
    examples.unlink()
    decision = json.loads((run.path / "decision.json").read_text("utf-8"))
    (run.path / "decision.json").write_text(json.dumps({**decision, "verdict": "draw"}), "utf-8")
    with pytest.raises(DataError) as caught:
        read_run(run)
    assert caught.value.code == "E2901"
    assert "verdict" in str(caught.value)
