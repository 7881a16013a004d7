"""An answer piece by piece: from a model that can, or in one piece from one that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rung.core.model import Completion, Model, Request


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer. The last one carries the completion, whose text is all pieces together."""

    text: str = ""
    completion: Completion | None = None


@runtime_checkable
class Streaming(Protocol):
    """What a backend that can answer piece by piece has besides `generate`."""

    def stream(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Delta]:
        """Pieces as they come, whole characters only; ends soon after `cancelled()` is true, with finish 'cancelled'."""
        ...


@runtime_checkable
class Live(Protocol):
    """What a backend has that answers several requests at once, each begun while others are being answered.

    Called from one thread. `busy` says whether `step` has anything to do.
    """

    def joins(self) -> bool:
        """Whether these weights can be answered with so; else it is `generate` and `stream`."""
        ...

    def begin(self, id: str, request: Request) -> None:
        """Admit a request under a name of the caller's; its first piece comes from a later `step`."""
        ...

    def step(self) -> list[tuple[str, Delta]]:
        """A short piece of work for all that runs: what came of it, by name. A delta with a completion ends a request."""
        ...

    def cancel(self, id: str) -> None:
        """Stop a request soon; its last delta then says finish 'cancelled'. A name that is not running is nothing."""
        ...

    def busy(self) -> bool: ...


def never() -> bool:
    return False


def stream(model: Model, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Delta]:
    """The answer of any model: in pieces where it streams, else in one."""
    if isinstance(model, Streaming):
        yield from model.stream(request, cancelled)
        return
    (completion,) = model.generate([request])
    yield Delta("" if completion.failure else completion.text, completion)
