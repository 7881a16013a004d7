"""How far the annotators of a data set agree, where its rows say what each of them said."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rung.core.hashing import seed_from
from rung.data.quality.record import Agreement, Estimate
from rung.data.record import Record
from rung.stats.agreement import Kappa, cohen_kappa, fleiss_kappa, krippendorff_alpha

DRAWS = 2_000


def annotator_agreement(records: Sequence[Record]) -> Agreement | None:
    """Cohen's kappa for two annotators; Fleiss' for more who all judged every row; Krippendorff's alpha with gaps.

    None where no row was judged twice.
    """
    rated = [record for record in records if len(record.labelled) > 1]
    if not rated:
        return None
    names = tuple(dict.fromkeys(name for record in rated for name in record.labelled))
    rows = [[record.labelled.get(name) for name in names] for record in rated]
    whole = all(rating is not None for row in rows for rating in row)
    rng = np.random.default_rng(seed_from("agreement", len(rows)))
    groups = [record.group or f"\0{record.id}" for record in rated]
    if len(names) == 2:
        return _told("cohen", cohen_kappa(*zip(*rows, strict=True)), names)
    if whole:
        return _told("fleiss", fleiss_kappa(rows, rng, groups=groups, draws=DRAWS), names)
    return _told("krippendorff", krippendorff_alpha(rows, rng, groups=groups, draws=DRAWS), names)


def _told(kind: str, kappa: Kappa, names: tuple[str, ...]) -> Agreement:
    point, low, high, agreement = (
        None if math.isnan(value) else value for value in (kappa.value, kappa.low, kappa.high, kappa.agreement)
    )
    return Agreement.model_validate(
        {
            "kind": kind,
            "kappa": Estimate(point=point, low=low, high=high, n=kappa.n),
            "agreement": agreement,
            "annotators": names,
        }
    )
