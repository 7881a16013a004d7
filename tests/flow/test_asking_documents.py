"""Every part between question and answer at once, on the embedded model: three questions, traced."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_fit import fit, task

from rung.core.answer import answer_stream, open_candidate
from rung.core.candidate import Candidate
from rung.core.task import Document, Example, OutputSpec
from rung.methods.rag import rag_setting
from rung.models.transformers_local import TransformersModel

DOCUMENTS = (
    Document("rent.md", "Rent", "Rent is due on the first day of the month, in advance."),
    Document("pets.md", "Pets", "A cat may be kept in any flat. A dog needs leave in writing."),
    Document("lift.md", "Lift", "The lift is kept by the firm Otis and is checked every June."),
    Document("bins.md", "Bins", "Bins are emptied on Tuesdays before eight in the morning."),
)
ASKED = ("Hello, when is rent due? Thanks!", "May I keep a dog?", "Who keeps the lift?")
PARTS = {
    "query": "both",
    "rerank": "model",
    "rerank_depth": 3,
    "order": "best_last",
    "weights": [2, 1],
    "drop_below": 0.1,
}


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    return TransformersModel()


def test_every_part_works_together_and_says_what_it_took(tmp_path: Path, model: TransformersModel) -> None:
    output = OutputSpec(kind="text", max_tokens=12, abstain="Not in the guidance.")
    asked = task("text", output=output, has_documents=True, instruction="Answer the tenants.")
    data = fit(tmp_path, asked=asked, documents=DOCUMENTS, encoder="minilm")
    made = rag_setting(data, model, {"chunk_words": 70, "k": 2, **PARTS}).candidate
    read = Candidate.model_validate_json(made.model_dump_json())
    assert read.id == made.id
    opened = open_candidate(read, tmp_path, tmp_path / "indexes", model=model)
    examples = [Example(f"q{n}", {"text": text}, ()) for n, text in enumerate(ASKED)]
    (part,) = answer_stream(opened, examples)
    for example, request, answer in part:
        found = request.found
        assert found is not None
        assert found.searched[0] == example.asked
        assert 1 <= len(found.ranked) <= 3
        assert [hit.score for hit in found.ranked] == sorted((hit.score for hit in found.ranked), reverse=True)
        assert all(0 < hit.score < 1 for hit in found.ranked)
        assert answer.failure is None
        assert answer.passages == tuple(passage.id for passage in reversed(request.passages))
        assert answer.seconds > found.effort.seconds > 0
        assert answer.tokens_in > found.effort.tokens_in > 0
    tops = [answer.passages[0].split("#")[0] for _, _, answer in part]
    assert sum(top == right for top, right in zip(tops, ("rent.md", "pets.md", "lift.md"), strict=True)) >= 2
