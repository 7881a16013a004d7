"""The scripted model: what it answers, scores and breaks."""

from __future__ import annotations

import numpy as np
import pytest
from fake_endpoint import ask

from rung.core.errors import BackendError
from rung.core.model import Completion, Failure, ModelRef
from rung.models.fake import FakeModel


def test_a_mapping_scripts_by_question_and_a_function_by_request() -> None:
    model = FakeModel({"a": "1", "b": Failure("refused", "no"), "c": Completion(text="3", money=0.5)})
    texts = [(c.text, c.failure and c.failure.kind, c.money) for c in model.generate([ask(q) for q in "abcd"])]
    assert texts == [("1", None, 0.0), ("", "refused", 0.0), ("3", None, 0.5), ("", "error", 0.0)]
    assert FakeModel(default="x").generate([ask("?")])[0].text == "x"
    assert FakeModel(lambda request: request.query.upper()).generate([ask("q")])[0].text == "Q"


def test_constrained_requests_get_scores_that_are_probabilities() -> None:
    model = FakeModel({"a": "neg", "b": "sideways"})
    chosen, outside = model.generate([ask(q, choices=("pos", "neg", "neu")) for q in "ab"])
    assert chosen.finish == "choice"
    assert int(np.argmax(chosen.choice_scores)) == 1
    assert np.exp(chosen.choice_scores).sum() == pytest.approx(1)
    assert outside.failure is not None
    free = FakeModel({"b": "sideways"}, choices=False).generate([ask("b", choices=("pos", "neg"))])[0]
    assert (free.text, free.choice_scores) == ("sideways", ())


def test_faults_strike_the_nth_request_once() -> None:
    model = FakeModel(default="x", faults={2: Failure("timeout", "late"), 4: KeyboardInterrupt()})
    assert [c.failure.kind if c.failure else c.text for c in model.generate([ask()] * 3)] == ["x", "timeout", "x"]
    with pytest.raises(KeyboardInterrupt):
        model.generate([ask()])
    assert model.generate([ask()])[0].text == "x"
    assert [len(batch) for batch in model.calls] == [3, 1, 1]


def test_the_record_holds_the_script() -> None:
    model = FakeModel(
        {"a": "1", "b": Failure("refused", "no")}, default=Completion(text="2", seconds=1.5), choices=False
    )
    again = FakeModel.open(ModelRef.model_validate_json(model.ref.model_dump_json()))
    requests = [ask(q) for q in "abc"]
    assert again.generate(requests) == model.generate(requests)
    assert again.ref == model.ref
    with pytest.raises(BackendError) as caught:
        FakeModel.open(FakeModel(lambda _: "x").ref)
    assert caught.value.code == "E3109"
