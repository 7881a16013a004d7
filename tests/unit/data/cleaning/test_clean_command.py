"""`rung data clean` and `undo`: versions made and brought back, what is printed, and the guide's table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rung import clean_data, undo_data
from rung.cli.data.app import app
from rung.core.errors import UsageError
from rung.data.cleaning.registry import all_steps
from rung.data.cleaning.wanted import Wanted
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Step

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "cleaning.md"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    said = ("房\u200b间很好", "早餐<br>不错", "nan", "位置方便")
    records = [Record(id=str(n), inputs={"text": text}, answers=("好",)) for n, text in enumerate(said)]
    DataSet(tmp_path / "desk").commit(records, [Step(name="import")])
    return tmp_path / "desk"


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(
        app, [str(argument) for argument in arguments], env={"RUNG_LANG": "en", "COLUMNS": "120"}
    )
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_version_is_made_and_undone(desk: Path) -> None:
    before = DataSet(desk).read()
    done = clean_data(desk)
    kept = DataSet(desk).version()
    assert [row.inputs["text"] for row in DataSet(desk).read()] == ["房间很好", "早餐\n不错", "位置方便"]
    assert kept.steps[0].name == "clean.encoding"
    assert {step.name: step.touched for step in kept.steps}["clean.invisible"] == 1
    assert next(step for step in kept.steps if step.name == "clean.html").samples[0].after == "早餐\n不错"
    assert done.kept == kept
    assert clean_data(desk).kept is None
    assert undo_data(desk).rows == 4
    assert DataSet(desk).read() == before


def test_a_dry_run_writes_nothing_and_shows_all(desk: Path) -> None:
    id = DataSet(desk).current
    told = run("clean", desk, "--dry-run")
    assert DataSet(desk).current == id
    assert "- 房‹U+200B›间很好" in told
    assert "+ 房间很好" in told
    assert "\x1b[" not in told
    assert "- nan" in told


def test_json_and_undo_at_the_command_line(desk: Path) -> None:
    found = json.loads(run("clean", desk, "--steps", "html,missing", "--json"))
    assert [step["name"] for step in found["steps"]] == ["clean.html", "clean.missing"]
    assert (found["rows"], found["kept"], found["labels"]) == (3, DataSet(desk).current, True)
    assert "4 rows" in run("undo", desk)


def test_a_merge_map_that_is_none_is_refused(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text('["a"]')
    for arguments, code in (
        (("--merge", tmp_path / "map.json"), "E2276"),
        (("--script", "kanji"), "E2277"),
        (("--form", "NFD"), "E2278"),
    ):
        result = CliRunner().invoke(app, ["clean", str(desk), *map(str, arguments)])
        assert isinstance(result.exception, UsageError)
        assert result.exception.problems[0].code == code
    with pytest.raises(UsageError, match="hmtl"):
        clean_data(desk, Wanted(steps=("hmtl",)))


def test_the_list_and_the_guide_name_every_step() -> None:
    told = run("clean", "--list")
    guide = GUIDE.read_text("utf-8")
    for info in all_steps():
        assert f"{info.name:<12}" in told
        assert f"| `{info.name}` | {'yes' if info.default else 'on request'} | {info.en} |" in guide


def test_samples_of_steps_show_no_personal_data(tmp_path: Path) -> None:
    said = "电话13812345678，邮箱zhang.san@example.com，押金什么时候退？<br>"
    DataSet(tmp_path / "desk").commit([Record(id="1", inputs={"text": said})], [Step(name="import")])
    shown = run("clean", tmp_path / "desk", "--json")
    manifest = (tmp_path / "desk" / "versions" / DataSet(tmp_path / "desk").current / "manifest.json").read_text(
        "utf-8"
    )
    for text in (shown, manifest):
        assert "clean.html" in text
        assert "13812345678" not in text
        assert "zhang.san" not in text


def test_an_empty_question_in_a_file_is_for_the_step_to_drop_and_a_broken_row_is_told(tmp_path: Path) -> None:
    lines = [json.dumps({"question": f"q{n}" if n else "", "answer": f"a{n}"}) for n in range(200)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, "{broken"]), "utf-8")
    told = CliRunner().invoke(app, ["clean", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "b.jsonl")])
    assert told.exit_code == 0
    assert "E2206: 1" in told.stderr
    assert "[E2283]" in told.stderr
    assert len((tmp_path / "b.jsonl").read_text("utf-8").splitlines()) == 199
