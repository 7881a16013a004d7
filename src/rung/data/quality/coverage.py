"""Which documents, and which of their sections, the questions reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.data.quality.record import Coverage
from rung.data.record import Record

_SHOWN = 20


def cover(
    records: Sequence[Record], documents: Sequence[str], homes: Sequence[str], nearest: NDArray[np.int64]
) -> Coverage:
    """`documents`: all ids. `homes`: the document of every section. `nearest` [n]: each question's section, -1 for none.

    A document is reached where a question names it or lies nearest to one of its sections; a section, where a question lies
    nearest to it: within a document that the question names, where it names any.
    """
    known = set(documents)
    named = {name for record in records for name in record.documents} & known
    touched = {int(section) for section in nearest if section >= 0}
    reached = named | ({homes[section] for section in touched} if not named else set())
    return Coverage(
        documents=len(documents),
        reached=len(reached),
        sections=len(homes),
        sections_reached=len(touched),
        named=bool(named),
        missed=tuple(name for name in documents if name not in reached)[:_SHOWN],
    )
