"""The queue before an engine: bounded, and fair between keys."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from rung.serving.waiting import Full, WaitingLine


@dataclass(eq=False)
class Waiter:
    key: str
    n: int = 0
    tenant: str = "one"


def test_a_key_that_floods_takes_turns_with_the_others() -> None:
    line: WaitingLine[Waiter] = WaitingLine(100)
    for n in range(50):
        line.put(Waiter("flood", n))
    line.put(Waiter("quiet", 0))
    line.put(Waiter("other", 0))
    taken = line.take(6)
    assert taken is not None
    assert [job.key for job in taken] == ["flood", "quiet", "other", "flood", "flood", "flood"]
    assert [job.n for job in taken if job.key == "flood"] == [0, 1, 2, 3]


def test_a_tenant_with_many_keys_gets_no_more_turns_than_one_with_a_single_key() -> None:
    line: WaitingLine[Waiter] = WaitingLine(100)
    for n in range(4):
        for key in ("a", "b", "c"):
            line.put(Waiter(key, n))
    for n in range(3):
        line.put(Waiter("z", n, "two"))
    taken = line.take(7) or []
    assert [job.key for job in taken] == ["a", "z", "b", "z", "c", "z", "a"]
    assert len(line.take(100) or []) == len(line) + 8


def test_turns_go_on_where_the_last_batch_ended() -> None:
    line: WaitingLine[Waiter] = WaitingLine(10)
    for key in ("a", "a", "b", "b"):
        line.put(Waiter(key))
    first, second = line.take(1), line.take(1)
    assert first is not None
    assert second is not None
    assert (first[0].key, second[0].key) == ("a", "b")


def test_a_full_line_takes_nobody_and_a_dropped_job_makes_room() -> None:
    line: WaitingLine[Waiter] = WaitingLine(2)
    one, two = Waiter("a"), Waiter("a")
    line.put(one)
    line.put(two)
    with pytest.raises(Full):
        line.put(Waiter("b"))
    assert line.drop(one)
    assert not line.drop(one)
    line.put(Waiter("b"))
    assert len(line) == 2


def test_a_closed_line_is_emptied_and_then_ends_its_taker() -> None:
    line: WaitingLine[Waiter] = WaitingLine(2)
    line.put(Waiter("a"))
    line.close()
    with pytest.raises(Full):
        line.put(Waiter("a"))
    assert line.take(5) is not None
    ended: list[object] = []
    taker = threading.Thread(target=lambda: ended.append(line.take(5)))
    taker.start()
    taker.join(2)
    assert ended == [None]


def test_a_spare_job_is_taken_alone_when_nobody_else_waits_and_it_may_be() -> None:
    line: WaitingLine[Waiter] = WaitingLine(2)
    may = [False]
    for n in range(2):
        line.put_spare(Waiter("shadow", n), lambda: may[0])
    with pytest.raises(Full):
        line.put_spare(Waiter("shadow"), lambda: may[0])
    assert (len(line), line.spare) == (0, 2)
    assert line.take(5, wait=False) == []
    line.put(Waiter("a"))
    may[0] = True
    assert [job.key for job in line.take(5) or ()] == ["a"]
    assert [job.n for job in line.take(5) or ()] == [0]
    may[0] = False
    line.close()
    assert [job.n for job in line.take(5) or ()] == [1], "what waits is answered before the end"
    assert line.take(5) is None
