"""What task.yaml says about retrieval: a value is taken as it is, a list is tried on dev, `auto` leaves the list to Rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from rung.core.candidate import Recipe
from rung.core.errors import UsageError
from rung.core.finding import AS_ASKED
from rung.core.registry import find, parts
from rung.core.task import FitData

PASSAGES = frozenset(
    {"chunk_words", "k", "query", "fusion", "weights", "rerank", "rerank_depth", "order", "drop_below"}
)
"""Settings of a recipe."""
TRIED = PASSAGES | {"abstain"}
AUTO, OFF = "auto", "off"
_FUSIONS = get_args(Recipe.model_fields["fusion"].annotation)
_ORDERS = get_args(Recipe.model_fields["order"].annotation)
_SIGNALS = ("lexical", "dense", "rerank")


@dataclass(frozen=True)
class Tried:
    """The values of one setting: one that is taken, or several that are tried."""

    values: tuple[Any, ...]
    asked: bool
    """The task file names them, so they are tried even where nothing tells beforehand which are good."""

    @property
    def fixed(self) -> bool:
        return self.asked and len(self.values) == 1

    @property
    def named(self) -> tuple[Any, ...]:
        """All that the task file names, or else the usual one."""
        return self.values if self.asked else self.values[:1]


@dataclass(frozen=True)
class RagSettings:
    """What is tried on the way to a recipe."""

    sizes: Tried
    k: Tried
    queries: Tried
    """Search words that cost nothing, or the ones that the task file wants."""
    rewritings: Tried
    """Search words that the model makes, tried where the others leave room."""
    fusions: Tried
    weights: Tried
    reranks: Tried
    orders: Tried
    drops: Tried
    signals: Tried
    fixed: Mapping[str, Any]
    """Fields that every recipe has, as the task file says."""

    @classmethod
    def of(cls, fit: FitData, sizes: tuple[int, ...], k: tuple[int, ...], fusion: str) -> RagSettings:
        """`sizes` and `k`: the usual ones; `fusion`: what the encoder can do here. Raises UsageError E2410."""

        def of(name: str, *usual: Any) -> Tried:
            return tried("rag", fit.hints, name, usual)

        dialogues = any(example.history for example in fit.dev)
        dense = fusion == "rrf"
        queries = of("query", AS_ASKED, "cleaned", *(["last", "condensed"] if dialogues else ["rewritten", "both"]))
        free = queries.values if queries.fixed else tuple(q for q in queries.values if not asks_model(q, ""))
        reranks, orders, drops = of("rerank", ""), of("order", *_ORDERS), of("drop_below", 0.0, 0.5)
        depth = of("rerank_depth", Recipe().rerank_depth)
        if len(depth.values) > 1:
            raise _wrong("rag", "rerank_depth", fit.hints["rerank_depth"])
        later = {"rerank": reranks, "order": orders, "drop_below": drops, "rerank_depth": depth}
        return cls(
            sizes=of("chunk_words", *sizes),
            k=of("k", *k),
            queries=Tried(free or (AS_ASKED,), queries.asked and bool(free)),
            rewritings=Tried(tuple(q for q in queries.values if q not in free), queries.asked),
            fusions=of("fusion", *(("rrf", "lexical", "dense") if dense else (fusion,))),
            weights=of("weights", (1.0, 1.0), (2.0, 1.0), (1.0, 2.0)),
            reranks=reranks,
            orders=orders,
            drops=drops,
            signals=of("abstain", *(("dense", "lexical") if dense else ("lexical",))),
            fixed={name: value.values[0] for name, value in later.items() if value.fixed},
        )


def tried(method: str, hints: Mapping[str, Any], name: str, usual: tuple[Any, ...]) -> Tried:
    """The values of a setting; `usual` are those of `auto`. Raises UsageError E2410 for one that the setting cannot have."""
    given = hints.get(name, AUTO)
    if given == AUTO:
        return Tried(usual, False)
    several = isinstance(given, list | tuple) and not (name == "weights" and all(map(_is_number, given)))
    values = tuple(_value(method, name, value) for value in (given if several else (given,)))
    if not values:
        raise _wrong(method, name, given)
    return Tried(tuple(dict.fromkeys(values)), True)


def fixed(method: str, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a recipe that is not searched for, as a training takes them: one value each, and none that asks a model.

    Raises UsageError E2410 for a value that a setting cannot have or for several of them, E2731 for one that asks the model:
    the trained model would search with other words than its rows were found with.
    """
    found: dict[str, Any] = {}
    for name in sorted(PASSAGES & hints.keys()):
        value = tried(method, hints, name, ())
        if not value.values:
            continue
        if not value.fixed:
            raise _wrong(method, name, hints[name])
        found[name] = value.values[0]
    if asks_model(found.get("query", AS_ASKED), found.get("rerank", "")):
        raise UsageError("E2731", method=method, query=found.get("query", AS_ASKED), rerank=found.get("rerank") or OFF)
    return found


def asks_model(query: str, rerank: str) -> bool:
    """Whether a question's preparation puts something to the model."""
    kind = rerank.partition(":")[0]
    return bool(
        (query != AS_ASKED and getattr(find("wording", query), "asks_model", False))
        or (kind and getattr(find("reranker", kind), "asks_model", False))
    )


def _value(method: str, name: str, value: Any) -> Any:
    """A value as a recipe has it."""
    if name in {"rerank", "abstain", "drop_below"} and (value is False or value == OFF):
        return 0.0 if name == "drop_below" else ""
    if (good := _checked(name, value)) is not None:
        return good
    raise _wrong(method, name, value)


def _wrong(method: str, name: str, value: Any) -> UsageError:
    return UsageError("E2410", method=method, name=name, value=value, known=_known(name))


def _checked(name: str, value: Any) -> Any:
    if name in {"chunk_words", "k", "rerank_depth"}:
        least = 10 if name == "chunk_words" else 1
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None
    if name == "drop_below":
        return float(value) if _is_number(value) and 0 <= value <= 1 else None
    if name == "weights":
        pair = isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))
        return tuple(map(float, value)) if pair and min(value) >= 0 < max(value) else None
    if name == "rerank":
        kind, mark, path = str(value).partition(":")
        return value if kind in parts("reranker") and bool(mark) == bool(path) else None
    return value if value in _names(name) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(name: str) -> tuple[str, ...]:
    names: dict[str, tuple[str, ...]] = {
        "query": (AS_ASKED, *parts("wording")),
        "fusion": _FUSIONS,
        "order": _ORDERS,
        "abstain": _SIGNALS,
    }
    return names[name]


def _known(name: str) -> str:
    """What a setting may be, in a few words."""
    if name in {"chunk_words", "k", "rerank_depth"}:
        return "10, 11, ..." if name == "chunk_words" else "1, 2, ..."
    if name == "drop_below":
        return "off, 0.0 ... 1.0"
    if name == "weights":
        return "[1, 1], [2, 1], ..."
    if name == "rerank":
        return ", ".join((OFF, *(f"{kind}:PATH" if kind != "model" else kind for kind in parts("reranker"))))
    return ", ".join(((OFF,) if name == "abstain" else ()) + _names(name))
