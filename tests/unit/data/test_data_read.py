"""read_examples: accepted + rejected = read, each reject with its line and reason, labels kept to the letter."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.errors import DataError
from rung.data.fields import ReadSpec
from rung.data.labels import labels_of
from rung.data.read import ReadResult, read_examples, read_files
from rung.data.rejects import TooManyRejects, count_rejects, rejects_jsonl, write_rejects
from rung.data.table import DataFile, read_table

LABEL = ReadSpec(inputs=("text",), answer="label", kind="label", max_bad_ratio=1.0)
TEXT = ReadSpec(inputs=("text",), answer="label", kind="text", max_bad_ratio=1.0)


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def reasons(result: ReadResult) -> list[tuple[int, str]]:
    for reject in result.rejects:
        for language in ("en", "zh"):
            text = reject.problem.message(language) + reject.problem.hint(language)
            assert not re.search(r"\{\w+\}", text)
    return [(reject.line, reject.code) for reject in result.rejects]


def refusal(path: Path, spec: ReadSpec = LABEL) -> DataError:
    with pytest.raises(DataError) as caught:
        read_examples(path, spec)
    for language in ("en", "zh"):
        assert not re.search(r"\{\w+\}", "\n".join(caught.value.lines(language)))
    return caught.value


# JSONL

GOOD_ROWS = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.sampled_from("abc")
    ),
    min_size=2,
    max_size=12,
).map(lambda rows: [json.dumps({"text": f"x {text}", "label": label}, ensure_ascii=False) for text, label in rows])

MUTATIONS: dict[str, Any] = {
    "truncated": (lambda row: row[:-1], {"E2206"}),
    "cut in a string": (lambda row: row[:12], {"E2206"}),
    "trailing comma": (lambda row: row + ",", {"E2208"}),
    "comma inside": (lambda row: row[:-1] + ",}", {"E2206"}),
    "comment": (lambda row: "// " + row, {"E2206"}),
    "two objects": (lambda row: row + row, {"E2208"}),
    "nan": (lambda row: '{"n": NaN,' + row[1:], {"E2207"}),
    "infinite": (lambda row: '{"n": 1e400,' + row[1:], {"E2207"}),
    "endless number": (lambda row: '{"n": ' + "9" * 5000 + "," + row[1:], {"E2207"}),
    "repeated key": (lambda row: '{"text": "y",' + row[1:], {"E2207"}),
    "deep": (lambda row: '{"n": ' + "[" * 100_000 + "]" * 100_000 + "," + row[1:], {"E2207"}),
    "half a character": (lambda row: '{"n": "\\ud800",' + row[1:], {"E2207"}),
    "nul": (lambda row: row.replace("x", "\0", 1), {"E2203"}),
    "escaped nul": (lambda row: row.replace("x ", "\\u0000", 1), {"E2203"}),
    "list": (lambda row: f"[{row}]", {"E2209"}),
    "no label": (lambda row: '{"text": "x"}', {"E2210"}),
    "text is a list": (lambda row: '{"text": ["x"], "label": "a"}', {"E2211"}),
    "empty text": (lambda row: '{"text": " ", "label": "a"}', {"E2220"}),
    "null label": (lambda row: '{"text": "x", "label": null}', {"E2221"}),
    "nan label": (lambda row: '{"text": "x", "label": "nan"}', {"E2222"}),
    "two labels": (lambda row: '{"text": "x", "label": ["a", "b"]}', {"E2224"}),
}


@settings(max_examples=60, deadline=None)
@given(rows=GOOD_ROWS, data=st.data())
def test_every_jsonl_row_is_accepted_or_rejected_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], data: st.DataObject
) -> None:
    # The first row stays good: a file without a single usable row is refused as a whole.
    broken = data.draw(st.dictionaries(st.integers(1, len(rows) - 1), st.sampled_from(sorted(MUTATIONS)), min_size=1))
    lines: list[str] = []
    places: list[int] = []
    for n, row in enumerate(rows):
        lines += data.draw(st.lists(st.sampled_from(["", " ", "\t", "\r"]), max_size=2))
        places.append(len(lines) + 1)
        lines.append(MUTATIONS[broken[n]][0](row) if n in broken else row)
    end = data.draw(st.sampled_from(["", "\n", "\r\n", "\n\n"]))
    path = saved(tmp_path_factory.mktemp("rows"), "rows.jsonl", "\n".join(lines) + end)

    result = read_examples(path, LABEL)

    assert result.read == len(rows)
    assert len(result.examples) == len(rows) - len(broken)
    assert [line for line, _ in reasons(result)] == [places[n] for n in sorted(broken)]
    for n, reject in zip(sorted(broken), result.rejects, strict=True):
        assert reject.code in MUTATIONS[broken[n]][1], broken[n]
        assert reject.raw == lines[places[n] - 1].rstrip("\r\n")
    kept = [json.loads(row)["text"].strip() for n, row in enumerate(rows) if n not in broken]
    assert [example.text for example in result.examples] == kept


def test_one_bad_row_in_a_thousand_passes_and_one_in_ten_does_not(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"question {n}", "label": "ab"[n % 2]}) for n in range(1000)]
    rows[499] = rows[499][:20]
    strict = ReadSpec(inputs=("text",), answer="label", kind="label")
    result = read_examples(saved(tmp_path, "rows.jsonl", "\n".join(rows)), strict)
    assert (len(result.examples), reasons(result)) == (999, [(500, "E2206")])
    assert "column" in result.rejects[0].problem.message()
    error = refusal(saved(tmp_path, "few.jsonl", "\n".join(rows[495:505])), strict)
    assert isinstance(error, TooManyRejects)
    assert (error.exit_code, error.code, error.problems[1].where) == (3, "E2121", "few.jsonl:5")
    assert len(error.rejects) == 1


def test_texts_with_other_line_ends_stay_whole(tmp_path: Path) -> None:
    row = json.dumps({"text": "one\u2028two\x85three", "label": "a"}, ensure_ascii=False)
    result = read_examples(saved(tmp_path, "rows.jsonl", f"{row}\n{row}"), LABEL)
    assert [example.text for example in result.examples] == ["one\u2028two\x85three"] * 2


def test_a_json_list_is_read_like_lines(tmp_path: Path) -> None:
    text = '[\n {"text": "a [", "label": "x"},\n {"text": "b", "label": "x", "text": "c"},\n\n 7, {"text": "d",\n "label": 1},]\n'
    result = read_examples(saved(tmp_path, "rows.json", text), LABEL)
    assert [(example.text, example.references) for example in result.examples] == [("a [", ("x",)), ("d", ("1",))]
    assert reasons(result) == [(3, "E2207"), (5, "E2209")]
    cut = read_examples(saved(tmp_path, "cut.json", text[:50] + '\n {"text": "b"'), LABEL)
    assert (len(cut.examples), reasons(cut)) == (1, [(3, "E2206")])
    deep = '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    spared = read_examples(saved(tmp_path, "deep.json", f'[{deep},\n{{"text": "b", "label": "x"}}]'), LABEL)
    assert (len(spared.examples), reasons(spared)) == (1, [(1, "E2207")])
    lines = read_examples(
        saved(tmp_path, "lines.json", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}'), LABEL
    )
    assert len(lines.examples) == 2


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [("text", "label"), ("hello, world; a|b\tc", "x"), ("你好，世界；再见", "y")]
    content = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    result = read_examples(saved(tmp_path, "rows.csv", content), LABEL)
    assert [example.text for example in result.examples] == ["hello, world; a|b\tc", "你好，世界；再见"]
    assert result.dialect.startswith("csv, ")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    content = 'text,label\n"one\ntwo",a\n\n,,\nthree,b,c\nfour\n"say ""hi""",b\n,,,\n ,b\n'
    result = read_examples(saved(tmp_path, "rows.csv", content), LABEL)
    assert {example.text: result.lines[example.id] for example in result.examples} == {"one\ntwo": 2, 'say "hi"': 8}
    assert reasons(result) == [(6, "E2205"), (7, "E2205"), (10, "E2220")]
    assert result.rejects[0].where == "rows.csv:6"
    assert (result.rejects[2].where, result.rejects[2].raw) == ("rows.csv:10 text", " ,b")


@pytest.mark.parametrize(
    "bad",
    ['"open,a', 'x,"open', '"closed" early,a', '"open,a,b,c', '"x""'],
    ids=["first", "last", "middle", "ragged", "doubled"],
)
def test_a_stray_quote_costs_its_own_row_and_no_other(tmp_path: Path, bad: str) -> None:
    rows = [f"question {n},a" for n in range(30)]
    rows[10] = bad
    for later in (rows[20], '"quoted, too",b', '"two\nlines",b'):
        rows[20] = later
        result = read_examples(saved(tmp_path, "rows.csv", "text,label\n" + "\n".join(rows)), LABEL)
        assert reasons(result) == [(12, "E2204")], later
        assert len(result.examples) == 29


def test_a_quote_in_the_middle_of_a_plain_cell_is_text(tmp_path: Path) -> None:
    result = read_examples(saved(tmp_path, "rows.csv", 'text,label\na 5" pipe,a\n'), LABEL)
    assert result.examples[0].text == 'a 5" pipe'


def test_long_cells_are_read(tmp_path: Path) -> None:
    long = "长" * 200_000
    result = read_examples(saved(tmp_path, "rows.csv", f'text,label\n{long},a\n"{long}\n{long}",b\n'), LABEL)
    assert [len(example.text) for example in result.examples] == [200_000, 400_001]


def test_a_line_that_never_ends_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.data.lines.MAX_LINE", 1000)
    monkeypatch.setattr("rung.data.lines._PIECE", 64)
    rows = ["text,label", "a,x", "b" * 5000 + ",x", "c,x"]
    result = read_examples(saved(tmp_path, "rows.csv", "\n".join(rows)), LABEL)
    assert ([example.text for example in result.examples], reasons(result)) == (["a", "c"], [(3, "E2202")])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_a_line_too_long_is_told_by_the_byte_it_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr("rung.data.lines.MAX_LINE", 1000)
    monkeypatch.setattr("rung.data.lines._PIECE", 64)
    before = "text,label\n" + "押金什么时候退，x\n押金什么时候退,x\n" * 30
    raw = f"{before}{'长' * 700},y\n押金什么时候退,z\n".encode(encoding)
    path = saved(tmp_path, "rows.csv", raw)
    result = read_examples(path, ReadSpec(("text",), "label", "label", max_bad_ratio=1, encoding=encoding))
    (found,) = [reject for reject in result.rejects if reject.code == "E2202"]
    assert raw[found.values["offset"] :].decode(encoding.replace("-sig", "")).lstrip("\ufeff").startswith("长")
    assert len(raw[: found.values["offset"]]) == len(before.encode(encoding))


def test_a_json_list_may_be_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.data.lines.MAX_LINE", 1000)
    monkeypatch.setattr("rung.data.lines._PIECE", 64)
    rows = [{"text": f"question {n}", "label": "x"} for n in range(200)]
    assert len(read_examples(saved(tmp_path, "rows.json", json.dumps(rows)), LABEL).examples) == 200
    assert (
        refusal(saved(tmp_path, "nul.json", f'[{{"text": "{"a" * 99}",\n "label": "\0"}}]')).problems[0].where
        == "nul.json:2"
    )


def test_columns_without_a_name_are_told(tmp_path: Path) -> None:
    file = DataFile(saved(tmp_path, "rows.csv", ",text,label,\n0,a,x,\n1,b,y,\n"))
    assert [(found.code, found.values) for found in file.findings] == [("E2280", {"n": 2, "columns": "1, 4"})]


def test_messages_show_no_personal_data(tmp_path: Path) -> None:
    said = "call 13812345678 or mail zhang.san@example.com"
    path = saved(tmp_path, "rows.csv", f"text,label\na,x\nb,{said}\n")
    result = read_examples(path, ReadSpec(("text",), "label", "label", labels=("x",), max_bad_ratio=1))
    told = "".join(reject.problem.message(language) for reject in result.rejects for language in ("en", "zh"))
    assert result.rejects[0].code == "E2223"
    assert "13812345678" not in told
    assert "zhang.san" not in told
    schema = {"type": "object", "properties": {"phone": {"type": "integer"}}}
    path = saved(
        tmp_path, "rows.jsonl", '{"text": "a", "label": {"phone": "13812345678"}}\n{"text": "b", "label": {}}\n'
    )
    result = read_examples(path, ReadSpec(("text",), "label", "json", json_schema=schema, max_bad_ratio=1))
    assert [reject.code for reject in result.rejects] == ["E2226"]
    assert "13812345678" not in result.rejects[0].problem.message()


def test_broken_json_is_told_in_chinese(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "label": "x"}',
        '{"text": "a"',
        '{"text": NaN}',
        '{"text": "a',
        "[" * 99,
        '{"a": 1, "a": 2}',
    ]
    result = read_examples(saved(tmp_path, "rows.jsonl", "\n".join(lines)), LABEL)
    assert len(result.rejects) == 5
    for reject in result.rejects:
        reason = reject.problem.message("zh").partition("：")[2]
        assert re.search("[\u4e00-\u9fff]", reason), reason


def test_rejected_rows_are_for_their_owner_alone(tmp_path: Path) -> None:
    result = read_examples(saved(tmp_path, "rows.csv", "text,label\na,x\n,y\n"), LABEL)
    write_rejects(tmp_path / "rejects.jsonl", result.rejects)
    assert (tmp_path / "rejects.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("rows.xlsx", b"text,label\na,b\n", "E2282"),
        ("rows.xlsx", b"", "E2106"),
        ("rows.xlsx", b"PK\x03\x04", "E2235"),
        ("rows.csv", b"PK\x03\x04" + bytes(range(256)) * 20, "E2103"),
        ("rows.csv", bytes(range(256)) * 20, "E2103"),
        ("rows.csv", b"", "E2106"),
        ("rows.csv", b"text,label\n", "E2106"),
        ("rows.csv", b"\n,,\n", "E2106"),
        ("rows.csv", b"text,label,text\na,b,c\n", "E2107"),
        ("rows.csv", ",".join(f"c{n}" for n in range(20_000)).encode(), "E2109"),
        ("rows.csv", b"txt,label\na,b\n", "E2112"),
        ("rows.jsonl", b'{"txt": "a", "label": "b"}\n', "E2112"),
        ("rows.json", b"3", "E2110"),
        ("rows.csv.gz", b"no gzip", "E2102"),
        ("rows.csv.gz", gzip.compress(b"text,label\na,b\n" * 100, mtime=0)[:-20], "E2102"),
        ("rows.csv", b"text,label\n,a\n,b\n", "E2122"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    assert refusal(saved(tmp_path, name, content)).code == code


def test_what_is_no_file_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert refusal(tmp_path / "pipe.csv").code == "E2101"
    assert refusal(tmp_path / "absent.csv").code == "E2101"
    (tmp_path / "folder.csv").mkdir()
    assert refusal(tmp_path / "folder.csv").code == "E2101"


# Labels, references, ids


@pytest.mark.parametrize(
    ("label", "code", "nearest"),
    [
        ("", "E2221", ""),
        (" ", "E2221", ""),
        ("None", "E2222", ""),
        ("NaN", "E2222", ""),
        ("是 ", "E2223", "是"),
        ("YES", "E2223", "yes"),
        ("ｙｅｓ", "E2223", "yes"),
        ("maybe", "E2223", ""),
        ("yes;no", "E2224", ""),
        ("是、否", "E2224", ""),
    ],
)
def test_labels_that_are_none(tmp_path: Path, label: str, code: str, nearest: str) -> None:
    spec = ReadSpec(("text",), "label", "label", labels=("是", "否", "yes", "no"), max_bad_ratio=1.0)
    result = read_examples(saved(tmp_path, "rows.csv", f"text,label\na,是\nb,{label}\n"), spec)
    assert [example.references for example in result.examples] == [("是",)]
    assert reasons(result) == [(3, code)]
    assert result.suggestions == ({label: nearest} if nearest else {})


def test_a_declared_label_may_be_called_none(tmp_path: Path) -> None:
    spec = ReadSpec(("text",), "label", "label", labels=("some", "none"))
    assert labels_of(read_examples(saved(tmp_path, "rows.csv", "text,label\na,none\nb,some\n"), spec).examples) == (
        "none",
        "some",
    )


def test_undeclared_labels_are_kept_to_the_letter(tmp_path: Path) -> None:
    assert labels_of(read_examples(saved(tmp_path, "rows.csv", "text,label\na,是 \nb,是\n"), LABEL).examples) == (
        "是",
        "是 ",
    )


def test_several_references_and_other_json_values(tmp_path: Path) -> None:
    rows = [
        {"text": " a ", "label": ["one", "one ", "two"]},
        {"text": 5, "label": True},
        {"text": "c", "label": 1.5},
        {"text": "d", "label": []},
        {"text": "e", "label": {"x": 1}},
        {"text": "f", "label": ["g", ""]},
    ]
    result = read_examples(saved(tmp_path, "rows.jsonl", "\n".join(map(json.dumps, rows))), TEXT)
    assert [(e.text, e.references) for e in result.examples] == [
        ("a", ("one", "two")),
        ("5", ("true",)),
        ("c", ("1.5",)),
    ]
    assert reasons(result) == [(4, "E2221"), (5, "E2211"), (6, "E2221")]


def test_json_answers_are_canonical_and_fit_the_schema(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["a"]}
    spec = ReadSpec(("text",), "label", "json", json_schema=schema, max_bad_ratio=1.0)
    rows = [{"b": 1, "a": "é"}, '{"a": 2}', '{"a"', {"b": 1}, None]
    lines = [json.dumps({"text": f"t{n}", "label": value}) for n, value in enumerate(rows)]
    result = read_examples(saved(tmp_path, "rows.jsonl", "\n".join(lines)), spec)
    assert [example.references for example in result.examples] == [('{"a":"é","b":1}',), ('{"a":2}',)]
    assert reasons(result) == [(3, "E2225"), (4, "E2226"), (5, "E2221")]


def test_groups_documents_and_several_inputs(tmp_path: Path) -> None:
    spec = ReadSpec(("title", "body"), "answer", "text", id="n", group="user", document="doc")
    content = "n,title,body,answer,user,doc\n7,a,,x,u1,a.md; b/c.md\n8,,b,y,,\n"
    first, second = read_examples(saved(tmp_path, "rows.csv", content), spec).examples
    assert (first.id, first.text, first.group, first.documents) == ("7", "a", "u1", ("a.md", "b/c.md"))
    assert (second.text, second.group, second.documents) == ("b", "", ())


def test_repeated_ids_are_listed_with_their_lines(tmp_path: Path) -> None:
    spec = ReadSpec(("text",), "label", "label", id="id")
    rows = [f"{n % 30},text {n},a" for n in range(60)]
    error = refusal(saved(tmp_path, "rows.csv", "id,text,label\n" + "\n".join(rows)), spec)
    assert error.code == "E2120"
    assert "30 ids" in str(error)
    assert "0 (lines 2, 32)" in str(error)
    assert str(error).count("lines") == 20


def test_made_ids_follow_the_content_and_not_the_row(tmp_path: Path) -> None:
    one = read_examples(saved(tmp_path, "one.csv", "text,label\na,x\nb,y\na,x\n"), LABEL)
    other = read_examples(saved(tmp_path, "other.csv", "text,label\nb,y\na,x\na,x\n"), LABEL)
    assert set(one.lines) == set(other.lines)
    assert len(one.lines) == 3


def test_files_of_an_own_split_share_no_id(tmp_path: Path) -> None:
    paths = {name: saved(tmp_path, f"{name}.csv", "id,text,label\n1,a,x\n") for name in ("train", "test")}
    assert [r.examples[0].id[:5] for r in read_files(paths, LABEL).values()] == ["train", "test-"]
    with pytest.raises(DataError) as caught:
        read_files(paths, ReadSpec(("text",), "label", "label", id="id"))
    assert caught.value.code == "E2123"
    assert "1 (train, test)" in str(caught.value)


def test_rejects_are_written_with_both_reasons(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        "rows.csv",
        b"text,label\n\xe4\xbd\xa0\xe5\xa5\xbd,\na,b\n\xff\xfe,c\n\xe5\xa5\xbd,d\n\xe5\xa5\xbd,e\n",
    )
    result = read_examples(path, LABEL)
    first, second = map(json.loads, rejects_jsonl(result.rejects).splitlines())
    assert (first["file"], first["line"], first["field"], first["raw"]) == ("rows.csv", 2, "label", "你好,")
    assert (first["reason"], first["reason_zh"]) == ("The answer is empty.", "答案为空。")
    assert (second["code"], second["line"]) == ("E2201", 4)
    assert count_rejects(result.rejects) == {"E2221": 1, "E2201": 1}


def test_a_table_can_be_read_before_its_columns_are_known(tmp_path: Path) -> None:
    table = read_table(saved(tmp_path, "rows.jsonl", '{"a": 1}\n{"b": [2], "a": 3}\n{'))
    assert (table.columns, len(table.rows), len(table.rejects)) == (("a", "b"), 2, 1)
    assert read_table(saved(tmp_path, "rows.csv", "a,,b\n1,2,3\n")).rows == ({"a": "1", "b": "3"},)
    assert len(read_table(saved(tmp_path, "many.csv", "a,b\n" + "1,2\n" * 50), limit=10).rows) == 10


@pytest.mark.datasets
def test_real_sets_are_read_completely(datasets: Path) -> None:
    banking = ReadSpec(("text",), "category", "label", max_bad_ratio=0.0)
    train, test = (read_examples(datasets / "banking77" / f"{name}.csv", banking) for name in ("train", "test"))
    assert (len(train.examples), len(test.examples)) == (10003, 3080)
    assert len(labels_of(train.examples)) == 77
    hotel = ReadSpec(("review",), "label", "label")
    result = read_examples(datasets / "sentiment_zh_hotel" / "ChnSentiCorp_htl_all.csv.gz", hotel)
    assert result.read == 7766
    assert reasons(result) == [(6376, "E2220")]
    assert labels_of(result.examples) == ("0", "1")


@settings(max_examples=150, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=300), st.text('"a,\n\r;\t|{}[]:1 \\是', max_size=120).map(str.encode)),
    name=st.sampled_from(["rows.csv", "rows.jsonl", "rows.json", "rows.tsv"]),
)
def test_no_content_gets_past_the_error_contract(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = saved(tmp_path_factory.mktemp("any"), name, content)
    with contextlib.suppress(DataError):
        table = read_table(path)
        result = read_examples(
            path, ReadSpec(table.columns[:1], (table.columns or ("",))[-1], "text", max_bad_ratio=1.0)
        )
        assert result.read == len(table.rows) + len(table.rejects)
