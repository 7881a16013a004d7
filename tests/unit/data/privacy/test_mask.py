"""Masking: one pseudonym for one value, spans that move along, twice is once, and the way back for whoever holds the map."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.errors import DataError, UsageError
from rung.data.privacy.find import find_personal
from rung.data.privacy.mask import Masker, Style, unmask_records
from rung.data.privacy.mask_map import MaskMap, refuse_near
from rung.data.privacy.redact import redact
from rung.data.privacy.survey import survey_records
from rung.data.privacy.veil import veil
from rung.data.record import Record, Span, Turn

STYLES: tuple[Style, ...] = ("tag", "surrogate", "partial")
SECRETS = ("13812345678", "11010519491231002X", "陈晓明", "rosa.parker@mail.org", "Rosa Parker", "6222020000155363534")


def rows() -> list[Record]:
    return [
        Record(
            id="1",
            inputs={"question": "客户陈晓明（身份证号11010519491231002X）来电，手机13812345678。"},
            answers=("已回电13812345678",),
            extra={"note": {"tel": ["+86 138-1234-5678", "无"]}, "n": 7},
            subject="陈晓明",
        ),
        Record(
            id="2",
            messages=(
                Turn(role="user", content="My name is Rosa Parker, mail rosa.parker@mail.org"),
                Turn(role="assistant", content="Thanks, I wrote to rosa.parker@mail.org."),
            ),
            labelled={"ann": "kept card 6222020000155363534"},
        ),
        Record(id="3", inputs={"question": "怎么退货？"}),
    ]


@pytest.mark.parametrize("style", STYLES)
def test_no_value_is_left_anywhere_and_twice_is_once(style: Style) -> None:
    masker = Masker(style)
    masked = masker.records(rows())
    written = json.dumps([row.to_json() for row in masked], ensure_ascii=False) + masker.step(3).model_dump_json()
    assert not [value for value in SECRETS if value in written]
    assert "138-1234-5678" not in written
    again = Masker(style)
    assert again.records(masked) == masked
    assert again.touched == 0
    assert masked[2] == rows()[2]


def test_the_same_number_in_other_writing_is_the_same_pseudonym() -> None:
    masked = Masker().records(rows())[0]
    phone = masked.answers[0].removeprefix("已回电")
    assert phone == "[PHONE_1]"
    assert masked.inputs["question"].endswith(f"手机{phone}。")
    assert masked.extra["note"]["tel"] == [phone, "无"]
    assert masked.subject == "[PERSON_1]"
    assert masked.extra["n"] == 7


def test_two_maskers_agree_on_nothing_but_the_form() -> None:
    a, b = Masker(), Masker()
    a.text("电话13900001111")
    assert a.text("电话13812345678").text == "电话[PHONE_2]"
    assert b.text("电话13812345678").text == "电话[PHONE_1]"
    assert "13812345678" not in repr(vars(a))


def test_new_people_never_get_the_numbers_of_masked_ones() -> None:
    before = [Record(id="1", inputs={"q": "[PHONE_7]打来"}), Record(id="2", inputs={"q": "电话13812345678"})]
    assert Masker().records(before)[1].inputs["q"] == "电话[PHONE_8]"
    assert Masker(last={"PHONE": 11}).records(before)[1].inputs["q"] == "电话[PHONE_12]"


@pytest.mark.parametrize("style", STYLES)
def test_spans_mark_the_same_after_masking(style: Style) -> None:
    text = "客户陈晓明来电，手机13812345678，要求退款。"
    marks = {"陈晓明": "who", "13812345678": "phone", "退款": "what", "手机13812345678": "wide", "5678，要求": "cut"}
    spans = tuple(Span(start=text.index(t), end=text.index(t) + len(t), label=name) for t, name in marks.items())
    masked = Masker(style).record(Record(id="1", inputs={"q": text}, spans=spans))
    said = masked.inputs["q"]
    marked = {span.label: said[span.start : span.end] for span in masked.spans}
    assert marked["what"] == "退款"
    assert marked["wide"] == "手机" + marked["phone"]
    assert marked["cut"] == marked["phone"] + "，要求"
    assert said.startswith("客户" + marked["who"] + "来电")


@pytest.mark.parametrize("style", ["tag", "surrogate"])
def test_there_and_back(tmp_path: Path, style: Style) -> None:
    text = "客户陈晓明，手机13812345678或138-1234-5678"
    marked = Record(
        id="9", inputs={"q": text}, spans=(Span(start=2, end=5, label="who"), Span(start=8, end=19, label="tel"))
    )
    before = [*rows(), marked]
    kept = MaskMap()
    masked = Masker(style, map=kept).records(before)
    kept.write(tmp_path / "map.json")
    assert stat.S_IMODE((tmp_path / "map.json").stat().st_mode) == 0o600
    assert unmask_records(masked, MaskMap.read(tmp_path / "map.json")) == before


def test_a_map_goes_on_and_forgets(tmp_path: Path) -> None:
    kept = MaskMap()
    first = Masker(map=kept).records(rows())
    kept.write(tmp_path / "m.json")
    kept = MaskMap.read(tmp_path / "m.json")
    more = Masker(map=kept).records([Record(id="4", inputs={"q": "13812345678和13900001111"})])
    assert more[0].inputs["q"] == "[PHONE_1]和[PHONE_2]"
    assert kept.forget(lambda text: "1381234" in text.replace("-", "").replace(" ", "")) == 1
    assert unmask_records(first, kept)[0].answers == ("已回电[PHONE_1]",)
    assert "13812345678" not in repr(kept)


def test_a_map_never_lies_with_the_data(tmp_path: Path) -> None:
    for path in (tmp_path / "set" / "map.json", tmp_path / "set" / "versions" / "x" / "map.json"):
        with pytest.raises(UsageError) as error:
            refuse_near(path, tmp_path / "set")
        assert error.value.code == "E2911"
    refuse_near(tmp_path / "maps" / "map.json", tmp_path / "set", None)
    (tmp_path / "bad.json").write_text('{"schema": 1, "entries": "13812345678"')
    with pytest.raises(DataError) as damaged:
        MaskMap.read(tmp_path / "bad.json")
    assert damaged.value.code == "E2913"
    assert "13812345678" not in str(damaged.value)


def test_partial_cannot_be_undone() -> None:
    with pytest.raises(UsageError) as error:
        Masker("partial", map=MaskMap())
    assert error.value.code == "E2914"


def test_ids_that_are_personal_stay_unlike() -> None:
    masked = Masker("partial").records([Record(id="13812345678"), Record(id="13812345698")])
    assert len({row.id for row in masked}) == 2
    assert not any("3812345" in row.id for row in masked)


def test_veil_never_shows_more_than_half() -> None:
    for kind, text in (("phone", "13812345678"), ("email", "ab@cd.com"), ("person", "陈晓明"), ("plate", "京A12345")):
        assert sum(char != "*" for char in veil(kind, text)) <= len(text) // 2 + 1, kind
    assert set(veil("password", "hunter2!")) == {"*"}


def test_survey_counts_and_shows_no_value() -> None:
    found = survey_records([*rows(), Record(id="13812345678")])
    counts = {count.kind: (count.found, count.rows) for count in found.counts}
    assert counts["phone"] == (4, 2)
    assert found.touched == 3
    written = json.dumps(found.to_json(), ensure_ascii=False) + repr(found)
    assert not [value for value in SECRETS if value in written]


PIECES = (
    "张伟",
    "客户",
    "13812345678",
    "，",
    " ",
    "a@b.com",
    "地址",
    "北京市海淀区中关村大街27号",
    "John Smith",
    "1",
    "号",
    "密码是",
    "Ab1!xyz",
    "\n",
    "*",
    "[PHONE_1]",
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from(STYLES))
def test_masking_twice_changes_nothing(text: str, style: Style) -> None:
    once = Masker(style).text(text).text
    assert Masker(style).text(once).text == once


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_map_gives_back_exactly_what_was_there(text: str) -> None:
    kept = MaskMap()
    record = Record(id="1", inputs={"q": text.replace("[PHONE_1]", "")})
    assert unmask_records(Masker(map=kept).records([record]), kept) == [record]


def test_found_pieces_are_where_they_say() -> None:
    text = "客户陈晓明来电13812345678"
    assert all(text[hit.start : hit.end] == hit.text for hit in find_personal(text))


def test_redacted_text_keeps_its_sense_and_no_value() -> None:
    assert redact("行3：客户陈晓明，密码是Ab1!xyz9，手机13812345678") == "行3：客户陈**，密码是****，手机1********"
    assert redact("label 'refund' is unknown") == "label 'refund' is unknown"
