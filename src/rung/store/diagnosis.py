"""The records of a diagnosis and of a stability measurement, as they lie in a run folder."""

from __future__ import annotations

from typing import Literal

from rung.core.task import Frozen
from rung.store.records import Interval, Spend, Text

ArmName = Literal["plain", "control", "gold", "format", "both", "rag"]
Mark = Literal["right", "wrong", "refused"]
Finding = Literal["helps", "does_not_help", "not_identified"]
Axis = Literal["context", "behaviour", "both", "neither", "no_errors", "not_identified"]


class Arm(Frozen):
    """How one arm's answers came out. right + wrong + refused + unscored = n."""

    name: str
    """plain, control, gold, format, both; any other name is an arm of a retrieval system."""
    source: Literal["asked", "copied", "recorded", "missing"]
    """copied: the model answers alike whenever it is asked, so the control is the plain answers. missing: nobody has answered."""
    why_missing: Text | None = None
    n: int = 0
    right: int = 0
    wrong: int = 0
    refused: int = 0
    """The task's abstain text where it is not the right answer, a person's verdict of a refusal, or no answer at all."""
    failed: int = 0
    """Of `refused`: no answer at all."""
    unscored: int = 0
    share: Interval = Interval(point=None)
    """right / (right + wrong + refused), 95 %, whole groups resampled together."""


class Effect(Frozen):
    """What an arm changes: (fixed - broken) less the control's, as a share of the questions that all of them scored."""

    arm: str
    n: int
    groups: int
    fixed: int
    """Not right in plain, right in this arm."""
    broken: int
    control_fixed: int = 0
    control_broken: int = 0
    against: Literal["control", "plain"] = "control"
    """plain: there is no control, so chance changes are not taken off."""
    effect: Interval
    helps: bool
    """The interval's lower end lies above 0."""


class Shown(Frozen):
    """One question of a cell of the matrix, with what each arm answered."""

    id: str
    question: str
    references: tuple[str, ...] = ()
    answers: dict[str, str] = {}
    """By arm; an answer that failed stands as the kind of failure in brackets."""


class MatrixCell(Frozen):
    """Errors of plain that the control repeats, by what makes them right; None where the arm is missing for the question."""

    knowledge: bool | None
    format: bool | None
    n: int
    by_both: int | None = None
    """Of these, right with passage and examples together."""
    ids: tuple[str, ...] = ()
    examples: tuple[Shown, ...] = ()


class RetrievalFailures(Frozen):
    """Where a retrieval system's errors come from, on questions whose document is known."""

    name: str
    """The candidate or the arm."""
    n: int
    """Questions with a known document whose retrieved passages are known."""
    right: int
    misses: int
    """Not right, and the document was not among the retrieved passages."""
    reading: int
    """Not right although it was."""
    miss_share: Interval
    """misses / (misses + reading), Wilson 95 %."""
    not_told: int = 0
    """Errors on questions without a known document or without a record of what was retrieved."""
    fixed_by_gold: int | None = None
    """Errors, of either kind, that are right once the gold passage is shown."""
    errors: int = 0
    """Errors on questions that the gold arm answered too."""


class Diagnosis(Frozen):
    """Which axis the errors lie on: what the model does not know, or how it behaves. Kept as `diagnosis.json`."""

    schema_version: int = 1
    name: str
    candidate: str = ""
    model: str = ""
    split: str = "dev"
    metric: str
    right_at: float
    """A score counts as right from here on."""
    confidence: float = 0.95
    draws: int
    seed: int
    n: int
    groups: int
    outside: int = 0
    """Recorded answers to questions that are not among those diagnosed."""
    arms: tuple[Arm, ...]
    effects: tuple[Effect, ...]
    context: Finding
    behaviour: Finding
    axis: Axis
    errors: int
    """Questions that plain did not get right."""
    repeated: int | None = None
    """Of these, the control did not get right either; None without a control."""
    matrix: tuple[MatrixCell, ...] = ()
    """Empty without a control: causes of single questions are named only where it repeats the error."""
    retrieval: tuple[RetrievalFailures, ...] = ()
    reason: Text
    advice: Text
    rungs: tuple[str, ...] = ()
    """Methods that the finding speaks for, the first one first."""
    cautions: tuple[Text, ...] = ()
    spent: Spend = Spend()


Kind = Literal[
    "repeat",
    "politeness",
    "rewording",
    "paraphrase",
    "choices",
    "shots",
    "width",
    "script",
    "case",
    "punctuation",
]


class Changed(Frozen):
    """A question whose answer changed."""

    id: str
    question: str
    """As it was asked the second time."""
    before: str
    after: str


class KindStability(Frozen):
    """One way to ask the same again."""

    kind: Kind
    status: Literal["measured", "not_applicable"] = "measured"
    why_not: Text | None = None
    n: int = 0
    """Questions asked so."""
    pairs: int = 0
    """Answers compared with the original's; a question may be varied in several ways."""
    agree: int = 0
    failed: int = 0
    """Pairs left out because neither answer came."""
    agreement: Interval = Interval(point=None)
    """agree / pairs, 95 %; whole groups, and all variants of a question, together."""
    change: Interval = Interval(point=None)
    """Mean score of the varied answers less that of the original ones, where both are scored."""
    examples: tuple[Changed, ...] = ()


class Stability(Frozen):
    """How far a candidate answers the same when the same is asked otherwise. Kept as `stability.json`."""

    schema_version: int = 1
    candidate: str
    method: str
    model: str
    split: str = "dev"
    metric: str
    n: int
    groups: int
    repeats: int
    """How often the very same was asked, the first time included."""
    deterministic: bool
    """A local model that always takes the likeliest token: repeats differ only by rounding in another batch."""
    light: bool = False
    """The short form that `constraints.min_stability` is checked with."""
    seed: int
    agreement: Interval
    """Mean of the agreement over the kinds that were measured, repeats of a deterministic model left out."""
    accuracy: float | None = None
    """Mean score of the original answers."""
    kinds: tuple[KindStability, ...]
    spent: Spend = Spend()
