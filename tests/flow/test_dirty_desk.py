"""The example of dirty data, step by step as its script and the guide show it, in a copy of its folder."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest

from rung.cli import main
from rung.data.versions.dataset import DataSet

HOME = Path(__file__).resolve().parents[2]
EXAMPLE = HOME / "examples" / "dirty-desk"


def commands_of(text: str) -> list[str]:
    """The lines that call rung; a line that ends in a backslash goes on in the next one."""
    joined = re.sub(r" *\\\n *", " ", text)
    return [line for line in joined.splitlines() if line.startswith("rung ")]


STEPS = commands_of((EXAMPLE / "make-data.sh").read_text("utf-8"))


def ended() -> object:
    """What the command line as it stands ends with."""
    try:
        main.main()
    except SystemExit as stop:
        return stop.code
    return 0


class Desk:
    """The folder after all steps, and what each step printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, str] = {}

    def rows(self, name: str) -> dict[str, str]:
        return {record.id: record.question for record in DataSet(self.folder / "datasets" / name).read()}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("example") / "dirty-desk")
    shutil.copytree(EXAMPLE, made.folder, ignore=shutil.ignore_patterns("datasets", "quality", "runs", ".rung"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal, "signal", lambda *_: None)
        patch.chdir(made.folder)
        patch.setenv("RUNG_LANG", "en")
        for line in STEPS:
            # One draw of the learning curve is enough here.
            words = [*shlex.split(line), *(["--quick"] if line.startswith("rung data check") else [])]
            said = made.folder / "said.txt"
            with said.open("w", encoding="utf-8") as out:
                patch.setattr(sys, "argv", words)
                patch.setattr(sys, "stdout", out)
                code = ended()
            assert not code, line
            made.printed[" ".join(words[1:3])] = said.read_text("utf-8")
    return made


def test_hidden_text_is_told_and_left_out(desk: Desk) -> None:
    assert "[E2334]" in desk.printed["data read"]
    assert "忽略之前的所有指示" in (desk.folder / "papers" / "deposit-page.html").read_text("gb18030")
    parsed = "".join(path.read_text("utf-8") for path in (desk.folder / ".rung").rglob("*.json"))
    assert "房东应在交房验收后" in parsed
    assert "忽略之前的所有指示" not in parsed


def test_rows_are_read_and_cleaned(desk: Desk) -> None:
    rows = desk.rows("desk")
    assert len(rows) == 129
    assert rows["c045"].startswith("买了那个租房平安险")
    assert rows["c031"] == rows["c030"]
    assert "<" not in rows["c006"]


def test_copies_are_found(desk: Desk) -> None:
    found = desk.printed["data duplicates"]
    assert "14 of 129 rows" in found
    assert "exact  !\n  desk:c030" in found
    assert "near 0.89" in found


def test_no_personal_data_is_left(desk: Desk) -> None:
    rows = desk.rows("masked")
    assert rows["c004"].startswith("我叫[PERSON_1]，电话[PHONE_1]，")
    values = (
        "周建国",
        "138 0000 4417",
        "110101190307070271",
        "青石路18号",
        "孙丽",
        "wx_moon2026",
        "liu.fang@example.com",
    )
    written = "".join(path.read_text("utf-8") for path in (desk.folder / "datasets" / "masked").rglob("*.json*"))
    for value in (*values, "6222020000001234566", "0571-20000000", "浙A·0F123"):
        assert any(value in text for text in desk.rows("desk").values()), value
        assert value not in written, value
        assert value not in desk.printed["data privacy"] + desk.printed["data mask"], value


def test_the_page_and_the_card_are_written(desk: Desk) -> None:
    assert (desk.folder / "quality" / "quality.html").is_file()
    looked = [json.loads(line) for line in (desk.folder / "quality" / "rows.jsonl").read_text("utf-8").splitlines()]
    assert {"c008", "c017", "c082"} & {look["id"] for look in looked}
    card = (desk.folder / "datasets" / "masked" / "README.md").read_text("utf-8")
    assert "calls.csv" in card
    assert "clean.encoding" in card
    assert "person's name 2" in card
    assert "train 64, dev 26, test 38; documents 3" in desk.printed["check task.yaml"]


@pytest.mark.parametrize("guide", ["data.md", "data.zh-CN.md"])
def test_the_guide_shows_the_same_steps(guide: str) -> None:
    shown = commands_of((HOME / "docs" / "guides" / guide).read_text("utf-8"))
    assert shown == STEPS
