"""`rung data import` and `export`: asked or told, appended, refused, and the examples of a task from a data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rung.cli.data.app import app
from rung.cli.data.convert import About, Reading, export_data, import_data
from rung.core.errors import DataError, RungError, UsageError
from rung.data.rejects import TooManyRejects
from rung.data.versions.dataset import DataSet
from rung.experiment.setup import prepare


def _csv(path: Path, rows: list[str], header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def _file(path: Path, n: int = 20) -> Path:
    return _csv(path, [f"question {i},{'a' if i % 2 else 'b'}" for i in range(n)])


def test_a_script_has_to_say_yes(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.csv")
    asked = CliRunner().invoke(app, ["import", str(path), "--to", str(tmp_path / "desk")])
    assert isinstance(asked.exception, UsageError)
    assert asked.exception.code == "E2245"
    assert '--format table --map "text=text" --map "answers=label"' in str(asked.exception)
    assert not (tmp_path / "desk").exists()
    done = CliRunner().invoke(app, ["import", str(path), "--to", str(tmp_path / "desk"), "--yes", "--json"])
    assert json.loads(done.stdout)["version"]["rows"] == 20
    assert "question 2" in done.stderr
    assert "question 3" not in done.stderr
    # What the refusal says to add is enough.
    told = ["--format", "table", "--map", "text=text", "--map", "answers=label"]
    again = CliRunner().invoke(app, ["import", str(path), "--to", str(tmp_path / "desk"), *told, "--json"])
    assert json.loads(again.stdout)["version"]["id"] == json.loads(done.stdout)["version"]["id"]


def test_the_step_and_the_source_say_what_was_read(tmp_path: Path) -> None:
    made = import_data(
        _file(tmp_path / "a.csv"), tmp_path / "desk", about=About("CC-BY-4.0", "https://example.org/a", "test")
    )
    step, source = made.version.steps[0], made.version.sources[0]
    assert (step.name, step.rows_after, step.counts["rejected"]) == ("import", 20, 0)
    assert (source.licence, source.url, source.rows, source.format) == (
        "CC-BY-4.0",
        "https://example.org/a",
        20,
        "table",
    )
    assert made.version.splits == {"test": 20}


def test_appending_adds_what_is_new_and_only_that(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    import_data(_file(tmp_path / "a.csv"), desk)
    again = import_data(_file(tmp_path / "b.csv", 25), desk, append=True)
    assert again.version.rows == 25
    assert [f.values["n"] for f in again.findings if f.code == "E2265"] == [20]
    replaced = import_data(_file(tmp_path / "a.csv"), desk)
    assert replaced.version.rows == 20


def test_an_id_that_means_another_row_is_refused_or_kept_first(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    first = _csv(tmp_path / "a.csv", ["1,q,a"], "id,text,label")
    other = _csv(tmp_path / "b.csv", ["1,q,b"], "id,text,label")
    import_data(first, desk)
    with pytest.raises(DataError) as caught:
        import_data(other, desk, append=True)
    assert caught.value.code == "E2241"
    kept = import_data(other, desk, append=True, how=Reading(dedupe="keep-first"))
    assert [record.answers for record in DataSet(desk).read(kept.version.id)] == [("a",)]


def test_the_same_text_in_train_and_test_stays_in_both(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    import_data(_file(tmp_path / "a.csv"), desk, about=About(split="train"))
    made = import_data(_file(tmp_path / "a.csv"), desk, about=About(split="test"), append=True)
    assert made.version.splits == {"train": 20, "test": 20}


def test_nothing_is_half_imported_and_the_rejects_are_kept(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ["q,a", ",b", '"open,b', "r,c"])
    with pytest.raises(TooManyRejects):
        import_data(path, tmp_path / "desk")
    assert not (tmp_path / "desk").exists()
    rejects = [json.loads(line) for line in (tmp_path / "desk.rejects.jsonl").read_text("utf-8").splitlines()]
    assert [(reject["line"], reject["code"]) for reject in rejects] == [(3, "E2220"), (4, "E2204")]
    made = import_data(path, tmp_path / "desk", how=Reading(max_bad_ratio=0.5))
    assert made.rejects == tmp_path / "desk.rejects.jsonl"
    assert made.version.steps[0].counts == {"read": 4, "rejected": 2, "rejected E2220": 1, "rejected E2204": 1}


def test_sources_without_a_licence_block_an_export(tmp_path: Path) -> None:
    desk, out = tmp_path / "desk", tmp_path / "out.jsonl"
    import_data(_file(tmp_path / "a.csv"), desk, about=About("own"))
    assert export_data(desk, out).rows == 20
    import_data(_csv(tmp_path / "web.csv", ["x,a"]), desk, append=True)
    with pytest.raises(UsageError) as caught:
        export_data(desk, tmp_path / "blocked.jsonl")
    assert caught.value.code == "E2246"
    assert "web.csv" in str(caught.value)
    assert "a.csv," not in str(caught.value)
    assert not (tmp_path / "blocked.jsonl").exists()
    assert export_data(desk, out, acknowledge_unlicensed=True).rows == 21


def test_exports_say_what_they_lose_and_keep_to_a_split(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    import_data(
        _csv(tmp_path / "a.csv", ["q,a,g1", "r,b,g2"], "text,label,group"), desk, about=About("own", split="train")
    )
    made = export_data(desk, tmp_path / "a.json", format="llamafactory", split="train")
    assert {f.values["field"] for f in made.findings} == {"group", "licence"}
    assert json.loads((tmp_path / "dataset_info.json").read_text("utf-8")) == {"a": {"file_name": "a.json"}}
    with pytest.raises(UsageError) as caught:
        export_data(desk, tmp_path / "b.json", split="test")
    assert caught.value.code == "E2266"


@pytest.mark.parametrize("arguments", [["--split", "exam"], ["--dedupe", "last"], ["--map", "answer"], ["-F", "nope"]])
def test_words_that_mean_nothing_are_refused(arguments: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["import", str(_file(tmp_path / "a.csv")), "--to", str(tmp_path / "d"), *arguments])
    assert isinstance(done.exception, RungError)
    assert done.exception.exit_code == 2


def test_the_schema_is_printed() -> None:
    assert json.loads(CliRunner().invoke(app, ["schema"]).stdout)["title"] == "Rung record"


def _task(folder: Path, examples: str) -> Path:
    path = folder / "task.yaml"
    path.write_text(
        "name: desk\ninstruction: Sort.\ninputs: [text]\n"
        "output: {kind: label, column: label}\n"
        f"data: {{examples: {examples}}}\nmodels: [{{kind: fake}}]\n",
        "utf-8",
    )
    return path


def _synthetic(desk: Path, split: str = "") -> None:
    rows = [
        {"id": f"made {n}", "inputs": {"text": f"made up {n} {'xyzw' * n}"}, "answers": ["a"], "synthetic": True}
        | ({"split": split} if split else {})
        for n in range(6)
    ]
    path = desk.parent / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    import_data(path, desk, append=True)


WORDS = [
    "river",
    "stone",
    "cloud",
    "apple",
    "tiger",
    "music",
    "paper",
    "glass",
    "night",
    "sugar",
    "wheel",
    "horse",
    "bread",
    "light",
    "ocean",
]


def _real(path: Path, n: int = 60) -> Path:
    words = [f"{WORDS[i % 15]} {WORDS[(i * 7 + i // 15) % 15]} number {i * 7919}" for i in range(n)]
    return _csv(path, [f"{text},{'a' if i % 2 else 'b'}" for i, text in enumerate(words)])


def test_a_data_set_gives_a_task_its_examples_and_synthetic_ones_to_train_only(tmp_path: Path) -> None:
    import_data(_real(tmp_path / "a.csv"), tmp_path / "desk")
    _synthetic(tmp_path / "desk")
    prepared = prepare(_task(tmp_path, "desk"))
    homes = {name: {example.id for example in part} for name, part in prepared.examples.items()}
    made = {f"made {n}" for n in range(6)}
    assert made <= homes["train"]
    assert not made & (homes["dev"] | homes["test"])
    assert sum(map(len, homes.values())) + len(prepared.removed) == 66
    assert not prepared.splits.official


def test_splits_of_a_data_set_are_kept_and_a_version_can_be_named(tmp_path: Path) -> None:
    import_data(_real(tmp_path / "a.csv", 40), tmp_path / "desk", about=About(split="train"))
    kept = import_data(
        _csv(tmp_path / "t.csv", ["held out,a", "out held,b"]),
        tmp_path / "desk",
        about=About(split="test"),
        append=True,
    )
    _synthetic(tmp_path / "desk", "test")
    now = prepare(_task(tmp_path, "desk"))
    assert now.splits.official
    assert len(now.examples["test"]) == 2
    assert len(now.examples["train"]) + len(now.examples["dev"]) == 46
    assert not any(example.id.startswith("made") for example in now.examples["dev"])
    assert [f.values for f in now.splits.findings if f.code == "E2268"] == [{"n": 6, "left": 0}]
    before = prepare(_task(tmp_path, f"desk@{kept.version.id[:6]}"))
    assert len(before.every) == 42


def test_a_field_that_no_row_has_is_named(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", [f"q{n},a" for n in range(9)], "question,label")
    import_data(path, tmp_path / "desk")
    with pytest.raises(UsageError) as caught:
        prepare(_task(tmp_path, "desk"))
    assert caught.value.code == "E1240"
    assert "question" in str(caught.value)


def test_a_refused_import_says_where_the_rows_are_kept_and_for_whom(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ["mail zhang.san@example.com please,a", *(f"q{n},a" for n in range(9)), "a,b,c"])
    told = CliRunner().invoke(app, ["import", str(path), "--to", str(tmp_path / "desk"), "--yes"])
    kept = tmp_path / "desk.rejects.jsonl"
    assert isinstance(told.exception, TooManyRejects)
    assert str(kept) in told.stderr
    assert kept.stat().st_mode & 0o077 == 0
    assert "zhang.san" not in told.stderr


def test_appending_rows_that_say_something_else_is_told(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    import_data(_csv(tmp_path / "a.csv", ["1,one,a", "2,two,b"], "id,text,label"), desk)
    other = _csv(tmp_path / "b.csv", ["1,changed,a", "2,two,b", "3,three,b"], "id,text,label")
    made = import_data(other, desk, how=Reading(dedupe="keep-first"), append=True)
    told = {finding.code: finding.values["n"] for finding in made.findings if finding.code in {"E2265", "E2284"}}
    assert told == {"E2265": 1, "E2284": 1}
    assert [row.inputs["text"] for row in DataSet(desk).read()] == ["one", "two", "three"]
