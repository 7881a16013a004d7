"""Workers of a Ray cluster, or of this machine's cores: what they can hold at the same time, and what their work takes there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rung.core.errors import BackendError, UsageError
from rung.core.method import Cost, Made, Order, Workers
from rung.experiment.meter import Stopwatch

LOCAL = "ray"
"""The address of a cluster that is started on this machine for one call."""


def check_address(address: str) -> None:
    """Raises UsageError E1315 for one that is neither `ray` nor `ray://HOST:PORT`."""
    if address != LOCAL and not address.startswith("ray://"):
        raise UsageError("E1315", value=address)


@contextmanager
def workers_on(address: str, *, memory_gib: float = 0.0) -> Iterator[Workers]:
    """Workers of a Ray cluster: `ray` starts one on this machine, `ray://HOST:PORT` joins one.

    `memory_gib`: what a piece of work takes, so that no machine gets more of them than it can hold; 0: not known.

    Raises UsageError E1315 for another address, E1316 without the package, BackendError E3060 when the cluster does not answer.
    """
    check_address(address)
    # Nothing is reported to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError("E1316") from error
    arguments: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        arguments |= {"include_dashboard": False}
    else:
        arguments |= {"address": address}
    heeded = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**arguments)
    except Exception as error:
        # Ray's own exceptions for a cluster that is not there have no common parent.
        raise BackendError("E3060", address=address, reason=str(error).split("\n")[0][:200]) from error
    if threading.current_thread() is threading.main_thread():
        # Ray puts its own handler in the place of the one that lets a run stop with all that it has.
        signal.signal(signal.SIGTERM, heeded)
    try:
        yield _Ray(ray, int(memory_gib * (1 << 30)))
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Machine:
    """What Ray may use of a machine; memory in bytes."""

    cores: int
    gpus: int = 0
    memory: int = 0


@dataclass(frozen=True)
class Room:
    """What a cluster can hold at the same time. Where it has GPUs, a piece of work takes one; else cores, and memory."""

    machines: tuple[Machine, ...]
    memory: int
    """Bytes of a piece of work; 0: not known."""

    @classmethod
    def of(cls, machines: Sequence[Machine], memory: int) -> Room:
        # More than any machine has would wait for ever: such work gets the largest machine to itself.
        return cls(tuple(machines), min(memory, max((machine.memory for machine in machines), default=0)))

    @property
    def on_gpus(self) -> bool:
        return any(machine.gpus for machine in self.machines)

    def places(self, cores: int = 1) -> int:
        """Pieces of work of so many cores each."""
        if self.on_gpus:
            return sum(machine.gpus for machine in self.machines)
        return sum(
            min(machine.cores // cores, machine.memory // self.memory if self.memory else machine.cores)
            for machine in self.machines
        )

    def cores_each(self, pieces: int) -> int:
        """Cores that each of so many pieces can have without one of them waiting longer for it."""
        wanted = min(pieces, self.places())
        most = max((machine.cores for machine in self.machines), default=1)
        return next((cores for cores in range(most, 1, -1) if self.places(cores) >= wanted), 1)

    def needs(self, pieces: int) -> dict[str, Any]:
        """What Ray is told that each of so many pieces needs."""
        if self.on_gpus:
            return {"num_cpus": 1, "num_gpus": 1}
        return {"num_cpus": self.cores_each(pieces), **({"memory": self.memory} if self.memory else {})}


class _Ray:
    """Orders as Ray tasks."""

    def __init__(self, ray: Any, memory: int) -> None:
        self._ray, self._spent = ray, Cost()
        found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        machines = [Machine(*(int(node.get(name, 0)) for name in ("CPU", "GPU", "memory"))) for node in found]
        self._room = Room.of(machines, memory)

    def count(self) -> int:
        return max(1, self._room.places())

    def carry_out(self, work: Callable[[Order], Made], orders: Sequence[Order]) -> Iterator[tuple[int, Made]]:
        needs = self._room.needs(len(orders))
        task: Callable[..., Any] = self._ray.remote(max_retries=1, **needs)(_measured).remote
        waiting = {task(work, order): place for place, order in enumerate(orders)}
        while waiting:
            started = time.monotonic()
            done, _ = self._ray.wait(list(waiting), num_returns=1)
            made, spent = self._ray.get(done[0])
            before, waited = self._spent, time.monotonic() - started
            self._spent = replace(
                before,
                seconds=before.seconds + waited,
                cpu_seconds=before.cpu_seconds + spent.cpu_seconds,
                gpu_seconds=before.gpu_seconds + (spent.seconds if self._room.on_gpus else 0.0),
            )
            yield waiting.pop(done[0]), made

    def spent(self) -> Cost:
        return self._spent


def _measured(work: Callable[[Order], Made], order: Order) -> tuple[Made, Cost]:
    watch = Stopwatch()
    made = work(order)
    return made, Cost(seconds=watch.seconds, cpu_seconds=watch.cpu)
