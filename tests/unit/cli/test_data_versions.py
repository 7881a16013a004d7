"""`rung data log`, `show`, `diff`, `card` on a small data set, in both languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rung.cli.data.app import app
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Source, Step


@pytest.fixture
def desk(tmp_path: Path) -> DataSet:
    dataset = DataSet(tmp_path / "desk")
    rows = [Record(id=f"r{i}", inputs={"question": f"押金什么时候退？{i}"}, answers=("是",)) for i in range(4)]
    own = Source(name="desk.csv", rows=4, format="csv", licence="CC-BY-4.0")
    dataset.commit(rows, [Step(name="import", rows_after=4)], sources=[own, Source(name="web|page.html")])
    masked = [rows[0].model_copy(update={"inputs": {"question": "押金 [PHONE_1]"}, "synthetic": True}), *rows[1:3]]
    masked[1] = masked[1].model_copy(update={"split": "test"})
    dataset.commit(masked, [Step(name="mask", rows_before=4, rows_after=3, touched=1, counts={"phone": 1})])
    return dataset


def test_log_and_show_tell_the_history(desk: DataSet) -> None:
    ran = CliRunner().invoke(app, ["log", str(desk.folder)])
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [version.id for version in desk.history()]
    assert "mask (4 -> 3)" in lines[0]
    shown = json.loads(CliRunner().invoke(app, ["show", str(desk.folder), "--json", "--rows", "1"]).stdout)
    assert (shown["rows"], len(shown["first"])) == (3, 1)


def test_diff_says_what_came_went_moved_and_changed(desk: DataSet) -> None:
    ran = CliRunner().invoke(app, ["diff", str(desk.folder)])
    assert "- r3" in ran.stdout
    assert "r1: - -> test" in ran.stdout
    assert "+ 押金 [PHONE_1]" in ran.stdout
    first = desk.history()[1].id
    same = CliRunner().invoke(app, ["diff", f"{desk.folder}@{first}", f"{desk.folder}@{first}", "--json"])
    assert json.loads(same.stdout)["same"] == 4


@pytest.mark.parametrize(("language", "unsaid", "kind"), [("en", "not said", "phone"), ("zh", "未说明", "电话号码")])
def test_the_card_names_sources_steps_and_limits(
    desk: DataSet, tmp_path: Path, language: str, unsaid: str, kind: str
) -> None:
    out = tmp_path / "README.md"
    ran = CliRunner().invoke(app, ["card", str(desk.folder), "--lang", language, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    card = out.read_text("utf-8")
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "other"
    assert head["language"] == ["zh"]
    assert "synthetic" in head["tags"]
    assert unsaid in card
    assert "web\\|page.html" in card
    assert f"{kind} 1" in card
    assert "{" not in card
