"""Rungs made by workers: the same verdict as one after another, and nothing made twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from small_task import scripted, write_task

from rung.core.errors import BackendError, UsageError
from rung.core.method import Cost
from rung.experiment import run as running
from rung.experiment.fan_out import Order
from rung.experiment.limits import Limits
from rung.experiment.run import run_task
from rung.experiment.workers import workers_on

THREE = (scripted("hasty", 3), scripted("careful", 11), scripted("wise"))


class Here:
    """Two workers that are this process, last order first."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def count(self) -> int:
        return 2

    def carry_out(self, work: Callable[[Order], str], orders: Sequence[Order]) -> Iterator[tuple[int, str]]:
        for place in reversed(range(len(orders))):
            self.made.append(orders[place].cell["model"])
            yield place, work(orders[place])

    def spent(self) -> Cost:
        return Cost()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Here:
    here = Here()

    @contextmanager
    def given(address: str) -> Iterator[Here]:
        assert address == "ray"
        yield here

    monkeypatch.setattr(running, "workers_on", given)
    return here


def test_the_verdict_is_that_of_a_run_without_workers(tmp_path, workers):
    apart = run_task(write_task(tmp_path / "apart", models=THREE), limits=Limits(on="ray"))
    alone = run_task(write_task(tmp_path / "alone", models=THREE))
    assert workers.made == ["wise", "careful", "hasty"]
    one, other = apart.read_decision(), alone.read_decision()
    assert one is not None
    assert other is not None
    assert (one.winner, one.verdict) == (other.winner, other.verdict)
    assert [(s.candidate, s.quality) for s in one.standings] == [(s.candidate, s.quality) for s in other.standings]


def test_what_is_made_is_not_made_again(tmp_path, workers):
    path = write_task(tmp_path, models=THREE)
    run_task(path, limits=Limits(on="ray"))
    workers.made.clear()
    run_task(path, limits=Limits(on="ray"))
    assert workers.made == []


def test_a_climb_goes_rung_by_rung(tmp_path, workers):
    run_task(write_task(tmp_path, models=THREE, target=0.5), limits=Limits(on="ray"))
    assert workers.made == []


@pytest.mark.parametrize("address", ["spark", "http://head:1", ""])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UsageError) as caught, workers_on(address):
        pass
    assert caught.value.code == "E1315"


@pytest.mark.slow
def test_a_ray_cluster_of_this_machine_makes_the_rungs(tmp_path):
    pytest.importorskip("ray")
    apart = run_task(write_task(tmp_path / "apart", models=THREE), limits=Limits(on="ray"))
    alone = run_task(write_task(tmp_path / "alone", models=THREE))
    one, other = apart.read_decision(), alone.read_decision()
    assert one is not None
    assert other is not None
    assert [(s.candidate, s.quality) for s in one.standings] == [(s.candidate, s.quality) for s in other.standings]


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_said_to_be_so():
    pytest.importorskip("ray")
    with pytest.raises(BackendError) as caught, workers_on("ray://127.0.0.1:9"):
        pass
    assert caught.value.code == "E3060"
