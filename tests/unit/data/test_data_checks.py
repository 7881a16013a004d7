"""check_data: each trouble planted in a clean set is found, and a clean set has none."""

from __future__ import annotations

import re

import pytest

from rung.core.errors import catalogue
from rung.core.task import Document, Example, OutputSpec, Task
from rung.data.checks import check_data
from rung.data.findings import Finding

LABEL = Task(name="t", instruction="i", inputs=("text",), output=OutputSpec(kind="label"), metrics=("accuracy",))
TEXT = LABEL.model_copy(update={"output": OutputSpec(kind="text")})


def example(id: str, text: str, answer: str = "", documents: tuple[str, ...] = ()) -> Example:
    return Example(id, {"text": text}, (answer or "ab"[hash_of(id) % 2],), documents=documents)


def hash_of(id: str) -> int:
    return sum(map(ord, id))


CLEAN = [example(f"c{n}", f"a plain question about card number {n}") for n in range(60)]


def found(extra: list[Example], task: Task = LABEL, documents: tuple[Document, ...] = ()) -> dict[str, Finding]:
    findings = check_data([*CLEAN, *extra], task, documents)
    for finding in findings:
        for language in ("en", "zh"):
            assert not re.search(r"\{\w+\}", finding.message(language) + finding.hint(language))
        assert Finding.from_json(finding.to_json()) == finding
    levels = [("error", "warning", "info").index(finding.level) for finding in findings]
    assert levels == sorted(levels)
    return {finding.code: finding for finding in findings}


def test_a_clean_set_has_counts_and_no_trouble() -> None:
    assert {code: finding.values for code, finding in found([]).items()} == {"E2160": {"n": 60, "answers": 2}}


@pytest.mark.parametrize(
    ("extra", "code", "rows"),
    [
        ([example("x", "new", "rare")], "E2161", {"x"}),
        ([example(f"x{n}", f"new {n}", "Ｂ") for n in range(5)], "E2162", {"x0", "x1", "x2", "x3", "x4"}),
        ([example("x", "new", "a; b")], "E2163", {"x"}),
        ([example("x", "A plain question about card number 7.", "b")], "E2164", {"c7", "x"}),
        ([example("x", "long " * 1000)], "E2166", {"x"}),
        ([example(f"x{n}", f"第{n}个问题是什么？") for n in range(5)], "E2167", {"x0", "x1", "x2", "x3", "x4"}),
        ([example("x", "broken \ufffd text")], "E2168", {"x"}),
        ([example("x", "donâ€™t, 锟斤拷")], "E2169", {"x"}),
        ([example("x", "one<br/>two&nbsp;three")], "E2170", {"x"}),
        ([example("x", "zero\u200bwidth")], "E2171", {"x"}),
        ([example("x", "tag\U000e0041ged")], "E2171", {"x"}),
    ],
)
def test_planted_trouble_is_found(extra: list[Example], code: str, rows: set[str]) -> None:
    assert set(found(extra)[code].rows) >= rows
    assert not {c for c in found([]) if c != "E2160"}


def test_ordinary_texts_are_not_called_leftovers() -> None:
    texts = ["if a < b and c > d", "a family: 👨‍👩‍👧", "café, naïve, Ångström", "R&D costs", "1 &lt 2"]
    assert found([example(f"x{n}", text) for n, text in enumerate(texts)]).keys() <= {"E2160", "E2170"}
    assert "E2170" not in found([example(f"x{n}", text) for n, text in enumerate(texts)])


def test_contradicting_answers_are_told_apart_from_mere_copies() -> None:
    same, other = CLEAN[4].references[0], "ab".replace(CLEAN[5].references[0], "")
    extra = [example("x", CLEAN[4].text, same), example("y", CLEAN[5].text, other)]
    findings = found(extra)
    assert findings["E2164"].values == {"n": 2, "exact": 2, "normalised": 0}
    assert findings["E2165"].rows == ("c5", "y")
    assert findings["E2165"].values["listed"] == f"c5: '{CLEAN[5].references[0]}' / y: '{other}'"


def test_documents_are_checked_against_the_examples() -> None:
    documents = (
        Document("a.md", "A", "Rent is due."),
        Document("b.md", "B", "rent is due"),
        Document("c.md", "C", "x\u200by"),
    )
    findings = found([example("x", "new", "some text", ("a.md", "gone.md"))], TEXT, documents)
    assert findings["E2172"].rows == ("x",)
    assert "gone.md" in findings["E2172"].message()
    assert findings["E2173"].values["pairs"] == "b.md = a.md"
    assert findings["E2171"].rows == ("c.md",)


@pytest.mark.parametrize(
    ("examples", "codes"),
    [
        ([], {"E2130"}),
        (CLEAN[:5], {"E2130"}),
        ([example(str(n), f"text {n}", "a") for n in range(20)], {"E2132"}),
        ([example(str(n), "same", "ab"[n % 2]) for n in range(20)], {"E2131"}),
    ],
)
def test_what_cannot_be_learned_from_is_an_error(examples: list[Example], codes: set[str]) -> None:
    assert {finding.code for finding in check_data(examples, LABEL) if finding.level == "error"} == codes


def test_every_text_of_these_rooms_is_complete() -> None:
    texts = {code: text for code, text in catalogue().items() if re.match(r"E12|E2[123]", code)}
    assert len(texts) > 90
    for code, text in texts.items():
        assert text.keys() in ({"en", "zh"}, {"en", "zh", "hint_en", "hint_zh"}), code
        assert re.search("[\u4e00-\u9fff]", text["zh"]), code
        names = {key: set(re.findall(r"\{(\w+?)(?:_zh)?\}", value)) for key, value in text.items()}
        assert names["en"] == names["zh"], code
