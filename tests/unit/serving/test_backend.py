"""A candidate's prompt, shots and steps before another engine, which every answer names."""

from __future__ import annotations

import pytest
from fake_endpoint import FakeEndpoint, answer, refuse, say
from live_server import LiveServer, candidate_of

from rung.core.answer import Opened
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, ShotExample, ShotsSlot
from rung.core.errors import UsageError
from rung.core.model import ModelRef
from rung.core.steps import bind
from rung.models.fake import FakeModel
from rung.serving.backend import Backend, behind
from rung.serving.engine import Engine
from rung.serving.hosting import Hosted


def labelled() -> Candidate:
    return Candidate(
        method="few_shot",
        model=ModelRef(kind="transformers", id="smollm2-135m", engine="transformers-cpu", precision="bfloat16"),
        prompt=PromptSlot(instruction="Name the topic.", fields=("question",)),
        shots=ShotsSlot(
            mode="fixed", k=1, fixed=(ShotExample(id="t1", inputs={"question": "My rent?"}, answer="rent"),)
        ),
        output=OutputSlot(choices=("rent", "repairs"), constrain=True, max_tokens=8),
    )


def test_the_endpoint_gets_the_candidates_prompt_and_its_words_become_the_label() -> None:
    with FakeEndpoint(say(answer("**Repairs.**"))) as endpoint:
        put = behind(labelled(), Backend(endpoint.url, "m1"))
        opened = Opened(put.candidate, put.model, steps=bind(put.candidate.output.steps))
        with LiveServer(Hosted("small", opened, Engine(opened, workers=4), other_engine=put.other_engine)) as server:
            reply = server.chat("The tap drips.").json
        assert reply["choices"][0]["message"]["content"] == "repairs"
        assert "smollm2-135m" in reply["rung"]["backend"]
        sent = endpoint.bodies[0]["messages"]
    assert [message["content"] for message in sent] == ["Name the topic.", "My rent?", "rent", "The tap drips."]


def test_the_recorded_endpoint_itself_needs_no_warning_and_no_model_no_endpoint() -> None:
    with FakeEndpoint(say(answer())) as endpoint:
        same = labelled().model_copy(
            update={"model": ModelRef(kind="openai", id="m1", engine="openai-api", options={"base_url": endpoint.url})}
        )
        assert behind(same, Backend(endpoint.url, "m1")).other_engine == ""
        assert behind(same, Backend(endpoint.url, "m2")).other_engine
    linear = candidate_of(FakeModel()).model_copy(update={"model": ModelRef(kind="linear", id="tfidf")})
    with pytest.raises(UsageError) as refused:
        behind(linear, Backend("http://127.0.0.1:1/v1", "m"))
    assert refused.value.code == "E7003"


def test_a_broken_endpoint_is_a_gateway_error_without_its_words() -> None:
    with FakeEndpoint(refuse(400, "prompt was: The tap drips.")) as endpoint:
        put = behind(labelled(), Backend(endpoint.url, "m1"))
        opened = Opened(put.candidate, put.model, steps=bind(put.candidate.output.steps))
        with LiveServer(Hosted("small", opened, Engine(opened, workers=4))) as server:
            reply = server.chat("The tap drips.")
        assert reply.status >= 500
        assert "drips" not in reply.error["message"]
