"""In numbers of 32 bits and the same batch, what is served is what is evaluated, text for text."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from live_server import LiveServer, Reply, candidate_of, until
from tiny_llama import write_model

from rung.core.answer import Opened, answer_many
from rung.core.task import Example
from rung.models.transformers_local import TransformersModel
from rung.serving.engine import Engine, Job
from rung.serving.hosting import Hosted

QUESTIONS = tuple(f"Question {n} about the rent {'and the deposit ' * n}" for n in range(8))


class GatedEngine(Engine):
    """Takes one batch, and the next one only when it is let."""

    gate = threading.Event()

    def _answer(self, jobs: Sequence[Job]) -> None:
        self.gate.wait(60)
        super()._answer(jobs)


@pytest.mark.slow
def test_a_batch_over_http_says_what_the_evaluation_says(tmp_path: Path) -> None:
    model = TransformersModel(str(write_model(tmp_path / "base")), precision="fp32", device="cpu")
    opened = Opened(candidate_of(model, max_tokens=16), model)
    examples = [Example(f"q{n}", {"question": text}, ()) for n, text in enumerate(QUESTIONS)]
    evaluated = answer_many(opened, examples, chunk=len(examples))
    assert not any(answer.failure for answer in evaluated)
    assert len({answer.text for answer in evaluated}) > len(examples) // 2, "random weights say different things"
    engine = GatedEngine(opened, batch=len(examples))
    replies: dict[str, Reply] = {}
    with LiveServer(Hosted("small", opened, engine)) as server:
        first = threading.Thread(target=server.chat)
        first.start()
        assert until(lambda: engine.running == 1)
        asking = []
        for n, text in enumerate(QUESTIONS):
            asking.append(threading.Thread(target=lambda text=text: replies.update({text: server.chat(text)})))
            asking[-1].start()
            assert until(lambda n=n: engine.waiting == n + 1)
        engine.gate.set()
        for thread in (first, *asking):
            thread.join(60)
        assert [replies[text].status for text in QUESTIONS] == [200] * len(QUESTIONS)
        served = [replies[text].json["choices"][0]["message"]["content"] for text in QUESTIONS]
        assert served == [answer.text for answer in evaluated]
        tokens = [replies[text].json["usage"]["completion_tokens"] for text in QUESTIONS]
        assert tokens == [answer.tokens_out for answer in evaluated]
