"""How far annotators agree on the rows that several of them labelled, and where they do not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from rung.core.hashing import seed_from
from rung.data.record import Record
from rung.experiment.annotating.desk import Desk, asked
from rung.experiment.evaluate import number
from rung.stats.agreement import Kappa, cohen_kappa, krippendorff_alpha
from rung.text.normalise import normalise_label


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators over the rows that both labelled."""

    first: str
    second: str
    kappa: Kappa


@dataclass(frozen=True)
class Confusion:
    """Two labels that different people gave to one row; the order of the two means nothing."""

    labels: tuple[str, str]
    count: int
    examples: tuple[str, ...]
    """Ids of rows, the first few."""


@dataclass(frozen=True)
class Agreement:
    """Agreement over all rows with several labels."""

    annotators: Mapping[str, int]
    """Rows that each has labelled."""
    shared: int
    """Rows with labels of at least two."""
    agreed: int
    alpha: Kappa
    pairs: tuple[PairAgreement, ...]
    confusions: tuple[Confusion, ...]
    led: int
    """Labels of shared rows that were given with a suggestion in sight: agreement there proves less."""

    def to_json(self) -> dict[str, Any]:
        return {
            "annotators": dict(self.annotators),
            "shared": self.shared,
            "agreed": self.agreed,
            "alpha": _kappa_json(self.alpha),
            "pairs": [{"annotators": [p.first, p.second], **_kappa_json(p.kappa)} for p in self.pairs],
            "confusions": [
                {"labels": list(c.labels), "count": c.count, "examples": list(c.examples)} for c in self.confusions
            ],
            "led": self.led,
        }


@dataclass(frozen=True)
class Disagreement:
    """One row, and what each annotator said of it."""

    record: Record
    said: Mapping[str, str]


def labels_given(desk: Desk, records: Sequence[Record]) -> dict[str, dict[str, str]]:
    """{row: {annotator: answer}} in the order of the data; labels of texts that have changed since are left out."""
    sheets = desk.sheets()
    found: dict[str, dict[str, str]] = {}
    for record in records:
        stamp = asked(record)
        said = {
            sheet.annotator: sheet.given[record.id].answer
            for sheet in sheets
            if record.id in sheet.given and sheet.given[record.id].asked == stamp
        }
        if said:
            found[record.id] = said
    return found


def same(answers: Mapping[str, str]) -> bool:
    """Whether all annotators said the same, case and width aside."""
    return len({normalise_label(answer) for answer in answers.values()}) <= 1


def agreement_of(desk: Desk, records: Sequence[Record]) -> Agreement:
    """Krippendorff's alpha over everybody, Cohen's kappa for each two, and the labels that are taken for each other.

    Free text counts as the same where it is equal but for case and width: a hard measure, for which alpha is a lower bound.
    """
    given = labels_given(desk, records)
    group_of = {record.id: record.group or record.id for record in records}
    shared = {id: said for id, said in given.items() if len(said) > 1}
    sheets = {sheet.annotator: sheet for sheet in desk.sheets()}
    names = {sheet: sum(sheet in said for said in given.values()) for sheet in sheets}
    forms = {id: {who: normalise_label(text) for who, text in said.items()} for id, said in shared.items()}
    rng = np.random.default_rng(seed_from("label agreement"))
    alpha = krippendorff_alpha([list(f.values()) for f in forms.values()], rng, groups=[group_of[id] for id in forms])
    pairs = []
    for first, second in combinations(names, 2):
        both = [f for f in forms.values() if first in f and second in f]
        if both:
            pairs.append(PairAgreement(first, second, cohen_kappa([f[first] for f in both], [f[second] for f in both])))
    led = sum(bool(sheets[who].given[id].suggestion) for id, said in shared.items() for who in said)
    return Agreement(
        annotators=names,
        shared=len(shared),
        agreed=sum(same(said) for said in shared.values()),
        alpha=alpha,
        pairs=tuple(pairs),
        confusions=_confusions(shared),
        led=led,
    )


def _confusions(shared: Mapping[str, Mapping[str, str]]) -> tuple[Confusion, ...]:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for id, said in shared.items():
        for one, other in sorted({tuple(sorted(pair)) for pair in combinations(said.values(), 2)}):
            if normalise_label(one) != normalise_label(other):
                places[one, other].append(id)
    counts = Counter({pair: len(ids) for pair, ids in places.items()})
    return tuple(Confusion(pair, n, tuple(places[pair][:5])) for pair, n in counts.most_common())


def disagreements(desk: Desk, records: Sequence[Record], *, again: bool = False) -> list[Disagreement]:
    """Rows on which annotators differ and that nobody has decided; with `again` the decided ones too."""
    decided = desk.decisions()
    given = labels_given(desk, records)
    found = []
    for record in records:
        said = given.get(record.id, {})
        settled = record.id in decided and decided[record.id].get("asked", "") in {"", asked(record)}
        if not same(said) and (again or not settled):
            found.append(Disagreement(record, said))
    return found


def _kappa_json(kappa: Kappa) -> dict[str, Any]:
    return {
        "value": number(kappa.value),
        "low": number(kappa.low),
        "high": number(kappa.high),
        "n": kappa.n,
        "agreement": number(kappa.agreement),
    }
