"""What `rung compare` adds to a report: the gate, p values corrected for all pairs, and both tables of marks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rung.core.durable import write_json
from rung.experiment.comparing.compare import Columns, Gate, compare_files
from rung.reporting.build import build_report
from rung.store.judging import OLD_TABLE, DimensionRow, DimensionTable, SystemMark, read_tables_of, write_table
from rung.store.records import Interval
from rung.store.runs import RunFolder

N = 120


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Three systems of which `third` errs most, gated against `first`."""

    def compared(*, gate: bool = True, group: bool = False) -> RunFolder:
        files = []
        for name, every in (("first", 20), ("second", 60), ("third", 4)):
            path = tmp_path / f"{name}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["id", "answer", "reference", "client"])
                writer.writerows((i, "no" if i % every == 0 else "yes", "yes", f"c{i // 3}") for i in range(N))
            files.append(path)
        columns = Columns(group="client" if group else "")
        asked = Gate("first") if gate else None
        return compare_files(files, columns=columns, margin=0.05, gate=asked, runs=tmp_path / "runs")

    return compared


def pages(run: RunFolder, language: str) -> tuple[str, str]:
    paths = build_report(run, language="zh" if language == "zh" else "en")
    return paths["html"].read_text("utf-8"), paths["md"].read_text("utf-8")


@pytest.mark.parametrize(
    ("language", "shut", "passed", "stopped", "rule"),
    [
        ("en", "The gate is shut", "passed", "stopped", "no worse than first by 5.0 points"),
        ("zh", "门禁拦下", "通过", "拦下", "不比 first 差 5.0 个百分点的系统"),
    ],
)
def test_the_gate_is_shown_line_by_line(
    run: Callable[..., RunFolder], language: str, shut: str, passed: str, stopped: str, rule: str
) -> None:
    html, text = pages(run(), language)
    section = html.split('<section id="gate">')[1].split("</section>")[0]
    assert shut in section
    assert rule in section
    second, third = section.split("<tr>")[1:]
    assert ("second" in second, f">{passed}<" in second) == (True, True)
    assert ("third" in third, f">{stopped}<" in third) == (True, True)
    assert f"**{passed}**" in text
    assert f"**{stopped}**" in text
    assert shut in text


def test_without_a_gate_there_is_no_section(run: Callable[..., RunFolder]) -> None:
    html, text = pages(run(gate=False), "en")
    assert 'id="gate"' not in html
    assert "## Gate" not in text


@pytest.mark.parametrize(("group", "test"), [(False, "exact McNemar test"), (True, "permutation test")])
def test_every_pair_has_its_p_value_before_and_after_correction(
    run: Callable[..., RunFolder], group: bool, test: str
) -> None:
    found = run(group=group)
    html, text = pages(found, "en")
    section = html.split('<section id="pairs">')[1].split("</section>")[0]
    assert test in section
    assert "Holm" in section
    assert "p, corrected" in section
    record = json.loads((found.path / "report.json").read_text("utf-8"))["comparison"]
    close = next(pair for pair in record["pairs"] if {pair["first"], pair["second"]} == {"first", "second"})
    far = [pair for pair in record["pairs"] if pair is not close]
    assert all(pair["p_holm"] < 0.01 and pair["p_holm"] > pair["p_value"] for pair in far)
    for pair in record["pairs"]:
        for value in (pair["p_value"], pair["p_holm"]):
            assert ("&lt; 0.001" if value < 0.001 else f"{value:.3f}") in section
    assert "corrected for 3 pairs" in text


def marks(source: str, name: str, mean: float) -> DimensionTable:
    both = [SystemMark(candidate=side, name=side, mean=Interval(point=mean), marked=9, failed=0) for side in ("a", "b")]
    row = DimensionRow(
        name=name, definition="d", low=1, high=5, systems=tuple(both), change=Interval(point=0.0), pairs=9
    )
    record = {"source": source, "before": "a", "after": "b", "rows": [row.model_dump(mode="json")]}
    return DimensionTable.model_validate(record | {"judge": "m1"} if source == "judge" else record)


def test_marks_by_people_and_by_a_judge_stand_side_by_side(run: Callable[..., RunFolder]) -> None:
    found = run(gate=False)
    for table in (marks("judge", "calm", 2.25), marks("people", "kind", 4.5)):
        write_table(found.path, table)
    html, text = pages(found, "en")
    assert [table.source for table in read_tables_of(found.path)] == ["people", "judge"]
    assert html.index("4.50") < html.index("Mean marks by the judge m1") < html.index("2.25")
    assert "4.50" in text
    assert "2.25" in text
    assert html.count("Before and after, dimension by dimension") == 1


def test_a_table_under_its_old_name_is_read_until_there_is_a_new_one(run: Callable[..., RunFolder]) -> None:
    found = run(gate=False)
    write_json(found.path / OLD_TABLE, marks("people", "kind", 4.5).model_dump(mode="json"))
    write_table(found.path, marks("judge", "calm", 2.25))
    assert [table.rows[0].name for table in read_tables_of(found.path)] == ["kind", "calm"]
    write_table(found.path, marks("people", "newer", 4.0))
    assert [table.rows[0].name for table in read_tables_of(found.path)] == ["newer", "calm"]


def test_recorded_systems_are_not_called_rungs(run: Callable[..., RunFolder]) -> None:
    html, text = pages(run(gate=False), "en")
    assert "Every system" in html
    assert "Rung by rung" not in html
    assert "rung of the plan" not in html + text
    assert "| System |" in text
