"""Money: what endpoints have charged, kept answer by answer in the run folder, and the limit on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rung.core.append_log import AppendLog, read_log
from rung.core.errors import InterruptedRun
from rung.core.model import Completion, Model, Request
from rung.models.cache import paid

LEDGER = "spending.jsonl"
"""In the run folder: {model, money, account, failure}, a line for every answer that was charged, those of no use included."""
ANSWERS = "answers.sqlite"
"""In the run folder: the answers of endpoints, so that none is paid for twice."""


class Purse:
    """Counts what is spent. Raises InterruptedRun E4003 when a call is asked for after the limit is reached.

    With a `ledger` every charge is on disk before its answer is used, and what an earlier process wrote there counts.
    """

    def __init__(self, limit: float | None = None, *, ledger: Path | None = None) -> None:
        self.limit = limit
        self.account = ""
        """What the next charges are for: the name of a rung, or nothing in particular."""
        self._ledger = ledger
        self._by_account: defaultdict[str, float] = defaultdict(float)
        for line in read_log(ledger) if ledger else ():
            self._by_account[line["account"]] += line["money"]
        self.spent = float(sum(self._by_account.values()))

    @classmethod
    def of_run(cls, run: Path, limit: float | None) -> Purse:
        """The purse of a run folder: whatever command spends from it, the limit is one over all of them."""
        purse = cls(limit, ledger=run / LEDGER)
        # A run from before there was a ledger knows of the answers that it has kept.
        purse.spent = max(purse.spent, paid(run / ANSWERS))
        return purse

    def check(self) -> None:
        if self.limit is not None and self.spent >= self.limit:
            raise InterruptedRun("E4003", spent=f"{self.spent:.4g}", limit=f"{self.limit:.4g}")

    def spent_on(self, account: str) -> float:
        """What went to one account, earlier processes included."""
        return self._by_account.get(account, 0.0)

    @contextmanager
    def charging(self, model: str) -> Iterator[Callable[[Completion], None]]:
        """For one batch: a function that writes down what an answer was charged."""
        with ExitStack() as open_files:
            log: AppendLog | None = None

            def take(completion: Completion) -> None:
                nonlocal log
                if completion.cached or not completion.money:
                    return
                if self._ledger is not None:
                    log = log or open_files.enter_context(AppendLog(self._ledger))
                    failure = completion.failure.kind if completion.failure else None
                    line = {"model": model, "money": completion.money, "account": self.account, "failure": failure}
                    log.add([line])
                self._by_account[self.account] += completion.money
                self.spent += completion.money

            yield take


def budget_of(record: Mapping[str, Any]) -> float | None:
    """The limit on money that a run.yaml names."""
    limit = ((record.get("config") or {}).get("budget") or {}).get("max_cost")
    return None if limit is None else float(limit)


class PaidModel:
    """An endpoint whose charges are counted, those of failed answers too. It stands under a cache, which charges nothing."""

    def __init__(self, model: Model, purse: Purse) -> None:
        self.model, self.purse = model, purse
        self.ref, self.capabilities = model.ref, model.capabilities

    def __getattr__(self, name: str) -> Any:
        if name == "model":
            raise AttributeError(name)
        found = getattr(self.model, name)
        return self._counted(found) if name == "generate_each" else found

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.purse.check()
        done = self.model.generate(requests)
        with self.purse.charging(self.ref.id) as take:
            for completion in done:
                take(completion)
        return done

    def _counted(self, each: Callable[[Sequence[Request]], Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def generate_each(requests: Sequence[Request]) -> Iterator[Any]:
            """Answers as they come, each written down before it is handed on."""
            if requests:
                self.purse.check()
            with self.purse.charging(self.ref.id) as take:
                for done in each(requests):
                    take(done.completion)
                    yield done

        return generate_each
