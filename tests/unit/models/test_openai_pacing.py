"""Too many requests, failing servers and outages: waits, retries, how many at once, and when a run pauses (F02, F03)."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from fake_endpoint import answer, ask, refuse, say

from rung.core.errors import BackendError
from rung.models.openai_api import OpenAIModel
from rung.models.pacing import Breaker, Gate, Pacing, asked_wait

GOOD = say(answer())
NOON = 1_800_000_000.0
"""Fri, 15 Jan 2027 08:00:00 GMT"""


def one(model: OpenAIModel) -> Any:
    return model.generate([ask()])[0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "600"}, 60.0),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "Fri, 15 Jan 2027 08:00:20 GMT"}, 20.0),
        ({"retry_after": "Fri, 15 Jan 2027 09:00:20 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}, 20.0),
        ({"retry_after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry_after": "soon"}, 0.25),
        ({"retry_after": "-5"}, 0.25),
        ({"retry_after": "nan"}, 0.25),
        ({"retry_after": "1e999"}, 0.25),
        ({}, 0.25),
    ],
    ids=str,
)
def test_the_wait_is_the_one_the_endpoint_asks_for(
    serve: Any, connect: Any, sleeps: Any, headers: dict[str, str], seconds: float
) -> None:
    endpoint = serve([refuse(429, **headers), GOOD])
    assert one(connect(endpoint, now=NOON)).text == "yes"
    assert sleeps == [seconds]


def test_an_http_date_is_measured_from_the_endpoints_own_clock() -> None:
    headers = {"retry-after": "Fri, 15 Jan 2027 08:00:20 GMT", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}
    assert asked_wait(headers, now=0.0) == 20.0
    assert asked_wait({"retry-after": headers["retry-after"]}, now=NOON + 5) == 15.0


def test_waits_double_and_are_spread() -> None:
    pacing = Pacing(first_wait=1, longest_wait=10)
    assert [pacing.wait(n, None, 0.0) for n in range(6)] == [0.5, 1, 2, 4, 5, 5]
    assert [pacing.wait(n, None, 1.0) for n in range(6)] == [1, 2, 4, 8, 10, 10]
    assert pacing.wait(0, 7, 0.0) == 7
    assert 7 < pacing.wait(0, 7, 0.99) < 7.71, "spread, and never sooner than asked"
    assert pacing.wait(5000, None, 0.0) == 5


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_an_empty_account_pauses_the_run_at_once(serve: Any, connect: Any, sleeps: Any, code: str) -> None:
    endpoint = serve(refuse(429, "You exceeded your current quota", code))
    with pytest.raises(BackendError) as caught:
        one(connect(endpoint))
    assert caught.value.code == "E3105"
    assert "exceeded your current quota" in str(caught.value)
    assert (endpoint.asked, sleeps) == (1, [])


@pytest.mark.parametrize(("status", "code"), [(401, "E3103"), (402, "E3105"), (404, "E3104")])
def test_what_no_retry_can_mend_stops_the_run(serve: Any, connect: Any, status: int, code: str) -> None:
    endpoint = serve(refuse(status))
    with pytest.raises(BackendError) as caught:
        one(connect(endpoint))
    assert caught.value.code == code
    assert endpoint.asked == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_passing_failure_is_tried_again_a_bounded_number_of_times(
    serve: Any, connect: Any, sleeps: Any, status: int
) -> None:
    endpoint = serve([refuse(status), refuse(status), GOOD])
    assert one(connect(endpoint)).text == "yes"
    assert sleeps == [0.25, 0.5]
    endpoint = serve(refuse(status))
    completion = one(connect(endpoint))
    assert endpoint.asked == 3
    assert completion.failure.kind == ("rate_limit" if status == 429 else "server")
    assert f"HTTP {status}" in completion.failure.message


@pytest.mark.parametrize("status", [400, 403, 409, 422, 501, 505, 302])
def test_other_refusals_are_not_tried_again(serve: Any, connect: Any, sleeps: Any, status: int) -> None:
    endpoint = serve(refuse(status))
    assert one(connect(endpoint)).failure is not None
    assert (endpoint.asked, sleeps) == (1, [])


@pytest.mark.parametrize("reaction", ["hang up", refuse(503)], ids=["dropped", "503"])
def test_a_dropped_connection_is_tried_again(serve: Any, connect: Any, reaction: Any) -> None:
    endpoint = serve([reaction, GOOD])
    assert one(connect(endpoint)).text == "yes"
    assert endpoint.asked == 2


def test_a_third_of_failures_at_random_loses_no_answer(serve: Any, connect: Any) -> None:
    rng = random.Random(3)

    def script(_: int, body: Any) -> Any:
        return (
            refuse(rng.choice([500, 502, 503])) if rng.random() < 0.3 else say(answer(body["messages"][1]["content"]))
        )

    model = connect(serve(script), pacing={"max_retries": 6, "concurrency": 4})
    completions = model.generate([ask(f"q{n}") for n in range(40)])
    assert [completion.text for completion in completions] == [f"q{n}" for n in range(40)]


def test_a_total_outage_pauses_the_run_instead_of_burning_through_it(serve: Any, connect: Any) -> None:
    endpoint = serve(refuse(503, "overloaded"))
    model = connect(endpoint, pacing={"outage_after": 3, "concurrency": 1, "max_retries": 1})
    with pytest.raises(BackendError) as caught:
        model.generate([ask(f"q{n}") for n in range(50)])
    assert caught.value.code == "E3102"
    assert "3 requests" in str(caught.value)
    assert "503: overloaded" in str(caught.value)
    assert endpoint.asked == 3 * 2, "asked on after the run had paused"


def test_after_an_outage_one_attempt_shows_whether_it_is_over(serve: Any, connect: Any) -> None:
    up = threading.Event()
    endpoint = serve(lambda *_: GOOD if up.is_set() else refuse(503))
    model = connect(endpoint, pacing={"outage_after": 2, "concurrency": 1, "max_retries": 2})
    with pytest.raises(BackendError):
        model.generate([ask()] * 2)
    asked = endpoint.asked
    with pytest.raises(BackendError):
        one(model)
    assert endpoint.asked == asked + 1
    up.set()
    assert [c.text for c in model.generate([ask()] * 3)] == ["yes"] * 3


def test_failures_of_single_questions_are_no_outage(serve: Any, connect: Any) -> None:
    too_long = refuse(400, "This model's maximum context length is 4096 tokens", "context_length_exceeded")
    model = connect(serve(too_long), pacing={"outage_after": 2})
    assert [c.failure.kind for c in model.generate([ask()] * 6)] == ["too_long"] * 6


def until_pause(model: OpenAIModel, *questions: str) -> list[tuple[int, str]]:
    """What is handed out before the run pauses."""
    done = []
    try:
        for each in model.generate_each([ask(question) for question in questions]):
            done.append((each.index, each.completion.text))
    except BackendError:
        return done
    raise AssertionError("the run did not pause")


def test_answers_paid_for_before_a_pause_are_handed_out(serve: Any, connect: Any) -> None:
    endpoint = serve(lambda n, _: GOOD if n <= 3 else refuse(402))
    model = connect(endpoint, pacing={"concurrency": 1})
    assert until_pause(model, *(f"q{n}" for n in range(9))) == [(0, "yes"), (1, "yes"), (2, "yes")]
    assert endpoint.asked == 4


def test_an_answer_on_its_way_when_the_run_pauses_is_not_lost(serve: Any, connect: Any) -> None:
    both, refused = threading.Barrier(2, timeout=5), threading.Event()

    def script(_: int, body: Any) -> Any:
        both.wait()
        if body["messages"][1]["content"] == "bad":
            return refuse(402)
        refused.wait(0.15)
        return GOOD

    model = connect(serve(script))
    assert until_pause(model, "bad", "good") == [(1, "yes")]


def test_requests_go_out_together_up_to_the_limit(serve: Any, connect: Any) -> None:
    full = threading.Barrier(3, timeout=5)

    def script(*_: Any) -> Any:
        full.wait()
        return GOOD

    endpoint = serve(script)
    model = connect(endpoint, pacing={"concurrency": 3})
    assert all(c.text for c in model.generate([ask()] * 9))
    assert endpoint.most_at_once == 3


def test_being_throttled_halves_the_requests_at_once(serve: Any, connect: Any) -> None:
    endpoint = serve(lambda n, _: refuse(429) if n == 1 else GOOD)
    model = connect(endpoint, pacing={"concurrency": 8})
    one(model)
    assert model._gate.limit == 4
    model.generate([ask()] * 30)
    assert model._gate.limit == 8, "recovers"


def test_the_gate_halves_once_for_requests_that_were_out_together() -> None:
    gate = Gate(8)
    with gate.slot() as first, gate.slot() as second:
        gate.throttled(first)
        gate.throttled(second)
    assert gate.limit == 4
    for expected in (2, 1, 1):
        with gate.slot() as mark:
            gate.throttled(mark)
        assert gate.limit == expected
    gate.succeeded()
    assert gate.limit == 2
    gate.succeeded()
    assert gate.limit == 2
    gate.succeeded()
    assert gate.limit == 3


def test_the_gate_lets_no_more_in_than_its_limit() -> None:
    gate, inside, seen, lock = Gate(2), 0, [], threading.Lock()

    def enter() -> None:
        nonlocal inside
        with gate.slot():
            with lock:
                inside += 1
                seen.append(inside)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(seen) == 20
    assert max(seen) <= 2


def test_the_breaker_counts_failures_in_a_row() -> None:
    breaker = Breaker(2)
    for failed, is_open in [(True, False), (False, False), (True, False), (True, True), (True, True), (False, False)]:
        breaker.note(failed)
        assert breaker.open is is_open
