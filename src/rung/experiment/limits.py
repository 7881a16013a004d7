"""What a run may spend when it is called with other limits than task.yaml's: they bind this call, and name no other run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rung.core.errors import Problem, UsageError
from rung.experiment.setup import Prepared
from rung.experiment.workers import check_address


@dataclass(frozen=True)
class Limits:
    """Limits of the whole run, earlier calls included; None leaves what task.yaml says.

    Raises UsageError E1311 for a limit that is no amount, E1315 for no address of a cluster.
    """

    max_cost: float | None = None
    """Money for endpoints, in the currency of task.yaml."""
    max_hours: float | None = None
    """Wall-clock hours."""
    devices: int | None = None
    """Processes on this machine that share each training; one when absent."""
    on: str | None = None
    """Where rungs, and the trainings of one rung, are made at the same time: `ray`, or a cluster's `ray://HOST:PORT`."""

    def __post_init__(self) -> None:
        given = {"max_cost": self.max_cost, "max_hours": self.max_hours}
        wrong = [
            Problem("E1311", values={"name": name, "value": value})
            for name, value in given.items()
            if value is not None and not (math.isfinite(value) and value >= 0 and (value > 0 or name == "max_cost"))
        ]
        if self.devices is not None and self.devices < 1:
            wrong.append(Problem("E1311", values={"name": "devices", "value": self.devices}))
        if wrong:
            raise UsageError("E1311", problems=wrong)
        if self.on is not None:
            check_address(self.on)

    def applied(self, prepared: Prepared) -> Prepared:
        """The same task and data under these limits; its hash, and so the run, stays what it is."""
        changes = {}
        if self.max_cost is not None:
            changes["max_cost"] = self.max_cost
        if self.max_hours is not None:
            changes["minutes"] = 60.0 * self.max_hours
        budget = prepared.config.budget.model_copy(update=changes)
        return replace(prepared, config=prepared.config.model_copy(update={"budget": budget}))


UNCHANGED = Limits()
