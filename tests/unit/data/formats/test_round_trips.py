"""Every format: reading, writing and reading again gives the same records, and JSON rows come back value for value."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.data.formats.read import ReadRecords, read_records
from rung.data.formats.write import write_records
from rung.data.record import Record

Row = dict[str, Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SAID = TEXT.filter(lambda text: text.strip() != "")
NUMBER = st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
JSON = st.recursive(
    st.one_of(st.none(), NUMBER, TEXT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OTHER = st.dictionaries(st.sampled_from(["note", "meta", "重要", "n"]), JSON, max_size=2)
ID = st.fixed_dictionaries({}, optional={"id": st.integers(0, 10**9) | st.text("abcxyz-", min_size=1, max_size=6)})


def rows_of(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[Row]:
    """Rows with these fields, and with others that the format does not know."""
    fields = st.fixed_dictionaries(required, optional=optional or {})
    return st.builds(lambda a, b, c: {**c, **b, **a}, fields, ID, OTHER)


ARGUMENTS = st.dictionaries(st.sampled_from(["城市", "n"]), NUMBER | TEXT, max_size=2)
CALL_TEXT = st.builds(
    lambda name, arguments, ascii_only, several: json.dumps(
        [{"name": name, "arguments": arguments}] if several else {"name": name, "arguments": arguments},
        ensure_ascii=ascii_only,
    ),
    SAID,
    ARGUMENTS,
    st.booleans(),
    st.booleans(),
)
TOOL = st.fixed_dictionaries({"name": SAID}, optional={"description": TEXT, "parameters": JSON})
TOOLS = st.lists(TOOL, max_size=2)
TOOLS_TEXT = st.builds(
    lambda tools, ascii_only: json.dumps(tools, ensure_ascii=ascii_only), TOOLS, st.booleans()
) | st.just("")


def message(role: str, content: str, roles: Sequence[str]) -> st.SearchStrategy[Row]:
    """A message; some with a field that the format does not know."""
    return st.fixed_dictionaries({role: st.sampled_from(roles), content: TEXT}, optional={"note": JSON})


SHAREGPT = st.lists(
    message("from", "value", ["human", "gpt", "system", "observation", "user", "bing"])
    | st.fixed_dictionaries({"from": st.just("function_call"), "value": CALL_TEXT | TEXT}),
    min_size=1,
    max_size=4,
)
OPENAI_CALL = st.fixed_dictionaries(
    {"id": SAID, "type": st.just("function")},
    optional={"function": st.fixed_dictionaries({"name": SAID, "arguments": TEXT})},
)
OPENAI_MESSAGE = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": TEXT},
        optional={"name": TEXT, "weight": st.integers(-1, 2), "refusal": st.none() | TEXT},
    ),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "tool_calls": st.lists(OPENAI_CALL, min_size=1, max_size=2)},
        optional={"content": st.none() | TEXT, "reasoning_content": TEXT},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXT, "tool_call_id": TEXT}),
    st.fixed_dictionaries(
        {
            "role": st.just("user"),
            "content": st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}), max_size=3),
        }
    ),
)
OPENAI = st.lists(OPENAI_MESSAGE, min_size=1, max_size=4)
ANSWER = st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT}, optional={"note": JSON})
ASKED = st.lists(message("role", "content", ["user", "system"]), min_size=1, max_size=2)
SWIFT = st.lists(
    message("role", "content", ["system", "user", "assistant", "tool", "tool_response"])
    | st.fixed_dictionaries({"role": st.just("tool_call"), "content": CALL_TEXT | TEXT})
    | st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT, "loss": st.booleans() | st.none()}),
    min_size=1,
    max_size=4,
)


@st.composite
def _marked(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    """A text with places in it."""
    text = draw(SAID)
    places = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)), SAID), max_size=3))
    return text, [(min(a, b), max(a, b), label) for a, b, label in places]


def _cluener(marked: tuple[str, list[tuple[int, int, str]]]) -> Row:
    text, places = marked
    label: dict[str, dict[str, list[list[int]]]] = {}
    for start, end, kind in dict.fromkeys(places):
        label.setdefault(kind, {}).setdefault(text[start:end], []).append([start, end - 1])
    return {"text": text, "label": label}


def _label_studio(marked: tuple[str, list[tuple[int, int, str]]], who: list[Any], choice: str, more: Any) -> Row:
    text, places = marked
    results = [
        {
            "id": str(n),
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]},
        }
        for n, (start, end, label) in enumerate(places)
    ]
    chosen = {"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}
    annotations = [
        {"id": n, "completed_by": by, "result": [chosen, *results], "lead_time": 1.5} for n, by in enumerate(who)
    ]
    return {"id": 7, "data": {"text": text, "more": more}, "annotations": annotations, "predictions": []}


HISTORY = st.lists(st.tuples(TEXT, TEXT).map(list), max_size=2)
FORMATS: dict[str, st.SearchStrategy[Row]] = {
    "alpaca": rows_of(
        {"instruction": SAID, "output": TEXT | st.none() | NUMBER},
        {"input": TEXT | st.none(), "system": TEXT | st.none(), "history": HISTORY | st.none()},
    )
    | rows_of({"instruction": SAID, "chosen": SAID, "rejected": SAID}, {"input": TEXT})
    | rows_of({"instruction": SAID, "output": SAID, "kto_tag": st.booleans()}),
    "sharegpt": rows_of({"conversations": SHAREGPT}, {"system": TEXT | st.none(), "tools": TOOLS_TEXT | TOOLS})
    | rows_of(
        {
            "conversations": SHAREGPT,
            "chosen": st.fixed_dictionaries({"from": st.just("gpt"), "value": SAID}) | SAID,
            "rejected": st.fixed_dictionaries({"from": st.just("gpt"), "value": SAID}, optional={"x": JSON}),
        }
    )
    | rows_of({"conversations": SHAREGPT, "kto_tag": st.booleans()}),
    "openai": rows_of(
        {"messages": OPENAI}, {"tools": TOOLS, "parallel_tool_calls": st.booleans(), "label": st.booleans()}
    ),
    "openai-preference": rows_of(
        {
            "input": st.fixed_dictionaries({"messages": ASKED}, optional={"tools": TOOLS, "x": JSON}),
            "preferred_output": ANSWER.map(lambda a: [a]),
            "non_preferred_output": ANSWER.map(lambda a: [a]),
        }
    ),
    "swift": rows_of(
        {"messages": SWIFT},
        {
            "rejected_response": SAID | st.lists(SAID, min_size=1, max_size=2) | st.none(),
            "tools": TOOLS_TEXT | TOOLS,
            "label": st.booleans() | st.integers(0, 3),
            "positive_messages": st.lists(SAID.map(lambda t: [{"role": "user", "content": t}]), max_size=2),
        },
    ),
    "swift-query": rows_of(
        {"query": SAID, "response": TEXT}, {"system": TEXT, "history": HISTORY, "rejected_response": SAID}
    ),
    "trl": rows_of({"prompt": SAID, "completion": TEXT}, {"label": st.booleans()})
    | rows_of({"prompt": ASKED}, {"completion": ANSWER.map(lambda a: [a]), "tools": TOOLS}),
    "trl-preference": rows_of({"chosen": TEXT, "rejected": TEXT}, {"prompt": TEXT})
    | rows_of({"prompt": ASKED, "chosen": ANSWER.map(lambda a: [a]), "rejected": ANSWER.map(lambda a: [a])})
    | st.builds(
        lambda asked, a, b, prompt: {"chosen": [*asked, a], "rejected": [*asked, b], **prompt},
        ASKED,
        ANSWER,
        ANSWER,
        st.fixed_dictionaries({}, optional={"prompt": TEXT, "score_chosen": NUMBER}),
    )
    | rows_of({"chosen": ANSWER, "rejected": ANSWER, "prompt": SAID}),
    "trl-text": rows_of({"text": SAID}),
    "sentence-transformers": rows_of(
        {"anchor": SAID, "positive": SAID}, {"negative": SAID, "negative_1": SAID, "negative_3": SAID}
    )
    | rows_of(
        {"query": SAID, "positive": st.lists(SAID, min_size=1, max_size=2)}, {"negative": st.lists(SAID, min_size=1)}
    ),
    "bge": rows_of(
        {"query": SAID, "pos": st.lists(SAID, max_size=2), "neg": st.lists(SAID, max_size=2)}, {"pos_scores": JSON}
    ),
    "sentence-pairs": rows_of({"sentence1": SAID, "sentence2": TEXT, "score": NUMBER})
    | rows_of({"sentence1": SAID, "sentence2": SAID, "label": NUMBER | SAID}),
    "doccano": _marked().map(lambda m: {"text": m[0], "label": [list(place) for place in m[1]], "Comments": []})
    | rows_of({"text": SAID, "label": st.lists(st.sampled_from(["好", "bad", "c"]), max_size=2)})
    | _marked().map(
        lambda m: {
            "data": m[0],
            "entities": [{"id": n, "start_offset": s, "end_offset": e, "label": k} for n, (s, e, k) in enumerate(m[1])],
            "relations": [],
        }
    ),
    "spans": _marked().map(
        lambda m: {"text": m[0], "spans": [{"start": s, "end": e, "type": k, "text": m[0][s:e]} for s, e, k in m[1]]}
    ),
    "cluener": _marked().map(_cluener),
    "label-studio": st.builds(
        _label_studio,
        _marked(),
        st.lists(st.integers(1, 3) | st.just({"id": 4, "email": "a@b.c"}), max_size=3),
        SAID,
        JSON,
    )
    | rows_of({"data": st.fixed_dictionaries({"text": SAID})}),
    "table": rows_of(
        {"question": SAID, "label": TEXT | st.none() | NUMBER | st.lists(SAID, max_size=2)},
        {"split": st.sampled_from(["train", "validation", "test", ""]), "group": TEXT, "text": TEXT | st.lists(TEXT)},
    ),
}


def _read(path: Path, format: str | None, mapping: dict[str, str] | None = None) -> ReadRecords:
    return read_records(path, format=format, mapping=mapping, max_bad_ratio=0, dedupe="keep-first")


def _plain(read: ReadRecords) -> list[Record]:
    """Records without the file and line that they come from."""
    return [record.model_copy(update={"source": ""}) for record in read.records]


def _rows(path: Path) -> list[Row]:
    raw = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8")
    lines = [line for line in raw.split("\n") if line.strip()]
    return json.loads(raw) if raw.lstrip().startswith("[") else [json.loads(line) for line in lines]


def _same_json(a: Any, b: Any) -> bool:
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """Rows of which no two have the same id."""
    found: dict[str, Row] = {}
    for n, row in enumerate(rows):
        found.setdefault(str(row.get("id", f"row {n}")), row)
    return list(found.values())


@pytest.mark.parametrize("format", FORMATS)
def test_json_rows_come_back_value_for_value(format: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(FORMATS[format], min_size=1, max_size=4))
    def check(rows: list[Row]) -> None:
        rows = _distinct(rows)
        with tempfile.TemporaryDirectory() as folder:
            path, again = Path(folder) / "a.jsonl", Path(folder) / "b.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
            read = _read(path, format)
            assert not [finding for finding in read.findings if finding.code == "E2252"]
            write_records(read.records, again, format=format)
            assert _same_json(_rows(again), rows)
            assert _plain(_read(again, format)) == _plain(read)

    check()


@pytest.mark.parametrize("container", ["a.csv", "a.tsv", "a.xlsx", "a.parquet", "a.jsonl.gz", "a.json"])
def test_tables_hold_any_text_in_any_kind_of_file(container: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.builds(Record, id=st.just(""), inputs=st.fixed_dictionaries({"question": SAID, "foo": SAID}),
                              answers=st.lists(SAID, min_size=1, max_size=2).map(tuple)), min_size=1, max_size=4))  # fmt: skip
    def check(records: list[Record]) -> None:
        records = [record.model_copy(update={"id": f"r{n}", "group": "g"}) for n, record in enumerate(records)]
        with tempfile.TemporaryDirectory() as folder:
            path = write_records(records, Path(folder) / container, format="table")
            read = [record.model_copy(update={"extra": {}}) for record in _plain(_read(path, None))]
            assert read == records

    check()


RECORD = st.builds(
    Record,
    id=st.text("abc", min_size=1),
    inputs=st.dictionaries(SAID, TEXT, max_size=2),
    messages=st.lists(st.builds(dict, role=st.sampled_from(["user", "assistant"]), content=TEXT), max_size=2),
    answers=st.lists(TEXT, max_size=2).map(tuple),
    rejected=st.lists(TEXT, max_size=1).map(tuple),
    liked=st.none() | st.booleans(),
    synthetic=st.booleans(),
    extra=st.dictionaries(SAID, JSON, max_size=2),
)


@pytest.mark.parametrize("container", ["a.jsonl", "a.json", "a.jsonl.gz", "a.parquet"])
def test_records_themselves_come_back_equal(container: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(RECORD, min_size=1, max_size=3, unique_by=lambda record: record.id))
    def check(records: list[Record]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = write_records(records, Path(folder) / container, format="rung")
            assert list(_read(path, "rung").records) == records

    check()


REAL: dict[str, Callable[[Path], list[Path]]] = {
    "llamafactory": lambda d: sorted((d / "instruct_llamafactory").glob("*demo*.gz")),
    "alpaca": lambda d: [d / "instruct_llamafactory/identity.json"],
    "sharegpt": lambda d: sorted((d / "prefs_llamafactory").glob("dpo*.gz")),
    "openai": lambda d: [d / "prefs_llamafactory/kto_en_demo.json.gz"],
    "table": lambda d: [d / "banking77/test.csv", d / "sentiment_zh_hotel/ChnSentiCorp_htl_all.csv.gz"],
    "cluener": lambda d: [d / "ner_zh_cluener/dev.jsonl.gz"],
    "spans": lambda d: [d / "pii/zh_synthetic.jsonl", d / "pii/en_presidio.jsonl.gz"],
}


@pytest.mark.datasets
@pytest.mark.parametrize("format", REAL)
def test_real_files_come_back(format: str, datasets: Path, tmp_path: Path) -> None:
    for path in REAL[format](datasets):
        read = read_records(path, format=None if format != "alpaca" else format)
        assert read.format == format
        assert not [finding for finding in read.findings if finding.code == "E2252"]
        again = write_records(read.records, tmp_path / path.name, format=format)
        assert _plain(read_records(again, format=format)) == _plain(read)
        if ".json" in path.name:
            assert _same_json(_rows(again), _rows(path))


@pytest.mark.datasets
def test_entries_of_a_real_dataset_info_say_what_columns_mean(datasets: Path, tmp_path: Path) -> None:
    info = json.loads((datasets / "instruct_llamafactory/dataset_info.json").read_text("utf-8"))
    for name in ("dpo_en_demo", "kto_en_demo"):
        (tmp_path / f"{name}.json.gz").write_bytes((datasets / f"prefs_llamafactory/{name}.json.gz").read_bytes())
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), "utf-8")
    pairs = read_records(tmp_path, mapping={"dataset": "dpo_en_demo"})
    votes = read_records(tmp_path / "kto_en_demo.json.gz")
    assert {record.kind for record in pairs.records} == {"preference"}
    assert {record.kind for record in votes.records} == {"feedback"}
    assert votes.format == "llamafactory"
    out = write_records(votes.records, tmp_path / "new" / "votes.json", format="llamafactory")
    written = json.loads((tmp_path / "new/dataset_info.json").read_text("utf-8"))
    assert written["votes"] == {
        "file_name": "votes.json",
        **{k: v for k, v in info["kto_en_demo"].items() if k != "file_name"},
    }
    assert _same_json(_rows(out), _rows(tmp_path / "kto_en_demo.json.gz"))
