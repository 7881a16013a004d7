"""Post-processing: named steps bound to their arguments and run one after another; one that breaks or hangs is a Failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any

from rung.core.errors import RungError
from rung.core.model import Failure
from rung.core.registry import find, parts
from rung.core.task import StepRef

FOREIGN_SECONDS = 5.0
"""Longest time for a step that another package has registered; Rung's own steps take time in proportion to the text."""
UNPARSABLE = "unparsable"
_IN_PASSING = frozenset({"strip_marks"})
"""Steps that leave all but the marks around a text as it is, so that it may be shown while it comes."""

_GUARDS = frozenset({"mask_personal", "forbidden"})


@dataclass(frozen=True, slots=True)
class Changed:
    """What a step returns that wants to say what it did; a plain text says nothing."""

    text: str
    note: str


Stepped = str | Changed | Failure


@dataclass(frozen=True, slots=True)
class Step:
    """A step with its arguments. Calling it never raises, but for a mistake of the user's, and never hangs."""

    name: str
    work: Callable[[str], Stepped]
    seconds: float | None = None

    def __call__(self, text: str) -> Stepped:
        try:
            done = self.work(text) if self.seconds is None else self._in_time(text, self.seconds)
        except RungError:
            raise
        except Exception as error:
            # The error's own text may hold the answer, which a guard may have been about to take out.
            return Failure("error", f"{self.name}: {type(error).__name__}")
        return Changed(done.text, f"{self.name}: {done.note}") if isinstance(done, Changed) else done

    def _in_time(self, text: str, seconds: float) -> Stepped:
        said: list[Stepped] = []
        raised: list[Exception] = []

        def work() -> None:
            try:
                said.append(self.work(text))
            except Exception as error:
                raised.append(error)

        thread = Thread(target=work, name=f"step {self.name}", daemon=True)
        thread.start()
        thread.join(seconds)
        if raised:
            raise raised[0]
        return said[0] if said else Failure("timeout", f"{self.name}: no end after {seconds:g} s")


def bind(steps: Sequence[StepRef]) -> tuple[Step, ...]:
    """Steps by their registry names, ready to be run. Raises UsageError E1101 for an unknown one."""
    return tuple(_bound(step.name, step.arguments) for step in steps)


def _bound(name: str, arguments: dict[str, Any]) -> Step:
    function = find("step", name)
    own = parts("step")[name].target.startswith("rung.")
    return Step(name, lambda text: function(text, **arguments), None if own else FOREIGN_SECONDS)


@dataclass(frozen=True, slots=True)
class Processed:
    """A text after its steps."""

    text: str
    failure: Failure | None = None
    notes: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether a step refused the text or broke on it; an answer that cannot be read is something else."""
        return self.failure is not None and self.failure.kind != UNPARSABLE


def process(steps: Sequence[Callable[[str], Stepped]], text: str) -> Processed:
    """Run the steps in order, up to the first failure."""
    notes: list[str] = []
    for step in steps:
        done = step(text)
        if isinstance(done, Failure):
            told = () if done.kind == UNPARSABLE else (done.message,)
            return Processed(text, done, (*notes, *told))
        if isinstance(done, Changed):
            notes.append(done.note)
        text = done.text if isinstance(done, Changed) else done
    return Processed(text, notes=tuple(notes))


def guarded(notes: Sequence[str]) -> bool:
    """Whether a step took something out of an answer that nobody is to keep: what the model said is then no longer to be stored."""
    return any(note.partition(":")[0] in _GUARDS for note in notes)


def in_one_piece(steps: Sequence[StepRef], shown: Sequence[StepRef]) -> bool:
    """Whether an answer can be shown only when it is whole: a step may still change or refuse what has come so far."""
    return bool(shown) or any(step.name not in _IN_PASSING for step in steps)
