"""Ollama's Modelfile: what its reader (ollama/ollama, parser/parser.go) takes from the text that is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_llama import write_tuned_run

import rung
from rung.experiment.exporting.modelfile import FAMILIES, is_kept, modelfile

SYSTEMS = (
    "Name the topic.",
    'Say "hi"',
    '"quoted" first',
    "two\nlines\n\n  indented\n",
    "a\tb  c ",
    "#none",
    "\r\nthen",
    "退还押金。",
)
LOST = ("全角　空格", "no\u00a0break", "zero\u200bwidth", 'ends """')


def read(text: str) -> list[tuple[str, str]]:
    """Commands and their arguments, as Ollama reads them: no escapes, quotes taken off, unprintable characters dropped.

    A value ends at a line break that stands outside quotes.
    """
    found: list[tuple[str, str]] = []
    rest = text
    while rest:
        name, _, rest = rest.partition(" ")
        if name == "PARAMETER":
            name, _, rest = rest.partition(" ")
        assert name.isidentifier()
        mark = next((mark for mark in ('"""', '"') if rest.startswith(mark)), "")
        end = next(
            place
            for place, letter in enumerate(rest)
            if letter == "\n" and (not mark or (place >= 2 * len(mark) and rest[:place].endswith(mark)))
        )
        value, rest = rest[len(mark) : end - len(mark)], rest[end + 1 :]
        found.append((name, "".join(letter for letter in value if letter.isprintable() or letter in "\t\r\n")))
    return found


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("system", SYSTEMS + LOST)
def test_every_value_is_read_as_it_was_meant(family: object, system: str) -> None:
    assert family in FAMILIES
    found = read(modelfile(family, "m.gguf", system=system, context=8192, most=64))
    assert [value for name, value in found if name == "stop"] == list(family.stops)
    rest = {name: value for name, value in found if name != "stop"}
    assert rest["FROM"] == "./m.gguf"
    assert rest["TEMPLATE"] == family.go_template()
    assert (rest["num_ctx"], rest["num_predict"], rest["repeat_penalty"]) == ("4096", "64", "1")
    assert is_kept(system) is (system in SYSTEMS)
    assert (rest["SYSTEM"] == system) is is_kept(system)


def tuned(folder: Path, **prompt: object) -> Path:
    run = write_tuned_run(folder, labelled="list_choices" in prompt)
    path = next(run.path.glob("candidates/*/candidate.json"))
    record = json.loads(path.read_text("utf-8"))
    record["prompt"] |= prompt
    path.write_text(json.dumps(record), "utf-8")
    return run.path


def test_the_system_message_is_the_whole_one_that_was_trained(tmp_path: Path) -> None:
    exported = rung.export(tuned(tmp_path, list_choices=True), to="ollama", check=0, out=tmp_path / "made")
    text = (exported.path / "Modelfile").read_text("utf-8")
    assert dict(read(text))["SYSTEM"] == "Name the topic.\nChoose one of: deposit, repairs, rent"


def test_an_instruction_that_ollama_would_change_is_told_and_answers_end(tmp_path: Path) -> None:
    exported = rung.export(tuned(tmp_path, instruction="主题　是？"), to="ollama", check=0, out=tmp_path / "made")
    assert exported.record.notes == ("modelfile_letters",)
    assert dict(read((exported.path / "Modelfile").read_text("utf-8")))["num_predict"] == "6"
    assert "SYSTEM" in (exported.path / "README.md").read_text("utf-8")


def test_a_prompt_without_a_system_message_has_no_system_line(tmp_path: Path) -> None:
    exported = rung.export(tuned(tmp_path, layout="bare"), to="ollama", check=0, out=tmp_path / "made")
    assert "SYSTEM" not in dict(read((exported.path / "Modelfile").read_text("utf-8")))
