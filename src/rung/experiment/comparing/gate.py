"""The gate of `rung compare --ci`: is the new system shown to be no worse than the baseline, and how many questions would show it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import special

from rung.core.errors import UsageError
from rung.core.evaluation import Evaluation, Metric, parts_matrix
from rung.core.hashing import seed_from
from rung.experiment.evaluate import number
from rung.experiment.sentences import Sentences
from rung.stats.bootstrap import resample
from rung.stats.noninferior import non_inferiority
from rung.stats.power import examples_needed, paired_variance
from rung.store.comparison import GateLine, GateRecord
from rung.store.records import Interval

ALPHA = 0.05
Mode = Literal["strict", "lenient"]
say = Sentences(Path(__file__).with_name("comparing.json"))


@dataclass(frozen=True)
class Gate:
    """What must hold. `strict`: every new system is shown to be no worse than the baseline by the margin or more.
    `lenient`: none is shown to be worse, unless it is also shown to lie within the margin."""

    baseline: str
    mode: Mode = "strict"


def check_gate(
    gate: Gate, evaluations: Sequence[Evaluation], metric: Metric, *, margin: float, max_failure_share: float
) -> GateRecord:
    """Every system but the baseline, by non-inferiority: lower one-sided bound of (system - baseline) > -margin.

    The 5 % error is shared evenly over the systems that are gated (Bonferroni); bounds are those of
    `stats.noninferior`, over whole groups. A system that fails on more than `max_failure_share` of
    the questions is never shown to be no worse. Raises UsageError E4305 for a baseline that is none of the systems.
    """
    names = [evaluation.header.model for evaluation in evaluations]
    if gate.baseline not in names:
        raise UsageError("E4305", name=gate.baseline, known=", ".join(names))
    base = evaluations[names.index(gate.baseline)]
    others = [evaluation for evaluation in evaluations if evaluation is not base]
    alpha = ALPHA / len(others)
    lines = tuple(_line(gate, base, other, metric, margin, alpha, max_failure_share) for other in others)
    return GateRecord(baseline=gate.baseline, margin=margin, mode=gate.mode, lines=lines)


def _line(
    gate: Gate, base: Evaluation, other: Evaluation, metric: Metric, margin: float, alpha: float, limit: float
) -> GateLine:
    parts = np.stack(
        [parts_matrix([row.scores[metric.name] for row in e.rows], metric.parts) for e in (other, base)], axis=1
    )
    scored_by_both = ~np.isnan(parts).any(axis=(1, 2))
    parts[~scored_by_both] = np.nan
    rng = np.random.default_rng(seed_from("gate", gate.baseline, other.header.model))
    drawn = resample(parts, [row.group for row in base.rows], metric.aggregate, rng)
    found = non_inferiority(drawn, margin=margin, alpha=alpha)
    # Seen from the baseline, the same bound from above.
    point, low, high = (float(x) for x in (found.difference[0, 1], found.lower[0, 1], -found.lower[1, 0]))
    sure = drawn.spread_against(0)
    se, units = sure.stretched(float(-special.ndtri(alpha)))[1:], sure.units[1:]
    summary = other.summaries[metric.name]
    failed = summary.failed / max(1, summary.n)
    shown: Literal["not_worse", "worse", "open"] = "open"
    if low > -margin and failed <= limit:
        shown = "not_worse"
    elif high < 0:
        shown = "worse"
    passed = shown == "not_worse" or (gate.mode == "lenient" and shown == "open" and failed <= limit)
    n = int(scored_by_both.sum())
    needed = _needed(point + margin, float(se[0]), float(units[0]), n, alpha) if shown == "open" else None
    values = {
        "name": other.header.model,
        "base": gate.baseline,
        "margin": points(margin),
        "difference": points(point, sign=True),
        "low": points(low, sign=True),
        "n": f"{n:,}",
    }
    text = say(f"gate.{shown}", **values)
    if failed > limit:
        text = say("gate.failing", name=other.header.model, share=f"{100 * failed:.1f}", limit=f"{100 * limit:.1f}")
    elif shown == "open":
        tail = say("gate.needed", n=f"{needed:,}") if needed else say("gate.hopeless")
        text = say("gate.both", first=text, second=tail)
    return GateLine(
        name=other.header.model,
        difference=Interval(point=number(point), low=number(low), high=number(high)),
        shown=shown,
        passed=passed,
        n=n,
        failed_share=failed,
        examples_needed=needed,
        said=text,
    )


def _needed(gap: float, se: float, units: float, n: int, alpha: float) -> int | None:
    needed = examples_needed(gap, paired_variance(se, units), critical=float(-special.ndtri(alpha)))
    return math.ceil(needed * n / max(1.0, units)) if math.isfinite(needed) else None


def points(value: float, *, sign: bool = False) -> str:
    """Hundredths of the score, with a true minus sign; a dash for what is not known."""
    if not math.isfinite(value):
        return "–"
    text = f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"
    return text.replace("-", "−").removesuffix(".0")
