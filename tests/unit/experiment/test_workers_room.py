"""How much work a cluster can hold at the same time."""

from __future__ import annotations

import pytest

from rung.core.errors import UsageError
from rung.experiment.limits import Limits
from rung.experiment.workers import Machine, Room

GIB = 1 << 30


def test_a_core_each_where_nothing_else_is_known() -> None:
    room = Room.of([Machine(2), Machine(4)], 0)
    assert room.places() == 6
    assert room.needs(6) == room.needs(9) == {"num_cpus": 1}


def test_few_pieces_share_all_cores_without_waiting_for_each_other() -> None:
    assert Room.of([Machine(64)], 0).needs(4) == {"num_cpus": 16}
    assert Room.of([Machine(8), Machine(4)], 0).needs(3) == {"num_cpus": 4}
    assert Room.of([Machine(2)], 0).needs(1) == {"num_cpus": 2}


def test_memory_says_how_many_a_machine_can_hold() -> None:
    room = Room.of([Machine(16, memory=10 * GIB), Machine(16, memory=30 * GIB)], 8 * GIB)
    assert room.places() == 1 + 3
    assert room.needs(8) == {"num_cpus": 5, "memory": 8 * GIB}


def test_what_no_machine_can_hold_gets_the_largest_to_itself_and_waits_for_nothing() -> None:
    room = Room.of([Machine(16, memory=10 * GIB), Machine(4, memory=4 * GIB)], 64 * GIB)
    assert room.places() == 1
    assert room.needs(2) == {"num_cpus": 16, "memory": 10 * GIB}


def test_a_gpu_each_where_there_are_any() -> None:
    room = Room.of([Machine(8, memory=4 * GIB), Machine(32, gpus=4, memory=4 * GIB)], 40 * GIB)
    assert room.places() == 4
    assert room.needs(8) == {"num_cpus": 1, "num_gpus": 1}


@pytest.mark.parametrize("address", ["spark", "http://head:1", ""])
def test_an_address_that_is_none_is_refused_before_anything_is_read(address: str) -> None:
    with pytest.raises(UsageError, match="E1315"):
        Limits(on=address)
