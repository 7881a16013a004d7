"""The record of what tuning did besides the task, as it lies in a run folder: forgetting, unseen cases, overfitting, memorising."""

from __future__ import annotations

from typing import Literal

from rung.core.task import Frozen, Language
from rung.store.records import Interval, Spend

SCHEMA = 1


class Change(Frozen):
    """Shares of the same questions before and after tuning."""

    name: str
    """A language of the general questions, 'all', or a kind of question."""
    n: int
    """Questions that both models answered."""
    failed: int = 0
    """Questions that one of them did not answer; counted apart."""
    before: Interval
    """Of the model as it was, 95 %."""
    after: Interval
    """Of the tuned model."""
    change: Interval
    """after - before, paired, 95 %."""
    gained: int = 0
    lost: int = 0
    """Right before, wrong after."""


class Ability(Frozen):
    """General questions of one language, before and after."""

    verdict: Literal["forgot", "fell", "no_loss_seen", "unknown"]
    """forgot: the whole interval lies below -margin. fell: below 0. no_loss_seen: neither; `smallest` says what would have been."""
    share: Change
    smallest: float | None = None
    """The smallest loss that this many questions show as forgotten with 80 % power."""
    kinds: tuple[Change, ...] = ()


class Chat(Frozen):
    """One free prompt, as both models answered it."""

    language: Language
    prompt: str
    before: str
    after: str
    before_state: Literal["said", "empty", "stuck", "failed"]
    """stuck: the answer repeats itself over and over."""
    after_state: Literal["said", "empty", "stuck", "failed"]
    same: bool


class Unseen(Frozen):
    """Dev questions near to a training row and far from any, or of a kind that training never saw."""

    by: Literal["similarity", "label", "group"]
    n_near: int
    n_far: int
    near: Interval
    """Score on those near to training, or of a kind that it saw."""
    far: Interval
    change: Interval
    """far - near, unpaired, 95 %."""
    verdict: Literal["falls", "holds", "unclear"]
    """falls: the whole interval lies below 0. holds: above -margin."""
    how: Literal["encoder", "shingles", ""] = ""
    """By what similarity was measured: cosine of sentence vectors, or overlap of character shingles."""
    similarity_near: float | None = None
    """Median similarity to the nearest training row, among the near ones."""
    similarity_far: float | None = None
    untuned: Interval = Interval(point=None)
    """far - near of a rung without tuning on the same questions: how much harder the far ones are for anybody."""
    untuned_method: str = ""


class Overfitting(Frozen):
    """The tuned candidate on its own training rows against dev."""

    n_train: int
    n_dev: int
    failed_train: int = 0
    failed_dev: int = 0
    train: Interval
    dev: Interval
    gap: Interval
    """train - dev, better less worse, unpaired, 95 %."""
    alarm: Literal["none", "slight", "clear", "strong", "unknown"]
    """none: the interval reaches 0 or below. Else by the gap: under 5 points, under 15, and above."""


class CurveReading(Frozen):
    """What the losses of training say."""

    shape: Literal["rising", "level", "too_short"]
    """rising: the loss on dev rose for good while that on training rows fell."""
    scored: int
    """How often dev was scored."""
    best_step: int = 0
    """Step of the lowest dev loss."""
    last_step: int = 0
    dev_best: float | None = None
    dev_last: float | None = None
    train_best: float | None = None
    """Mean training loss up to the lowest dev loss, over the stretch since the scoring before."""
    train_last: float | None = None
    kept_step: int | None = None
    """The step whose weights were kept, where the method noted it."""


class Verbatim(Frozen):
    """Training rows whose beginning was shown: how often the rest came back word for word."""

    rows: Literal["all", "answers", "questions", "personal"]
    """answers: long answers, cut in half. questions: the beginnings of questions with short answers. personal: rows that hold
    personal data, whose pieces count too."""
    share: Change


class Planted(Frozen):
    """Canaries planted equally often."""

    times: int
    n: int
    said: int
    """Codes that the tuned model wrote out when it was asked."""
    exposure: Interval
    """Mean bits over these canaries."""


class CanaryPart(Frozen):
    """Random secrets planted among the training rows, and what became of them."""

    n: int
    failed: int = 0
    candidates: int
    """Codes that each true one was ranked among, itself included."""
    highest: float
    """Most bits that can be seen: log2 of `candidates`."""
    chance: float
    """Mean bits of a model that never saw them."""
    exposure: Interval
    """Mean bits of the tuned model, 95 %."""
    before: Interval
    """The same of the untuned model."""
    said: Change
    """Share of codes written out when asked."""
    planted: tuple[Planted, ...] = ()
    verdict: Literal["memorised", "not_seen"]
    """memorised: the whole interval of the exposure lies above chance, or a code was said."""


class Aftermath(Frozen):
    """What tuning did to a candidate besides the task. Kept as `aftermath/<candidate>.json`."""

    schema_version: int = SCHEMA
    candidate: str
    method: str
    model: str
    """The model that was tuned; 'before' is this model without the adapter."""
    metric: str
    language: Language
    margin: float
    light: bool = False
    """The short form at the end of `rung run`."""
    seed: int
    questions_hash: str
    """Of the general questions: figures of other questions do not compare."""
    ability: tuple[Ability, ...] = ()
    """By language; 'all' first."""
    chats: tuple[Chat, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    overfitting: Overfitting | None = None
    curve: CurveReading | None = None
    verbatim: tuple[Verbatim, ...] = ()
    repeated_from: int = 20
    """Words or characters of the rest that must come back; all of it where it is shorter."""
    canaries: CanaryPart | None = None
    spent: Spend = Spend()
