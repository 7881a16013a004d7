"""load_config: values as written, every mistake at once with its line, nothing dangerous in YAML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rung.config import Config, ModelConfig, field_docs, load_config, to_model_ref, to_task
from rung.config.schema import ConstraintsConfig
from rung.core.errors import UsageError
from rung.core.task import Constraints
from rung.models.openai_request import check_options
from rung.models.recorded import RecordedModel

GOOD = """\
instruction: Decide which category the text belongs to.
inputs: [text]
output:
  kind: label
  column: label
data:
  examples: rows.csv
"""


def write(folder: Path, text: str, *files: str) -> Path:
    for name in ("rows.csv", *files):
        (folder / name).write_text("text,label\n", "utf-8")
    path = folder / "task.yaml"
    path.write_text(text, "utf-8")
    return path


def refused(path: Path) -> list[tuple[str, str]]:
    """(code, where) of every problem; both languages must have every value filled in."""
    with pytest.raises(UsageError) as caught:
        load_config(path)
    for language in ("en", "zh"):
        assert not re.search(r"\{\w+\}", "\n".join(caught.value.lines(language)))
    return [(problem.code, problem.where) for problem in caught.value.problems]


def test_the_shortest_file_loads_with_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.name == tmp_path.name
    assert [model.id for model in config.models] == ["smollm2-135m"]
    assert config.models[0].kind == "transformers"
    assert (config.data.dev_share, config.data.test_share, config.margin) == (0.2, 0.3, 0.02)
    assert config.path(config.data_files["examples"]) == tmp_path / "rows.csv"
    assert config.where("output", "kind") == "task.yaml:4 output.kind"
    assert config.where("cost", "currency") == "task.yaml:1 cost.currency"


def test_a_resolved_config_is_rebuilt_from_plain_values(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD + "settings: {few_shot: {k: 4, modes: [fixed]}}\n"))
    plain = config.model_dump(mode="json")
    assert Config.model_validate(plain).model_dump(mode="json") == plain


def test_text_stays_as_written_where_text_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("column: label", 'column: label\n  labels: [yes, no, 01, 1e3, "null", on]'))
    assert load_config(path).output.labels == ("yes", "no", "01", "1e3", "null", "on")


def test_free_blocks_hold_numbers_and_booleans(tmp_path: Path) -> None:
    text = GOOD + 'settings:\n  few_shot: {k: 4, rate: 2e-4, on: true, name: "5", none: null, list: [1, a]}\n'
    settings = load_config(write(tmp_path, text)).settings["few_shot"]
    assert settings == {"k": 4, "rate": 2e-4, "on": True, "name": "5", "none": None, "list": [1, "a"]}
    assert type(settings["list"][1]) is str


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
instructions: Decide.
instruction: Decide.
inputs: [text, label]
output:
  kind: lable
  column: label
  max_tokens: many
data:
  examples: row.csv
  dev_share: 1.5
  seed:
metrics: [acuracy]
target: 90
margin: 0.01
margin: 0.02
"""
    found = refused(write(tmp_path, text))
    assert found == [
        ("E1208", "task.yaml:15"),
        ("E1213", "task.yaml:5 output.kind"),
        ("E1215", "task.yaml:7 output.max_tokens"),
        ("E1214", "task.yaml:10 data.dev_share"),
        ("E1212", "task.yaml:11 data.seed"),
        ("E1214", "task.yaml:13 target"),
        ("E1210", "task.yaml:1 instructions"),
    ]
    # With the required output.kind repaired, the rest is checked for how it fits together in the same pass.
    found = refused(write(tmp_path, text.replace("lable", "label")))
    assert ("E1224", "task.yaml:3 inputs.2") in found
    assert ("E1222", "task.yaml:9 data.examples") in found
    assert ("E1230", "task.yaml:12 metrics.1") in found
    assert ("E1214", "task.yaml:13 target") in found


def test_a_broken_field_is_not_reported_a_second_time_as_absent(tmp_path: Path) -> None:
    assert refused(write(tmp_path, GOOD.replace("rows.csv", "[a, b]"))) == [("E1215", "task.yaml:7 data.examples")]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("instrution: x", "instruction"), ("Models: [a]", "models"), ("metric: accuracy", "metrics")],
)
def test_an_unknown_field_is_answered_with_the_nearest(tmp_path: Path, wrong: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, GOOD + wrong + "\n"))
    assert f"Did you mean '{near}'?" in str(caught.value)
    assert f"是否应为“{near}”？" in "\n".join(caught.value.lines("zh"))


def test_an_unknown_field_inside_a_block_names_the_fields_of_that_block(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, GOOD.replace("examples:", "exmples:")))
    assert "Did you mean 'examples'?" in str(caught.value)
    assert "max_bad_ratio" in str(caught.value)
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, GOOD + "models: [{kind: openai, api_key: secret-123}]\n"))
    assert "Did you mean 'api_key_env'?" in str(caught.value)
    assert "secret-123" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("output:\n\tkind: label\n", "E1204", "task.yaml:2"),
        ("a: [1, 2\nb: 3\n", "E1205", "task.yaml:2:2"),
        ("a: &x [1]\nb: *x\n", "E1206", "task.yaml:1"),
        ("a: !!python/object/apply:os.system [ls]\n", "E1207", "task.yaml:1"),
        ("? [a, b]\n: 1\n", "E1207", "task.yaml:1"),
        ("- a\n- b\n", "E1209", "task.yaml"),
        ("", "E1209", "task.yaml"),
        ("a: " + "[" * 5000, "E1205", "task.yaml:1"),
        ("a: 1\n--- \nb: 2\n", "E1205", "task.yaml:2:1"),
        ("a: b\x07c\n", "E1205", "task.yaml:1"),
    ],
)
def test_what_is_no_plain_mapping_is_refused(tmp_path: Path, text: str, code: str, where: str) -> None:
    assert refused(write(tmp_path, text))[0] == (code, where)


def test_an_alias_bomb_costs_nothing(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    assert refused(write(tmp_path, bomb)) == [("E1206", "task.yaml:1")]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.yaml")[0][0] == "E1201"
    assert refused(tmp_path)[0][0] == "E1201"
    path = write(tmp_path, GOOD)
    path.write_bytes(b"name: x\ninstruction: " + "判断".encode("gb18030"))
    assert refused(path) == [("E1203", "task.yaml:2")]
    path.write_bytes(b"#" * ((1 << 20) + 1))
    assert refused(path)[0][0] == "E1202"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_windows_editors_are_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "")
    path.write_bytes(GOOD.replace("\n", "\r\n").encode(encoding))
    assert load_config(path).inputs == ("text",)


def test_every_field_has_a_line_in_both_languages() -> None:
    english, chinese = field_docs("en"), field_docs("zh")
    assert english.keys() == chinese.keys() >= {"output.kind", "data.max_bad_ratio", "models.base_url", "cost.months"}
    assert all(english.values())
    assert all(re.search("[\u4e00-\u9fff]", line) for line in chinese.values())
    assert not any("\n" in line for line in [*english.values(), *chinese.values()])


def test_to_task_takes_labels_from_train_where_none_are_declared(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD + "target: 0.9\nconstraints: {max_latency_p95: 2}\n"))
    task = to_task(config, ["b", "a"])
    assert task.output.labels == ("b", "a")
    assert task.metrics == ("accuracy", "macro_f1")
    assert (task.language, task.target, task.constraints.max_latency_p95) == ("en", 0.9, 2.0)
    declared = load_config(write(tmp_path, GOOD.replace("column: label", "column: label\n  labels: [x, y]")))
    assert to_task(declared, ["b", "a"]).output.labels == ("x", "y")


def test_the_language_is_that_of_the_instruction(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, GOOD.replace("Decide which category the text belongs to.", "判断 text 属于哪一类。"))
    )
    assert to_task(config).language == "zh"


def test_constraints_are_those_of_the_core_and_those_measured_afterwards_make_no_other_task(tmp_path: Path) -> None:
    measured = {"min_stability", "max_attack_rate"}
    assert ConstraintsConfig().model_dump(exclude=measured) == Constraints().model_dump()
    limited = load_config(write(tmp_path, GOOD + "\nconstraints: {min_stability: 0.9, max_attack_rate: 0.2}\n"))
    assert (limited.constraints.min_stability, limited.constraints.max_attack_rate) == (0.9, 0.2)
    assert to_task(limited).hash == to_task(load_config(write(tmp_path, GOOD))).hash


def test_a_model_becomes_a_reference_that_its_backend_opens(tmp_path: Path) -> None:
    text = GOOD + (
        "models:\n- {kind: openai, id: qwen, base_url: 'http://localhost:8000/v1', api_key_env: KEY, input_price: 0.5,"
        " options: {context_tokens: 900}}\n- {kind: recorded, path: old.jsonl}\n- {path: ., precision: fp32}\n"
    )
    path = write(tmp_path, text)
    (tmp_path / "old.jsonl").write_text('{"question": "q", "answer": "a"}\n', "utf-8")
    config = load_config(path)
    remote, recorded, local = (to_model_ref(config, model) for model in config.models)
    options = check_options(remote.options)
    assert (remote.id, options.base_url, options.api_key_env) == ("qwen", "http://localhost:8000/v1", "KEY")
    assert (options.context_tokens, options.prices.input) == (900, 0.5)
    assert RecordedModel.open(recorded).ref.id == "old"
    assert (local.kind, local.id, local.precision) == ("transformers", str(tmp_path), "fp32")
    assert to_model_ref(config, ModelConfig(id="smollm2-135m")).id == "smollm2-135m"
