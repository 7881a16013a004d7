"""What the tests of backends share: a scripted endpoint, short deadlines, and time that does not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint

from rung.models.openai_api import Clock, OpenAIModel

SHORT = {"connect": 0.5, "first_byte": 5.0, "idle": 5.0, "total": 10.0}


class Sleeps(list[float]):
    """Records waits instead of waiting."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], FakeEndpoint]]:
    """Start a scripted endpoint; it stops with the test."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(FakeEndpoint(script))


@pytest.fixture
def connect(sleeps: Sleeps) -> Iterator[Callable[..., OpenAIModel]]:
    """A model at an endpoint or address, with short deadlines and recorded waits."""
    with ExitStack() as stack:

        def make(endpoint: FakeEndpoint | str, *, now: float = 0.0, **options: Any) -> OpenAIModel:
            options["deadlines"] = SHORT | options.get("deadlines", {})
            options["pacing"] = {"max_retries": 2, "concurrency": 2} | options.get("pacing", {})
            address = endpoint if isinstance(endpoint, str) else endpoint.url
            clock = Clock(now=lambda: now, sleep=sleeps, draw=lambda: 0.0)
            model = OpenAIModel("m1", base_url=address, clock=clock, **options)
            stack.callback(model.close)
            return model

        yield make
