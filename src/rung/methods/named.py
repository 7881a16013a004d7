"""Methods by name: registered ones, variants of them, and stages joined by '+'.

fine_tune                     as registered
fine_tune-dora                a variant: what its name says is set, and the block `fine_tune-dora` of task.yaml
rag+fine_tune+preference      stages: what the prompt shows, then trainings that go on from each other's weights
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from rung.core.candidate import Candidate
from rung.core.errors import UsageError
from rung.core.method import Budget, Cost, Method
from rung.core.model import Model
from rung.core.registry import create, parts
from rung.core.task import FitData
from rung.methods.headroom import Headroom, Probing
from rung.methods.stages import Staged, can_train
from rung.training.settings import Adapter, Loss, Policy

Settings = Mapping[str, Mapping[str, Any]]
"""The blocks under `settings` in task.yaml, by method."""
_PRESETS: dict[str, dict[str, Any]] = {
    **{name: {"adapter": name} for name in get_args(Adapter)},
    **{name: {"loss": name} for name in get_args(Loss)},
    **{name: {"policy": name} for name in get_args(Policy)},
    "aware": {"aware": True},
}


def method_named(name: str) -> Method:
    """Raises UsageError E1101 for an unknown name, E2464 for stages that do not follow each other."""
    found: Method
    base, variant = _split(name)
    if ("+" not in name and not variant) or name in parts("method"):
        found = create("method", name)
        return found
    if variant:
        return Variant(name, method_named(base))
    stages = {part: method_named(part) for part in name.split("+")}
    first, *rest = stages
    wrong = [part for part in rest if not can_train(stages[part])]
    if wrong or not (can_train(stages[first]) or first in Staged.SHOWN):
        raise UsageError("E2464", name=name, stage=(wrong or [first])[0])
    return Staged(name, stages)


def is_method(name: str) -> bool:
    """Whether a method goes by that name."""
    try:
        method_named(name)
    except UsageError:
        return False
    return True


def hints_of(settings: Settings, name: str) -> dict[str, Any]:
    """What task.yaml sets for a method: a variant stands on the block of what it varies, stages on those of each stage."""
    own = dict(settings.get(name, {}))
    if name in parts("method"):
        return own
    base, variant = _split(name)
    if variant:
        return {**hints_of(settings, base), **_PRESETS.get(variant, {}), **own}
    if "+" not in name:
        return own
    return {part: {**hints_of(settings, part), **own.get(part, {})} for part in name.split("+")}


def _split(name: str) -> tuple[str, str]:
    """A name without its variant, and the variant: that of the whole only where the whole without it is registered."""
    base, _, variant = name.rpartition("-")
    return (base, variant) if base in parts("method") else (name, "")


class Variant:
    """A method under a name of its own, so that two settings of it can be two rungs of one run."""

    def __init__(self, name: str, base: Method) -> None:
        self.name, self._base, self.rank = name, base, base.rank
        self.settings: frozenset[str] = getattr(base, "settings", frozenset())
        self.trained = getattr(base, "trained", False)
        self.uses_model = getattr(base, "uses_model", True)
        if can_train(base):
            self.train_on = base.train_on

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return self._base.blockers(fit, model)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        return self._base.estimate(fit, model)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        return self._base.probe(fit, model, budget, best) if isinstance(self._base, Probing) else None

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        return self._base.adapt(fit, model, budget).model_copy(update={"method": self.name})
