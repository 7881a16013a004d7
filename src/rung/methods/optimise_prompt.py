"""The optimised prompt: instructions by rule and by a model, with demonstrations, raced under a call budget.

Demonstrations are none, the nearest to each question, or a set bootstrapped as in DSPy's BootstrapFewShot (Khattab et al. 2023,
arXiv 2310.03714): training questions that the current prompt already answers right, where there are enough. Instructions and
demonstrations are searched together, as in MIPRO (Opsahl-Ong et al. 2024, arXiv 2406.11695), by a race in place of their
surrogate model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from rung.core.candidate import Candidate, PromptSlot, ShotsSlot
from rung.core.errors import UsageError
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.calibrate import LEANING_QUESTIONS, calibrate
from rung.methods.dev_scores import DevScores
from rung.methods.estimate import answering_cost, seconds_per_question
from rung.methods.few_shot import fixed_shots
from rung.methods.headroom import QUESTIONS, Headroom, affordable, phrasing_headroom, too_dear
from rung.methods.instructions import phrasings
from rung.methods.search import Search, search
from rung.methods.slots import Layout, nearest_shots, new_candidate, prompt_slot, seeded_sample
from rung.methods.tuning import Setting, dev_sample
from rung.methods.writer import check_writer, open_writer, written_instructions

CALLS = 600
"""Questions that the whole optimisation may ask the task's model, by default."""
_FEWEST_CALLS = 100
_EACH = 16
"""Calls of the race for every setting in it: two blocks, after which half of them are gone."""
_RIGHT = 0.8
"""Score from which an answer counts as right when demonstrations are gathered; a label is right or wrong."""


@dataclass(frozen=True)
class Plan:
    """What the method's block of task.yaml asks for."""

    calls: int = CALLS
    proposals: int = 4
    """Instructions that the writer is asked for."""
    demos: int = 4
    """Solved examples in a prompt."""
    writer: Any = "model"


class OptimisePrompt:
    """Instruction and demonstrations together, chosen on dev."""

    name = "optimise_prompt"
    rank = 25
    settings = frozenset({"calls", "proposals", "demos", "writer"})

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return [] if model.capabilities.language_model else ["E2403"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        plan = plan_of(fit)
        check_writer(plan.writer)
        return answering_cost(fit, model, questions=plan.calls, longer=2.0)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """Whether instruction or demonstrations make any difference to this model."""
        grid = [("plain", False), *((name, False) for name in _spread(phrasings(fit.task.output.kind), 3)[1:])]
        if fit.train:
            grid.append(("plain", True))
        # A question with demonstrations takes about as long as two without.
        questions = (len(grid) + 1) * QUESTIONS[fit.task.output.kind]
        if seconds_per_question(fit, model) * questions > affordable(budget, self.estimate(fit, model)):
            return too_dear()
        shots = fixed_shots(fit, plan_of(fit).demos) if fit.train else None
        settings = [
            _setting(fit, model, _Instruction(name, name), ("", shots) if shown else ("none", None))
            for name, shown in grid
        ]
        return phrasing_headroom(fit, DevScores(fit, model, budget), settings)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        plan = plan_of(fit)
        pool = seeded_sample(fit.train, plan.calls // 8, fit.seed, "demonstrations")
        right = _answered_right(fit, model, DevScores(fit, model, budget), pool)
        calibration = _calibration_calls(fit, model)
        # Calibrating asks a fixed number of questions; a budget that it would eat up goes to the search.
        calibrated = calibration <= plan.calls // 2
        calls = plan.calls - len(pool) - calibration * calibrated
        demos: list[tuple[str, ShotsSlot | None]] = [("none", None)]
        if fit.train:
            enough = len(right) >= plan.demos
            shown = right if enough else fit.train
            demos.append(("set", fixed_shots(fit, plan.demos, pool=shown, draw="demos")))
            demos.append(("nearest", nearest_shots(fit, plan.demos)))
            budget.journal.note("demonstrations", {"tried": len(pool), "right": len(right), "bootstrapped": enough})
        room = max(1, calls // _EACH // len(demos))
        instructions = _instructions(fit, model, budget, plan, room)
        settings = [_setting(fit, model, said, shots) for said, shots in product(instructions, demos)]
        winner = search(fit, model, budget, settings, Search(), calls=calls)
        return calibrate(fit, model, budget, winner.candidate) if calibrated else winner.candidate


def plan_of(fit: FitData) -> Plan:
    """Raises UsageError E2412 for a call budget that is too small, and for numbers that are none."""
    plan = Plan(**fit.hints)
    least = {"calls": _FEWEST_CALLS, "proposals": 0, "demos": 1}
    for name, low in least.items():
        value = getattr(plan, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise UsageError("E2412", name=name, value=value, low=low)
    return plan


@dataclass(frozen=True)
class _Instruction:
    """`phrasing` names sentences of our own; `text` replaces the task's instruction where a model wrote one."""

    name: str
    phrasing: str = "plain"
    text: str = ""


def _instructions(fit: FitData, model: Model, budget: Budget, plan: Plan, room: int) -> list[_Instruction]:
    """The plain one first, then as many as there is room for: half of them written, where there is a writer."""
    writer = open_writer(plan.writer, model, budget)
    written: list[str] = []
    if writer is not None and plan.proposals and room > 1:
        budget.progress.update(0, plan.calls, "writing instructions")
        written = written_instructions(fit, writer, plan.proposals)[: room // 2]
        budget.journal.note("written", {f"written {n}": text for n, text in enumerate(written, 1)})
    ruled = _spread(phrasings(fit.task.output.kind), room - len(written))
    found = [_Instruction(name, name) for name in ruled]
    return [*found, *(_Instruction(f"written {n}", text=text) for n, text in enumerate(written, 1))]


def _spread(names: Sequence[str], count: int) -> list[str]:
    """`count` of the names, evenly over the list, the first one always among them."""
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def _setting(fit: FitData, model: Model, said: _Instruction, shots: tuple[str, ShotsSlot | None]) -> Setting:
    name, slot = shots
    prompt = _prompt(fit, said, shown=slot is not None)
    candidate = new_candidate(fit, model, "optimise_prompt", prompt, shots=slot)
    return Setting({"instruction": said.name, "demonstrations": name}, candidate)


def _prompt(fit: FitData, said: _Instruction, *, shown: bool) -> PromptSlot:
    # Labels with solved examples read best as lines, which cost fewer tokens; written answers follow the style of turns.
    layout: Layout = "compact" if shown and fit.task.output.kind == "label" else "chat"
    task = fit.task.model_copy(update={"instruction": said.text}) if said.text else fit.task
    return prompt_slot(task, said.phrasing, layout=layout).model_copy(update={"phrasing": said.name})


def _answered_right(fit: FitData, model: Model, scores: DevScores, pool: Sequence[Example]) -> list[Example]:
    """Questions of train that the plain prompt answers right."""
    solved = [example for example in pool if example.references]
    if not solved:
        return []
    found = scores.ask(_setting(fit, model, _Instruction("plain"), ("none", None)), solved)
    return [example for example, score in zip(solved, found, strict=True) if score >= _RIGHT]


def _calibration_calls(fit: FitData, model: Model) -> int:
    """What calibrating the winner will ask, so that it stays within the call budget."""
    if fit.task.output.kind != "label" or not model.capabilities.choices:
        return 0
    return len(dev_sample(fit)) + min(LEANING_QUESTIONS, len(fit.train))
