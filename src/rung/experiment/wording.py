"""The reason of a decision in words: one paragraph anyone understands, in English and Chinese, from the decision's own numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rung.store.records import Decision, Standing, Text

_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[0-9A-Za-z%]")
Lang = Literal["en", "zh"]


@cache
def _words() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("wording.json").read_text("utf-8"))
    return found


def _say(key: str, language: Lang, **values: object) -> str:
    shown = {name: str(value) for name, value in values.items()}
    starts = {name.capitalize(): _sentence_start(value) for name, value in shown.items()}
    return fill(_words()[key][language], starts | shown, language)


def fill(text: str, values: Mapping[str, str], language: Lang) -> str:
    """A text with its values; Chinese is set with a space between Han and Latin."""

    def shown(mark: re.Match[str]) -> str:
        said = values[mark[1]]
        if language == "en" or not said:
            return said
        left = " " if _HAN.match(text[: mark.start()][-1:]) and _LATIN.match(said[0]) else ""
        right = " " if _LATIN.match(said[-1]) and _HAN.match(text[mark.end() :][:1]) else ""
        return left + said + right

    return _SLOT.sub(shown, text)


def _sentence_start(name: str) -> str:
    """Capitalised, unless it is somebody's own name for a system."""
    ours = {entry["en"] for entry in _words()["methods"].values()}
    return name[:1].upper() + name[1:] if any(name.startswith(known) for known in ours) else name


def method_name(method: str) -> Text:
    """What a method is called in a sentence; a variant and stages after what they are made of."""
    known = _words()["methods"]
    if method not in known and "+" in method:
        stages = [method_name(part) for part in method.split("+")]
        return Text(en=", then ".join(stage.en for stage in stages), zh="，再".join(stage.zh for stage in stages))
    base, _, variant = method.rpartition("-")
    if method not in known and base:
        name = method_name(base)
        return Text(en=f"{name.en} ({variant})", zh=f"{name.zh}（{variant}）")
    names = known.get(method, {})
    return Text(en=names.get("en", method), zh=names.get("zh", method))


def metric_name(metric: str) -> Text:
    """What a metric is called in a sentence."""
    names = _words()["metrics"].get(metric, {})
    return Text(en=names.get("en", metric), zh=names.get("zh", metric))


def _called(standing: Standing, decision: Decision, language: Lang) -> str:
    """A candidate's name in a sentence; with the model where several were tried."""
    if standing.method == "recorded":
        return standing.model
    name: str = getattr(method_name(standing.method), language)
    models = {s.model for s in decision.standings if s.model != "-"}
    if len(models) < 2 or standing.model == "-":
        return name
    return f"{name} ({standing.model})" if language == "en" else f"{name}（{standing.model}）"


def _join(names: list[str], language: Lang) -> str:
    if language == "zh":
        return "、".join(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _points(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0")


def money(value: float) -> str:
    """Two significant digits, and never in scientific notation."""
    if value == 0:
        return "0"
    from math import floor, log10

    digits = max(0, 1 - floor(log10(abs(value))))
    return f"{value:,.{min(digits, 12)}f}"


def why(decision: Decision) -> Text:
    """The paragraph."""
    return Text(en=_why(decision, "en"), zh=_why(decision, "zh"))


def _why(decision: Decision, language: Lang) -> str:
    by_id = {standing.candidate: standing for standing in decision.standings}
    glue = " " if language == "en" else ""
    if not by_id:
        if decision.verdict == "target_not_met":
            return _say("not_promised", language, target=percent(decision.target))
        return _say("nothing_to_compare", language)
    able = [s for s in decision.standings if s.eligible]
    if not able:
        return _say("none_eligible", language)
    best = max(able, key=lambda s: s.quality.point or 0.0)
    named = by_id[decision.winner] if decision.winner else best
    ties = [_called(by_id[name], decision, language) for name in decision.ties]
    values = {
        "winner": _called(named, decision, language),
        "best": _called(named, decision, language),
        "n": decision.n,
        "metric": getattr(metric_name(decision.metric), language),
        "score": percent(named.quality.point),
        "low": percent(named.quality.low),
        "high": percent(named.quality.high),
        "margin": _points(decision.margin),
        "target": percent(decision.target),
        "ties": _join(ties or [_called(s, decision, language) for s in able if s is not named] or ["-"], language),
    }
    lines = [_say(_key(decision, named), language, **values)]
    if decision.winner:
        key = "cost_upkeep" if decision.upkeep else "cost"
        lines.append(_say(key, language, cost=money(named.cost_per_1000), currency=decision.currency))
        if decision.target is None and len(able) > 1:
            lines.append(_say("no_target", language, score=percent(named.quality.point)))
    baseline = next((s for s in decision.standings if s.method == "baseline"), None)
    if baseline is not None and baseline is not named:
        lines.append(_say("baseline_said", language, score=percent(baseline.quality.point)))
    late = [_called(s, decision, language) for s in decision.standings if not s.converged]
    if late:
        lines.append(_say("not_converged", language, names=_join(late, language)))
    return glue.join(lines)


def _key(decision: Decision, named: Standing) -> str:
    if decision.verdict != "winner":
        return decision.verdict
    if decision.alone:
        return "winner_alone"
    if decision.mode == "climb":
        return "climb"
    # A rung that is out for its limits takes no part in the verdict, and may still be as good.
    lead = {p.other for p in decision.pairs if p.candidate == named.candidate and (p.difference.low or 0.0) > 0}
    return "winner" if len(lead) == len(decision.standings) - 1 else "winner_shown"


def would_change(decision: Decision) -> tuple[Text, ...]:
    """What would change the verdict, most telling first."""
    return tuple(
        Text(
            en=_say(key, "en", **{k: v("en") if callable(v) else v for k, v in values.items()}),
            zh=_say(key, "zh", **{k: v("zh") if callable(v) else v for k, v in values.items()}),
        )
        for key, values in _changes(decision)
    )


def _changes(decision: Decision) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    late = [s for s in decision.standings if not s.converged]
    if late:
        names = lambda language: _join([_called(s, decision, language) for s in late], language)  # noqa: E731
        found.append(("change_budget", {"names": names}))
    if decision.verdict == "unresolved" and decision.examples_needed:
        found.append(("needed", {"n": f"{decision.examples_needed:,}"}))
    if decision.winner and decision.mode == "compare":
        able = {s.candidate for s in decision.standings if s.eligible}
        pairs = [p for p in decision.pairs if {p.candidate, p.other} <= able]
        rivals = [-(p.difference.high or 0.0) for p in pairs if p.other == decision.winner]
        rivals += [p.difference.low or 0.0 for p in pairs if p.candidate == decision.winner]
        worst = min(rivals, default=0.0)
        if worst < 0:
            winner = next(s for s in decision.standings if s.candidate == decision.winner)
            called = lambda language: _called(winner, decision, language)  # noqa: E731
            found.append(("change_margin", {"points": _points(-worst), "winner": called}))
    if decision.resolvable is not None:
        found.append(("resolvable", {"points": _points(decision.resolvable)}))
    for standing in decision.standings:
        for check in standing.checks:
            if not check.ok:
                name = lambda language, s=standing: _called(s, decision, language)  # noqa: E731
                value = "–" if check.value is None else f"{check.value:.3g}"
                values = {"name": name, "check": check.name, "value": value, "limit": f"{check.limit:.3g}"}
                found.append(("change_minimum" if check.name.startswith("min_") else "change_constraint", values))
    return found
