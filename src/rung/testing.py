"""Contract kits for plug-in authors: each checks one part against the interface it claims, and says what it breaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Hit, Item, Retriever
from rung.core.errors import DataError, catalogue
from rung.core.evaluation import Answer, Metric, Score, parts_matrix
from rung.core.method import Cost, Method
from rung.core.model import Capabilities, Completion, Encoder, Model, ModelRef, Request
from rung.core.registry import create, parts
from rung.core.task import Example, FitData


class ContractBroken(AssertionError):
    """A part does not do what its interface promises."""


def require(kept: bool, promise: str) -> None:
    """Raise ContractBroken, naming the promise, where it is not kept."""
    if not kept:
        raise ContractBroken(promise)


def check_metric(
    metric: Metric, examples: Sequence[Example], answers: Sequence[Answer], *, mean: bool | None = None
) -> None:
    """Check a metric on examples and their answers; at least three scored ones, one failed, and one without references.

    `mean`: whether the metric is the mean of its scores' values; None: it is, if it has one part. Raises
    ContractBroken.
    """
    require(bool(metric.name), "a metric has a name")
    require(metric.better in ("higher", "lower"), "`better` is 'higher' or 'lower'")
    require(isinstance(metric.needs, frozenset), "`needs` is a frozenset")
    require(0 < len(set(metric.parts)) == len(metric.parts), "`parts` are names, each of them once")
    scores = metric.score(examples, answers)
    _check_scores(metric, examples, answers, scores)
    _check_order(metric, examples, answers, scores)
    _check_aggregate(metric, scores, len(metric.parts) == 1 if mean is None else mean)


def _check_scores(
    metric: Metric, examples: Sequence[Example], answers: Sequence[Answer], scores: Sequence[Score]
) -> None:
    require(len(scores) == len(examples), "there is one score for every example")
    for example, answer, score in zip(examples, answers, scores, strict=True):
        where = f" (example {example.id})"
        if answer.failure is not None:
            require(score.status == "failed", "an answer that failed is 'failed', never wrong" + where)
        elif "references" in metric.needs and not example.references:
            require(score.status == "unscored", "an example without references is 'unscored'" + where)
        else:
            require(score.status in ("scored", "unscored"), "only an answer that failed is 'failed'" + where)
        if score.status != "scored":
            require(not score.value and not score.parts, "what is not scored has no value and no parts" + where)
        require(set(score.parts) <= set(metric.parts), "a score has no part that the metric does not list" + where)
        require(bool(np.isfinite([score.value, *score.parts.values()]).all()), "values and parts are finite" + where)
    found = {status: sum(score.status == status for score in scores) for status in ("scored", "failed", "unscored")}
    require(sum(found.values()) == len(examples), "scored + failed + unscored = n")
    require(found["scored"] >= 3 and found["failed"] >= 1, "the kit is given three scored answers and a failed one")
    require(
        "references" not in metric.needs or found["unscored"] >= 1, "the kit is given an example without references"
    )


def _check_order(
    metric: Metric, examples: Sequence[Example], answers: Sequence[Answer], scores: Sequence[Score]
) -> None:
    require(list(metric.score(examples, answers)) == list(scores), "the same answers get the same scores")
    turned = metric.score(examples[::-1], answers[::-1])
    require(list(turned)[::-1] == list(scores), "scores come in the order of the examples")
    single = [metric.score([example], [answer])[0] for example, answer in zip(examples, answers, strict=True)]
    require(single == list(scores), "a score does not depend on the other examples")
    require(list(metric.score([], [])) == [], "no examples have no scores")
    for wrong in (answers[:-1], [*answers[1:], answers[0]]):
        try:
            metric.score(examples, wrong)
        except Exception:
            continue
        raise ContractBroken("answers that are not aligned with the examples are refused")


def _check_aggregate(metric: Metric, scores: Sequence[Score], mean: bool) -> None:
    matrix = parts_matrix(scores, metric.parts)
    matrix = matrix[~np.isnan(matrix).any(axis=1)]
    n, p = matrix.shape
    whole = metric.aggregate(matrix.sum(axis=0), np.array(float(n)))
    require(np.shape(whole) == (), "`aggregate` of totals [p] is a number")
    require(bool(np.isfinite(whole)), "`aggregate` of scored examples is finite")
    if mean:
        expected = np.mean([score.value for score in scores if score.status == "scored"])
        require(bool(np.isclose(whole, expected)), f"`aggregate` ({whole}) is the mean of the values ({expected})")
    twice = metric.aggregate(2 * matrix.sum(axis=0), np.array(2.0 * n))
    require(bool(np.isclose(twice, whole)), "every example counted twice changes nothing")
    empty = metric.aggregate(np.zeros((2, p)), np.zeros(2))
    require(bool(np.isnan(empty).all()), "no examples aggregate to nan, never to 0")
    # Resamples of every size, none included, as the bootstrap hands them over.
    counts = np.random.default_rng(0).integers(0, 3, size=(4, 3, n)).astype(np.float64)
    counts[0, 0] = 0
    totals, sizes = counts @ matrix, counts.sum(axis=-1)
    together = metric.aggregate(totals, sizes)
    require(together.shape == (4, 3), "`aggregate` of totals [a, b, p] has the shape [a, b]")
    alone = [[float(metric.aggregate(totals[a, b], sizes[a, b])) for b in range(3)] for a in range(4)]
    require(bool(np.allclose(together, alone, equal_nan=True)), "`aggregate` treats every resample by itself")
    require(metric.aggregate(np.zeros((0, p)), np.zeros(0)).shape == (0,), "`aggregate` takes no resamples at all")


FAILURE_KINDS = frozenset(
    (
        "timeout",
        "refused",
        "rate_limit",
        "server",
        "garbage",
        "empty",
        "too_long",
        "unparsable",
        "content_filter",
        "error",
    )
)


def check_model(model: Model, requests: Sequence[Request], *, reopen: bool = True) -> None:
    """Check a backend on requests that it answers the same way each time; at least three, with different answers.

    `reopen` False: the model cannot be built again from its record (it lives in memory only). Raises ContractBroken.
    """
    require(isinstance(model, Model), "a model has `ref`, `capabilities` and `generate`")
    require(isinstance(model.capabilities, Capabilities), "`capabilities` is a Capabilities")
    require(bool(model.ref.kind and model.ref.id), "`ref` names a kind and an id")
    record = model.ref.model_dump_json()
    require(ModelRef.model_validate_json(record) == model.ref, "`ref` survives being written as JSON")
    require(model.generate([]) == [], "no requests have no completions")
    completions = model.generate(requests)
    require(isinstance(completions, list) and len(completions) == len(requests), "every request has one completion")
    for number, (request, completion) in enumerate(zip(requests, completions, strict=True), 1):
        _check_completion(model, request, completion, f" (request {number})")
    said = [(completion.text, completion.choice_scores) for completion in completions]
    require(len(requests) >= 3 and len(set(said)) >= 2, "the kit is given three requests, with different answers")
    _check_same(model.generate(requests[::-1])[::-1], completions, "completions come in the order of the requests")
    single = [model.generate([request])[0] for request in requests]
    _check_same(single, completions, "an answer does not depend on the other requests")
    require(model.ref.model_dump_json() == record, "answering leaves `ref` as it is")
    opening = getattr(type(model), "open", None)
    if reopen and opening is not None:
        again: Model = opening(model.ref)
        require(again.ref == model.ref, "`open` gives the model of the record")
        _check_same(again.generate(requests), completions, "a model opened from its record answers the same")


def _check_completion(model: Model, request: Request, completion: Completion, where: str) -> None:
    failure, scores = completion.failure, completion.choice_scores
    if failure is not None:
        require(failure.kind in FAILURE_KINDS, f"'{failure.kind}' is a known kind of failure" + where)
        require(not completion.text and not scores, "what failed has neither text nor scores" + where)
    elif request.choices and model.capabilities.choices:
        require(len(scores) == len(request.choices), "every choice has a score" + where)
        require(bool(np.isfinite(scores).all()), "scores are finite" + where)
        require(max(scores) <= 1e-6, "a score is a log-probability, at most 0" + where)
    else:
        require(not scores, "only a model that can be held to choices scores them" + where)
        require(bool(completion.text), "what is no failure has a text" + where)
    require(completion.finish in ("stop", "length", "choice", "error"), "`finish` is a known word" + where)
    spent = (completion.tokens_in, completion.tokens_out, completion.seconds, completion.money)
    require(
        all(np.isfinite(each) and each >= 0 for each in spent), "what was spent is finite, and never negative" + where
    )


def _check_same(found: Sequence[Completion], expected: Sequence[Completion], promise: str) -> None:
    require(len(found) == len(expected), promise)
    for one, other in zip(found, expected, strict=True):
        same = one.text == other.text and (one.failure is None) == (other.failure is None)
        # A batch of another size may round a local model's scores differently.
        near = len(one.choice_scores) == len(other.choice_scores)
        near = near and bool(np.allclose(one.choice_scores, other.choice_scores, rtol=0.02, atol=0.02))
        require(same and near, promise)


def check_method(method: Method, fit: FitData, model: Model) -> None:
    """Check what a method says before anything is spent: its name, its place on the ladder, blockers and estimate.

    Nothing is adapted. Call it on tasks that the method can run on and on some that it cannot. Raises ContractBroken.
    """
    ranks = {name: create("method", name).rank for name in parts("method")}
    require(method.name in ranks, "`name` is the one that it is registered under")
    require(type(method) is type(create("method", method.name)), "`name` is the one that it is registered under")
    require(isinstance(method.rank, int), "`rank` is a whole number")
    same = [name for name, rank in ranks.items() if rank == method.rank and name != method.name]
    require(not same, f"`rank` is a place on the ladder that no other method holds ({', '.join(same)})")
    before = _files(fit)
    blockers = method.blockers(fit, model)
    require(isinstance(blockers, list), "`blockers` is a list, empty when the method can run")
    for blocker in blockers:
        require(_is_reason(blocker), f"a blocker is a code of the catalogue or a sentence, not {blocker!r}")
    require(method.blockers(fit, model) == blockers, "the same task and model have the same blockers")
    if not blockers:
        cost = method.estimate(fit, model)
        require(isinstance(cost, Cost), "`estimate` is a Cost")
        require(bool(np.isfinite(astuple(cost)).all()) and min(astuple(cost)) >= 0, "a cost is finite, never negative")
    require(_files(fit) == before, "nothing is written before anything is spent")


def _is_reason(blocker: object) -> bool:
    if not isinstance(blocker, str):
        return False
    return blocker in catalogue() if re.fullmatch(r"\w*", blocker) else blocker.rstrip()[-1:] in {".", "。"}


def _files(fit: FitData) -> set[Path]:
    return {path for folder in (fit.run, fit.folder) for path in folder.rglob("*")}


class Growing(Protocol):
    """A store whose items come and go, in versions."""

    def update_items(self, items: Iterable[Item], encoder: Encoder | None) -> object: ...

    def delete(self, ids: Iterable[str]) -> object: ...

    def rollback(self) -> object: ...

    def open(self, encoder: Encoder | None) -> Retriever: ...


_MODES = ("rrf", "lexical", "dense")
_SHELF = (
    Item("a", "The deposit is paid within five days.", {"metadata": {"year": "2024"}}),
    Item("b", "Smoke alarms are changed every seven years.", {"access": ["board"], "metadata": {"year": "2025"}}),
    Item("c", "押金应在签约后5天内付清。", {"metadata": {"year": "2025"}}),
    Item("d", "The deposit is kept by the deposit office.", {"access": ["board", "desk"]}),
    Item("e", "Form H-10 goes to the repairs office every year.", {"access": ["desk"], "metadata": {"year": "2024"}}),
    Item("f", "twins are the same"),
    Item("g", "twins are the same"),
)
_ASKED = ("when is the deposit paid", "押金什么时候付", "twins are the same", "form h-10")


def check_retriever(
    build: Callable[[Sequence[Item]], Retriever],
    encoder: Encoder,
    *,
    reopen: Callable[[Encoder], Retriever] | None = None,
    damaged: Callable[[], Retriever] | None = None,
    growing: Growing | None = None,
) -> None:
    """Check a retriever: order, ties, k, exclude, who sees what, filters; and, where given, that it refuses and grows.

    `build` makes and opens one of some items with `encoder`. `reopen` opens the last one built with another encoder,
    `damaged` breaks something of it and opens it. `growing`: an empty store. Raises ContractBroken.
    """
    retriever = build(_SHELF)
    require(bool(re.fullmatch(r".+@\d+", retriever.id)), "`id` is `<name>@<version>`")
    for mode in _MODES:
        _check_ranking(retriever, mode)
        _check_callers(retriever, build, mode)
    require(retriever.search(["", " \n"], 3) == [[], []], "a blank query finds nothing")
    require(retriever.search([], 3) == [], "no queries find nothing")
    require(_ids(retriever.search(["zzz"], 3, mode="lexical")) == [[]], "words that occur nowhere find nothing")
    build(_SHELF)
    if reopen is not None:
        _refused(lambda: reopen(_Renamed(encoder)), "E2704", "the index of another encoder is refused")
    if damaged is not None:
        _refused(damaged, "E2703", "a damaged index is refused")
    if growing is not None:
        _check_growth(growing, build, encoder)


class _Renamed:
    """The same vectors under another name."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.id = f"{encoder.id}-another"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._encoder.encode(texts)


def _ids(found: Sequence[Sequence[Hit]]) -> list[list[str]]:
    return [[hit.item.id for hit in hits] for hits in found]


def _same(found: Sequence[Sequence[Hit]], expected: Sequence[Sequence[Hit]]) -> bool:
    scores = [[round(hit.score, 5) for hit in hits] for hits in found]
    return _ids(found) == _ids(expected) and scores == [[round(hit.score, 5) for hit in hits] for hits in expected]


def _check_ranking(retriever: Retriever, mode: str) -> None:
    said = f" ({mode})"
    whole = retriever.search(_ASKED, len(_SHELF) + 1, mode=mode)
    known = {item.id: item for item in _SHELF}
    require(len(whole) == len(_ASKED), "every query has its hits" + said)
    for hits in whole:
        scores = [hit.score for hit in hits]
        require(scores == sorted(scores, reverse=True), "the best hit comes first" + said)
        require(len({hit.item.id for hit in hits}) == len(hits), "an item is found once" + said)
        for hit in hits:
            kept = known[hit.item.id]
            require(
                hit.item.text == kept.text and dict(hit.item.payload) == dict(kept.payload),
                "an item comes back as it was given" + said,
            )
    require(mode == "lexical" or all(len(hits) == len(_SHELF) for hits in whole), "`k` is filled" + said)
    require(_ids([whole[2][:2]]) == [["f", "g"]], "of equal scores the lower id comes first" + said)
    require(_ids(retriever.search(_ASKED, 0, mode=mode)) == [[]] * len(_ASKED), "k = 0 finds nothing" + said)
    for k in (1, 3):
        few = retriever.search(_ASKED, k, mode=mode)
        require(_same(few, [hits[:k] for hits in whole]), "a smaller `k` is the beginning of a larger one" + said)
    single = [retriever.search([query], 3, mode=mode)[0] for query in _ASKED]
    require(_same(single, [hits[:3] for hits in whole]), "a query's hits do not depend on the other queries" + said)
    firsts = [frozenset({hits[0].item.id, "none of these"}) for hits in whole]
    without = retriever.search(_ASKED, 2, mode=mode, exclude=firsts)
    require(_ids(without) == [ids[1:3] for ids in _ids(whole)], "excluded items make room for the next" + said)


def _check_callers(retriever: Retriever, build: Callable[[Sequence[Item]], Retriever], mode: str) -> None:
    said = f" ({mode})"
    callers: list[frozenset[str]] = [frozenset(), frozenset({"desk"}), frozenset({"board", "desk"}), frozenset({"x"})]
    for labels in callers:
        visible = [item for item in _SHELF if not (needed := item.payload.get("access")) or labels & set(needed)]
        found = retriever.search(_ASKED, 5, mode=mode, seen_by=labels)
        alone = build(visible).search(_ASKED, 5, mode=mode)
        require(_same(found, alone), "a caller gets what an index without the rest would give" + said)
    for wanted in ({"year": "2024"}, {"year": ["2024", "2025"]}, {"colour": "red"}):
        allowed = {item.id for item in _SHELF if _has(item, wanted)}
        whole = _ids(retriever.search(_ASKED, len(_SHELF), mode=mode))
        narrowed = _ids(retriever.search(_ASKED, len(_SHELF), mode=mode, where=wanted))
        for some, every in zip(narrowed, whole, strict=True):
            require(set(some) == allowed & set(every), "a filter leaves what has the metadata" + said)


def _has(item: Item, wanted: Mapping[str, str | list[str]]) -> bool:
    metadata = item.payload.get("metadata", {})
    return all(
        metadata.get(key) in ([value] if isinstance(value, str) else value) and key in metadata
        for key, value in wanted.items()
    )


def _refused(attempt: Callable[[], object], code: str, promise: str) -> None:
    try:
        attempt()
    except DataError as error:
        require(error.code == code, f"{promise} with {code}, not with {error.code}")
        return
    raise ContractBroken(promise)


def _check_growth(growing: Growing, build: Callable[[Sequence[Item]], Retriever], encoder: Encoder) -> None:
    growing.update_items(_SHELF[:4], encoder)
    first = growing.open(encoder)
    before = first.search(_ASKED, 9)
    changed = Item("a", "Keys are handed over on the first day.", {})
    growing.update_items([changed, *_SHELF[4:]], encoder)
    grown = growing.open(encoder)
    whole = build([changed, *_SHELF[1:]])
    for mode in _MODES:
        found = grown.search(_ASKED, 9, mode=mode)
        require(_same(found, whole.search(_ASKED, 9, mode=mode)), f"an update finds what a new build finds ({mode})")
    growing.delete(["f", "none of these"])
    rest = build([changed, *(item for item in _SHELF[1:] if item.id != "f")])
    after = growing.open(encoder)
    for mode in _MODES:
        found = after.search(_ASKED, 9, mode=mode)
        require(_same(found, rest.search(_ASKED, 9, mode=mode)), f"what is deleted is gone at once ({mode})")
    require(len({first.id, grown.id, after.id}) == 3, "every version has an id of its own")
    require(_same(first.search(_ASKED, 9), before), "an index that is open stays as it is")
    growing.rollback()
    back = growing.open(encoder)
    require(back.id == grown.id, "a version that is taken back has its old id")
    require(_same(back.search(_ASKED, 9), grown.search(_ASKED, 9)), "a version that is taken back finds what it found")
