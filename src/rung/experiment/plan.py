"""The plan: every rung on every model, why it cannot run where it cannot, and what it is expected to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.config import ModelConfig
from rung.config.load import to_model_ref
from rung.core.errors import Problem, UsageError
from rung.core.method import Method
from rung.core.model import Model
from rung.core.registry import find, parts
from rung.core.task import FitData
from rung.experiment.purse import ANSWERS, PaidModel, Purse
from rung.experiment.setup import Prepared
from rung.methods.named import hints_of, method_named
from rung.methods.stages import Staged
from rung.models.cache import CachedModel
from rung.store.records import Cell, Plan, Spend, Stated
from rung.training.room import in_words, memory_there

NO_MODEL = "-"


def open_model(prepared: Prepared, model: ModelConfig) -> Model:
    """The backend of one entry under `models`; weights are read when first asked."""
    ref = to_model_ref(prepared.config, model)
    backend = find("model", ref.kind)
    opened: Model = backend(**ref.options) if ref.kind == "recorded" else backend.open(ref)
    return opened


def planned_methods(named: Sequence[str]) -> tuple[str, ...]:
    """The methods that task.yaml names, or all that do not wait to be named."""
    return tuple(named) or tuple(name for name in parts("method") if not getattr(method_named(name), "opt_in", False))


def needs_model(method: Method) -> bool:
    """A baseline stands on no model, so it is run once however many models are compared."""
    return bool(getattr(method, "uses_model", True))


def is_trained(method: Method) -> bool:
    return bool(getattr(method, "trained", False))


@dataclass(frozen=True)
class Bench:
    """Models by the name they go by, opened once for a run."""

    models: Mapping[str, Model]
    purse: Purse
    run: Path | None = None
    """The run folder, where the answers of endpoints are kept, so that none is paid for twice."""

    def of(self, cell: Cell) -> Model:
        return self.models[cell.model] if cell.model != NO_MODEL else next(iter(self.models.values()))

    def charged(self, model: Model) -> Model:
        """An endpoint on this run's account: its answers are kept and count towards the limit. A local model as it is."""
        if not model.ref.options.get("base_url"):
            return model
        paid = PaidModel(model, self.purse)
        return paid if self.run is None else CachedModel(paid, self.run / ANSWERS)

    def release(self) -> None:
        for model in self.models.values():
            if hasattr(model, "release"):
                model.release()


def open_bench(prepared: Prepared, run: Path | None = None) -> Bench:
    """Every model of the task; in a `run` folder what was charged for it before counts towards the limit."""
    models: dict[str, Model] = {}
    limit = prepared.config.budget.max_cost
    bench = Bench(models, Purse(limit) if run is None else Purse.of_run(run, limit), run)
    for entry in prepared.config.models:
        models[entry.label] = bench.charged(open_model(prepared, entry))
    return bench


def fit_data(prepared: Prepared, run: Path, folder: Path, method: str) -> FitData:
    """What a method may see."""
    settings: dict[str, Any] = hints_of(prepared.config.settings, method)
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
        disliked=prepared.disliked.kept,
        base=prepared.base,
    )


def _check_settings(prepared: Prepared) -> None:
    """Raises UsageError E2407 for a setting that its method does not have; a silent one would mislead."""
    problems: list[Problem] = []
    for name, block in prepared.config.settings.items():
        where = prepared.config.where("settings", name)
        problems += _unknown(name, block, where)
    if problems:
        raise UsageError(problems[0].code, problems=problems)


def _unknown(name: str, block: Mapping[str, Any], where: str) -> list[Problem]:
    method = method_named(name)
    known: frozenset[str] = getattr(method, "settings", frozenset())
    values = {"method": name, "known": ", ".join(sorted(known)) or "-"}
    found = [Problem("E2407", where, {"name": key, **values}) for key in block if key not in known]
    if isinstance(method, Staged):
        for stage in known & block.keys():
            found += _unknown(stage, block[stage] if isinstance(block[stage], Mapping) else {}, where)
    return found


def make_plan(prepared: Prepared, bench: Bench, run: Path, *, estimate: bool = True) -> Plan:
    """Cells in ladder order, cheapest rung first."""
    config = prepared.config
    names = planned_methods(config.methods)
    cells: list[Cell] = []
    _check_settings(prepared)
    for name in names:
        method = method_named(name)
        places = list(bench.models) if needs_model(method) else [NO_MODEL]
        for place in places:
            model = bench.models.get(place) or next(iter(bench.models.values()))
            fit = fit_data(prepared, run, run, name)
            blockers = tuple(method.blockers(fit, model))
            cost = method.estimate(fit, model) if estimate and not blockers else None
            spend = Spend(**asdict(cost)) if cost else Spend()
            warnings = _warnings(name, spend, model) if is_trained(method) else ()
            cells.append(
                Cell(
                    method=name,
                    model=place,
                    rank=method.rank,
                    blockers=blockers,
                    estimate=spend,
                    warnings=warnings,
                )
            )
    cells.sort(key=lambda cell: cell.rank)
    minutes = config.budget.minutes
    seconds = None if minutes is None else 60.0 * minutes
    return Plan(
        mode="climb" if prepared.task.target is not None else "compare",
        cells=tuple(cells if seconds is None else _within(seconds, cells)),
        splits={name: len(part) for name, part in prepared.examples.items()},
        budget_seconds=seconds,
    )


def _warnings(name: str, spend: Spend, model: Model) -> tuple[Stated, ...]:
    """That a training would need more memory than there is."""
    device = model.capabilities.sizes.device if model.capabilities.sizes else "cpu"
    there, needed = memory_there(device), int(spend.memory_gib * (1 << 30))
    if needed <= there:
        return ()
    values = {"rung": name, "needed": in_words(needed), "there": in_words(there)}
    return (Stated(code="E3023", values=values),)


def _within(seconds: float, cells: list[Cell]) -> list[Cell]:
    """Cells with training cut down to what the budget leaves for it, split evenly: that is where a run will stop it."""
    trains = [not cell.blockers and is_trained(method_named(cell.method)) for cell in cells]
    left = max(0.0, seconds - sum(cell.estimate.seconds for cell, t in zip(cells, trains, strict=True) if not t))
    fitting: list[Cell] = []
    for place, cell in enumerate(cells):
        if trains[place]:
            cell = _shortened(cell, left / sum(trains[place:]))
            left -= cell.estimate.seconds
        fitting.append(cell)
    return fitting


def _shortened(cell: Cell, seconds: float) -> Cell:
    whole = cell.estimate
    if whole.seconds <= seconds:
        return cell
    kept = seconds / whole.seconds
    shorter = whole.model_copy(
        update={"seconds": seconds, "cpu_seconds": whole.cpu_seconds * kept, "gpu_seconds": whole.gpu_seconds * kept}
    )
    return cell.model_copy(update={"estimate": shorter})
