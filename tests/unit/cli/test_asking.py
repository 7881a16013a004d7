"""The way of one question, printed in both languages and as JSON."""

from __future__ import annotations

import json

import pytest

from rung.cli.asking import Asked, trace_lines, trace_record
from rung.cli.commands import to_json
from rung.cli.main import app
from rung.core.evaluation import Answer
from rung.core.found import Effort, Found, Scored
from rung.core.model import Message, Request
from rung.core.task import Passage

FOUND = Found(
    asked="Hello, who keeps the lift?",
    searched=("who keeps the lift?",),
    hits=(Scored("a.md#1", 0.0325), Scored("b.md#2", 0.0161)),
    ranked=(Scored("b.md#2", 0.9), Scored("a.md#1", 0.2)),
    too_weak=("a.md#1",),
    no_room=("c.md#1",),
    failure="timeout",
    signal=0.42,
    effort=Effort(10, 5, 1.5, 0.0),
)
ASKED = Asked(
    "rag-1",
    Request(
        (Message("system", "Answer {it}."), Message("user", "[1] The lift\n\nQuestion")),
        query="Hello, who keeps the lift?",
        passages=(Passage("b.md#2", "b.md", "B", "The lift is kept by Otis."),),
        found=FOUND,
    ),
    Answer(
        "asked",
        'It says "kept by Kone"',
        citations=("b.md#2",),
        passages=("b.md#2",),
        quoted=1,
        unsupported_quotes=("kept by Kone",),
        unsupported_citations=("b.md#2",),
    ),
)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_people_see_every_stage_in_its_order(language: str) -> None:
    lines = list(trace_lines(ASKED, language))
    text = "\n".join(lines)
    stages = [
        "Hello, who keeps",
        "who keeps the lift?",
        "timeout",
        "0.0325  a.md#1",
        "0.9000  b.md#2",
        "c.md#1",
        "0.42",
        "1.50",
        "Answer {it}.",
        "kept by Kone",
    ]
    places = [text.index(stage, text.index("\n") if n else 0) for n, stage in enumerate(stages)]
    assert places == sorted(places)
    assert not (language == "zh" and "asked:" in text)


def test_the_command_talks_on_stderr_and_gives_programs_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rung.cli.asking.ask_traced", lambda *_, **__: ASKED)
    monkeypatch.setenv("RUNG_LANG", "en")
    app(["ask", "--trace", "q"], standalone_mode=False)
    told = capsys.readouterr()
    assert told.out == 'It says "kept by Kone"\n'
    assert "searched: who keeps the lift?" in told.err
    app(["ask", "--trace", "--json", "q"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["searched"] == ["who keeps the lift?"]


def test_programs_get_the_same_as_json() -> None:
    record = json.loads(to_json(trace_record(ASKED)))
    assert (record["candidate"], record["question"]) == ("rag-1", "Hello, who keeps the lift?")
    assert record["searched"] == ["who keeps the lift?"]
    assert [hit["id"] for hit in record["found"]] == ["a.md#1", "b.md#2"]
    assert [hit["id"] for hit in record["ranked"]] == ["b.md#2", "a.md#1"]
    assert (record["too_weak"], record["no_room"], record["signal"]) == (["a.md#1"], ["c.md#1"], 0.42)
    assert record["shown"][0]["text"] == "The lift is kept by Otis."
    assert [message["role"] for message in record["prompt"]] == ["system", "user"]
    assert record["checks"]["unsupported_quotes"] == ["kept by Kone"]
    assert record["answer"]["citations"] == ["b.md#2"]


def test_a_candidate_without_documents_has_a_shorter_way() -> None:
    asked = Asked("prompt-1", Request((Message("user", "q"),), query="q"), Answer("asked", "a"))
    assert len(list(trace_lines(asked, "en"))) == 4
    assert "found" not in trace_record(asked)
