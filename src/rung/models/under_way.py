"""Requests that a model answers together, each begun while others are being answered: what `core.streaming.Live` asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from rung.core.model import Completion, Request
from rung.core.streaming import Delta


class Running(Protocol):
    """One request in an engine's hands."""

    completion: Completion | None
    """There when it has ended."""

    def take_text(self) -> str:
        """The text that has come since the last time."""
        ...


R = TypeVar("R", bound=Running)


@dataclass
class UnderWay(Generic[R]):
    """`start`: a request on its way, or failed at once, or the request itself where it is answered whole, by `whole`, as a choice is.

    `advance`: a short piece of work for all that run. `stop`: end one with what has come of it.
    """

    start: Callable[[Request], R | Completion | Request]
    whole: Callable[[Sequence[Request]], list[Completion]]
    advance: Callable[[], None]
    stop: Callable[[R], None]
    served_by: str
    _all: dict[str, R | Completion | Request] = field(default_factory=dict)

    def begin(self, id: str, request: Request) -> None:
        self._all[id] = self.start(request)

    def step(self) -> list[tuple[str, Delta]]:
        """One step of all that runs, and what came of it."""
        waiting = {id: each for id, each in self._all.items() if isinstance(each, Request)}
        if waiting:
            self._all |= zip(waiting, self.whole(list(waiting.values())), strict=True)
        running = {id: each for id, each in self._all.items() if not isinstance(each, Completion | Request)}
        if any(each.completion is None for each in running.values()):
            self.advance()
        came: list[tuple[str, Delta]] = []
        for id, each in list(self._all.items()):
            assert not isinstance(each, Request)
            if isinstance(each, Completion):
                came.append((id, whole_delta(each)))
            elif each.completion is not None:
                came.append((id, self.last(each)))
            else:
                text = each.take_text()
                came += [(id, Delta(text))] if text else []
                continue
            del self._all[id]
        return came

    def cancel(self, id: str) -> None:
        """End a request; the next step says what had come of it."""
        each = self._all.get(id)
        if isinstance(each, Request):
            self._all[id] = Completion(finish="cancelled")
        elif each is not None and not isinstance(each, Completion):
            self.stop(each)

    def busy(self) -> bool:
        return bool(self._all)

    def last(self, running: R) -> Delta:
        """The end of one that has ended."""
        assert running.completion is not None
        failed = running.completion.failure is not None
        return Delta(running.take_text(), replace(running.completion, served_by="" if failed else self.served_by))


class Joining(ABC):
    """A model that answers several requests at once: what is the same for all such models."""

    @cached_property
    def _under_way(self) -> UnderWay[Any]:
        return self._open_under_way()

    @abstractmethod
    def _open_under_way(self) -> UnderWay[Any]:
        """How this model begins, advances and stops requests; asked for once."""

    def begin(self, id: str, request: Request) -> None:
        """Admit a request beside those that run; a choice is made whole, in the next step."""
        self._under_way.begin(id, request)

    def step(self) -> list[tuple[str, Delta]]:
        """One step of all that runs, and what came of it."""
        return self._under_way.step()

    def cancel(self, id: str) -> None:
        """End a request; the next step says what had come of it."""
        self._under_way.cancel(id)

    def busy(self) -> bool:
        return self._under_way.busy()


def whole_delta(completion: Completion) -> Delta:
    return Delta("" if completion.failure else completion.text, completion)
