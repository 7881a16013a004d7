"""`rung data privacy`, `mask` and `unmask`: what they print never holds a value, and where their results go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rung.cli.data.app import app
from rung.cli.data.privacy import find_personal_data, mask_data, unmask_data
from rung.core.errors import UsageError
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Source, Step

TEXT = "客户陈晓明，手机13812345678"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    rows = [Record(id="1", inputs={"question": TEXT}), Record(id="2", inputs={"question": "怎么退货？"})]
    DataSet(tmp_path / "desk").commit(rows, [Step(name="import")], sources=[Source(name="a.csv", licence="own")])
    return tmp_path / "desk"


def test_privacy_says_how_much_and_no_value(desk: Path) -> None:
    said = CliRunner().invoke(app, ["privacy", str(desk), "--json"]).output
    found = json.loads(said[said.index("{") :])
    assert found["kinds"]["phone"]["found"] == 1
    assert found["touched"] == 1
    for arguments in (["privacy", str(desk)], ["mask", str(desk), "--style", "surrogate"]):
        said = CliRunner().invoke(app, arguments).output
        assert "13812345678" not in said
        assert "陈晓明" not in said


def test_documents_are_looked_through(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(f"# 说明\n\n{TEXT}\n", "utf-8")
    found = find_personal_data(tmp_path / "docs")
    assert {count.kind: count.found for count in found.counts} == {"person": 1, "phone": 1}


def test_masking_a_data_set_makes_a_version_and_says_what_still_holds_the_values(desk: Path) -> None:
    done = mask_data(desk)
    data = DataSet(desk)
    assert data.read()[0].inputs["question"] == "客户[PERSON_1]，手机[PHONE_1]"
    step = data.version().steps[0]
    assert (step.name, step.touched, step.counts) == ("mask", 1, {"person": 1, "phone": 1})
    assert done.earlier == (data.version().parent,)
    assert done.left.touched == 0
    assert mask_data(desk).earlier == ()
    assert len(data.log()) == 2


def test_a_masked_data_set_of_its_own_has_no_past(desk: Path, tmp_path: Path) -> None:
    done = mask_data(desk, out=tmp_path / "masked", reversible=tmp_path / "maps" / "m.json")
    assert done.earlier == ()
    masked = DataSet(tmp_path / "masked")
    assert masked.version().parent == ""
    assert masked.version().sources[0].licence == "own"
    assert [step.name for step in masked.version().steps] == ["import", "mask"]
    assert not [p for p in (tmp_path / "masked").rglob("*") if p.is_file() and b"13812345678" in p.read_bytes()]
    back = unmask_data(tmp_path / "masked", map=tmp_path / "maps" / "m.json", out=tmp_path / "plain")
    assert DataSet(tmp_path / "plain").read() == DataSet(desk).read()
    assert back


def test_maps_are_refused_beside_the_data_and_for_other_maskings(desk: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        mask_data(desk, reversible=desk / "map.json")
    assert error.value.code == "E2911"
    with pytest.raises(UsageError) as error:
        mask_data(desk, out=tmp_path / "out" / "rows.jsonl", reversible=tmp_path / "out" / "map.json")
    assert error.value.code == "E2911"
    mask_data(desk, out=tmp_path / "one", reversible=tmp_path / "maps" / "1.json")
    mask_data(desk, out=tmp_path / "two", reversible=tmp_path / "maps" / "2.json")
    with pytest.raises(UsageError) as error:
        unmask_data(tmp_path / "one", map=tmp_path / "maps" / "2.json", out=tmp_path / "x.jsonl")
    assert error.value.code == "E2916"
    with pytest.raises(UsageError) as error:
        unmask_data(tmp_path / "one", map=tmp_path / "maps" / "none.json", out=tmp_path / "x.jsonl")
    assert error.value.code == "E2912"


def test_later_rows_get_numbers_of_their_own(desk: Path) -> None:
    mask_data(desk, style="surrogate")
    data = DataSet(desk)
    data.commit([*data.read(), Record(id="3", inputs={"question": "电话13900002222"})], [Step(name="import")])
    mask_data(desk, style="surrogate")
    texts = [row.inputs["question"] for row in data.read()]
    assert texts[2] == "电话10000000002"
    assert "10000000001" in texts[0]
