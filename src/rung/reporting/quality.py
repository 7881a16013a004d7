"""A quality check for people, in either language: every figure in words, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.core.errors import Problem
from rung.core.task import Language
from rung.data.privacy.kinds import kinds
from rung.data.quality.record import Estimate, Look, Note, Quality, Reason
from rung.reporting.charts import Picture
from rung.reporting.facts import Fact
from rung.reporting.letters import one_line
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.page import render
from rung.reporting.quality_pictures import curve_picture, label_bars, length_bars, topic_color, topic_map
from rung.reporting.words import Words

OPEN_ROWS = 12
"""Rows to look at that the page shows before one asks for more."""
_RAREST = 12
_IDS = 5


@dataclass(frozen=True)
class RowLine:
    """One row to look at, as it is shown."""

    id: str
    split: str
    text: str
    answer: str
    suggested: str
    reasons: tuple[str, ...]


class QualityTeller:
    """A quality check in one language."""

    def __init__(self, quality: Quality, language: Language) -> None:
        self.quality = quality
        self.words = Words(language)
        self.numbers = Numbers(self.words)

    def word(self, key: str, **values: object) -> str:
        return self.words(f"quality.{key}", **values)

    @property
    def title(self) -> str:
        return self.word("title", name=self.quality.name)

    @property
    def headline(self) -> str:
        key = "headline" if self.quality.to_look_at else "headline_none"
        return self.word(key, n=f"{self.quality.n:,}", look=f"{self.quality.to_look_at:,}")

    @property
    def lead(self) -> str:
        quality = self.quality
        splits = [self.word(f"split_{name}", n=f"{n:,}") for name, n in quality.splits.items()]
        return self.word(
            "lead",
            kind=self.word(f"kind_{quality.kind}"),
            language=self.word(f"language_{quality.language}"),
            splits=self.words.join(splits),
            vectors=quality.vectors.split("@")[0],
        )

    @property
    def findings(self) -> list[tuple[Note, str, str]]:
        """(finding, sentence, next step)."""
        found = []
        for note in self.quality.findings:
            problem = Problem(note.code, "", note.values)
            found.append((note, problem.message(self.words.language), problem.hint(self.words.language)))
        return found

    @property
    def rows_lead(self) -> str:
        quality = self.quality
        if not quality.rows:
            return self.word("rows_none")
        return self.word("rows_lead", shown=len(quality.rows), n=f"{quality.to_look_at:,}")

    @property
    def rows_test(self) -> str:
        return self.word("rows_test", n=f"{self.quality.test_to_look_at:,}") if self.quality.test_to_look_at else ""

    @property
    def rows(self) -> list[RowLine]:
        return [self._row(look) for look in self.quality.rows]

    def _row(self, look: Look) -> RowLine:
        reasons = tuple(self._why(reason) for reason in look.reasons)
        split = self.word(f"name_{look.split}") if look.split else ""
        return RowLine(look.id, split, look.text, look.answer, look.suggested, reasons)

    def _why(self, reason: Reason) -> str:
        values = dict(reason.values)
        if reason.kind == "label":
            return self.word(
                "why_label",
                own=self._chance(values["own"]),
                rival=self._chance(values["rival"]),
                suggested=values["suggested"],
            )
        if reason.kind == "answer":
            return self.word(f"why_answer_{values.pop('fault')}", **values)
        if reason.kind == "length":
            which = values.pop("which")
            return self.word(f"why_length_{which}", n=f"{values['n']:,}", median=f"{values['median']:,}")
        if reason.kind == "conflict":
            return self.word("why_conflict", id=values["id"], answer=one_line(str(values["answer"])))
        if reason.kind == "duplicate":
            across = reason.weight > 0.3 and bool(values["split"])
            key = ("why_across" if across else "why_duplicate") + ("_near" if values["near"] else "")
            return self.word(key, id=values["id"], split=self.word(f"name_{values['split']}"))
        if reason.kind == "personal":
            return self.word("why_personal", kinds=self._kinds(values["kinds"]))
        return self.word(f"why_{reason.kind}")

    def _chance(self, probability: float) -> str:
        """A probability in percent, never as none or all."""
        if probability < 0.001:
            return self.word("under")
        return self.word("over") if probability > 0.999 else percent(probability)

    @property
    def label_stats(self) -> list[tuple[str, str, str]]:
        """(name, figure, what it stands on)."""
        errors = self.quality.labels
        if errors is None:
            return []
        return [
            (self.word("suspected"), f"{errors.suspected:,}", self.word("of_rows", n=f"{errors.judged:,}")),
            (self.word("wrong"), percent(errors.wrong.point), self.interval(errors.wrong)),
            (self.word("head"), percent(errors.head.point), self.interval(errors.head)),
        ]

    def interval(self, estimate: Estimate) -> str:
        n = f"{estimate.n:,}"
        if estimate.low is None or estimate.high is None:
            return self.word("no_interval_rows", n=n)
        return self.word("interval_rows", bounds=f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}%", n=n)

    @property
    def label_notes(self) -> list[str]:
        errors = self.quality.labels
        if errors is None:
            return []
        notes = [self.word("wrong_note")]
        if errors.unjudged:
            notes.append(self.word("unjudged", n=f"{errors.unjudged:,}"))
        if errors.test_judged:
            notes.append(self.word("test_labels", n=f"{errors.test_suspected:,}", judged=f"{errors.test_judged:,}"))
        return notes

    @property
    def conflicts_lead(self) -> str:
        quality = self.quality
        if not quality.conflict_list:
            return self.word("conflicts_none", n=f"{quality.n:,}")
        counts = {"n": f"{quality.conflicts:,}", "near": f"{quality.near_conflicts:,}"}
        return self.word("conflicts_lead", **counts, shown=len(quality.conflict_list))

    @property
    def agreement(self) -> str:
        found = self.quality.agreement
        if found is None:
            return ""
        kappa = found.kappa
        bounds = NONE if kappa.low is None or kappa.high is None else f"{kappa.low:.2f}–{kappa.high:.2f}"
        return self.word(
            "agreement_line",
            kind=self.word(f"kind_{found.kind}"),
            kappa=NONE if kappa.point is None else f"{kappa.point:.2f}",
            bounds=bounds,
            n=f"{kappa.n:,}",
            annotators=len(found.annotators),
            same=percent(found.agreement),
        )

    @property
    def personal(self) -> str:
        found, n = self.quality.personal, f"{self.quality.n:,}"
        if not found.rows:
            return self.word("personal_none", n=n)
        return self.word("personal_said", rows=f"{found.rows:,}", n=n, kinds=self._kinds(found.kinds))

    def _kinds(self, counts: Mapping[str, int]) -> str:
        """Kinds of personal data with their counts."""
        return self.words.join([f"{kinds()[kind].word(self.words.language)} {n:,}" for kind, n in counts.items()])

    @property
    def faults(self) -> list[tuple[str, str, str, str]]:
        """(sign, how many, of how many, first rows)."""
        return [
            (self.word(f"fault_{fault.kind}"), f"{fault.n:,}", f"{fault.of:,}", some(fault.ids))
            for fault in self.quality.faults
        ]

    @property
    def topics_lead(self) -> str:
        topics = self.quality.diversity.topics
        if topics is None:
            return ""
        return self.word(
            "topics_lead",
            n=f"{topics.n:,}",
            k=len(topics.topics),
            silhouette=f"{topics.silhouette:.2f}",
            dots=len(topics.map),
            method=self.word(f"method_{topics.method}"),
        )

    @property
    def lengths(self) -> list[tuple[str, Picture]]:
        """(sentence, picture) for questions and answers."""
        found = []
        for which in ("question", "answer"):
            lengths = getattr(self.quality.diversity, f"{which}s")
            if lengths is not None and lengths.longest:
                said = self.word(
                    f"lengths_{which}",
                    n=f"{lengths.n:,}",
                    median=f"{lengths.median:,.0f}",
                    p95=f"{lengths.p95:,.0f}",
                    longest=f"{lengths.longest:,}",
                )
                found.append((said, length_bars(lengths, self.word(f"axis_{which}"))))
        return found

    @property
    def variety_facts(self) -> list[Fact]:
        diversity = self.quality.diversity
        facts = []
        found = diversity.vocabulary
        if found:
            even = found.even_ratio
            ends = "" if even.low is None or even.high is None else f" ({even.low:.3f}–{even.high:.3f})"
            different = f"{found.different:,}"
            facts += [
                Fact(self.word("different"), self.word("different_value", n=different, words=f"{found.words:,}")),
                Fact(
                    self.word("ratio"),
                    self.word(
                        "ratio_value",
                        ratio=f"{found.ratio:.3f}",
                        even=f"{even.point:.3f}{ends}",
                        window=f"{found.window:,}",
                    ),
                ),
                Fact(self.word("once"), self.word("once_value", once=percent(found.once), n=different)),
            ]
        copies = diversity.copies
        share = percent((copies.exact + copies.near) / copies.n if copies.n else None)
        value = self.word(
            "copies_value", share=share, n=f"{copies.n:,}", exact=f"{copies.exact:,}", near=f"{copies.near:,}"
        )
        return [
            *facts,
            Fact(self.word("copies"), value),
            Fact(self.word("copies_across"), f"{copies.across:,}"),
        ]

    @property
    def coverage(self) -> list[str]:
        found = self.quality.diversity.coverage
        if found is None:
            return []
        said = self.word(
            "coverage_named" if found.named else "coverage_nearest",
            reached=f"{found.reached:,}",
            documents=f"{found.documents:,}",
            touched=f"{found.sections_reached:,}",
            sections=f"{found.sections:,}",
        )
        more = "…" if found.documents - found.reached > len(found.missed) else ""
        return [said, self.word("missed", names=self.words.join([*found.missed]) + more)] if found.missed else [said]

    @property
    def labels_lead(self) -> str:
        volume = self.quality.volume
        total = sum(count.n for count in volume.labels)
        few = {f"few{limit}": n for limit, n in volume.below.items()}
        return self.word("labels_lead", k=len(volume.labels), n=f"{total:,}", **few)

    @property
    def rarest(self) -> list[tuple[str, str, str, str]]:
        """(label, rows, test rows, rows under suspicion), the rarest first."""
        rare = list(reversed(self.quality.volume.labels))[:_RAREST]
        return [(count.label, f"{count.n:,}", f"{count.test:,}", f"{count.suspected:,}") for count in rare]

    @property
    def curve_lead(self) -> str:
        curve = self.quality.volume.curve
        return "" if curve is None else self.word("curve_lead", seeds=curve.seeds, n=f"{curve.points[-1].score.n:,}")

    @property
    def curve_said(self) -> str:
        curve = self.quality.volume.curve
        if curve is None:
            return ""
        last, gain = curve.points[-1], curve.gain
        return self.word(
            "curve_said",
            rows=f"{last.rows:,}",
            score=_with_ends(last.score),
            twice=f"{2 * last.rows:,}",
            ahead=_with_ends(curve.doubled),
            gain=_points(gain.point),
            low=_points(gain.low),
            high=_points(gain.high),
        )

    @property
    def skipped(self) -> list[str]:
        return [
            self.words(
                "labelled",
                name=self.word(f"measure_{skipped.measure}"),
                value=Problem(skipped.code, "", skipped.values).message(self.words.language),
            )
            for skipped in self.quality.skipped
        ]

    @property
    def also(self) -> str:
        return self.word("also", seconds=self.numbers.seconds(sum(self.quality.seconds.values())))


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}%"


def _points(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def _with_ends(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return percent(estimate.point)
    return f"{percent(estimate.point)} ({100 * estimate.low:.1f}–{100 * estimate.high:.1f}%)"


def some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_IDS]) + (", …" if len(ids) > _IDS else "") if ids else NONE


def quality_page(quality: Quality, language: Language, *, other: str = "") -> str:
    """The whole page. `other`: the file name of the same page in the other language."""
    told = QualityTeller(quality, language)
    topics, volume = quality.diversity.topics, quality.volume
    return render(
        "quality.html",
        told.words,
        told.numbers,
        told=told,
        quality=quality,
        open_rows=OPEN_ROWS,
        other=other,
        color=topic_color,
        map=topic_map(topics, told.words) if topics else None,
        bars=label_bars(volume.labels, told.words) if volume.labels else None,
        curve=curve_picture(volume.curve, told.words) if volume.curve else None,
    )
