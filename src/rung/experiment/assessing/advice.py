"""The rules of `rung assess`: from what the data show and people say to advice, each piece with its reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rung.config.questionnaire import Questionnaire
from rung.core.task import Task
from rung.experiment.assessing.evidence import PASSAGES, Evidence
from rung.experiment.sentences import join_names, money_text, percent_text, plain, teller
from rung.experiment.wording import metric_name
from rung.stats.power import examples_needed, smallest_gap
from rung.store.assessment import Advice, Basis, Conflict, Fact, Reason, Rung
from rung.store.records import Text

ENOUGH_PER_LABEL = 20
ENOUGH_ROWS = 100
"""Training rows of a label, and of a text task, from which training is worth a try: rules of thumb, and called so."""
QUOTED = 0.3
"""Share of answers that must stand in the documents for retrieval to be advised first."""
HARDLY_QUOTED = 0.1
DISAGREE = 0.2
"""Share of questions on which two candidates are taken to differ, for the size of a test nobody has run yet."""
MOST_TEST = 2000
"""Test questions beyond which a wider margin is the better advice."""
ADVICE: tuple[Advice, ...] = ("first", "next", "later", "no")
"""From the rungs to begin with to those that cannot be tried."""
OFTEN = ("monthly", "weekly", "daily")
MIXED = 0.05
_LISTED = 6


@dataclass(frozen=True)
class Case:
    """All that the rules read."""

    task: Task
    said: Questionnaire
    evidence: Evidence
    monthly_volume: int
    written_volume: int | None = None
    """What task.yaml itself says of the volume."""

    @property
    def short(self) -> dict[str, int]:
        """Labels with too few training examples, and how many are missing."""
        return {name: ENOUGH_PER_LABEL - n for name, n in self.evidence.labels.items() if n < ENOUGH_PER_LABEL}

    @property
    def quotable(self) -> bool:
        return (self.evidence.extractable or 0.0) >= QUOTED

    @property
    def floor_reaches(self) -> bool:
        """Whether the lower end of the floor's interval reaches the target."""
        floor, target = self.evidence.floor, self.task.target
        return floor is not None and target is not None and floor.low is not None and floor.low >= target


def advise(case: Case, rung: Rung, *, blockers: Sequence[Text], trained: bool, context: int) -> Rung:
    """The rung with its advice, reasons and what is missing."""
    if blockers:
        reasons = tuple(Reason(basis="blocker", text=text) for text in blockers)
        return rung.model_copy(update={"advice": "no", "reasons": reasons, "missing": _needed(case, rung)})
    notes = _Notes()
    pieces = rung.method.split("+")
    if pieces == ["baseline"]:
        _baseline(case, notes)
    if "rag" in pieces:
        _retrieval(case, notes)
    if pieces == ["few_shot"]:
        notes.say("rule", "assess_few_shot")
    if trained:
        _training(case, notes)
    if pieces in (["prompt"], ["optimise_prompt"]):
        notes.say("rule", "assess_prompt" if pieces == ["prompt"] else "assess_optimise")
        if pieces == ["optimise_prompt"]:
            notes.at_best("later")
    if len(pieces) > 1:
        notes.at_best("later")
        notes.say("rule", "assess_combined")
    _limits(case, rung, notes, context)
    if case.floor_reaches and pieces != ["baseline"]:
        notes.at_best("later")
        notes.say("data", "assess_floor_enough", target=percent_text(case.task.target or 0.0))
    if not notes.reasons:
        notes.say("rule", "assess_nothing_known")
    return rung.model_copy(
        update={"advice": notes.advice, "reasons": tuple(notes.reasons), "missing": tuple(notes.missing)}
    )


class _Notes:
    """Reasons as they are gathered. Advice starts in the middle; `at_best` only ever lowers it."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.missing: list[Text] = []
        self._wanted: Advice = "next"
        self._best: Advice = "first"

    def say(self, basis: Basis, key: str, **values: object) -> None:
        self.reasons.append(Reason(basis=basis, text=teller(key)(**values)))

    def want(self, advice: Advice) -> None:
        self._wanted = advice

    def at_best(self, advice: Advice) -> None:
        self._best = max(self._best, advice, key=ADVICE.index)

    @property
    def advice(self) -> Advice:
        return max(self._wanted, self._best, key=ADVICE.index)


def _baseline(case: Case, notes: _Notes) -> None:
    notes.want("first")
    floor = case.evidence.floor
    if floor is None or floor.value is None:
        notes.say("rule", "assess_baseline")
        return
    notes.say("data", "assess_baseline_floor", **_interval(case))


def _interval(case: Case) -> dict[str, object]:
    floor = case.evidence.floor
    assert floor is not None
    ends = [percent_text(end) if end is not None else "–" for end in (floor.value, floor.low, floor.high)]
    name = metric_name(case.task.metric)
    return {"score": ends[0], "low": ends[1], "high": ends[2], "metric": name, "n": floor.n}


def _retrieval(case: Case, notes: _Notes) -> None:
    share = case.evidence.extractable
    if share is None:
        notes.at_best("later")
        notes.say("rule", "assess_rag_labels")
        return
    if case.quotable:
        notes.want("first")
    elif share < HARDLY_QUOTED:
        notes.at_best("later")
        notes.say("data", "assess_rag_hardly", share=percent_text(share))
        return
    found = case.evidence.retrieved
    shown = "–" if found is None else percent_text(found)
    notes.say("data", "assess_rag_quoted", share=percent_text(share), found=shown, k=PASSAGES)
    if case.said.knowledge_changes in OFTEN:
        notes.say("answer", "assess_rag_changes", often=_often(case))


def _training(case: Case, notes: _Notes) -> None:
    evidence = case.evidence
    if case.task.output.kind == "label":
        counts = list(evidence.labels.values())
        middle = median(counts) if counts else 0
        if middle < ENOUGH_PER_LABEL:
            notes.at_best("later")
            notes.say("data", "assess_train_few_labels", n=f"{middle:g}", enough=ENOUGH_PER_LABEL)
            notes.missing.append(_more_labels(case))
        else:
            notes.say("data", "assess_train_enough_labels", n=f"{middle:g}", rows=evidence.train)
    elif evidence.train < ENOUGH_ROWS:
        notes.at_best("later")
        notes.say("data", "assess_train_few", n=evidence.train, enough=ENOUGH_ROWS)
        notes.missing.append(teller("assess_more_rows")(n=ENOUGH_ROWS - evidence.train))
    else:
        notes.say("data", "assess_train_enough", n=evidence.train)
    if case.task.output.kind == "text" and case.said.knowledge_changes in OFTEN:
        notes.at_best("later")
        notes.say("answer", "assess_train_changes", often=_often(case))
    if case.quotable:
        notes.at_best("later")
        notes.say("data", "assess_train_quotable", share=percent_text(evidence.extractable or 0.0))
    if case.said.skills in ("none", "scripts"):
        notes.at_best("later")
        notes.say("answer", "assess_train_skills")


def _limits(case: Case, rung: Rung, notes: _Notes, context: int) -> None:
    """Budget, latency and context: estimates held against what people allow and the model can read."""
    said, evidence = case.said, case.evidence
    monthly = (rung.per_1000 or 0.0) * case.monthly_volume / 1000
    if said.monthly_budget is not None and monthly > said.monthly_budget:
        notes.at_best("later")
        notes.say("estimate", "assess_over_budget", money=money_text(monthly), limit=money_text(said.monthly_budget))
    allowed = said.max_latency or case.task.constraints.max_latency_p95
    if allowed is not None and rung.latency is not None and rung.latency > allowed:
        notes.at_best("later")
        notes.say("estimate", "assess_too_slow", seconds=f"{rung.latency:.2g}", limit=f"{allowed:g}")
    if context and evidence.longest_tokens + evidence.answer_tokens > context:
        notes.say("estimate", "assess_too_long", tokens=f"{evidence.longest_tokens:,.0f}", context=f"{context:,}")


def _needed(case: Case, rung: Rung) -> tuple[Text, ...]:
    """What would lift the blockers that data can lift."""
    found = []
    if "rag" in rung.method.split("+") and not case.evidence.documents:
        found.append(teller("assess_need_documents")())
    if case.evidence.train < 8 and "fine_tune" in rung.method.split("+"):
        found.append(teller("assess_more_rows")(n=ENOUGH_ROWS - case.evidence.train))
    return tuple(found)


def _more_labels(case: Case) -> Text:
    """'80 more examples, for these labels': the scarcest first."""
    short = dict(sorted(case.short.items(), key=lambda item: -item[1]))
    names = [plain(f"{name} ({n})") for name, n in list(short.items())[:_LISTED]]
    if len(short) > _LISTED:
        names.append(teller("assess_and_more")(n=len(short) - _LISTED))
    return teller("assess_more_labels")(n=sum(short.values()), labels=join_names(names))


def _often(case: Case) -> Text:
    return teller(f"assess_often_{case.said.knowledge_changes}")()


def facts_of(case: Case) -> tuple[Fact, ...]:
    """What the data show, one sentence each."""
    e, task = case.evidence, case.task
    found: list[Fact] = []

    def note(key: str, value: float | None = None, **values: object) -> None:
        found.append(Fact(key=key, value=value, text=teller(f"assess_fact_{key}")(**values)))

    note("sizes", e.examples, n=f"{e.examples:,}", train=f"{e.train:,}", test=f"{e.test:,}")
    if e.floor is not None and e.floor.value is not None:
        note("floor", e.floor.value, **_interval(case))
    elif e.examples:
        note("no_floor")
    if task.output.kind == "label" and e.labels:
        counts = sorted(e.labels.values())
        note("labels", len(counts), n=len(counts), fewest=counts[0], most=counts[-1])
        note("majority", e.majority, share=percent_text(e.majority or 0.0))
        if case.short:
            note("short_labels", len(case.short), n=len(case.short), enough=ENOUGH_PER_LABEL)
    if e.documents:
        note("documents", e.documents, n=f"{e.documents:,}", tokens=f"{e.document_tokens:,.0f}")
    if e.extractable is not None:
        found_share = "–" if e.retrieved is None else percent_text(e.retrieved)
        note("extractable", e.extractable, share=percent_text(e.extractable), found=found_share, k=PASSAGES)
    if e.abstained and task.output.abstain:
        note("abstained", e.abstained, share=percent_text(e.abstained))
    if e.repeats:
        note("repeats", e.repeats, n=e.repeats, conflicts=e.conflicts)
    note(
        "lengths",
        e.question_tokens,
        middle=f"{e.question_tokens:,.0f}",
        longest=f"{e.longest_tokens:,.0f}",
        answer=f"{e.answer_tokens:,.0f}",
    )
    if MIXED < e.chinese < 1 - MIXED:
        note("mixed", e.chinese, share=percent_text(e.chinese))
    if e.test_units:
        gap = smallest_gap(e.test_units, DISAGREE)
        note("resolves", gap, n=e.test, points=f"{100 * gap:.1f}")
    found += _worth(case)
    return tuple(found)


def _worth(case: Case) -> list[Fact]:
    """How many answers must be right for the whole to pay, from what people say a right and a wrong one are worth."""
    value, cost = case.said.right_value, case.said.wrong_cost
    if value is None or cost is None or value + cost <= 0:
        return []
    share = cost / (value + cost)
    return [Fact(key="worth", value=share, text=teller("assess_fact_worth")(share=percent_text(share)))]


def conflicts_of(case: Case, outside: Sequence[str]) -> tuple[Conflict, ...]:
    """Where people and data differ. `outside`: models behind an endpoint of somebody else's."""
    said, e, task = case.said, case.evidence, case.task
    found: list[Conflict] = []

    def add(key: str, **values: object) -> None:
        texts = [teller(f"assess_conflict_{key}_{part}")(**values) for part in ("said", "shown", "used")]
        found.append(Conflict(said=texts[0], shown=texts[1], used=texts[2]))

    if said.knowledge_changes in ("never", "yearly") and case.quotable:
        add("stable", often=_often(case), share=percent_text(e.extractable or 0.0))
    if said.knowledge_changes in OFTEN and task.output.kind == "text" and not e.documents:
        add("no_documents", often=_often(case))
    if said.data_may_leave is False and outside:
        add("private", names=join_names([plain(name) for name in outside]))
    if said.monthly_volume and case.written_volume and said.monthly_volume != case.written_volume:
        add("volume", said=f"{said.monthly_volume:,}", written=f"{case.written_volume:,}")
    other = e.chinese if task.language == "en" else 1 - e.chinese
    if e.examples and other > 0.5:
        add("language", share=percent_text(other), language=teller(f"assess_language_{task.language}")())
    limit = task.constraints.max_latency_p95
    if said.max_latency is not None and limit is not None and said.max_latency != limit:
        add("latency", said=f"{said.max_latency:g}", written=f"{limit:g}")
    return tuple(found)


def missing_of(case: Case, rungs: Sequence[Rung]) -> tuple[Text, ...]:
    """What would help most, once each; a question nobody has answered counts too."""
    texts = [text for rung in rungs for text in rung.missing]
    if case.evidence.conflicts:
        texts.append(teller("assess_fix_conflicts")(n=case.evidence.conflicts))
    if case.task.target is None:
        texts.append(teller("assess_need_target")())
    if case.said.unanswered:
        texts.append(teller("assess_need_answers")(names=join_names([plain(n) for n in case.said.unanswered])))
    return tuple({text.en: text for text in texts}.values())


def questions_needed(case: Case) -> int | None:
    """Test questions that would settle the margin between two candidates alike; None where none would."""
    needed = examples_needed(case.task.margin, DISAGREE)
    if not math.isfinite(needed):
        return None
    per_unit = case.evidence.test / case.evidence.test_units if case.evidence.test_units else 1.0
    return math.ceil(needed * per_unit)


def pilot(case: Case, rungs: Sequence[Rung]) -> tuple[Text, ...]:
    """What to do, step by step, and how large each step is."""
    steps: list[Text] = []
    wanted = missing_of(case, rungs)
    if wanted:
        steps.append(teller("assess_step_missing")(n=len(wanted)))
    steps.append(_test_step(case))
    foremost, following = _waves(rungs)
    if foremost:
        minutes = sum(rung.seconds or 0.0 for rung in foremost) / 60
        steps.append(teller("assess_step_first")(names=_named(foremost), minutes=f"{max(1.0, minutes):.0f}"))
    if following:
        steps.append(teller("assess_step_next")(names=_named(following)))
    steps.append(teller("assess_step_stop")(points=f"{100 * case.task.margin:g}"))
    shadow = min(2000, max(50, case.monthly_volume // 2))
    steps.append(teller("assess_step_shadow")(n=f"{shadow:,}", rated=min(shadow, 100)))
    return tuple(steps)


def _test_step(case: Case) -> Text:
    needed, points = questions_needed(case), f"{100 * case.task.margin:g}"
    units = case.evidence.test_units
    if needed is None:
        return teller("assess_step_no_margin")()
    values: dict[str, object] = {
        "needed": f"{needed:,}",
        "points": points,
        "have": f"{case.evidence.test:,}",
        "now": f"{100 * smallest_gap(units, DISAGREE):.0f}",
        "share": percent_text(DISAGREE),
    }
    values["wide"] = f"{100 * smallest_gap(400, DISAGREE):.0f}"
    if not units:
        return teller("assess_step_test_none")(**values)
    if case.evidence.test >= needed:
        return teller("assess_step_test_enough")(**values)
    if needed > MOST_TEST:
        return teller("assess_step_test_wide")(**values)
    return teller("assess_step_test")(**values)


def _waves(rungs: Sequence[Rung]) -> tuple[list[Rung], list[Rung]]:
    """The rungs to begin with, which are the best advised ones there are, and those that follow."""
    able = [[rung for rung in rungs if rung.advice == advice] for advice in ADVICE[:-1]]
    foremost = next((wave for wave in able if wave), [])
    return foremost, able[1] if foremost is able[0] else []


def _named(rungs: Sequence[Rung]) -> Text:
    names = {rung.name.en: rung.name for rung in rungs}
    return join_names(list(names.values()))


def summary_of(case: Case, rungs: Sequence[Rung]) -> Text:
    """Two or three sentences: what to try first, what cannot be tried, and how sure that is."""
    able = {rung.method for rung in rungs if rung.advice != "no"}
    foremost, following = _waves(rungs)
    parts = [teller("assess_sum_none")()]
    if foremost:
        n = len({rung.method for rung in rungs})
        parts = [teller("assess_sum_first")(names=_named(foremost), able=len(able), n=n)]
    if case.floor_reaches:
        parts.append(teller("assess_sum_floor")(target=percent_text(case.task.target or 0.0)))
    if following:
        parts.append(teller("assess_sum_next")(names=_named(following)))
    if case.evidence.test_units and smallest_gap(case.evidence.test_units, DISAGREE) > 2 * case.task.margin:
        parts.append(teller("assess_sum_small")())
    if not case.evidence.test_units:
        parts.append(teller("assess_sum_no_test")())
    parts.append(teller("assess_sum_no_verdict")())
    return join_names(parts, sentence=True)
