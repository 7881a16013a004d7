"""Workers that are this process: orders and what is made of them cross as pickled copies, as they do between machines."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core.method import Cost, Made, Order


@dataclass
class Crew:
    """`turn` puts the places of orders into the order in which they end; `strike` is called with the pieces made so far."""

    at_once: int = 2
    turn: Callable[[list[int]], Sequence[int]] = list
    strike: Callable[[int], None] = lambda made: None
    sent: list[list[Any]] = field(default_factory=list)
    made: int = 0

    def count(self) -> int:
        return self.at_once

    def carry_out(self, work: Callable[[Order], Made], orders: Sequence[Order]) -> Iterator[tuple[int, Made]]:
        self.sent.append(list(orders))
        copies = [pickle.dumps(order) for order in orders]
        for place in self.turn(list(range(len(orders)))):
            self.strike(self.made)
            self.made += 1
            yield place, pickle.loads(pickle.dumps(work(pickle.loads(copies[place]))))

    def spent(self) -> Cost:
        return Cost()
