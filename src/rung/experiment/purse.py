"""Money: what endpoints have charged in this process, and the limit of task.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.core.errors import InterruptedRun
from rung.core.model import Completion, Model, Request


class Purse:
    """Counts what is spent. Raises InterruptedRun E4003 when a call is asked for after the limit is reached."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit, self.spent = limit, 0.0

    def check(self) -> None:
        if self.limit is not None and self.spent >= self.limit:
            raise InterruptedRun("E4003", spent=f"{self.spent:.4g}", limit=f"{self.limit:.4g}")


class PaidModel:
    """A model whose charges are counted. An answer out of the cache was paid for earlier, and is not counted again."""

    def __init__(self, model: Model, purse: Purse) -> None:
        self.model, self.purse = model, purse
        self.ref, self.capabilities = model.ref, model.capabilities

    def __getattr__(self, name: str) -> Any:
        if name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.purse.check()
        done = self.model.generate(requests)
        self.purse.spent += sum(completion.money for completion in done if not completion.cached)
        return done
