"""The plan: every rung on every model, why it cannot run where it cannot, and what it is expected to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.config import ModelConfig
from rung.config.load import to_model_ref
from rung.core.method import Method
from rung.core.model import Model
from rung.core.registry import create, find, parts
from rung.core.task import FitData
from rung.experiment.setup import Prepared
from rung.store.records import Cell, Plan, Spend

NO_MODEL = "-"


def open_model(prepared: Prepared, model: ModelConfig) -> Model:
    """The backend of one entry under `models`; weights are read when first asked."""
    ref = to_model_ref(prepared.config, model)
    opened: Model = find("model", ref.kind).open(ref)
    return opened


def method_named(name: str) -> Method:
    found: Method = create("method", name)
    return found


def needs_model(method: Method) -> bool:
    """A baseline stands on no model, so it is run once however many models are compared."""
    return bool(getattr(method, "uses_model", True))


def is_trained(method: Method) -> bool:
    return bool(getattr(method, "trained", False))


@dataclass(frozen=True)
class Bench:
    """Models by the name they go by, opened once for a run."""

    models: Mapping[str, Model]

    def of(self, cell: Cell) -> Model:
        return self.models[cell.model] if cell.model != NO_MODEL else next(iter(self.models.values()))

    def release(self) -> None:
        for model in self.models.values():
            if hasattr(model, "release"):
                model.release()


def open_bench(prepared: Prepared) -> Bench:
    return Bench({model.label: open_model(prepared, model) for model in prepared.config.models})


def fit_data(prepared: Prepared, run: Path, folder: Path, method: str) -> FitData:
    """What a method may see."""
    settings: dict[str, Any] = dict(prepared.config.settings.get(method, {}))
    return FitData(
        task=prepared.task,
        train=prepared.examples["train"],
        dev=prepared.examples["dev"],
        documents=prepared.documents.documents,
        run=run,
        folder=folder,
        encoder=prepared.config.encoder,
        seed=prepared.config.data.seed,
        hints=settings,
    )


def make_plan(prepared: Prepared, bench: Bench, run: Path, *, estimate: bool = True) -> Plan:
    """Cells in ladder order, cheapest rung first."""
    config = prepared.config
    names = config.methods or tuple(parts("method"))
    cells: list[Cell] = []
    for name in names:
        method = method_named(name)
        places = list(bench.models) if needs_model(method) else [NO_MODEL]
        for place in places:
            model = bench.models.get(place) or next(iter(bench.models.values()))
            fit = fit_data(prepared, run, run, name)
            blockers = tuple(method.blockers(fit, model))
            cost = method.estimate(fit, model) if estimate and not blockers else None
            spend = Spend(**asdict(cost)) if cost else Spend()
            cells.append(Cell(method=name, model=place, rank=method.rank, blockers=blockers, estimate=spend))
    cells.sort(key=lambda cell: cell.rank)
    minutes = config.budget.minutes
    return Plan(
        mode="climb" if prepared.task.target is not None else "compare",
        cells=tuple(cells),
        splits={name: len(part) for name, part in prepared.examples.items()},
        budget_seconds=None if minutes is None else 60.0 * minutes,
    )
