"""Retrieval tuned on dev: by marked passages first, then by the metric, and dear parts only where they pay."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from letters import register_letters
from small_fit import Notebook, fit, task

from rung.core.answer import answer_many
from rung.core.finding import Helper, Judged
from rung.core.found import Effort, Wording
from rung.core.method import Budget
from rung.core.model import Request
from rung.core.registry import Part, parts
from rung.core.task import Document, Example, FitData, OutputSpec
from rung.methods.named import method_named
from rung.methods.rag import chosen_ways, points, settings_of, usual_way
from rung.methods.tuning import PREPARED, open_for
from rung.methods.ways import Marked, Ranks, Way, compare_ways, finalists
from rung.models.fake import FakeModel

FACTS = ("gas", "water", "lift", "roof", "cellar", "garden", "window", "heating", "letter", "parking", "pets", "noise")
ABSTAIN = "Not in the documents."
pytestmark = pytest.mark.usefixtures("_letters")


@pytest.fixture
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)


def desk(
    folder: Path, *, said: str = "Who keeps the {fact}?", unknown: int = 0, marks: bool = True, **hints: Any
) -> FitData:
    """A document for every fact, and a question about each on dev; `unknown` questions that no document answers."""
    output = OutputSpec(kind="text", abstain=ABSTAIN)
    documents = tuple(
        Document(f"{fact}.md", fact, f"The {fact} is kept by firm {n} of the town.") for n, fact in enumerate(FACTS)
    )
    dev = [
        Example(f"d{n}", {"text": said.format(fact=fact)}, (f"firm {n}",), documents=(f"{fact}.md",) if marks else ())
        for n, fact in enumerate(FACTS)
    ]
    dev += [Example(f"u{n}", {"text": f"Zzz zzz zz{n}?"}, (ABSTAIN,)) for n in range(unknown)]
    asked = task("text", output=output, has_documents=True)
    data = fit(folder, asked=asked, documents=documents, train=tuple(dev), dev=tuple(dev), hints=hints)
    data.folder.mkdir(exist_ok=True)
    return data


def rot13(word: str) -> str:
    return codecs.encode(word, "rot13")


def reader(request: Request) -> str:
    """Says what the passage on the asked fact says, where it is shown."""
    for passage in request.passages:
        if passage.title in request.query:
            return passage.text.split("kept by ")[1].removesuffix(" of the town.")
    return "no idea"


def adapted(data: FitData, model: FakeModel) -> tuple[Any, Notebook]:
    notebook = Notebook()
    return method_named("rag").adapt(data, model, Budget(notebook)), notebook


def test_ranks_are_those_of_passages_that_hold_the_answer(tmp_path: Path) -> None:
    data = desk(tmp_path)
    marked = Marked.of(data)
    assert len(marked.examples) == len(FACTS)
    ways = [Way(70, "as_asked", fusion) for fusion in ("lexical", "dense", "rrf")]
    lexical, dense, _ = compare_ways(marked, ways, FakeModel())
    assert lexical.recall(1) == 1.0
    assert dense.mrr < lexical.mrr == 1.0
    assert lexical.worth((1, 2, 3)) == 1.0


def test_questions_without_marks_or_answers_tell_nothing(tmp_path: Path) -> None:
    assert not Marked.of(desk(tmp_path, marks=False)).enough
    assert len(Marked.of(desk(tmp_path, unknown=6)).examples) == len(FACTS)


def test_the_usual_way_is_always_a_finalist_and_equal_ways_are_one() -> None:
    import numpy as np

    usual = Way(70, "as_asked", "rrf")

    def ranks(way: Way, *places: float) -> Ranks:
        return Ranks(way, np.array(places))

    found = [
        ranks(usual, 3, 3, 3),
        ranks(Way(70, "cleaned", "rrf"), 3, 3, 3),
        ranks(Way(70, "as_asked", "lexical"), 1, 1, 2),
        ranks(Way(140, "as_asked", "rrf"), 1, 3, 3),
        ranks(Way(140, "as_asked", "dense"), 1, 2, 2),
    ]
    assert finalists(found, usual, (1, 2, 3)) == [Way(140, "as_asked", "rrf"), found[2].way, found[4].way]


def test_without_marks_only_what_the_task_file_names_is_tried(tmp_path: Path) -> None:
    data = desk(tmp_path, marks=False, fusion=["lexical", "rrf"])
    ways = chosen_ways(data, FakeModel(), Budget(Notebook()), settings_of(data), Marked.of(data))
    assert {way.fusion for way in ways} == {"lexical", "rrf"}
    assert {way.weights for way in ways} == {(1.0, 1.0)}
    plain = desk(tmp_path, marks=False)
    usual = usual_way(plain)
    ways = chosen_ways(plain, FakeModel(), Budget(Notebook()), settings_of(plain), Marked.of(plain))
    tried = points(ways, settings_of(plain), usual)
    assert tried == [
        {"chunk_words": words, "k": k} for words, k in ((70, 1), (70, 2), (140, 1), (70, 3), (140, 2), (140, 3))
    ]


def test_marks_choose_the_way_and_the_journal_tells_how(tmp_path: Path) -> None:
    said = "Hello, could you please tell me who keeps the {fact}? Thanks in advance, looking forward to your answer"
    made, notebook = adapted(desk(tmp_path, said=said), FakeModel(reader))
    note = notebook.notes["retrieval"]
    assert (note["questions"], note["within_reach"]) == (len(FACTS), 1.0)
    assert note["ways"][0]["recall"] == 1.0
    assert note["ways"][0]["mrr"] >= note["ways"][-1]["mrr"]
    assert made.retriever.recipe.fit_context
    assert made.retriever.recipe.query in {"as_asked", "cleaned"}


def test_nothing_dear_is_tried_where_everything_is_found(tmp_path: Path) -> None:
    model = FakeModel(reader)
    _, notebook = adapted(desk(tmp_path, rerank=["off", "model"], k=3), model)
    dear = [step for step in notebook.notes["refined"] if step["part"] in {"query", "rerank"}]
    assert {(step["value"], step["why"]) for step in dear} == {
        ("rewritten", "no_room"),
        ("both", "no_room"),
        ("model", "no_room"),
    }
    assert not any(request.choices for call in model.calls for request in call)


class Pointing:
    """Puts the passage on the fact that a hint stands for first."""

    id = "pointing@1"

    def score(self, pairs: Sequence[tuple[str, str]], helper: Helper) -> Judged:
        scores = tuple(float(question.split()[-1].strip("?") == rot13(text.split("\n")[0])) for question, text in pairs)
        return Judged(scores, tuple(Effort(seconds=0.1) for _ in pairs))


class Guessing(Pointing):
    """Knows nothing."""

    id = "guessing@1"

    def score(self, pairs: Sequence[tuple[str, str]], helper: Helper) -> Judged:
        return Judged(tuple(0.5 for _ in pairs), tuple(Effort() for _ in pairs))


class Turning:
    """Search words by a model: the word in plain writing."""

    asks_model = True

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        done = helper.model.generate([Request((), query=f"turn {example.asked}") for example in examples])
        return [Wording((one.text,), Effort(seconds=0.2)) for one in done]


def turned(folder: Path, **hints: Any) -> tuple[FitData, FakeModel]:
    """Questions that name their fact in a secret writing, so that no plain search finds it; and a model that can read it."""
    data = desk(folder, fusion="dense", chunk_words=70, k=1, **hints)
    dev = tuple(
        replace(example, inputs={"text": f"Xx yy {rot13(fact)}?"})
        for example, fact in zip(data.dev, FACTS, strict=False)
    )

    def say(request: Request) -> str:
        if request.query.startswith("turn "):
            return f"The {rot13(request.query.split()[-1].strip('?'))} is kept by firm"
        back = rot13(request.query.split()[-1].strip("?"))
        return next(
            (p.text.split("kept by ")[1][: -len(" of the town.")] for p in request.passages if p.title == back), "?"
        )

    return replace(data, dev=dev), FakeModel(say)


def test_a_second_ranking_is_kept_where_it_finds_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in (("pointing", Pointing), ("guessing", Guessing)):
        monkeypatch.setitem(parts("reranker"), name, Part("reranker", name, f"test_rag_method:{kind.__name__}"))
    data, model = turned(tmp_path, query="as_asked", rerank=["off", "guessing", "pointing"])
    made, notebook = adapted(data, model)
    steps = {step["value"]: step for step in notebook.notes["refined"] if step["part"] == "rerank"}
    assert (steps["guessing"]["kept"], steps["guessing"]["why"]) == (False, "no_gain")
    assert (steps["pointing"]["kept"], steps["pointing"]["why"]) == (True, "gain")
    assert steps["pointing"]["after"] > steps["pointing"]["before"]
    assert steps["pointing"]["low"] > 0
    assert made.retriever.recipe.rerank == "pointing"


def test_search_words_of_the_model_are_kept_where_they_pay_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts("wording"), "turning", Part("wording", "turning", "test_rag_method:Turning"))
    data, model = turned(tmp_path, query=["as_asked", "turning"])
    made, notebook = adapted(data, model)
    (step,) = [step for step in notebook.notes["refined"] if step["part"] == "query"]
    assert (step["kept"], made.retriever.recipe.query) == (True, "turning")
    assert (step["by"], step["n"], step["k"]) == ("marks", len(data.dev), 1)
    shown = step["samples"]
    assert len(shown) == 6
    assert all(one["searched"][0].startswith("The ") and one["question"].startswith("Xx yy") for one in shown)
    gains = [1 / one["after"] - (1 / one["before"] if one["before"] else 0) for one in shown]
    assert gains[0] == max(gains) > 0
    asked = [request.query for call in model.calls for request in call if request.query.startswith("turn ")]
    assert len(asked) == len(set(asked)) == len(data.dev)
    assert (data.run / PREPARED).is_file()
    # What is evaluated asks anew, so that its time is measured.
    answers = answer_many(replace(open_for(data, made, model), helper=None), data.dev[:2])
    assert [answer.seconds for answer in answers] == [0.2, 0.2]
    assert len([r for call in model.calls for r in call if r.query.startswith("turn ")]) == len(data.dev) + 2


def test_what_asks_the_model_too_often_for_the_budget_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts("wording"), "turning", Part("wording", "turning", "test_rag_method:Turning"))
    data, model = turned(tmp_path, query=["as_asked", "turning"])
    notebook = Notebook()
    # An endpoint is taken to need a second for an answer.
    made = method_named("rag").adapt(data, model, Budget(notebook, seconds=60.0))
    (step,) = [step for step in notebook.notes["refined"] if step["part"] == "query"]
    assert (step["why"], made.retriever.recipe.query) == ("dear", "as_asked")


def test_a_score_below_which_the_documents_do_not_say(tmp_path: Path) -> None:
    data = desk(tmp_path, unknown=10, query="as_asked", k=1, chunk_words=70)
    made, notebook = adapted(data, FakeModel(reader))
    recipe = made.retriever.recipe
    assert recipe.abstain_by in {"lexical", "dense"}
    answers = {answer.example: answer for answer in answer_many(open_for(data, made, FakeModel(reader)), data.dev)}
    assert all(answers[f"u{n}"].text == ABSTAIN for n in range(10))
    assert sum(answers[f"d{n}"].text == ABSTAIN for n in range(len(FACTS))) <= 1
    steps = [step for step in notebook.notes["refined"] if step["part"] == "abstain_by"]
    assert any(step["kept"] and step["low"] > 0 for step in steps)
    off, notebook = adapted(replace(data, hints={**data.hints, "abstain": "off"}), FakeModel(reader))
    assert off.retriever.recipe.abstain_by == ""


def test_trimming_is_kept_where_nothing_is_lost_and_order_where_it_helps(tmp_path: Path) -> None:
    def last_one(request: Request) -> str:
        """Reads nothing but the last passage."""
        last = request.passages[-1]
        return last.text.split("kept by ")[1].removesuffix(" of the town.") if last.title in request.query else "?"

    data = desk(tmp_path, fusion="lexical", query="as_asked", k=3, chunk_words=70, drop_below="off")
    made, _ = adapted(data, FakeModel(last_one))
    assert made.retriever.recipe.order == "best_last"
    trimmed = replace(data, folder=tmp_path / "other", hints={**data.hints, "drop_below": "auto"})
    trimmed.folder.mkdir()
    made, notebook = adapted(trimmed, FakeModel(reader))
    assert (made.retriever.recipe.order, made.retriever.recipe.drop_below) == ("best_first", 0.5)
    assert {step["part"]: step["why"] for step in notebook.notes["refined"]}["order"] == "behind"


def test_the_same_run_again_asks_nothing_twice(tmp_path: Path) -> None:
    data, model = desk(tmp_path, unknown=6), FakeModel(reader)
    first, _ = adapted(data, model)
    asked = len(model.calls)
    again, _ = adapted(data, model)
    assert (again, len(model.calls)) == (first, asked)
